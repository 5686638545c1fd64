"""The specification of an experiment: containers, a schedule, how many trials; read from TOML."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cgbench.errors import CgbenchError, ExperimentError, OptionError
from cgbench.spec.band import Band
from cgbench.spec.container import Container
from cgbench.spec.conversions import bandwidth
from cgbench.spec.fields import (
    MOST_SCRATCH,
    Hold,
    Memory,
    MetricName,
    Name,
    Pause,
    Scheduler,
    Size,
    Title,
    Whole,
    bare_names,
    says,
)
from cgbench.spec.model import Model
from cgbench.spec.option import Settings, Value
from cgbench.spec.options import KNOWN, option
from cgbench.spec.precondition import Precondition
from cgbench.spec.program import Program
from cgbench.spec.step import Step
from cgbench.spec.toml_text import toml
from cgbench.units import NS_PER_S

MOST_CHANGES = 10_000
"""How many changes one experiment may make in a trial."""

MOST_TRIALS = 100_000
"""How many trials one experiment may stand for; each birth with options of its own is one."""

_MOST_CONTAINERS = 64


_Scratch = Annotated[Size, Field(ge=2**20, le=MOST_SCRATCH)]
_Attribute = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", max_length=60)]

_OF_PARENTS = ("cpus", "cpu-quota", "pids-limit")


class Sampling(Model):
    """How often interface files are read."""

    fast_hz: Annotated[
        Whole, Field(ge=1, le=2000), says("Readings a second of files under change.", 1000)
    ] = 1000
    slow_hz: Annotated[
        Whole, Field(ge=1, le=100), says("Readings a second of all others; divides fast_hz.", 10)
    ] = 10

    @model_validator(mode="after")
    def _slow_divides_fast(self) -> Sampling:
        if self.slow_hz > self.fast_hz or self.fast_hz % self.slow_hz:
            raise ValueError(f"slow_hz {self.slow_hz} must divide fast_hz {self.fast_hz}")
        return self

    def at_most(self, hz: int) -> Sampling:
        """Return it with no more than `hz` readings a second where it has more."""
        if self.fast_hz <= hz:
            return self
        return Sampling(fast_hz=hz, slow_hz=math.gcd(self.slow_hz, hz))


class Quick(Model):
    """What `--quick` changes."""

    trials: Annotated[Whole, Field(ge=1, le=1000), says("Number of trials.", 2)] = 2
    hold: Annotated[
        Hold,
        Field(json_schema_extra={"default": "2s"}),
        says("What replaces every longer hold time.", "2s"),
    ] = 2 * NS_PER_S


class Verify(Model):
    """How `cgbench verify` judges by this experiment: by which metric, within what."""

    options: Annotated[
        tuple[Name, ...],
        Field(min_length=1, max_length=64),
        says("The options that it judges.", ["cpu-quota"]),
    ]
    metric: Annotated[
        MetricName | None,
        says(
            "What the container whose option is changed is judged by; without it, the metric that "
            "shows what the option does, if there is any.",
            "cpus_used",
        ),
    ] = None
    otherwise: Annotated[
        MetricName | None,
        says("What takes its place where the kernel does not count that.", "probe_cpus"),
    ] = None
    needs: Annotated[
        tuple[Precondition, ...],
        says("What a host must have for an effect to show, though it runs without.", ["bfq"]),
    ] = ()
    band: Annotated[Band | None, says("What replaces the metric's own band.", {"pct": 2.0})] = None
    hold: Annotated[
        Hold,
        Field(json_schema_extra={"default": "1s"}),
        says("What replaces every longer hold time.", "1s"),
    ] = NS_PER_S
    advice: Annotated[
        Title | None,
        says("The next move, told where a limit does not hold.", "Read the file back."),
    ] = None
    containers: Annotated[
        tuple[Container, ...],
        Field(max_length=_MOST_CONTAINERS),
        says("Containers in place of the experiment's own."),
    ] = ()
    steps: Annotated[
        tuple[Step, ...], says("Steps in its place, so that other values are tried.")
    ] = ()


class Gate(Model):
    """By which metrics two runs are compared; those too noisy for a verdict are left out."""

    metrics: Annotated[
        tuple[MetricName, ...],
        Field(min_length=1, max_length=64),
        says("The metrics, some of `cgbench show RUN`.", ["cpus_used", "stall_p99_ms"]),
    ]


class Experiment(Model):
    """An experiment as its file states it.

    Scratch device, swap and group are given back after each trial.
    """

    name: Annotated[Name, says("What it is called, also in paths.", "my-sweep")]
    title: Annotated[Title, says("What it does, in a few words.", "My quotas, one by one")]
    question: Annotated[Title, says("The question that it answers.", "Does my quota hold?")]
    option: Annotated[Name, says("The option of Docker that it is about.", "cpu-quota")]
    requires: Annotated[
        tuple[Precondition, ...], says("What a host must have for it to run.", ["two-cpus"])
    ] = ()
    trials: Annotated[
        Whole,
        Field(ge=1, le=1000),
        says("How often its steps are walked, each time in new containers.", 5),
    ] = 5
    warmup: Annotated[
        Pause,
        Field(json_schema_extra={"default": "0.5s"}),
        says("The time between the start of its containers and the first step.", "500ms"),
    ] = NS_PER_S // 2
    sampling: Annotated[Sampling, says("How often the kernel's files are read.")] = Sampling()
    quick: Annotated[Quick, says("How it is shorter with `--quick`.")] = Quick()
    verify: Annotated[Verify | None, says("How `cgbench verify` judges by it.")] = None
    gate: Annotated[Gate | None, says("By which metrics runs of it are compared.")] = None
    device: Annotated[
        _Scratch | None,
        says("The size of a scratch block device, which workloads may overwrite.", "256m"),
    ] = None
    scheduler: Annotated[Scheduler, says("The I/O scheduler of that device.", "bfq")] = "bfq"
    scheduler_attributes: Annotated[
        Mapping[_Attribute, Whole], says("Attributes of that scheduler.", {"low_latency": 0})
    ] = Field(default_factory=dict)
    swap: Annotated[_Scratch | None, says("The size of a scratch swap.", "256m")] = None
    group: Annotated[
        Memory | None,
        says("Caps the memory of the parent of all containers with `group = true`.", "128m"),
    ] = None
    group_options: Annotated[
        Mapping[str, Value],
        AfterValidator(bare_names),
        says("Other limits of that parent: of CPU time and of tasks.", {"cpus": "0.5"}),
    ] = Field(default_factory=dict)
    programs: Annotated[
        Mapping[Name, Program],
        Field(max_length=_MOST_CONTAINERS),
        says("Programs of one's own, by the name that a container's `workload` gives."),
    ] = Field(default_factory=dict)
    containers: Annotated[
        tuple[Container, ...],
        Field(min_length=1, max_length=_MOST_CONTAINERS),
        says("The containers, all started together."),
    ]
    steps: Annotated[tuple[Step, ...], Field(min_length=1), says("What is changed, in this order.")]

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        try:
            self._check()
        except CgbenchError as error:
            raise ValueError(str(error)) from None
        return self

    def _check(self) -> None:
        # Workloads are looked for where a file is loaded: a stored run needs no installed ones.
        with at("option"):
            _known(self.option)
        for name in self.verify.options if self.verify else ():
            with at("verify.options"):
                option(name)
        roles = [container.role for container in self.containers]
        if len(set(roles)) != len(roles):
            raise ExperimentError("containers: two of them have the same role")
        for index, container in enumerate(self.containers, 1):
            with at(f"containers.{index}"):
                for name, value in container.options.items():
                    _checked("options", name, value)
                    option(name).check_way("run")
        self._check_shared()
        self._check_group()
        _few_enough(sum(step.changes for step in self.steps), MOST_CHANGES, "changes")
        births = sum(step.changes for step in self.steps if step.via == "run")
        _few_enough(self.trials * max(1, births), MOST_TRIALS, "trials")
        for index, step in enumerate(self.steps, 1):
            with at(f"steps.{index}"):
                if step.role is not None and step.role not in roles:
                    raise ExperimentError(
                        f"no container has the role {step.role}",
                        f'Roles: {", ".join(roles)}. For example: role = "{roles[0]}"',
                    )
                for values in step.unrolled():
                    for name, value in values.items():
                        _checked("set", name, value)
                        option(name).check_way(step.via)
        if self.verify is not None and (self.verify.containers or self.verify.steps):
            with at("verify"):
                self._as_verified(self.verify)._check()

    def _check_shared(self) -> None:
        """Raise ExperimentError unless who shares a /dev/shm comes after the one that has it."""
        before: dict[str, str | None] = {}
        for index, one in enumerate(self.containers, 1):
            if one.shares is not None and before.get(one.shares, one.role) is not None:
                having = [role for role, shares in before.items() if shares is None]
                right = f'For example: shares = "{having[0]}"' if having else "Leave it out."
                raise ExperimentError(
                    f"containers.{index}: no container before it has a /dev/shm of its own called "
                    f"{one.shares}",
                    right,
                )
            before[one.role] = one.shares

    def _check_group(self) -> None:
        """Raise ExperimentError unless the parent's limits are ones that it can have."""
        for name, value in self.group_options.items():
            _checked("group_options", name, value)
            if name not in _OF_PARENTS:
                raise ExperimentError(
                    f"group_options: a parent gets no {name}",
                    f"Options: {', '.join(_OF_PARENTS)}. "
                    'For example: group_options = { cpus = "0.5" }',
                )
        if self.group_options and self.group is None:
            raise ExperimentError(
                "group_options: there is no parent",
                'Cap its memory as well. For example: group = "128m"',
            )

    def judged_option(self, settings: Settings) -> str:
        """Return the option a step is about: the experiment's own, else the first it sets."""
        return self.option if self.option in settings else next(iter(settings))

    def repeated(self, trials: int) -> Experiment:
        """Return the experiment with another number of trials. Raises ExperimentError on too many.

        Each life of the containers is a trial of its own.
        """
        found = self.model_copy(update={"trials": trials})
        found._check()
        return found

    def shortened(self) -> Experiment:
        """Return the experiment as `--quick` runs it."""
        return self._held_for(self.quick.hold, self.quick.trials)

    def for_verify(self) -> Experiment:
        """Return the experiment as `cgbench verify` runs it. Raises ExperimentError if none."""
        if self.verify is None:
            raise ExperimentError(f"{self.name} has no table [verify]")
        return self._as_verified(self.verify)._held_for(self.verify.hold, 1)

    def _as_verified(self, own: Verify) -> Experiment:
        """Return the experiment with the containers and steps of its table [verify], if any."""
        parts = {
            "containers": own.containers or self.containers,
            "steps": own.steps or self.steps,
            "verify": own.model_copy(update={"containers": (), "steps": ()}),
        }
        return self.model_copy(update=parts)

    def on(self, met: Mapping[str, bool]) -> Experiment:
        """Return the experiment without the steps for which a host lacks something.

        Raises ExperimentError where none is left.
        """
        steps = tuple(
            step for step in self.steps if all(met.get(str(one), False) for one in step.needs)
        )
        if not steps:
            lacking = ", ".join(sorted({str(one) for step in self.steps for one in step.needs}))
            raise ExperimentError(
                f"{self.name}: steps: this host lacks what each of them needs: {lacking}",
                "Measure on another host, or add a step without `needs`.",
            )
        return self.model_copy(update={"steps": steps})

    def _held_for(self, hold_ns: int, trials: int) -> Experiment:
        steps = tuple(
            step.model_copy(update={"hold": min(step.hold, max(hold_ns, _periods(step, 4)))})
            for step in self.steps
        )
        return self.model_copy(update={"trials": trials, "steps": steps})


