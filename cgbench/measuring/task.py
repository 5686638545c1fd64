"""What the probe of a container is to do, as its experiment says."""

from __future__ import annotations

from cgbench.measuring.probe import Task
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.programs import load_by, program_of, workload_of


def task_of(experiment: Experiment, container: Container) -> Task | None:
    """Return what the probe in a container is to do, None where there is none in it.

    A prober's is what the load of the program that it drives says.
    """
    load = load_by(experiment, container)
    if load is not None and load.url is None:
        return None
    if load is not None:
        return Task(
            "request", count=load.connections, pace_ns=load.pace_ns, timeout_ns=load.timeout
        )
    own = workload_of(experiment, container)
    if own.probe is None or program_of(experiment, container) is not None:
        return None
    return Task(own.probe, container.size, container.count, container.pace, own.spread, own.waits)
