"""What one trial may come to hold of the host's memory and disks, asked for before it begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cgbench.host.scratch import headroom, ownership
from cgbench.measuring import probe
from cgbench.measuring.awaiting import patience_s
from cgbench.measuring.site import Site
from cgbench.measuring.task import task_of
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.options import option
from cgbench.spec.programs import workload_of
from cgbench.spec.schedule import TrialPlan
from cgbench.units import NS_PER_S, format_size

READ_BACK = 6
"""How many times a spool's size its readings take as Python objects, once it is read back."""

# Of one deadline and of one container's files that were read at it and had changed. On cgroup v2
# cpu.stat alone is some 150 bytes.
_TICK_BYTES = 32
_CHANGED_BYTES = 192
# Beyond the schedule: starting and stopping, and an answer of Docker for each change.
_SPARE_S = 10
_SPARE_PER_CHANGE_S = 0.1


@dataclass(frozen=True)
class Demand:
    """The most bytes that one trial may hold at a time.

    `caps` is what containers may use, page cache included, without those of a memory group, which
    asks for itself. `probes` and `spool` are files in memory. `disk` is on Docker's disk.
    """

    caps: int
    probes: int
    spool: int
    disk: int

    @property
    def memory(self) -> int:
        """The host's memory, with what reading the samples back takes."""
        return self.caps + self.probes + self.spool + self.read_back

    @property
    def read_back(self) -> int:
        """What reading the samples back takes."""
        return READ_BACK * self.spool

    def __str__(self) -> str:
        parts = {
            "caps": self.caps,
            "probe files": self.probes,
            "samples": self.spool,
            "reading them back": self.read_back,
        }
        return ", ".join(f"{name} {format_size(size)}" for name, size in parts.items())


def of(plan: TrialPlan, experiment: Experiment, deadline_s: int) -> Demand:
    """Return what a trial may come to hold; its containers end by themselves at `deadline_s`."""
    loaded = {one.role: workload_of(experiment, one) for one in experiment.containers}
    tasks = [(one, task_of(experiment, one)) for one in experiment.containers]
    return Demand(
        caps=sum(_cap(one, plan) for one in experiment.containers if not one.group),
        probes=sum(
            probe.file_bytes(one.workers, deadline_s, task)
            for one, task in tasks
            if task is not None
        ),
        spool=_spool(plan, experiment),
        disk=sum(one.size for one in experiment.containers if loaded[one.role].needs("scratch")),
    )


@contextmanager
def granted(demand: Demand, plan: TrialPlan, site: Site) -> Iterator[None]:
    """Promise what a trial may hold, until it has ended.

    Raises PreconditionError, with the numbers, where the host would not keep its reserve.
    """
    headroom.require_memory(demand.memory, f"trial {plan.number} ({demand})", site.root)
    in_files = demand.probes + demand.spool
    headroom.require_disk(in_files, "probe files and samples", site.scratch, site.root)
    if demand.disk:
        folder = site.engine.root_dir()
        headroom.require_disk(demand.disk, "files of the workloads", folder, site.root)
    held = ownership.take("caps", f"trial {plan.number}", memory=demand.memory, root=site.root)
    try:
        yield
    finally:
        held.drop()


def _cap(container: Container, plan: TrialPlan) -> int:
    """Return the highest memory limit that a container has in a trial."""
    settings = [step.settings for step in plan.steps if step.role == container.role]
    first = plan.steps[0]
    born = dict(container.options)
    if first.via == "run" and first.role == container.role:
        born |= first.settings
    limits = [one["memory"] for one in (born, *settings) if "memory" in one]
    parsed = [option("memory").parse(limit) for limit in limits]
    asked = [limit for limit in parsed if isinstance(limit, int)]
    return max(asked if "memory" in born else [container.memory, *asked])


def _spool(plan: TrialPlan, experiment: Experiment) -> int:
    """Return about how many bytes the sampler writes: files of changed roles differ most."""
    seconds = (plan.hold_ns + experiment.warmup) / NS_PER_S
    seconds += patience_s(experiment) + _SPARE_S + _SPARE_PER_CHANGE_S * len(plan.steps)
    changed = len({step.role for step in plan.steps})
    sampling, others = experiment.sampling, len(experiment.containers) - changed
    fast = sampling.fast_hz * (_TICK_BYTES + changed * _CHANGED_BYTES)
    return math.ceil(seconds * (fast + sampling.slow_hz * others * _CHANGED_BYTES))
