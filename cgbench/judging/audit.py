"""The limits of a container that runs: what Docker declares, what the kernel holds, what binds.

Judged from texts that were read; nothing is changed to find out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from cgbench.judging import throttles
from cgbench.judging.bound import binding, tighter
from cgbench.judging.limit_words import (
    amount,
    cpu_set,
    declares,
    elsewhere,
    joined,
    on_one_line,
    says,
)
from cgbench.judging.proof import proof
from cgbench.judging.seen import OPTION_OF, File, Seen
from cgbench.records.audit import ENDLESS, NO_LIMIT, Amount, Found, Limit, LimitName
from cgbench.spec.conversions import DEFAULT_PERIOD_US, bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.options import option

_UNLIMITED_TEXTS: Mapping[str, tuple[str, ...]] = {
    "cpu.cfs_quota_us": ("-1",), "memory.max": ("max",), "memory.swap.max": ("max",),
    "memory.high": ("max",),
    "memory.low": ("0", "max"), "pids.max": ("max",),
    "cpu.shares": ("1024",), "cpu.weight": ("100",),
    "blkio.weight": ("500", "1000"), "blkio.bfq.weight": ("100",),
    "io.weight": ("default 100",), "io.bfq.weight": ("default 100",),
}  # fmt: skip
BESIDE: Mapping[LimitName, tuple[tuple[str, str, str], ...]] = {
    "cpus": (("cpu", "cpu.cfs_burst_us", "0"), ("cpu", "cpu.max.burst", "0")),
    "memory": (("memory", "memory.high", "max"),),
}
"""What else limits, or loosens, and no option of Docker's sets: controller, file, and what it says
where nobody wrote to it.
"""

MANNERS_OF: Mapping[LimitName, tuple[str, ...]] = {
    "cpus": ("cpu-rt-period", "cpu-rt-runtime"), "cpuset": ("cpuset-mems",),
    "memory": ("memory-swappiness", "kernel-memory"),
}  # fmt: skip
"""What else Docker declares that belongs to a limit and has no row of its own, by the registry."""

_MANNERS: Mapping[str, str] = {
    "memory.oom_control": "--oom-kill-disable",
    **{
        kept.file: option(one).flag
        for names in MANNERS_OF.values() for one in names
        for version in (1, 2) for kept in option(one).interfaces(version)
    },
}  # fmt: skip

_SYSTEMD_STEP_US = 10_000
_OF_DEVICES = ("io.max", *(file for file, _key in throttles.THROTTLES.values()))


def limits(seen: Seen) -> tuple[Limit, ...]:
    """Return every limit of a container, in one order."""
    return tuple(_limit(name, seen) for name in get_args(LimitName))


def _limit(name: LimitName, seen: Seen) -> Limit:
    declared = (
        throttles.declared(seen.throttles)
        if name == "device-throttle"
        else _declared(name, seen.settings)
    )
    files = seen.files.get(name, ())
    effective, bound = binding(name, seen)
    finding, reason = _own(name, declared, files, seen)
    moved = seen.moved_of(name)
    if finding in (Found.IN_FORCE, Found.DIFFERS, Found.ABSENT) and moved is not None:
        finding = Found.NO_EFFECT if finding is Found.IN_FORCE else finding
        reason = f"{reason}; {elsewhere(moved)}"
    managed = None if name == "device-throttle" else _declared(name, seen.managed)
    if finding.good and managed is not None and not _same(name, managed, declared):
        finding = Found.DIFFERS
        reason = f"the compose file declares {amount(name, managed)}, and docker inspect " + (
            "none: Docker did not take it, or it was lifted since"
            if declared is None
            else f"{amount(name, declared)}: somebody changed it since, and compose puts it back "
            "when it makes the container anew"
        )
    if finding.good and (less := tighter(name, declared, effective, bound, seen)) is not None:
        finding, reason = Found.TIGHTER_ABOVE, less
    if (manner := _manner(files)) is not None:
        finding, reason = _both((finding, reason), manner)
    if finding is Found.UNLIMITED and bound.kind == "user" and seen.user is not None:
        reason = (
            f"{declares(name, declared)} for it; RLIMIT_NPROC of user {seen.user.uid} allows "
            f"{seen.user.tasks:g}"
        )
    return Limit(
        limit=name,
        declared=declared,
        managed=managed,
        expected={one.path: one.expected[0] for one in files if one.expected},
        files={one.path: one.text for one in files},
        effective=effective,
        bound_by=bound,
        felt=dict(seen.felt.get(name, {})),
        finding=finding,
        reason=reason,
        proof=proof(name, finding, effective, bound, seen),
    )


def _same(name: LimitName, managed: Amount, declared: Amount | None) -> bool:
    """Say whether two declarations are one: a set of CPUs has several spellings."""
    if name == "cpuset":
        return cpu_set(str(managed)) == cpu_set(str(declared or ""))
    # Docker keeps some limits that were lifted as -1, and others as none.
    return managed == declared or (managed == ENDLESS and declared is None)


def _declared(name: LimitName, settings: Settings) -> Amount | None:
    """Return what Docker declares, in base units."""
    if name == "cpus":
        quota, period = bandwidth(settings)
        if quota is None:
            return ENDLESS if settings.get("cpu-quota") == ENDLESS else None
        return quota / period
    value = settings.get(OPTION_OF[name])
    if name == "cpuset" or value is None:
        return None if value is None else str(value)
    return float(value)


# The container's own files


def _own(
    name: LimitName, declared: Amount | None, files: Sequence[File], seen: Seen
) -> tuple[Found, str]:
    present = [one for one in files if one.text is not None]
    if declared in (None, ENDLESS):
        said = declares(name, declared)
        held = [one for one in present if _limits(one, seen)]
        if held and name == "pids" and held[0].text == str(seen.default_tasks):
            return Found.UNLIMITED, (f"{said}, and {says(held[0])}, which systemd gives every unit")
        if not held:
            return Found.UNLIMITED, f"{said} and nothing is held"
        finding = Found.UNDECLARED if declared is None else Found.DIFFERS
        return finding, f"{said}, and {joined(says(one) for one in held)}"
    words = f"{amount(name, declared)} is declared"
    if not present:
        return Found.ABSENT, f"{words}, and this kernel has no interface file for it"
    # How a limit acts is told of by itself, and hides no limit that was changed.
    wrong = [one for one in present if one.name not in _MANNERS and not _right(one)]
    if wrong:
        what = joined(
            f"{says(one)}, not {on_one_line(one.expected[0])}" for one in wrong if one.expected
        )
        return Found.DIFFERS, f"{words}, and {what}{_rounded(wrong)}"
    if name == "io-weight" and seen.weighs_io is False:
        return Found.NO_EFFECT, (
            f"{words} and {joined(says(one) for one in present)}, and no block device here has a "
            "scheduler or a cost model that heeds weights"
        )
    beyond = _beyond(declared, seen) if name == "pids" else ""
    return Found.IN_FORCE, f"{words}, and {joined(says(one) for one in present)}{beyond}"


def _manner(files: Sequence[File]) -> tuple[Found, str] | None:
    """Say that a limit acts otherwise than is declared, None where it does not."""
    wrong: tuple[Found, str] | None = None
    for one in files:
        if one.name not in _MANNERS or _right(one):
            continue
        flag = _MANNERS[one.name]
        if one.text is None:
            found = Found.ABSENT, f"{flag} is declared, and this kernel has no {one.name}"
        else:
            found = (
                Found.DIFFERS,
                f"{says(one)}, and by {flag} it should say {on_one_line(one.expected[0])}",
            )
        wrong = found if wrong is None else _both(wrong, found)
    return wrong


def _both(first: tuple[Found, str], other: tuple[Found, str]) -> tuple[Found, str]:
    """Return two findings on one limit as one: the worse, with what both say."""
    if first[0].good:
        return other
    order = list(Found)
    return min(first[0], other[0], key=order.index), f"{first[1]}; {other[1]}"


def _beyond(declared: Amount, seen: Seen) -> str:
    """Say that there are more tasks than may be, which came by joining: only forks are refused."""
    tasks = seen.felt.get("pids", {}).get("tasks")
    if tasks is None or not isinstance(declared, float) or tasks <= declared:
        return ""
    return f"; {tasks:g} are there, since `docker exec` joins past it: only forks are refused"


def _right(file: File) -> bool:
    if not file.expected or file.text in file.expected:
        return True
    if file.name in _OF_DEVICES and file.text is not None:
        # The kernel's order of devices is its own.
        return any(set(file.text.split("\n")) == set(one.split("\n")) for one in file.expected)
    if file.name not in ("cpuset.cpus", "cpuset.mems") or file.text is None:
        return False
    # One set has several spellings.
    return any(cpu_set(file.text) == cpu_set(one) for one in file.expected)


def _limits(file: File, seen: Seen) -> bool:
    """Say whether what a file holds is a limit."""
    text = file.text or ""
    if file.name == "cpu.max":
        return not text.startswith("max")
    if file.name == "cpuset.cpus":
        own, above = cpu_set(text), seen.confines.groups[1:2]
        handed_down = above[0].effective() if above else None
        return bool(own) and set(own) < set(handed_down[1] if handed_down else seen.cpus)
    if file.name in ("cpu.cfs_period_us", *_MANNERS):
        return False
    if file.name in _OF_DEVICES:
        return bool(text)
    if file.name.endswith("_in_bytes"):
        return text.isdecimal() and int(text) < NO_LIMIT
    return text not in _UNLIMITED_TEXTS.get(file.name, (text,))


def _rounded(wrong: Sequence[File]) -> str:
    """Name systemd's rounding where it explains a quota: up to a hundredth of a CPU."""
    for one in wrong:
        asked = one.expected[0].split()[0] if one.expected else ""
        held = (one.text or "").split()[0] if one.text else ""
        period = DEFAULT_PERIOD_US
        if one.name == "cpu.max" and len((one.text or "").split()) == 2:
            period = int((one.text or "").split()[1])
        if one.name in ("cpu.max", "cpu.cfs_quota_us") and asked.isdecimal() and held.isdecimal():
            per_second = int(asked) * 1_000_000 / period
            rounded = -(-per_second // _SYSTEMD_STEP_US) * _SYSTEMD_STEP_US * period / 1_000_000
            if rounded == int(held):
                return "; that is how systemd rounds it, up to a hundredth of a CPU"
    return ""
