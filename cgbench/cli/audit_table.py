"""The table of an audit, in 100 columns: findings first, each with the files that prove it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.records.audit import Audit, Audited, Found, Limit
from cgbench.reporting.words import audit as words

# Most names fit.
_NAME = 14


def show(audit: Audit) -> None:
    """Print a row for each limit that is declared or held, then each finding with its files."""
    console = Console(highlight=False, width=100)
    table = Table(box=None, pad_edge=False)
    for heading in ("container", "limit", "declared", "effective", "bound by", "felt", "finding"):
        folds = heading in ("container", "felt")
        table.add_column(
            heading, no_wrap=not folds, overflow="fold",
            min_width=_NAME if heading == "container" else None,
        )  # fmt: skip
    for container in audit.containers:
        if container.unread is not None:
            table.add_row(*map(_text, (container.name, "", "", "", "", "", "not read")))
            continue
        shown = sorted(
            (one for one in container.limits if one.finding is not Found.UNLIMITED),
            key=lambda one: list(Found).index(one.finding),
        )
        if not shown:
            table.add_row(*map(_text, (container.name, "–", "–", "–", "–", "–", "unlimited")))
        for at, limit in enumerate(shown):
            table.add_row(*map(_text, _row(container, limit, first=at == 0)))
    console.print(table)
    for container in audit.containers:
        if container.unread is not None:
            _line(console, f"{container.name}: {container.unread}")
    for container, limit in audit.findings:
        _line(console, f"{container.name}: {limit.limit} {limit.finding.value}: {limit.reason}")
        for path in limit.proven_by:
            _line(console, f"    cat {path}")
        if limit.bound_by.kind == "ancestor":
            _line(console, f"    in the group {limit.bound_by.path} above it")


def _row(container: Audited, limit: Limit, *, first: bool) -> tuple[str, ...]:
    bound = limit.bound_by
    return (
        container.name if first else "",
        limit.limit,
        words.amount(limit, limit.declared),
        words.amount(limit, limit.effective),
        bound.kind,
        words.felt(limit),
        words.finding(limit.finding),
    )


def _text(text: str) -> Text:
    return Text(printable(text))


def _line(console: Console, text: str) -> None:
    console.print(_text(text), soft_wrap=True)
