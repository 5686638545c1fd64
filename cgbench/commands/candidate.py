"""A candidate run that grows trial by trial, and knows which of them count."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from cgbench.commands.session import Session
from cgbench.errors import StoreError
from cgbench.host import preconditions
from cgbench.judging import checks, sides
from cgbench.judging.run import load
from cgbench.measuring import run
from cgbench.measuring.progress import Silent
from cgbench.records.baseline import Baseline, Noise
from cgbench.records.comparison import Disturbance
from cgbench.records.run import Purpose, Status
from cgbench.records.run_directory import RunDirectory
from cgbench.spec.experiment import Experiment

MOST = 60
"""Repetitions of one gate, disturbed and failed ones included."""

# A trial is disturbed when more CPU than in the baseline's trials went elsewhere, by so much.
_STEAL_CPUS = 0.02
_OTHER_CPUS = 0.1
# So many disturbed in a row are no disturbance any more: it is how this host is now.
_PERSISTENT = 3


class Growing(Protocol):
    """A candidate that grows by one repetition at a time; `good` are those that count."""

    good: list[int]
    disturbances: list[Disturbance]
    longest_s: float
    persistent: bool

    @property
    def exhausted(self) -> bool:
        """Whether no repetition is left."""

    def measure(self) -> None:
        """Measure one more repetition and note whether it counts."""

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        """Return the good repetitions as one side of a comparison, or some of them."""


@dataclass
class Candidate:
    """A run that grows by repetitions: which of them count, and what disturbed the others."""

    directory: RunDirectory
    session: Session
    metrics: tuple[str, ...]
    calm: Noise
    good: list[int] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    repetition: int = 0
    longest_s: float = 0.0
    persistent: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether no repetition is left."""
        return self.repetition >= MOST

    def measure(self) -> None:
        """Measure one more repetition and note whether it counts."""
        self.repetition += 1
        begin = time.monotonic()
        run.execute(
            self.directory, self.directory.run(), self.session.engine, Silent(),
            self.repetition,
        )  # fmt: skip
        self.longest_s = max(self.longest_s, time.monotonic() - begin)
        reason = self._doubt()
        if reason is None:
            if self.persistent:
                self._forget()
            self.good.append(self.repetition)
            return
        self.disturbances.append(
            Disturbance(repetition=self.repetition, reason=reason, kept=self.persistent)
        )
        self.session.progress(f"trial {self.repetition}: {reason}")
        if self.persistent:
            self.good.append(self.repetition)
        elif self._all_disturbed():
            self._keep()

    def _doubt(self) -> str | None:
        """Return why the last repetition is no good, None if it is."""
        trials = [one for one in self.directory.trials() if one.repetition == self.repetition]
        failed = [one for one in trials if one.status == "failed"]
        if failed:
            return f"failed: {failed[-1].reason}"
        noise = [sides.noise(one) for one in trials]
        steal = _beyond([one.steal_cpus for one in noise], self.calm.steal_cpus)
        other = _beyond([one.other_cpus for one in noise], self.calm.other_cpus)
        if steal is None or other is None:
            return "how much CPU time others took is not known"
        if steal > _STEAL_CPUS:
            return f"the hypervisor took {steal:.2f} CPUs more than in the baseline's trials"
        if other > _OTHER_CPUS:
            used = f"other processes used {other:.2f} CPUs more than in the baseline's trials"
            return used + checks.the_largest(trials)
        hot = sum(one.thermal_throttles for one in noise if one.thermal_throttles is not None)
        return f"heat slowed a core {hot} times" if hot else None

    def _all_disturbed(self) -> bool:
        last = self.disturbances[-_PERSISTENT:]
        return len(last) == _PERSISTENT and all(
            one.repetition == self.repetition - _PERSISTENT + 1 + index
            and not one.reason.startswith("failed")
            for index, one in enumerate(last)
        )

    def _keep(self) -> None:
        """Take the last disturbed repetitions in: what lasts belongs to the host's state."""
        self.persistent = True
        kept = [one.model_copy(update={"kept": True}) for one in self.disturbances[-_PERSISTENT:]]
        self.disturbances[-_PERSISTENT:] = kept
        self.good += [one.repetition for one in kept]

    def _forget(self) -> None:
        """Leave out what was disturbed after all: it has ended, and is not this host's state."""
        self.persistent = False
        disturbed = {one.repetition for one in self.disturbances}
        self.good = [one for one in self.good if one not in disturbed]
        self.disturbances = [
            one.model_copy(update={"kept": False}) for one in self.disturbances
        ]  # fmt: skip

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        """Return the good repetitions as one side of a comparison, or some of them."""
        kept = set(self.good if repetitions is None else repetitions)
        without = set(range(1, self.repetition + 1)) - kept
        return sides.of_run(load(self.directory), names=self.metrics, without=without)


def open_candidate(
    experiment: Experiment,
    terms_metrics: Sequence[str],
    calm: Noise,
    session: Session,
    purpose: Purpose,
    *,
    quick: bool = False,
) -> Candidate:
    """Begin a run that may grow to `MOST` repetitions."""
    shaped = experiment.repeated(MOST)
    request = run.Request(
        shaped, session.image, session.results, session.seed, quick=quick, purpose=purpose
    )  # fmt: skip
    directory = run.begin(request, session.engine, preconditions.require(experiment.requires))
    return Candidate(directory, session, tuple(terms_metrics), calm)


@contextmanager
def ended(*some: Candidate) -> Iterator[None]:
    """Let runs say in the end that they are finished, or else that they were interrupted."""
    try:
        yield
    except BaseException as error:
        try:
            _end(some, "interrupted")
        except StoreError as full:
            # It must not take the place of what went wrong first.
            error.add_note(full.message)
        raise
    _end(some, "finished")


def _end(some: Sequence[Candidate], status: Status) -> None:
    for one in some:
        update: dict[str, object] = {"status": status}
        if not one.repetition:
            update["trials_planned"] = 0
        one.directory.write_run(one.directory.run().model_copy(update=update))


def calmness(side: Baseline) -> Noise:
    """Return what disturbed a baseline's trials at most, as far as it is known.

    A fifth of them is left out: what one bad trial had would excuse nothing any more. Where nothing
    is known, the candidate's trials must be as calm as on a host without neighbours.
    """
    steal = [one.steal_cpus for one in side.noise if one.steal_cpus is not None]
    other = [one.other_cpus for one in side.noise if one.other_cpus is not None]
    return Noise(repetition=0, steal_cpus=_most(steal), other_cpus=_most(other))


def _most(values: Sequence[float]) -> float:
    return sorted(values)[-1 - len(values) // 5] if values else 0.0


def _beyond(taken: Sequence[float | None], calm: float | None) -> float | None:
    """Return by how many CPUs the most exceeds `calm`, None where that cannot be said."""
    if calm is not None and math.isinf(calm):
        return -calm
    known = [one for one in taken if one is not None]
    if calm is None or not known or len(known) < len(taken):
        return None
    return max(known) - calm