def _known(name: str) -> None:
    """Raise OptionError, which names a line that is right, unless there is such an option."""
    try:
        option(name)
    except OptionError as error:
        near = difflib.get_close_matches(name.removeprefix("--"), KNOWN, 1)
        right = near[0] if near else "cpu-quota"
        raise OptionError(
            error.message, f'{error.advice} For example: option = "{right}"'
        ) from None


def _checked(key: str, name: str, value: Value) -> None:
    """Raise OptionError, which names a line that is right, unless a value is one of its option."""
    try:
        option(name).check(value)
    except OptionError as error:
        near = difflib.get_close_matches(name, KNOWN, 1)
        known = name if name in KNOWN else near[0] if near else "cpu-quota"
        right = toml({known: KNOWN[known].example})
        raise OptionError(error.message, f"{error.advice} For example: {key} = {right}") from None


def _few_enough(number: int, most: int, what: str) -> None:
    if number > most:
        raise ExperimentError(
            f"steps: they stand for {number} {what}, more than {most}",
            "Shorten the lists, lower `repeat` or `trials`, or split the experiment.",
        )


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put `place` in front of the message of an error."""
    try:
        yield
    except CgbenchError as error:
        raise ExperimentError(f"{place}: {error.message}", error.advice) from None


def _periods(step: Step, number: int) -> int:
    """Return the length of `number` of the step's longest periods in ns."""
    return max(number * 1000 * bandwidth(settings)[1] for settings in step.unrolled())
