"""All containers of a trial, started in the order in which they need one another."""

from __future__ import annotations

from cgbench.measuring import program
from cgbench.measuring.container import Running, await_probes, start
from cgbench.measuring.program import Driven, Guard, Stage
from cgbench.measuring.task import task_of
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.programs import load_by, program_of


def start_all(stage: Stage, experiment: Experiment) -> list[Running]:
    """Start the containers of an experiment one after the other.

    One whose /dev/shm others share has made its file before they start, and a program has given
    its prober a right answer. Raises TrialError where one does not come so far.
    """
    running: dict[str, Running] = {}
    guards: dict[str, Guard] = {}
    shared = {one.shares for one in experiment.containers}
    for one in experiment.containers:
        own = program_of(experiment, one)
        if own is not None:
            guards[one.role] = program.guard(stage, one.role, own)
            running[one.role] = program.start(stage, one, own, guards[one.role])
        elif one.drives is not None:
            driven = _driven(experiment, one, running[one.drives])
            running[one.role] = program.drive(stage, one, driven, guards[one.drives])
        else:
            ipc = "shareable" if one.role in shared else None
            if one.shares is not None:
                ipc = f"container:{running[one.shares].container_id}"
            running[one.role] = start(stage.stack, one, stage.plan, stage.engine, stage.birth, ipc)
            if one.role in shared:
                await_probes(stage.engine, [running[one.role]])
    return list(running.values())


def _driven(experiment: Experiment, prober: Container, running: Running) -> Driven:
    own, load = program_of(experiment, running.spec), load_by(experiment, prober)
    task = task_of(experiment, prober)
    assert own is not None
    assert load is not None
    assert task is not None
    return Driven(running, load, task, own.ready_within)
