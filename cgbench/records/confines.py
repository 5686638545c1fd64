"""What confines a container besides its own limits: its processes' affinity, and groups above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from cgbench.errors import UnitError
from cgbench.spec.fields import Foreign, Label
from cgbench.spec.model import Model
from cgbench.units import format_cpu_list, parse_cpu_list

MOST_GROUPS, MOST_AFFINITIES = 32, 16
EFFECTIVE = ("cpuset.cpus.effective", "cpuset.effective_cpus")
"""The file that says which CPUs a group can use: of v2, of v1."""


_KEPT_BELOW: Mapping[str, tuple[str, ...]] = {
    "memory_max_bytes": ("memory.max", "memory.limit_in_bytes"),
    "memory_swap_max_bytes": ("memory.memsw.limit_in_bytes",),
    "tasks_max": ("pids.max",),
}
"""The files, v2's and v1's, that keep a metric of all containers in a group below a number."""


class Group(Model):
    """One cgroup by its path from the top: the texts of those of its files that limit anything."""

    path: Foreign
    files: Annotated[Mapping[Label, Foreign], Field(max_length=32)]

    def effective(self) -> tuple[str, tuple[int, ...]] | None:
        """Return the file that says which CPUs can be used, and these; None where none does."""
        for file in EFFECTIVE:
            cpus = cpu_list(self.files.get(file))
            if cpus:
                return file, cpus
        return None

    def allows(self, metric: str) -> tuple[str, float] | None:
        """Return what keeps a metric low and how low, None where nothing does.

        The words name the file and what is in it.
        """
        for file in _KEPT_BELOW.get(metric, ()):
            text = self.files.get(file, "")
            if text.isdecimal():
                return f"{file} of {self.path} is {text}", float(text)
        if metric != "cpus_used":
            return None
        both = (self.files.get("cpu.cfs_quota_us", ""), self.files.get("cpu.cfs_period_us", ""))
        for file, words in (
            ("cpu.max", self.files.get("cpu.max", "").split()),
            ("cpu.cfs_quota_us", list(both)),
        ):
            if len(words) == 2 and all(word.isdecimal() for word in words) and float(words[1]):
                said = f"{file} of {self.path} is {words[0]} per {words[1]} µs"
                return said, float(words[0]) / float(words[1])
        return None


class Confines(Model):
    """What processes of a container may use at one moment.

    `affinity` are the different texts of Cpus_allowed_list of its processes, none where there are
    more than are kept: a part of them would say too little. `groups` are its own
    and all above up to the root, its own first. `isolated` and `offline` are CPUs of the host.
    `astray` are groups in which some of its processes are instead, by the controllers of the
    hierarchy, which has none on v2.
    """

    affinity: Annotated[tuple[Label, ...], Field(max_length=MOST_AFFINITIES)] = ()
    groups: Annotated[tuple[Group, ...], Field(max_length=MOST_GROUPS)] = ()
    isolated: Label | None = None
    offline: Label | None = None
    astray: Annotated[Mapping[Label, Foreign], Field(max_length=32)] = {}

    def alike(self, other: Confines) -> bool:
        """Say whether both confine alike, whatever the limits of the group itself are."""
        mine, others = (
            (
                # Processes may share out among themselves what they may use.
                one._allowed() or set(one.affinity),
                one.groups[1:],
                [group.effective() for group in one.groups[:1]],
            )
            for one in (self, other)
        )
        same = (self.isolated, self.offline, self.astray) == (
            other.isolated, other.offline, other.astray
        )  # fmt: skip
        return same and mine == others

    def lost(self, controller: str) -> str | None:
        """Say where processes are that a controller should limit here, None if nowhere else."""
        named = {controller, "blkio"} if controller == "io" else {controller}
        for controllers, path in self.astray.items():
            if not controllers or named & set(controllers.split(",")):
                return f"some of its processes are in the group {path}, where it does not count"
        return None

    @property
    def usable(self) -> tuple[int, ...] | None:
        """The CPUs on which some process may run, None where that is not known."""
        own = self.groups[0].effective() if self.groups else None
        allowed = self._allowed()
        if own is None:
            return allowed
        if allowed is None:
            return own[1]
        return tuple(cpu for cpu in own[1] if cpu in allowed) or None

    def binding(self, wanted: tuple[int, ...]) -> str | None:
        """Say what keeps processes from some of the CPUs that they should use, None if nothing."""
        usable = self.usable
        if usable is None or set(wanted) <= set(usable):
            return None
        lacking = set(wanted) - set(usable)
        offline = lacking & set(cpu_list(self.offline) or ())
        if offline:
            return f"CPU {format_cpu_list(offline)} is offline"
        # The highest one that lacks them hands that down.
        for group in reversed(self.groups):
            found = group.effective()
            if found is not None and lacking - set(found[1]):
                return f"{found[0]} of {group.path} is {format_cpu_list(found[1])}"
        return f"Cpus_allowed_list of its processes is {', '.join(self.affinity)}"

    def isolates(self, wanted: tuple[int, ...]) -> str | None:
        """Say which CPUs that should be used the scheduler balances no load onto, None if none."""
        alone = set(wanted) & set(cpu_list(self.isolated) or ())
        cpus = format_cpu_list(alone)
        return f"CPU {cpus} is isolated, and gets no task by itself" if alone else None

    def above(self, metric: str, wanted: float) -> str | None:
        """Say which group above allows less of what a metric counts than is wanted, None if none.

        The lowest limit of all is named.
        """
        found = [one for group in self.groups[1:] if (one := group.allows(metric)) is not None]
        said, least = min(found, key=lambda one: one[1], default=("", wanted))
        return said if least < wanted else None

    def _allowed(self) -> tuple[int, ...] | None:
        """Return the CPUs that are in any affinity, None where one was not read or is odd."""
        lists = [cpu_list(text) for text in self.affinity]
        if not all(lists):
            return None
        return tuple(sorted({cpu for one in lists for cpu in one or ()})) or None


def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """Return the CPUs in a list that a kernel wrote, None where there is none or it is odd."""
    try:
        return None if text is None else parse_cpu_list(text)
    except UnitError:
        return None
