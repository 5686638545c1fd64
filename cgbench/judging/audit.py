"""The limits of a container that runs: what Docker declares, what the kernel holds, what binds.

Judged from texts that were read; nothing is changed to find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from cgbench.errors import UnitError
from cgbench.judging import throttles
from cgbench.judging.throttles import Throttles
from cgbench.records.audit import NO_LIMIT, Amount, Bound, Found, Limit, LimitName
from cgbench.records.confines import Confines
from cgbench.spec.conversions import DEFAULT_PERIOD_US, bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.units import format_cpu_list, format_size, parse_cpu_list
from cgbench.wording import significant

OPTION_OF: Mapping[LimitName, str] = {
    "cpus": "cpus", "cpu-weight": "cpu-shares", "cpuset": "cpuset-cpus", "memory": "memory",
    "memory-swap": "memory-swap", "memory-reservation": "memory-reservation",
    "pids": "pids-limit", "io-weight": "blkio-weight",
}  # fmt: skip
"""The option of the registry whose interface files keep each limit that an update can change."""

_UNLIMITED_TEXTS: Mapping[str, tuple[str, ...]] = {
    "cpu.cfs_quota_us": ("-1",), "memory.max": ("max",), "memory.swap.max": ("max",),
    "memory.high": ("max",),
    "memory.low": ("0",), "pids.max": ("max",), "cpu.shares": ("1024",), "cpu.weight": ("100",),
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

MANNERS: Mapping[str, str] = {
    "memory.swappiness": "--memory-swappiness", "memory.oom_control": "--oom-kill-disable",
}  # fmt: skip
"""Files that say how a memory limit acts and not where it is, and what of Docker's sets them."""

# What Docker and the metrics of a group above call the same.
_METRIC: Mapping[str, str] = {
    "cpus": "cpus_used", "memory": "memory_max_bytes", "memory-swap": "memory_swap_max_bytes",
    "pids": "tasks_max",
}  # fmt: skip
_SYSTEMD_STEP_US = 10_000
_OF_DEVICES = ("io.max", *(file for file, _key in throttles.THROTTLES.values()))


@dataclass(frozen=True)
class File:
    """One interface file: its text, None where it is absent, and the texts that would be right."""

    path: str
    text: str | None
    expected: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name without the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class UserLimit:
    """How many tasks a user may have on the whole host: RLIMIT_NPROC of one of its processes."""

    uid: int
    pid: int
    tasks: int


@dataclass(frozen=True)
class Seen:
    """What was read of one container.

    `settings` are its declared limits by the registry's options, `managed` those that a compose
    file declares, `files` those of each limit. `felt` are counters of each limit. `user` is the
    lowest limit of a user that the kernel heeds, None where there is none. `cpus` are those of the
    host that are online, `memory` its bytes, `default_tasks` what systemd gives every unit.
    `weighs_io` says whether any block device heeds weights, None where that is not known.
    """

    settings: Settings
    files: Mapping[LimitName, tuple[File, ...]]
    confines: Confines
    cpus: tuple[int, ...]
    memory: int | None
    weighs_io: bool | None = None
    felt: Mapping[LimitName, Mapping[str, float | None]] = field(default_factory=dict)
    throttles: Throttles = field(default_factory=dict)
    user: UserLimit | None = None
    default_tasks: int | None = None
    managed: Settings = field(default_factory=dict)


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
    effective, bound = _effective(name, seen)
    finding, reason = _own(name, declared, files, seen)
    controller = "io" if name == "device-throttle" else option(OPTION_OF[name]).controller
    lost = seen.confines.lost(controller)
    if finding in (Found.IN_FORCE, Found.DIFFERS, Found.ABSENT) and lost is not None:
        finding = Found.NO_EFFECT if finding is Found.IN_FORCE else finding
        reason = f"{reason}; {lost}"
    managed = None if name == "device-throttle" else _declared(name, seen.managed)
    if finding.good and managed is not None and not _same(name, managed, declared):
        finding = Found.DIFFERS
        reason = f"the compose file declares {_amount(name, managed)}, and docker inspect " + (
            "none: Docker did not take it, or it was lifted since"
            if declared is None
            else f"{_amount(name, declared)}: somebody changed it since, and compose puts it back "
            "when it makes the container anew"
        )
    if finding.good and (tighter := _tighter(name, declared, effective, bound, seen)) is not None:
        finding, reason = Found.TIGHTER_ABOVE, tighter
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
    )


