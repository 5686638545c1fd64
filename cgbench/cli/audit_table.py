"""The table of an audit: findings first, each with the files that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.records.audit import Audit, Audited, Limit
from cgbench.reporting.words import audit as words

_HEADINGS = ("container", "limit", "declared", "effective", "bound by", "felt", "finding")
# What stays on one line however narrow the terminal is.
_WHOLE = ("limit", "bound by", "finding")
# No line of a table that nobody's terminal breaks is longer.
_ENDLESS = 100_000


def show(audit: Audit, *, failing: bool = False, console: Console | None = None) -> None:
    """Print a row for each limit that is declared or held, then each finding with its files.

    With `failing` only the findings. In a terminal cells wrap between words, else they are as wide
    as they need be.
    """
    console = Console(highlight=False) if console is None else console
    if not console.is_terminal:
        console.width = _ENDLESS
    rows = list(_findings(audit) if failing else _rows(audit))
    if rows:
        # What is cropped is lost; a terminal that is too narrow breaks the line itself.
        console.print(_table(rows, console.width), crop=False)
    for container in audit.containers:
        if container.unread is not None and not failing:
            _line(console, f"{container.name}: {container.unread}")
    for container, limit in audit.findings:
        _line(console, f"{container.name}: {limit.limit} {limit.finding.value}: {limit.reason}")
        for path in limit.proven_by:
            _line(console, f"    cat {path}")
        if limit.bound_by.kind == "ancestor":
            _line(console, f"    in the group {limit.bound_by.path} above it")


def _table(rows: Sequence[tuple[str, ...]], width: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for at, heading in enumerate(_HEADINGS):
        longest = max(cell_len(row[at]) for row in (_HEADINGS, *rows))
        least = longest if heading in _WHOLE else None
        if heading == "container":
            least = min(longest, width // 5)
        table.add_column(
            heading, no_wrap=heading in _WHOLE, overflow="fold", min_width=least
        )  # fmt: skip
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _rows(audit: Audit) -> Iterator[tuple[str, ...]]:
    for container in audit.containers:
        if container.unread is not None:
            yield printable(container.name), "", "", "", "", "", "not read"
            continue
        shown = words.shown(container)
        if not shown:
            yield printable(container.name), "–", "–", "–", "–", "–", "unlimited"
        for at, limit in enumerate(shown):
            yield _row(container, limit, first=at == 0)


def _findings(audit: Audit) -> Iterator[tuple[str, ...]]:
    last = None
    for container, limit in audit.findings:
        yield _row(container, limit, first=container is not last)
        last = container


def _row(container: Audited, limit: Limit, *, first: bool) -> tuple[str, ...]:
    bound = limit.bound_by
    cells = (
        container.name if first else "",
        limit.limit,
        words.amount(limit, limit.declared),
        words.amount(limit, limit.effective),
        bound.kind,
        words.felt(limit),
        words.finding(limit.finding),
    )
    return tuple(map(printable, cells))


def _line(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)
