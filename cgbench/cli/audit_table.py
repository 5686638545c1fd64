"""The table of an audit: findings first, each with the files that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.records.audit import Audit, Audited, Limit
from cgbench.reporting.words import audit as words

_HEADINGS = ("container", "limit", "declared", "effective", "bound by", "felt", "finding")
_COLUMNS = range(len(_HEADINGS))
# What is made narrower first, and what only after all else.
_FLEXIBLE = ("felt", "container", "effective", "declared")
_WHOLE = ("limit", "finding", "bound by")
Row = tuple[str, ...]
"""A cell for each of the headings."""

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
        show_rows(rows, console)
    for container in audit.containers:
        if container.unread is not None and not failing:
            _line(console, f"{container.name}: {container.unread}")
    for container, limit in audit.findings:
        _line(console, f"{container.name}: {limit.limit} {limit.finding.value}: {limit.reason}")
        for path in limit.proven_by:
            _line(console, f"    cat {path}")
        if limit.bound_by.kind == "ancestor":
            _line(console, f"    in the group {limit.bound_by.path} above it")


def show_rows(rows: Sequence[Row], console: Console) -> None:
    """Print rows below the headings, as rich does.

    Those that need no more than a line each are printed as lines: rich takes a third of a second
    for the thousand rows of two hundred containers.
    """
    gap, widths = _layout(rows, console.width)
    wide = sum(widths) + gap * (len(widths) - 1) > console.width
    # What is cropped is lost; a terminal that is too narrow breaks the line itself.
    if wide:
        console.print(_table(rows, gap, widths), crop=False)
        return
    console.print(_table((), gap, widths), crop=False)
    for short, some in groupby(rows, key=lambda row: _is_line(row, widths)):
        if short:
            lines = "\n".join(_padded(row, gap, widths) for row in some)
            console.out(lines, highlight=False)
        else:
            console.print(_table(tuple(some), gap, widths, headings=False), crop=False)


def _is_line(row: Row, widths: Sequence[int]) -> bool:
    """Say whether a row fits into one line as it is."""
    return all(
        cell.isprintable() and cell_len(cell) <= width
        for cell, width in zip(row, widths, strict=True)
    )


def _padded(row: Row, gap: int, widths: Sequence[int]) -> str:
    cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
    return (" " * gap).join(cells)


def _table(rows: Sequence[Row], gap: int, widths: Sequence[int], *, headings: bool = True) -> Table:
    # The gap is each column's own, but for the last.
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_header=headings)
    for heading, room in zip(_HEADINGS, widths, strict=True):
        table.add_column(heading, overflow="fold", width=room)
    at = _HEADINGS.index("limit")
    for row in rows:
        cells = list(row)
        if cell_len(cells[at]) > widths[at]:
            cells[at] = cells[at].replace("-", "-\n")
        table.add_row(*map(Text, cells))
    return table


def _layout(rows: Sequence[Row], width: int) -> tuple[int, list[int]]:
    """Return how far apart columns are, and how wide each is, within `width` where that can be.

    Names of limits and findings are broken only where nothing else helps.
    """
    for gap, order in ((2, _FLEXIBLE), (1, _FLEXIBLE), (1, (*_FLEXIBLE, *_WHOLE))):
        widths = [max(cell_len(row[at]) for row in (_HEADINGS, *rows)) for at in _COLUMNS]
        lacking = sum(widths) + gap * (len(widths) - 1) - width
        for heading in order:
            at = _HEADINGS.index(heading)
            least = max(_least(heading, row[at], width) for row in (_HEADINGS, *rows))
            given = max(0, min(lacking, widths[at] - least))
            widths[at] -= given
            lacking -= given
        if lacking <= 0:
            break
    return gap, widths


def _least(heading: str, cell: str, width: int) -> int:
    """Return how narrow a column may be for a cell: names of containers are broken anywhere.

    The sign of a finding stays beside its first word.
    """
    if heading == "container":
        return min(cell_len(cell), width // 5)
    if heading == "finding" and " " in cell:
        sign, rest = cell.split(" ", 1)
        return cell_len(sign) + 1 + max(map(cell_len, rest.split()), default=0)
    parts = cell.replace("-", "- ") if heading == "limit" else cell
    return max(map(cell_len, parts.split()), default=0)


def _rows(audit: Audit) -> Iterator[Row]:
    for container in audit.containers:
        if container.unread is not None:
            yield printable(container.name), "", "", "", "", "", "not read"
            continue
        shown = words.shown(container)
        if not shown:
            yield printable(container.name), "–", "–", "–", "–", "–", "unlimited"
        for at, limit in enumerate(shown):
            yield _row(container, limit, first=at == 0)


def _findings(audit: Audit) -> Iterator[Row]:
    last = None
    for container, limit in audit.findings:
        yield _row(container, limit, first=container is not last)
        last = container


def _row(container: Audited, limit: Limit, *, first: bool) -> Row:
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