def _same(name: LimitName, managed: Amount, declared: Amount | None) -> bool:
    """Say whether two declarations are one: a set of CPUs has several spellings."""
    if name == "cpuset":
        return _cpus(str(managed)) == _cpus(str(declared or ""))
    return managed == declared


def _declared(name: LimitName, settings: Settings) -> Amount | None:
    """Return what Docker declares, in base units."""
    if name == "cpus":
        quota, period = bandwidth(settings)
        return None if quota is None else quota / period
    value = settings.get(OPTION_OF[name])
    if name == "cpuset" or value is None:
        return None if value is None else str(value)
    return float(value)


# The container's own files


def _own(
    name: LimitName, declared: Amount | None, files: Sequence[File], seen: Seen
) -> tuple[Found, str]:
    present = [one for one in files if one.text is not None]
    if (manner := _manner(files)) is not None:
        return manner
    if declared is None:
        held = [one for one in present if _limits(one, seen)]
        if held and name == "pids" and held[0].text == str(seen.default_tasks):
            return Found.UNLIMITED, (
                f"nothing is declared, and {_says(held[0])}, which systemd gives every unit"
            )
        if not held:
            return Found.UNLIMITED, "nothing is declared and nothing is held"
        return Found.UNDECLARED, f"nothing is declared, and {_and(_says(one) for one in held)}"
    words = f"{_amount(name, declared)} is declared"
    if not present:
        return Found.ABSENT, f"{words}, and this kernel has no interface file for it"
    wrong = [one for one in present if not _right(one)]
    if wrong:
        what = _and(
            f"{_says(one)}, not {_on_one_line(one.expected[0])}" for one in wrong if one.expected
        )
        return Found.DIFFERS, f"{words}, and {what}{_rounded(wrong)}"
    if name == "io-weight" and seen.weighs_io is False:
        return Found.NO_EFFECT, (
            f"{words} and {_and(_says(one) for one in present)}, and no block device here has a "
            "scheduler or a cost model that heeds weights"
        )
    joined = _joined(declared, seen) if name == "pids" else ""
    return Found.IN_FORCE, f"{words}, and {_and(_says(one) for one in present)}{joined}"


def _manner(files: Sequence[File]) -> tuple[Found, str] | None:
    """Say that a limit acts otherwise than is declared, None where it does not."""
    for one in files:
        if one.name not in MANNERS or _right(one):
            continue
        option = MANNERS[one.name]
        if one.text is None:
            return Found.ABSENT, f"{option} is declared, and this kernel has no {one.name}"
        return Found.DIFFERS, (
            f"{_says(one)}, and by {option} it should say {_on_one_line(one.expected[0])}"
        )
    return None


def _joined(declared: Amount, seen: Seen) -> str:
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
    if file.name != "cpuset.cpus" or file.text is None:
        return False
    # One set has several spellings.
    return any(_cpus(file.text) == _cpus(one) for one in file.expected)


def _limits(file: File, seen: Seen) -> bool:
    """Say whether what a file holds is a limit."""
    text = file.text or ""
    if file.name == "cpu.max":
        return not text.startswith("max")
    if file.name == "cpuset.cpus":
        own, above = _cpus(text), seen.confines.groups[1:2]
        handed_down = above[0].effective() if above else None
        return bool(own) and set(own) < set(handed_down[1] if handed_down else seen.cpus)
    if file.name in ("cpu.cfs_period_us", ""):
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


# What binds


def _effective(name: LimitName, seen: Seen) -> tuple[Amount | None, Bound]:
    """Return the tightest of all levels, and which that is."""
    if name == "cpuset":
        usable = seen.confines.usable
        if usable is None:
            return None, Bound(kind="none")
        return format_cpu_list(usable), _binds_set(seen)
    if name not in _METRIC:
        texts = [_on_one_line(one.text) for one in seen.files.get(name, ()) if one.text]
        return (texts[0] if texts else None), Bound(kind="container" if texts else "none")
    found = list(_levels(name, seen))
    if not found:
        return None, Bound(kind="none")
    return min(found, key=lambda one: one[0])


