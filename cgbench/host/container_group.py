"""The group that limits a container which somebody else started, also where processes left it.

A container may make groups of its own inside, as one that runs systemd does: its first process is
then in one of those, and what Docker limits lies above.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import CgroupError
from cgbench.host import cgroups, procfs
from cgbench.host.cgroups import Cgroup
from cgbench.spec.group_name import own_group

_NAMES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


@dataclass(frozen=True)
class ContainerGroup:
    """A container's own group; `astray` are groups in which some of its processes are instead, by
    the controllers of the hierarchy, which has none on v2. Where its own group is gone, since all
    left it, `cgroup` is the one that its `first` process is in.
    """

    cgroup: Cgroup
    astray: Mapping[str, str]
    first: int | None = None
    proc: Path = procfs.PROC

    def is_there(self) -> bool:
        """Say whether the group still is: it goes when the container ends."""
        return any(folder.is_dir() for folder in self.cgroup.everywhere())

    def processes(self) -> tuple[int, ...]:
        """Return the processes in the group and in those below it."""
        if self.first is not None:
            return tuple(procfs.family(self.first, self.proc))
        found: dict[int, None] = {}
        for folder in self.cgroup.everywhere():
            for place, _folders, _files in os.walk(folder):
                with suppress(OSError):
                    words = procfs.content(f"{place}/cgroup.procs").decode(errors="replace").split()
                    found |= dict.fromkeys(int(word) for word in words if word.isdecimal())
            if found:
                break
        return tuple(found)


@dataclass(frozen=True)
class Strays:
    """Processes that are outside of their container's group in one hierarchy, each with the group
    that it is in; `inside` is how many are in the container's own.
    """

    paths: Mapping[int, str]
    inside: int


def strays(group: ContainerGroup, first: int, container_id: str) -> dict[str, Strays]:
    """Return who is astray, by the controllers of the hierarchy, which has none on v2.

    `first` is the container's first process; what `docker exec` started does not descend from it.
    """
    if not group.astray:
        return {}
    outside: dict[str, dict[int, str]] = {}
    inside: Counter[str] = Counter()
    for pid in {*procfs.family(first, group.proc), *group.processes()}:
        # A process that has ended is in no group.
        with suppress(CgroupError):
            for controllers, path in cgroups.home(pid, group.proc).items():
                if own_group(path, container_id) is None:
                    outside.setdefault(controllers, {})[pid] = path
                else:
                    inside[controllers] += 1
    return {key: Strays(paths, inside[key]) for key, paths in outside.items()}


def find(
    pid: int,
    container_id: str,
    parent: str = "",
    proc: Path = procfs.PROC,
    root: Path = Path("/"),
    mounted: Mapping[str, tuple[str, str]] | None = None,
) -> ContainerGroup | None:
    """Return the group of a container with `pid` as its first process.

    `parent` is what Docker declares as `CgroupParent`. None where nothing here is named by its
    identity: then it is no container of this host. Raises CgroupError when there is no such
    process, or its cgroup is not mounted here.
    """
    places = cgroups.mount_points(proc) if mounted is None else mounted
    own: dict[str, str] = {}
    known: set[str] = set()
    members = cgroups.memberships(pid, proc)
    for controllers, inside in members:
        known.update(controllers.split(","))
        path = own_group(inside, container_id)
        if path is not None:
            own |= dict.fromkeys(controllers.split(","), path)
    for path in (*dict.fromkeys(own.values()), *_usual(container_id, parent)):
        there = {
            controller: folder
            for controller, place in places.items()
            if controller in known
            and not controller.startswith("name=")
            and (
                folder := root / cgroups.below(place, own.get(controller, path)).lstrip("/")
            ).is_dir()
        }
        if there:
            unified = there.pop("", None)
            if "blkio" in there:
                there["io"] = there["blkio"]
            astray = _astray(pid, members, container_id, proc)
            return ContainerGroup(Cgroup(there, unified), astray, proc=proc)
    if not _is_its(pid, container_id, proc):
        return None
    # Seen with systemd: it removes a scope that all processes have left.
    now = cgroups.find(pid, proc, root, places)
    return ContainerGroup(now, _astray(pid, members, container_id, proc), pid, proc)


def _is_its(pid: int, container_id: str, proc: Path) -> bool:
    """Say whether a process has a container's names, which Docker mounts from its folder.

    The host, or another daemon's container, may have that folder mounted, but never there.
    """
    try:
        mounts = procfs.mounts(proc, pid)
    except OSError:
        return False
    return any(one.point in _NAMES and container_id in one.root.split("/") for one in mounts)


def _usual(container_id: str, parent: str) -> Sequence[str]:
    """Return where Docker's two drivers make the group of a container."""
    return (
        f"/{(parent or 'docker').strip('/')}/{container_id}",
        f"/{(parent or 'system.slice').strip('/')}/docker-{container_id}.scope",
    )


def _astray(
    first: int, members: Sequence[tuple[str, str]], container_id: str, proc: Path
) -> dict[str, str]:
    """Return groups that are not the container's own, by controllers; `members` is of the first."""
    found: dict[str, str] = {}
    for pid in procfs.family(first, proc):
        # A process that has ended is in no group.
        with suppress(CgroupError):
            home = cgroups.limiting(members) if pid == first else cgroups.home(pid, proc)
            for controllers, path in home.items():
                if own_group(path, container_id) is None:
                    found[controllers] = path
    return found
