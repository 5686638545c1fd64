"""What each trial is going to do: an experiment's changes and hold times, for one host."""

from __future__ import annotations

import random
from collections.abc import Mapping

from cgbench.errors import ExperimentError
from cgbench.spec.conversions import bandwidth
from cgbench.spec.experiment import Experiment
from cgbench.spec.fields import Via
from cgbench.spec.model import Model
from cgbench.spec.option import Settings, Value, written
from cgbench.spec.step import Step


def labelled(requested: str, note: str | None) -> str:
    """Return a requested value with its note, if any: `512 (joins)`."""
    return f"{requested} ({note})" if note else requested


class PlannedStep(Model):
    """One change and its hold: `settings` are set together, `option` is the one judged.

    `note` distinguishes it from other steps with the same value.
    """

    role: str
    option: str
    requested: str
    note: str | None = None
    settings: Mapping[str, Value]
    via: Via
    hold_ns: int
    rewrite_ns: int | None = None
    settle_ns: int = 0
    may_end: bool = False
    prepares: bool = False
    scheduler: str | None = None

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.requested, self.note)


class TrialPlan(Model):
    """One life of the containers: `walk` numbers the plans of one repetition, from 1."""

    number: int
    repetition: int
    walk: int
    steps: tuple[PlannedStep, ...]

    @property
    def hold_ns(self) -> int:
        """The sum of its hold times."""
        return sum(step.hold_ns for step in self.steps)


def planned(experiment: Experiment, cpus: int, seed: int) -> list[TrialPlan]:
    """Expand to trial plans for a host with `cpus` CPUs, in an order shuffled by `seed`.

    A step with `via = "run"` begins a new life of the containers, hence a new plan.
    Raises ExperimentError when a step asks for more CPUs than there are.
    """
    # Made once: all repetitions share them.
    walks = [tuple(steps) for steps in _walks(experiment, cpus)]
    drafts = [
        (repetition, walk, steps)
        for repetition in range(1, experiment.trials + 1)
        for walk, steps in enumerate(walks, 1)
    ]
    random.Random(seed).shuffle(drafts)
    return [
        TrialPlan(number=number, repetition=repetition, walk=walk, steps=steps)
        for number, (repetition, walk, steps) in enumerate(drafts, 1)
    ]


PACE = 1.1
"""How long a run takes, about, as a multiple of its hold times."""


def lasts_ns(experiment: Experiment, cpus: int) -> int:
    """Return about how long a run takes on a host with `cpus` CPUs.

    Raises ExperimentError when a step asks for more CPUs than there are.
    """
    once = sum(step.hold_ns for step in steps(experiment, cpus))
    return round(PACE * once * experiment.trials)


def steps(experiment: Experiment, cpus: int) -> list[PlannedStep]:
    """Return every step that each repetition makes on a host with `cpus` CPUs.

    Raises ExperimentError when one asks for more CPUs than there are.
    """
    return [step for walk in _walks(experiment, cpus) for step in walk]


def _walks(experiment: Experiment, cpus: int) -> list[list[PlannedStep]]:
    """Return the steps of each life of the containers, without those that do not fit the host."""
    walks: list[list[PlannedStep]] = []
    born = {container.role: container.options for container in experiment.containers}
    in_force = {name: dict(options) for name, options in born.items()}
    for index, step in enumerate(experiment.steps, 1):
        role = step.role or experiment.containers[0].role
        for settings in step.unrolled():
            before = born if step.via == "run" else in_force
            if _exceeds({**before[role], **settings}, cpus):
                if step.fit_host:
                    continue
                raise ExperimentError(
                    f"{experiment.name}: steps.{index}: {written(settings)} asks for more than "
                    f"this host's {cpus} CPUs",
                    "Lower it, or set fit_host = true to leave such values out.",
                )
            if step.via == "run" or not walks:
                walks.append([])
                in_force = {name: dict(options) for name, options in born.items()}
            in_force[role] |= settings
            walks[-1].append(_step(experiment.judged_option(settings), step, role, settings))
    if not walks:
        raise ExperimentError(
            f"{experiment.name}: steps: none is left that fits this host's {cpus} CPUs",
            "Add a lower value.",
        )
    return _told_apart(walks)


def _told_apart(walks: list[list[PlannedStep]]) -> list[list[PlannedStep]]:
    """Return steps with a note where two set the same value, and something else beside it.

    Without one they would be taken for repetitions of one another.
    """
    beside: dict[tuple[str, ...], set[str]] = {}
    for step in (step for steps in walks for step in steps):
        beside.setdefault(_known_by(step), set()).add(_beside(step))

    def noted(step: PlannedStep) -> PlannedStep:
        more = _beside(step)
        if not more or len(beside[_known_by(step)]) == 1:
            return step
        note = more if step.note is None else f"{step.note}, {more}"
        return step.model_copy(update={"note": note})

    return [[noted(step) for step in steps] for steps in walks]


def _known_by(step: PlannedStep) -> tuple[str, ...]:
    return step.role, step.option, step.via, step.requested, step.note or ""


def _beside(step: PlannedStep) -> str:
    """Return what a step sets beside the option that is judged, as typed."""
    others = {name: value for name, value in step.settings.items() if name != step.option}
    return written(others) if others else ""


def _step(judged: str, step: Step, role: str, settings: dict[str, Value]) -> PlannedStep:
    return PlannedStep(
        role=role,
        option=judged,
        requested=str(settings[judged]),
        note=step.note,
        settings=settings,
        via=step.via,
        hold_ns=step.hold,
        rewrite_ns=step.rewrite,
        settle_ns=step.settle or 0,
        may_end=step.may_end,
        prepares=step.prepares,
        scheduler=step.scheduler,
    )


def _exceeds(settings: Settings, cpus: int) -> bool:
    quota, period = bandwidth(settings)
    return quota is not None and quota > cpus * period