def _levels(name: LimitName, seen: Seen) -> Iterator[tuple[float, Bound]]:
    """Yield every level's limit, the container's own first."""
    for at, group in enumerate(seen.confines.groups):
        allowed = group.allows(_METRIC[name])
        if allowed is not None and allowed[1] < NO_LIMIT:
            yield allowed[1], Bound(kind="ancestor" if at else "container", path=group.path)
        elif name == "memory-swap" and (both := _memory_and_swap(group.files)) is not None:
            yield both, Bound(kind="ancestor" if at else "container", path=group.path)
        high = group.files.get("memory.high", "")
        if name == "memory" and high.isdecimal():
            yield float(high), Bound(kind="ancestor" if at else "container", path=group.path)
    if name == "cpus":
        usable = seen.confines.usable
        if usable is not None and len(usable) < len(seen.cpus):
            yield float(len(usable)), _binds_set(seen)
        yield float(len(seen.cpus)), Bound(kind="host")
    if name == "memory" and seen.memory is not None:
        yield float(seen.memory), Bound(kind="host")
    if name == "pids" and seen.user is not None:
        yield float(seen.user.tasks), Bound(kind="user")


def _memory_and_swap(files: Mapping[str, str]) -> float | None:
    """Return what v2 allows of memory and swap together, None where either has no limit."""
    both = files.get("memory.max", ""), files.get("memory.swap.max", "")
    return float(sum(map(int, both))) if all(text.isdecimal() for text in both) else None


def _binds_set(seen: Seen) -> Bound:
    """Return what narrows the CPUs that can be used most."""
    usable, groups = set(seen.confines.usable or ()), seen.confines.groups
    own = groups[0].effective() if groups else None
    if own is not None and usable < set(own[1]):
        return Bound(kind="affinity")
    # The highest level that lacks what its own parent has hands that down.
    above: set[int] = set(seen.cpus)
    narrowest = Bound(kind="host")
    for at, group in reversed(list(enumerate(groups))):
        offered = group.effective()
        if offered is not None and set(offered[1]) < above:
            above = set(offered[1])
            narrowest = Bound(kind="ancestor" if at else "container", path=group.path)
    return narrowest


def _tighter(
    name: LimitName, declared: Amount | None, effective: Amount | None, bound: Bound, seen: Seen
) -> str | None:
    """Say what gives the container less than it was declared, None if nothing does."""
    if effective is None:
        return None
    if name == "cpuset":
        wanted = _cpus(str(declared)) if declared is not None else seen.cpus
        if not set(wanted) - set(_cpus(str(effective))):
            return None
        if declared is None and bound.kind == "container":
            return None
        why = seen.confines.binding(wanted) or "something keeps its processes from them"
        return f"{_wanted(name, declared)}, and CPU {effective} can be used: {why}"
    if name not in _METRIC or not isinstance(effective, float):
        return None
    least = float("inf") if declared is None else float(declared)
    if effective >= least or (bound.kind in ("host", "user") and declared is None):
        return None
    if declared is None and bound.kind == "container":
        # Its own set of CPUs, which has a row of its own.
        return None
    said = f"{_wanted(name, declared)}, and {_amount(name, effective)} is the most: "
    if bound.kind == "host":
        return said + "the host has no more"
    if bound.kind == "user" and seen.user is not None:
        return said + (
            f"RLIMIT_NPROC of process {seen.user.pid} allows user {seen.user.uid} no more on the "
            "whole host"
        )
    if bound.kind == "affinity":
        return said + f"Cpus_allowed_list is {', '.join(seen.confines.affinity)}"
    above = seen.confines.above(_METRIC[name], least) if bound.kind == "ancestor" else None
    if above is not None:
        return said + above
    if name == "memory":
        return said + f"memory.high of {bound.path} is {effective:.0f}"
    usable = seen.confines.usable or ()
    return said + f"its processes can use CPU {format_cpu_list(usable)} alone"


def _wanted(name: LimitName, declared: Amount | None) -> str:
    return "nothing is declared" if declared is None else f"{_amount(name, declared)} is declared"


# Words


def _cpus(text: str) -> tuple[int, ...]:
    try:
        return parse_cpu_list(text) if text else ()
    except UnitError:
        return ()


def _amount(name: str, value: Amount) -> str:
    if isinstance(value, str):
        return f"CPU {value}" if name == "cpuset" else value
    if name.startswith("memory"):
        return format_size(value)
    if name == "cpus":
        return f"{significant(value, 3)} CPUs"
    return f"{value:g} tasks" if name == "pids" else f"{value:g}"


def _says(file: File) -> str:
    return f"{file.name} says {_on_one_line(file.text or '') or 'nothing'}"


def _on_one_line(text: str) -> str:
    return ", ".join(text.split("\n"))


def _and(parts: Iterable[str]) -> str:
    return " and ".join(parts)
