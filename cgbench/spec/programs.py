"""The programs of an experiment: which container runs which, and who puts the load on it."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.errors import ExperimentError
from cgbench.spec import workload as workloads
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.program import DRIVER, LOAD_SUFFIX, PROBER, Load, Program
from cgbench.spec.report import Report
from cgbench.spec.workload import Workload

_OF_CLIENTS = ("latency_p50_ms", "latency_p99_ms", "failed_pct")
"""What the prober measures of each program that it asks; the rate of answers follows from both."""

_LONGEST_ROLE = 60


def workload_of(experiment: Experiment, container: Container) -> Workload:
    """Return what a container of an experiment runs, be it built in or a program of one's own.

    Raises WorkloadError where it is neither.
    """
    own = experiment.programs.get(container.workload)
    if own is not None:
        return own.workload(container.workload)
    load = load_by(experiment, container) if container.workload == DRIVER else None
    if load is None:
        return workloads.load(container.workload)
    summary = "The load of a program of one's own."
    return Workload(name=DRIVER, summary=summary, controller="none", command=load.command)


def program_of(experiment: Experiment, container: Container) -> Program | None:
    """Return the program of one's own that a container runs, None where it runs none."""
    return experiment.programs.get(container.workload)


def load_by(experiment: Experiment, container: Container) -> Load | None:
    """Return the load that a container puts on another, None where it is no prober."""
    if container.drives is None:
        return None
    driven = next((one for one in experiment.containers if one.role == container.drives), None)
    program = None if driven is None else program_of(experiment, driven)
    return None if program is None else program.load


def images_of(experiment: Experiment) -> dict[str, str]:
    """Return the images of all programs by their names, and of commands that drive, by role."""
    found = {name: one.image for name, one in experiment.programs.items()}
    for one in experiment.containers:
        load = load_by(experiment, one)
        if load is not None and load.image is not None:
            found[one.role] = load.image
    return found


def report_of(experiment: Experiment, container: Container) -> tuple[str, Report] | None:
    """Return whose figures a container prints, by its role, and how they are read from that."""
    own, load = program_of(experiment, container), load_by(experiment, container)
    if own is not None and own.report is not None:
        return container.role, own.report
    if load is not None and load.report is not None and container.drives is not None:
        return container.drives, load.report
    return None


def felt_metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return the metrics by which clients of programs, or programs themselves, say how they fare.

    The longest of all latencies is none of them where there are others: one request decides it.
    """
    found = list[str]()
    for program in experiment.programs.values():
        load = program.load
        found += _OF_CLIENTS if load is not None and load.url is not None else ()
        for report in (program.report, None if load is None else load.report):
            found += () if report is None else report.metrics
    steady = dict.fromkeys(one for one in found if not one.endswith("_max_ms"))
    return tuple(steady or dict.fromkeys(found))


def with_loads(experiment: Experiment) -> Experiment:
    """Return the experiment with a prober for each program whose load nobody puts on it yet."""
    driven = {one.drives for one in experiment.containers}
    added = tuple(
        Container(
            role=f"{one.role}{LOAD_SUFFIX}",
            workload=PROBER if own.load.url is not None else DRIVER,
            drives=one.role,
        )
        for one in experiment.containers
        if (own := program_of(experiment, one)) is not None
        and own.load is not None
        and one.role not in driven
    )
    containers = (*experiment.containers, *added)
    return experiment.model_copy(update={"containers": containers})


def complaints(experiment: Experiment) -> Iterator[ExperimentError]:
    """Yield what is wrong with the programs of an experiment, and with who drives them."""
    names = {*workloads.names(workloads.directory()), DRIVER}
    for name in experiment.programs:
        if name in names:
            yield ExperimentError(
                f"programs.{name}: there is a built-in workload of that name",
                f"Call it otherwise. For example: [programs.my-{name}]",
            )
    used = {one.workload for one in experiment.containers}
    for name in experiment.programs:
        if name not in used:
            yield ExperimentError(
                f"programs.{name}: no container runs it", f'For example: workload = "{name}"'
            )
    before: dict[str, Container] = {}
    for index, one in enumerate(experiment.containers, 1):
        yield from _of_container(experiment, one, f"containers.{index}", before)
        before[one.role] = one


def _of_container(
    experiment: Experiment, one: Container, place: str, before: dict[str, Container]
) -> Iterator[ExperimentError]:
    own = program_of(experiment, one)
    if own is not None and own.load is not None and len(one.role + LOAD_SUFFIX) > _LONGEST_ROLE:
        yield ExperimentError(f"{place}: role: too long for the name of its load", "Shorten it.")
    if own is not None and (one.shares or one.size or one.count or one.pace is not None):
        yield ExperimentError(
            f"{place}: shares, size, count and pace are for built-in workloads",
            "Leave them out: a program gets arguments by its command.",
        )
    if (one.workload in (PROBER, DRIVER)) != (one.drives is not None):
        yield ExperimentError(
            f"{place}: a prober drives another container, and nothing else does",
            f'For example: workload = "{PROBER}", drives = "web"',
        )
    elif one.drives is not None:
        driven = before.get(one.drives)
        program = None if driven is None else program_of(experiment, driven)
        if program is None or program.load is None:
            yield ExperimentError(
                f"{place}: drives: no container before it is called {one.drives} and runs a "
                "program with a load",
                "Give the program a table [load], and put its container first.",
            )
