"""What confines the processes of a group besides its own limits, as the kernel says it now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cgbench.errors import CgroupError
from cgbench.host import cgroups, procfs
from cgbench.host.cgroups import Cgroup
from cgbench.records.confines import EFFECTIVE, MOST_AFFINITIES, MOST_GROUPS, Confines, Group

FILES = (
    *EFFECTIVE,
    "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us",
    "memory.max", "memory.high", "memory.limit_in_bytes",
    "memory.swap.max", "memory.memsw.limit_in_bytes",
    "pids.max",
)  # fmt: skip
_LONGEST = 4096

Above = dict[Path, dict[str, str]]
"""The texts of groups above, by their directories."""
_SYS_CPU = "sys/devices/system/cpu"


def read(
    cgroup: Cgroup,
    proc: Path = procfs.PROC,
    root: Path = Path("/"),
    *,
    first: int | None = None,
    home: Mapping[str, str] | None = None,
    processes: Sequence[int] | None = None,
    above: Above | None = None,
) -> Confines:
    """Return what confines the processes of a group; what cannot be read is left out.

    `home` says in which groups the `first` process and all that descend from it should be.
    `processes` are those to look at, by default all that are in the group itself. `above` keeps
    what was read of groups above, so that several containers are read at one moment.
    """
    every = cgroup.processes() if processes is None else processes
    found = (procfs.allowed_cpus(pid, proc) for pid in every)
    affinity = dict.fromkeys(text for text in found if text is not None)
    return Confines(
        affinity=tuple(affinity) if len(affinity) <= MOST_AFFINITIES else (),
        groups=tuple(_groups(cgroup, {} if above is None else above))[:MOST_GROUPS],
        isolated=_text(f"{root}/{_SYS_CPU}/isolated"),
        offline=_text(f"{root}/{_SYS_CPU}/offline"),
        astray={} if first is None or not home else _astray(first, home, proc),
    )


def _astray(first: int, home: Mapping[str, str], proc: Path) -> dict[str, str]:
    """Return in which other groups processes are, by the controllers of the hierarchy."""
    found: dict[str, str] = {}
    for pid in procfs.family(first, proc):
        # A process that has ended is in no group.
        with contextlib.suppress(CgroupError):
            now = cgroups.home(pid, proc)
            found |= {key: now[key] for key in home if now.get(key, home[key]) != home[key]}
    return found


def _groups(cgroup: Cgroup, above: Above) -> Iterator[Group]:
    """Yield a group and those above it; on v1 each level has directories in many hierarchies."""
    levels: dict[int, tuple[str, dict[str, str]]] = {}
    for folder in cgroup.everywhere():
        names = _names(cgroup, folder)
        if not names:
            continue
        line = list(cgroups.upwards(folder))
        top = len(str(line[-1]))
        for level, place in enumerate(line):
            _path, files = levels.setdefault(level, (str(place)[top:] or "/", {}))
            known = above.get(place)
            if known is None:
                texts = {name: _text(f"{place}/{name}") for name in names}
                known = {name: text for name, text in texts.items() if text is not None}
                if level:
                    above[place] = known
            files |= known
    for level in sorted(levels):
        path, files = levels[level]
        yield Group(path=path, files=files)


def _names(cgroup: Cgroup, folder: Path) -> list[str]:
    """Return the files that may be in a hierarchy: on v1 those of its controllers."""
    if folder == cgroup.unified:
        return list(FILES)
    own = {name for name, place in cgroup.directories.items() if place == folder}
    return [file for file in FILES if file.partition(".")[0] in own]


def _text(path: str) -> str | None:
    """Return a file's text on one line, None where nothing is in it or it cannot be read."""
    try:
        return procfs.content(path, _LONGEST).decode(errors="replace").strip() or None
    except OSError:
        return None
