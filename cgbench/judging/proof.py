"""The files that prove a finding, where those are not of the container's own group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cgbench.judging.seen import Seen
from cgbench.records.audit import Amount, Bound, Found, LimitName
from cgbench.records.confines import EFFECTIVE

# The likeliest first; which one it is its text says.
_BINDING: Mapping[LimitName, tuple[str, ...]] = {
    "cpus": ("cpu.max", "cpu.cfs_quota_us"),
    "memory": ("memory.max", "memory.limit_in_bytes", "memory.high"),
    "memory-swap": ("memory.swap.max", "memory.memsw.limit_in_bytes"),
    "pids": ("pids.max",),
    "cpuset": EFFECTIVE,
}
_NONE = ("max", "-1", "")
_SCHEDULERS = "/sys/block/*/queue/scheduler"


def proof(
    name: LimitName, finding: Found, effective: Amount | None, bound: Bound, seen: Seen
) -> dict[str, str]:
    """Return what proves a finding, by path: the text of a file, or what of it matters.

    Nothing where the limit's own files prove it.
    """
    if finding is Found.NO_EFFECT:
        moved = seen.moved_of(name)
        if moved is None:
            return {_SCHEDULERS: "none heeds weights"}
        return {f"/proc/{moved.pid}/cgroup": ", ".join(moved.paths)}
    return dict(_tighter(name, effective, bound, seen)) if finding is Found.TIGHTER_ABOVE else {}


def _tighter(
    name: LimitName, effective: Amount | None, bound: Bound, seen: Seen
) -> Iterator[tuple[str, str]]:
    if bound.kind in ("container", "ancestor", "elsewhere"):
        yield from _of_group(name, effective, bound, seen)
    elif bound.kind == "affinity" and seen.pid:
        said = ", ".join(seen.confines.affinity)
        yield f"/proc/{seen.pid}/status", f"Cpus_allowed_list: {said}"
    elif bound.kind == "user" and seen.user is not None:
        yield f"/proc/{seen.user.pid}/limits", f"Max processes {seen.user.tasks}"
    elif bound.kind == "host" and name == "memory":
        yield "/proc/meminfo", f"MemTotal: {(seen.memory or 0) // 1024} kB"
    elif bound.kind == "host":
        yield "/sys/devices/system/cpu/online", ",".join(map(str, seen.cpus))


def _of_group(
    name: LimitName, effective: Amount | None, bound: Bound, seen: Seen
) -> Iterator[tuple[str, str]]:
    """Yield the file of a group that binds; a set of CPUs may bind the row of CPU time."""
    names: tuple[LimitName, ...] = ("cpus", "cpuset") if name == "cpus" else (name,)
    for one in names:
        group = next(
            (level for level in seen.confines_of(one).groups if level.path == bound.path), None
        )
        top = _top(one, seen)
        if group is None or top is None:
            continue
        found = {file: group.files[file] for file in _BINDING[one] if file in group.files}
        limiting = {
            file: text for file, text in found.items() if text.partition(" ")[0] not in _NONE
        }
        number = f"{effective:.0f}" if isinstance(effective, float) else ""
        exact = [file for file, text in limiting.items() if text == number]
        for file in (exact or list(limiting))[:1]:
            yield f"{top}{'' if group.path == '/' else group.path}/{file}", limiting[file]
            return


def _top(name: LimitName, seen: Seen) -> str | None:
    """Return where the hierarchy of a limit is mounted, None where its files do not say."""
    own = seen.confines.groups[0].path if seen.confines.groups else None
    for file in seen.files.get(name, ()):
        folder = file.path.rpartition("/")[0]
        if own is not None and folder.endswith(own):
            return folder.removesuffix(own)
    return None
