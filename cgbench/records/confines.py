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


class Confines(Model):
    """What processes of a container may use at one moment.

    `affinity` are the different texts of Cpus_allowed_list of its processes. `groups` are its own
    and all above up to the root, its own first. `isolated` and `offline` are CPUs of the host.
    """

    affinity: Annotated[tuple[Label, ...], Field(max_length=MOST_AFFINITIES)] = ()
    groups: Annotated[tuple[Group, ...], Field(max_length=MOST_GROUPS)] = ()
    isolated: Label | None = None
    offline: Label | None = None

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

    def _allowed(self) -> tuple[int, ...] | None:
        """Return the CPUs that are in any affinity, None where none was read."""
        lists = [found for text in self.affinity if (found := cpu_list(text))]
        return tuple(sorted({cpu for one in lists for cpu in one})) or None


def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """Return the CPUs in a list that a kernel wrote, None where there is none or it is odd."""
    try:
        return None if text is None else parse_cpu_list(text)
    except UnitError:
        return None
