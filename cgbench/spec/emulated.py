"""An experiment as an emulated CPU needs it."""

from __future__ import annotations

from cgbench.spec.experiment import Experiment
from cgbench.spec.fields import LONGEST_HOLD
from cgbench.spec.programs import workload_of

EMULATED_TIMES = 5
"""How many times as long an emulated CPU is given where a workload must get somewhere."""

EMULATED_HZ = 100
"""How often an emulated CPU reads files at most: at 1 kHz that takes three quarters of it."""

_GROWING = ("memory", "cache", "fork", "end")


def slowed(experiment: Experiment) -> Experiment:
    """Return the experiment with time to get somewhere, and few readings.

    Workloads that fill, read, fork or end are given EMULATED_TIMES the hold, at as slow a pace:
    Docker's answers take so long there that a fast one would pass a limit before it is set.
    """
    kinds = {one.role: workload_of(experiment, one).probe for one in experiment.containers}
    first = experiment.containers[0].role
    steps = tuple(
        step.model_copy(update={"hold": min(EMULATED_TIMES * step.hold, LONGEST_HOLD)})
        if not step.prepares and kinds[step.role or first] in _GROWING
        else step
        for step in experiment.steps
    )
    containers = tuple(
        one.model_copy(update={"pace": min(EMULATED_TIMES * one.pace, LONGEST_HOLD)})
        if kinds[one.role] in _GROWING and one.pace is not None
        else one
        for one in experiment.containers
    )
    sampling = experiment.sampling.at_most(EMULATED_HZ)
    parts = {"steps": steps, "containers": containers, "sampling": sampling}
    return experiment.model_copy(update=parts)
