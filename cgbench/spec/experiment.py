"""The specification of an experiment: containers, a schedule, how many trials; read from TOML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cgbench.errors import CgbenchError, ExperimentError
from cgbench.spec import workload as workloads
from cgbench.spec.conversions import bandwidth
from cgbench.spec.fields import (
    LONGEST_HOLD,
    MOST_MEMORY,
    MOST_SCRATCH,
    Duration,
    Hold,
    MetricName,
    Name,
    Pause,
    Scheduler,
    Size,
    Title,
    Via,
    Whole,
    short_enough,
    shown_as_it_is,
)
from cgbench.spec.metrics import Band
from cgbench.spec.model import Model
from cgbench.spec.option import Settings, Value
from cgbench.spec.options import option
from cgbench.units import NS_PER_S

MOST_CHANGES = 10_000
"""How many changes one experiment may make in a trial."""

MOST_TRIALS = 100_000
"""How many trials one experiment may stand for; each birth with options of its own is one."""

_MOST_CONTAINERS = 64
_Memory = Annotated[Size, Field(ge=0, le=MOST_MEMORY)]
_Scratch = Annotated[Size, Field(ge=2**20, le=MOST_SCRATCH)]
_Attribute = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", max_length=60)]

EMULATED_TIMES = 5
"""How many times as long an emulated CPU is given where a workload must get somewhere."""

EMULATED_HZ = 100
"""How often an emulated CPU reads files at most: at 1 kHz that takes three quarters of it."""

_GROWING = ("memory", "cache", "fork", "end")


class Precondition(StrEnum):
    """What a host must offer; `host` checks it."""

    CPU_BANDWIDTH = "cpu-bandwidth"
    TWO_CPUS = "two-cpus"
    MEMORY_CONTROLLER = "memory-controller"
    SWAP = "swap"
    BFQ = "bfq"
    TWO_NODES = "two-nodes"
    REAL_TIME = "real-time"


class Container(Model):
    """One container of an experiment.

    `memory` and `pids` are caps for the host's safety, part of no measurement; `options` are set
    at birth and may replace them. `size` is how many bytes a memory workload goes through, `count`
    how many tasks a forking one wants, `pace` the time between its attempts or wake-ups.
    `group` puts it below a parent cgroup that caps the memory of all containers in it.
    """

    role: Name
    workload: Name
    workers: Annotated[Whole, Field(ge=1, le=256)] = 1
    memory: Annotated[Size, Field(ge=6 * 2**20, le=MOST_MEMORY)] = 256 * 2**20
    pids: Annotated[Whole, Field(ge=4, le=4096)] = 64
    size: _Memory = 0
    count: Annotated[Whole, Field(ge=0, le=4096)] = 0
    pace: Pause | None = None
    group: Annotated[bool, Field(strict=True)] = False
    options: Mapping[str, Value] = Field(default_factory=dict)


class Step(Model):
    """One or many entries of the schedule.

    `set` names options and their values. Where a value is a list, the step stands for as many
    steps as the list is long, and every other list in it must be as long; `repeat` walks the
    list so many times. `fit_host` leaves out values that ask for more CPUs than the host has,
    which otherwise are an error. `rewrite` makes the same change again and again at that pace
    while the phase is held. `note` distinguishes phases with the same value; `scheduler` sets the
    scratch device's first. `may_end` says that a container may end in this phase: that is then
    a result and not a failure. A step that `prepares` the next is no evidence of anything.
    """

    set: Annotated[Mapping[str, Value | tuple[Value, ...]], Field(min_length=1)]
    hold: Hold
    via: Via = "update"
    role: Name | None = None
    fit_host: Annotated[bool, Field(strict=True)] = False
    repeat: Annotated[Whole, Field(ge=1, le=1000)] = 1
    rewrite: Annotated[Duration, Field(ge=1_000_000), AfterValidator(short_enough)] | None = None
    may_end: Annotated[bool, Field(strict=True)] = False
    prepares: Annotated[bool, Field(strict=True)] = False
    note: Annotated[str, Field(max_length=40), AfterValidator(shown_as_it_is)] | None = None
    scheduler: Scheduler | None = None

    @property
    def changes(self) -> int:
        """How many entries of the schedule it stands for."""
        lists = [len(value) for value in self.set.values() if isinstance(value, tuple)]
        return max(lists, default=1) * self.repeat

    def unrolled(self) -> list[dict[str, Value]]:
        """Return one mapping of option to value for each step that this one stands for."""
        lists = {name: value for name, value in self.set.items() if isinstance(value, tuple)}
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            raise ExperimentError(
                f"set: lists of different lengths: {', '.join(sorted(lists))}",
                "Lists in one step are walked together; make them equally long.",
            )
        if lengths == {0}:
            raise ExperimentError(f"set: nothing in {', '.join(sorted(lists))}", "Add a value.")
        length = lengths.pop() if lengths else 1
        return [
            {
                name: value[index] if isinstance(value, tuple) else value
                for name, value in self.set.items()
            }
            for index in range(length)
        ] * self.repeat


class Sampling(Model):
    """How often interface files are read: `fast_hz` for those under change, else `slow_hz`."""

    fast_hz: Annotated[Whole, Field(ge=1, le=2000)] = 1000
    slow_hz: Annotated[Whole, Field(ge=1, le=100)] = 10

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

    trials: Annotated[Whole, Field(ge=1, le=1000)] = 2
    hold: Annotated[Hold, Field(json_schema_extra={"default": "2s"})] = 2 * NS_PER_S


class Verify(Model):
    """How `cgbench verify` judges by this experiment: which options, by which metric, within what.

    `metric` is that of the container whose option is changed, and `otherwise` takes its place
    where the kernel does not count what it is made of; without one, it is the metric that shows
    what the option does, if there is any. `band` replaces the metric's own. `needs` is what the
    host must have for the workload to show an effect, though the experiment itself runs without.
    `hold` replaces every longer hold time. `containers` and `steps` take the place of the
    experiment's own, so that other values are tried than its sweep has.
    """

    options: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)]
    metric: MetricName | None = None
    otherwise: MetricName | None = None
    needs: tuple[Precondition, ...] = ()
    band: Band | None = None
    hold: Annotated[Hold, Field(json_schema_extra={"default": "1s"})] = NS_PER_S
    advice: Title | None = None
    containers: Annotated[tuple[Container, ...], Field(max_length=_MOST_CONTAINERS)] = ()
    steps: tuple[Step, ...] = ()


class Gate(Model):
    """By which metrics two runs are compared; those too noisy for a verdict are left out."""

    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1, max_length=64)]


class Experiment(Model):
    """An experiment as its file states it.

    `device` is the size of a scratch block device that workloads may overwrite, `scheduler` its
    I/O scheduler with `scheduler_attributes` of its own; `swap` is the size of a scratch swap;
    `group` caps the memory of the parent cgroup of all containers that say `group = true`. All
    are given back after each trial.
    """

    name: Name
    title: Title
    question: Title
    option: Name
    requires: tuple[Precondition, ...] = ()
    trials: Annotated[Whole, Field(ge=1, le=1000)] = 5
    warmup: Annotated[Pause, Field(json_schema_extra={"default": "0.5s"})] = NS_PER_S // 2
    sampling: Sampling = Sampling()
    quick: Quick = Quick()
    verify: Verify | None = None
    gate: Gate | None = None
    device: _Scratch | None = None
    scheduler: Scheduler = "bfq"
    scheduler_attributes: Mapping[_Attribute, Whole] = Field(default_factory=dict)
    swap: _Scratch | None = None
    group: _Memory | None = None
    containers: Annotated[tuple[Container, ...], Field(min_length=1, max_length=_MOST_CONTAINERS)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

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
            option(self.option)
        for name in self.verify.options if self.verify else ():
            with at("verify.options"):
                option(name)
        roles = [container.role for container in self.containers]
        if len(set(roles)) != len(roles):
            raise ExperimentError("containers: two of them have the same role")
        for index, container in enumerate(self.containers, 1):
            with at(f"containers.{index}"):
                for name, value in container.options.items():
                    option(name).check(value)
        _few_enough(sum(step.changes for step in self.steps), MOST_CHANGES, "changes")
        births = sum(step.changes for step in self.steps if step.via == "run")
        _few_enough(self.trials * max(1, births), MOST_TRIALS, "trials")
        for index, step in enumerate(self.steps, 1):
            with at(f"steps.{index}"):
                if step.role is not None and step.role not in roles:
                    raise ExperimentError(
                        f"no container has the role {step.role}", f"Roles: {', '.join(roles)}."
                    )
                for values in step.unrolled():
                    for name, value in values.items():
                        option(name).check(value)
        if self.verify is not None and (self.verify.containers or self.verify.steps):
            with at("verify"):
                self._as_verified(self.verify)._check()

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

    def slowed(self) -> Experiment:
        """Return the experiment as an emulated CPU needs it: time to get somewhere, few readings.

        Workloads that fill, read, fork or end are given EMULATED_TIMES the hold, at as slow a pace:
        Docker's answers take so long there that a fast one would pass a limit before it is set.
        """
        kinds = {one.role: workloads.load(one.workload).probe for one in self.containers}
        steps = tuple(
            step.model_copy(update={"hold": min(EMULATED_TIMES * step.hold, LONGEST_HOLD)})
            if not step.prepares and kinds[step.role or self.containers[0].role] in _GROWING
            else step
            for step in self.steps
        )
        containers = tuple(
            one.model_copy(update={"pace": min(EMULATED_TIMES * one.pace, LONGEST_HOLD)})
            if kinds[one.role] in _GROWING and one.pace is not None
            else one
            for one in self.containers
        )
        sampling = self.sampling.at_most(EMULATED_HZ)
        parts = {"steps": steps, "containers": containers, "sampling": sampling}
        return self.model_copy(update=parts)

    def _held_for(self, hold_ns: int, trials: int) -> Experiment:
        steps = tuple(
            step.model_copy(update={"hold": min(step.hold, max(hold_ns, _periods(step, 4)))})
            for step in self.steps
        )
        return self.model_copy(update={"trials": trials, "steps": steps})


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
