"""What of an experiment no run of it can judge, told before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cgbench.errors import WorkloadError
from cgbench.judging.expectation import NO_WORK, Situation, Work, load_of
from cgbench.spec import workload
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import candidates
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.spec.schedule import PlannedStep, planned

_PRESSED_BY: Mapping[str, tuple[str, ...]] = {
    "cpu": ("spin",), "cpuset": ("spin",), "memory": ("grow", "cache"), "pids": ("fork",),
    "io": ("fio-randread", "fio-seqwrite"), "none": ("end",),
}  # fmt: skip
"""The workloads that show what the options of a controller do."""

_SHOWN_BY: Mapping[str, tuple[str, ...]] = {
    "device-read-bps": ("fio-randread",), "device-read-iops": ("fio-randread",),
    "device-write-bps": ("fio-seqwrite",), "device-write-iops": (),
}  # fmt: skip
"""The workloads that show what single options do, where not all of their controller's do."""

_WHY_NOT: Mapping[str, str] = {
    "cpu-shares": "a weight shows only against another container on the same CPUs",
    "blkio-weight": "a weight shows only against another container on the same device",
    "cpuset-cpus": "a set shows only where it is given",
    "memory": "the workload's `size` is not beyond the limit",
    "memory-swap": "the workload's `size` is not beyond the limit",
    "memory-reservation": "a reservation shows only in a `group`, with a `size` beyond it",
    "pids-limit": "the workload's `count` is not beyond the limit",
    "restart": "it is started again for ever, or how often is not known",
}


def foreseen(experiment: Experiment, cpus: int) -> Iterator[str]:
    """Yield a warning for each thing of which nothing will be said, on a host with `cpus` CPUs."""
    name = experiment.option
    steps = [
        (step, situation)
        for step, situation in _situations(experiment, cpus)
        if step.option == name and not step.prepares
    ]
    if not steps:
        others = dict.fromkeys(
            step.option for step, _ in _situations(experiment, cpus) if not step.prepares
        )
        yield (
            f'option = "{name}", and no step sets it, so nothing is said of it. Name what is set: '
            f'option = "{next(iter(others), name)}"'
        )
        return
    metrics = candidates(experiment, name)
    if not metrics:
        yield f"no workload shows what --{name} does: only its interface file is judged"
        return
    named = experiment.verify is not None and experiment.verify.metric is not None
    by_role = {one.role: one.workload for one in experiment.containers}
    fit = _SHOWN_BY.get(name, _PRESSED_BY.get(option(name).controller, ()))
    roles = dict.fromkeys(step.role for step, _ in steps)
    # What is measured of a program of one's own is what its load sees.
    own = [role for role in roles if by_role[role] in experiment.programs]
    built_in = [role for role in roles if role not in own]
    unfit = [] if named else [role for role in built_in if by_role[role] not in fit]
    for role in unfit:
        yield (
            f"workload {by_role[role]} of {role} does not show what --{name} does, so only the "
            f"interface file is judged. Workloads that do: {', '.join(fit)}"
        )
    open_values = dict.fromkeys(
        f"{step.label} ({step.role})" if len(roles) > 1 else step.label
        for step, situation in steps
        if step.role not in unfit
        and step.role not in own
        and not any(_shows(metric, step.role, situation) for metric in metrics)
    )
    if open_values:
        why = _WHY_NOT.get(name, "what the workload should get is not known")
        yield f"nothing is expected of the workload at --{name} {', '.join(open_values)}: {why}"


def _shows(metric: str, role: str, situation: Situation) -> bool:
    """Say whether something is expected of a container; there is no share without a rival."""
    alone = metric == "cpu_share_pct" and len(situation.rivals(role)) < 2
    return situation.expected(metric, role) is not None and not alone


def _situations(experiment: Experiment, cpus: int) -> Iterator[tuple[PlannedStep, Situation]]:
    """Yield every step of one repetition, with what all containers want and may get after it."""
    specs = {one.role: one for one in experiment.containers}
    works = {role: _work(one.workload) for role, one in specs.items()}
    walks = {plan.walk: plan.steps for plan in planned(experiment, cpus, seed=0)}
    for walk in sorted(walks):
        in_force: dict[str, Settings] = {role: dict(one.options) for role, one in specs.items()}
        let_in: dict[str, int] = {}
        for step in walks[walk]:
            in_force[step.role] = {**in_force[step.role], **step.settings}
            tasks = int(in_force[step.role].get("pids-limit", 0))
            let_in[step.role] = max(let_in.get(step.role, 0), tasks)
            yield (
                step,
                Situation(
                    {
                        role: load_of(one, in_force[role], let_in.get(role, 0), works[role])
                        for role, one in specs.items()
                    },
                    tuple(range(cpus)),
                    experiment.group,
                ),
            )


def _work(name: str) -> Work:
    try:
        found = workload.load(name)
    except WorkloadError:
        return NO_WORK
    return Work(found.probe, found.moves, found.block)
