"""What was read of a container that runs: its declared limits, their files, what confines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cgbench.judging.throttles import Throttles
from cgbench.records.audit import LimitName
from cgbench.records.confines import Confines, Group
from cgbench.spec.option import Settings
from cgbench.spec.options import option

OPTION_OF: Mapping[LimitName, str] = {
    "cpus": "cpus", "cpu-weight": "cpu-shares", "cpuset": "cpuset-cpus", "memory": "memory",
    "memory-swap": "memory-swap", "memory-reservation": "memory-reservation",
    "pids": "pids-limit", "io-weight": "blkio-weight",
}  # fmt: skip
"""The option of the registry whose interface files keep each limit that an update can change."""

METRIC: Mapping[str, str] = {
    "cpus": "cpus_used", "memory": "memory_max_bytes", "memory-swap": "memory_swap_max_bytes",
    "pids": "tasks_max",
}  # fmt: skip
"""The metric of a group that is the same as a limit of Docker's."""


@dataclass(frozen=True)
class File:
    """One interface file: its text, None where it is absent, and the texts that would be right."""

    path: str
    text: str | None
    expected: tuple[str, ...] = ()

    @cached_property
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
class Moved:
    """Processes of a container that are in other groups of one hierarchy: so many of how many.

    `paths` are those groups, and `pid` is a process there. `groups` is where they all are, with all
    groups above; there is none where some are in the container's own, or they are in several.
    """

    number: int
    of: int
    paths: tuple[str, ...]
    pid: int
    groups: tuple[Group, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether none is in the container's own group."""
        return self.number == self.of


@dataclass(frozen=True)
class Seen:
    """What was read of one container.

    `settings` are its declared limits by the registry's options, `managed` those that a compose
    file declares, `files` those of each limit. `felt` are counters of each limit. `user` is the
    lowest limit of a user that the kernel heeds, None where there is none. `cpus` are those of the
    host that are online, `memory` its bytes, `default_tasks` what systemd gives every unit.
    `weighs_io` says whether any block device heeds weights, None where that is not known. `moved`
    are processes in other groups, by the controllers of the hierarchy, which has none on v2.
    `pid` is its first process.
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
    moved: Mapping[str, Moved] = field(default_factory=dict)
    pid: int = 0

    def moved_of(self, name: LimitName) -> Moved | None:
        """Return the processes that a limit does not count since they are elsewhere."""
        # As nearly everywhere.
        if not self.moved:
            return None
        controller = "io" if name == "device-throttle" else option(OPTION_OF[name]).controller
        named = {controller, "blkio"} if controller == "io" else {controller}
        for controllers, moved in self.moved.items():
            if not controllers or named & set(controllers.split(",")):
                return moved
        return None

    def confines_of(self, name: LimitName) -> Confines:
        """Return what confines the processes in the hierarchy of a limit, where they are."""
        moved = self.moved_of(name)
        if moved is None or not moved.complete:
            return self.confines
        return self.confines.model_copy(update={"groups": moved.groups})
