"""Where the CPU time of a host went during one phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from cgbench.records.file_history import Count
from cgbench.spec.fields import Label, Name
from cgbench.spec.model import Model
from cgbench.units import NS_PER_S

CpuSeconds = Annotated[float, Field(ge=0, le=1e9)]


class ProcessUse(Model):
    """CPU-seconds that one other process of the host used; `name` is what it calls itself."""

    pid: Count
    name: Label
    cpu_s: CpuSeconds


class Account(Model):
    """Where the CPU time of a host went from `t_begin_ns` to `t_end_ns`, in CPU-seconds.

    So many `cpus` were online. `containers` are those of the trial, by role; None where the counter
    of one could not be read. `daemon_cpu_s` is None where the daemon's processes are not known.
    `largest` are other processes that used the most, largest first, and still ran at the end.
    `slowed` is how often heat slowed a core, None where the kernel does not count that.
    """

    t_begin_ns: Count
    t_end_ns: Count
    cpus: Annotated[int, Field(ge=1, le=100_000)]
    idle_cpu_s: CpuSeconds
    steal_cpu_s: CpuSeconds
    cgbench_cpu_s: CpuSeconds
    daemon_cpu_s: CpuSeconds | None
    containers: Mapping[Name, CpuSeconds | None]
    largest: tuple[ProcessUse, ...] = ()
    slowed: Count | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.t_end_ns - self.t_begin_ns) / NS_PER_S

    @property
    def others_cpu_s(self) -> float | None:
        """What all other processes used: what is left, None where a part of it is not known.

        The clocks are read one after the other, so that it can come to a little less than nothing.
        """
        used = [self.daemon_cpu_s, *self.containers.values()]
        if any(one is None for one in used):
            return None
        known = self.idle_cpu_s + self.steal_cpu_s + self.cgbench_cpu_s
        return self.cpus * self.seconds - known - sum(one for one in used if one is not None)
