"""What confines the processes of a group besides its own limits, as the kernel says it now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
_CONTROLLERS = {file: file.partition(".")[0] for file in FILES}
_LONGEST = 4096

_SYS_CPU = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Above:
    """What was read of groups above others, and of the host, once for all containers."""

    lines: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    groups: dict[tuple[Path, ...], Group] = field(default_factory=dict)
    host: dict[str, str | None] = field(default_factory=dict)

    def line(self, folder: Path) -> tuple[Path, ...]:
        """Return a group's directory and those above it, as `cgroups.upwards` does."""
        parent = folder.parent
        if parent not in self.lines:
            self.lines[parent] = tuple(cgroups.upwards(folder))[1:]
        return (folder, *self.lines[parent])

    def text(self, path: str) -> str | None:
        """Return the text of a file of the host."""
        if path not in self.host:
            self.host[path] = _text(path)
        return self.host[path]


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
    above = Above() if above is None else above
    every = cgroup.processes() if processes is None else processes
    found = (procfs.allowed_cpus(pid, proc) for pid in every)
    affinity = dict.fromkeys(text for text in found if text is not None)
    return Confines(
        affinity=tuple(affinity) if len(affinity) <= MOST_AFFINITIES else (),
        groups=tuple(_groups(cgroup, above))[:MOST_GROUPS],
        isolated=above.text(f"{root}/{_SYS_CPU}/isolated"),
        offline=above.text(f"{root}/{_SYS_CPU}/offline"),
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
    names = _names(cgroup)
    lines = [(above.line(one), names[one]) for one in cgroup.everywhere() if names.get(one)]
    for level in range(max((len(line) for line, _names in lines), default=0)):
        here = [(line, files) for line, files in lines if level < len(line)]
        places = tuple(line[level] for line, _files in here)
        known = above.groups.get(places) if level else None
        if known is None:
            first = here[0][0]
            texts: dict[str, str] = {}
            for place, (_line, files) in zip(places, here, strict=True):
                for name in files:
                    if (text := _text(f"{place}/{name}")) is not None:
                        texts[name] = text
            known = Group(path=str(first[level])[len(str(first[-1])) :] or "/", files=texts)
            if level:
                above.groups[places] = known
        yield known


def _names(cgroup: Cgroup) -> dict[Path, list[str]]:
    """Return the files that may be in each hierarchy: on v1 those of its controllers."""
    own: dict[Path, set[str]] = {}
    for controller, folder in cgroup.directories.items():
        own.setdefault(folder, set()).add(controller)
    found = {
        folder: [file for file, controller in _CONTROLLERS.items() if controller in controllers]
        for folder, controllers in own.items()
    }
    if cgroup.unified is not None:
        found[cgroup.unified] = list(FILES)
    return found


def _text(path: str) -> str | None:
    """Return a file's text on one line, None where nothing is in it or it cannot be read."""
    try:
        return procfs.content(path, _LONGEST).decode(errors="replace").strip() or None
    except OSError:
        return None
