"""The table of an audit, in 100 columns: findings first, each with the files that prove it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.records.audit import Amount, Audit, Audited, Found, Limit
from cgbench.units import format_size
from cgbench.wording import significant

SIGNS = {Found.IN_FORCE: "✓", Found.UNLIMITED: "–"}


def show(audit: Audit) -> None:
    """Print a row for each limit that is declared or held, then each finding with its files."""
    console = Console(highlight=False, width=100)
    table = Table(box=None, pad_edge=False)
    for heading in ("container", "limit", "declared", "effective", "bound by", "felt", "finding"):
        table.add_column(heading, no_wrap=heading != "container", overflow="fold")
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
        for path in limit.files:
            _line(console, f"    cat {path}")
        if limit.bound_by.kind == "ancestor":
            _line(console, f"    in the group {limit.bound_by.path} above it")


def _row(container: Audited, limit: Limit, *, first: bool) -> tuple[str, ...]:
    bound = limit.bound_by
    return (
        container.name if first else "",
        limit.limit,
        _amount(limit, limit.declared),
        _amount(limit, limit.effective),
        bound.kind,
        _felt(limit),
        f"{SIGNS.get(limit.finding, '✗')} {limit.finding.value}",
    )


def _amount(limit: Limit, value: Amount | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if limit.limit.startswith("memory"):
        return format_size(value)
    return significant(value, 3) if limit.limit == "cpus" else f"{value:g}"


def _felt(limit: Limit) -> str:
    felt = limit.felt
    parts = []
    if (used := felt.get("cpus_used")) is not None:
        parts.append(f"{used:.2f} CPUs")
    if (pct := felt.get("throttled_periods_pct")) is not None:
        parts.append(f"throttled {pct:.0f} %")
    if (held := felt.get("memory_bytes")) is not None and isinstance(limit.effective, float):
        parts.append(f"{100 * held / limit.effective:.0f} % used")
    if (kills := felt.get("oom_kills")) is not None and kills:
        parts.append(f"{kills:.0f} killed")
    if (refused := felt.get("refused_forks")) is not None and refused:
        parts.append(f"{refused:.0f} refused")
    return ", ".join(parts) or "–"


def _text(text: str) -> Text:
    return Text(printable(text))


def _line(console: Console, text: str) -> None:
    console.print(_text(text), soft_wrap=True)
