"""What an audit says of one limit, as tables and pages show it."""

from __future__ import annotations

from cgbench.records.audit import ENDLESS, Amount, Audit, Audited, Found, Limit
from cgbench.units import format_size
from cgbench.wording import count, significant, whole_percent

SIGNS = {Found.IN_FORCE: "✓", Found.UNLIMITED: "–"}
"""A sign for what is no finding; `BAD` for all else."""
BAD = "✗"


def summary(audit: Audit) -> str:
    """Return how many containers were read, and how many limits are not as is said or expected."""
    every, said = len(audit.containers), [count(len(audit.findings), "finding")]
    if audit.missed:
        said.append(f"{count(len(audit.missed), 'expectation')} missed")
    read = f"{every - audit.unread} of " if audit.unread else ""
    return ", ".join([f"{read}{count(every, 'container')} read", *said])


def headline(audit: Audit) -> str:
    """Return the summary as a sentence."""
    found, missed = len(audit.findings), len(audit.missed)
    none_read = audit.unread and audit.unread == len(audit.containers)
    said = "nothing is known of any limit" if none_read else "every limit is what it says"
    if found:
        what = "they say" if found > 1 else "it says"
        said = f"{count(found, 'limit is', 'limits are')} not what {what}"
    if missed:
        said += f", and {count(missed, 'expectation is', 'expectations are')} missed"
    unread = f" ({count(audit.unread, 'more was', 'more were')} not read)" if audit.unread else ""
    return f"Of {count(len(audit.containers) - audit.unread, 'container')}{unread}, {said}"


def shown(container: Audited) -> list[Limit]:
    """Return the limits of a container that are declared or held, or that its user has; the worst
    first.
    """
    order = list(Found)
    return sorted(
        (
            limit
            for limit in container.limits
            if limit.finding is not Found.UNLIMITED or limit.bound_by.kind == "user"
        ),
        key=lambda limit: order.index(limit.finding),
    )


def finding(found: Found) -> str:
    """Return a finding behind its sign, which distinguishes it without colour."""
    return f"{SIGNS.get(found, BAD)} {found.value}"


def amount(limit: Limit, value: Amount | None) -> str:
    """Return a limit's value, a dash where there is none."""
    if value is None:
        return "–"
    if value == ENDLESS:
        return "no limit"
    if isinstance(value, str):
        sized = limit.limit.startswith("memory") and value.isdecimal()
        return format_size(int(value)) if sized else value
    if limit.limit.startswith("memory"):
        return format_size(value)
    return significant(value, 3) if limit.limit == "cpus" else f"{value:g}"


def felt(limit: Limit) -> str:
    """Return what is felt of a limit, a dash where nothing is."""
    seen, parts = limit.felt, []
    if (used := seen.get("cpus_used")) is not None:
        parts.append(f"{used:.2f} CPUs")
    if (pct := seen.get("throttled_periods_pct")) is not None:
        parts.append(f"throttled {whole_percent(pct)}")
    if (pct := used_pct(limit)) is not None and limit.limit == "memory":
        parts.append(f"{whole_percent(pct)} used")
    if kills := seen.get("oom_kills"):
        parts.append(f"{kills:.0f} killed")
    if refused := seen.get("refused_forks"):
        parts.append(f"{refused:.0f} refused")
    return ", ".join(parts) or "–"


def used_pct(limit: Limit) -> float | None:
    """Return how much of what can be had is used, in percent; None where that is not known."""
    used = next(
        (value for key in ("cpus_used", "memory_bytes", "tasks")
         if (value := limit.felt.get(key)) is not None),
        None,
    )  # fmt: skip
    if used is None or not isinstance(limit.effective, float) or limit.effective <= 0:
        return None
    return 100 * used / limit.effective
