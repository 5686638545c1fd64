"""What binds a container: the tightest of its own group, all above, its processes and the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Literal

from cgbench.judging.limit_words import amount, cpu_set, declares, on_one_line
from cgbench.judging.seen import METRIC, Seen
from cgbench.records.audit import ENDLESS, NO_LIMIT, Amount, Bound, LimitName
from cgbench.units import format_cpu_list

_Level = tuple[int, str] | Literal["set", "host", "user"]
"""One of the groups, by how far above and its path, or what binds besides: the set of CPUs, ..."""


def binding(name: LimitName, seen: Seen) -> tuple[Amount | None, Bound]:
    """Return the tightest of all levels, and which that is; None where that is not known.

    Where no process is in the container's group any more, levels are those of where they are.
    """
    moved = seen.moved_of(name)
    left = moved is not None and moved.complete
    if name == "cpuset":
        usable = seen.confines_of("cpuset").usable
        if usable is None:
            return None, Bound(kind="none")
        return format_cpu_list(usable), _binds_set(seen)
    if name not in METRIC:
        texts = [on_one_line(one.text) for one in seen.files.get(name, ()) if one.text]
        if left or not texts:
            return None, Bound(kind="none")
        return texts[0], Bound(kind="container")
    if left and not seen.confines_of(name).groups:
        return None, Bound(kind="none")
    found = list(_levels(name, seen))
    if not found:
        return None, Bound(kind="none")
    least, level = min(found, key=itemgetter(0))
    return least, _bound(level, name, seen)


def _bound(level: _Level, name: LimitName, seen: Seen) -> Bound:
    """Return a level as a record of it; the groups are those in which its processes are."""
    if isinstance(level, str):
        return _binds_set(seen) if level == "set" else Bound(kind=level)
    at, path = level
    moved = seen.moved_of(name)
    if moved is not None and moved.complete:
        return Bound(kind="elsewhere", path=path)
    return Bound(kind="ancestor" if at else "container", path=path)


def _levels(name: LimitName, seen: Seen) -> Iterator[tuple[float, _Level]]:
    """Yield every level's limit, the container's own first."""
    for at, group in enumerate(seen.confines_of(name).groups):
        here = at, group.path
        allowed = group.allows(METRIC[name])
        if allowed is not None and allowed[1] < NO_LIMIT:
            yield allowed[1], here
        elif name == "memory-swap" and (both := _memory_and_swap(group.files)) is not None:
            yield both, here
        high = group.files.get("memory.high", "")
        if name == "memory" and high.isdecimal():
            yield float(high), here
    if name == "cpus":
        usable = seen.confines_of("cpuset").usable
        if usable is not None and len(usable) < len(seen.cpus):
            yield float(len(usable)), "set"
        yield float(len(seen.cpus)), "host"
    if name == "memory" and seen.memory is not None:
        yield float(seen.memory), "host"
    if name == "pids" and seen.user is not None:
        yield float(seen.user.tasks), "user"


def _memory_and_swap(files: Mapping[str, str]) -> float | None:
    """Return what v2 allows of memory and swap together, None where either has no limit."""
    both = files.get("memory.max", ""), files.get("memory.swap.max", "")
    return float(sum(map(int, both))) if all(text.isdecimal() for text in both) else None


def _binds_set(seen: Seen) -> Bound:
    """Return what narrows the CPUs that can be used most."""
    confines = seen.confines_of("cpuset")
    usable, groups = set(confines.usable or ()), confines.groups
    own = groups[0].effective() if groups else None
    if own is not None and usable < set(own[1]):
        return Bound(kind="affinity")
    # The highest level that lacks what its own parent has hands that down.
    above: set[int] = set(seen.cpus)
    narrowest: _Level = "host"
    for at, group in reversed(list(enumerate(groups))):
        offered = group.effective()
        if offered is not None and set(offered[1]) < above:
            above = set(offered[1])
            narrowest = at, group.path
    return _bound(narrowest, "cpuset", seen)


def tighter(
    name: LimitName, declared: Amount | None, effective: Amount | None, bound: Bound, seen: Seen
) -> str | None:
    """Say what gives the container less than it was declared, None if nothing does."""
    if effective is None:
        return None
    if name == "cpuset":
        asked = cpu_set(str(declared)) if declared is not None else seen.cpus
        if not set(asked) - set(cpu_set(str(effective))):
            return None
        if declared is None and bound.kind == "container":
            return None
        why = seen.confines_of("cpuset").binding(asked) or "something keeps its processes from them"
        return f"{declares(name, declared)}, and CPU {effective} can be used: {why}"
    if name not in METRIC or not isinstance(effective, float):
        return None
    least = float("inf") if declared is None or declared == ENDLESS else float(declared)
    # Its own set of CPUs has a row of its own.
    own = least == float("inf") and bound.kind in ("host", "user", "container")
    if own or effective >= least:
        return None
    said = f"{declares(name, declared)}, and {amount(name, effective)} is the most: "
    if bound.kind == "host":
        return said + "the host has no more"
    if bound.kind == "user" and seen.user is not None:
        return said + (
            f"RLIMIT_NPROC of process {seen.user.pid} allows user {seen.user.uid} no more on the "
            "whole host"
        )
    if bound.kind == "elsewhere":
        return said + f"its processes are in the group {bound.path}, which allows no more"
    if bound.kind == "affinity":
        return said + f"Cpus_allowed_list is {', '.join(seen.confines.affinity)}"
    above = seen.confines.above(METRIC[name], least) if bound.kind == "ancestor" else None
    if above is not None:
        return said + above
    if name == "memory":
        return said + f"memory.high of {bound.path} is {effective:.0f}"
    usable = seen.confines_of("cpuset").usable or ()
    return said + f"its processes can use CPU {format_cpu_list(usable)} alone"
