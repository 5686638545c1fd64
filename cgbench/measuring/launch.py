"""All containers of a trial, started in the order in which they need one another."""

from __future__ import annotations

from cgbench.measuring import program
from cgbench.measuring.container import Running, await_probes, start
from cgbench.measuring.program import Program, Stage
from cgbench.measuring.task import task_of
from cgbench.spec.experiment import Experiment
from cgbench.spec.programs import program_of


def start_all(stage: Stage, experiment: Experiment) -> list[Running]:
    """Start the containers of an experiment one after the other.

    One whose /dev/shm others share has made its file before they start, and a program has given
    its prober a right answer. Raises TrialError where one does not come so far.
    """
    running: dict[str, Running] = {}
    there: dict[str, Program] = {}
    shared = {one.shares for one in experiment.containers}
    for one in experiment.containers:
        own = program_of(experiment, one)
        if own is not None:
            there[one.role] = program.start(stage, one, own)
            running[one.role] = there[one.role].running
        elif one.drives is not None:
            task = task_of(experiment, one)
            running[one.role] = program.drive(stage, one, there[one.drives], task)
        else:
            ipc = "shareable" if one.role in shared else None
            if one.shares is not None:
                ipc = f"container:{running[one.shares].container_id}"
            running[one.role] = start(stage.stack, one, stage.plan, stage.engine, stage.birth, ipc)
            if one.role in shared:
                await_probes(stage.engine, [running[one.role]])
    return list(running.values())
