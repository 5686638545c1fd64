"""Trials on paper: noise of a stated model, and the gate's own loop run on it without Docker."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast
from unittest import mock

import numpy as np
import numpy.typing as npt

from cgbench.commands import ab, gate
from cgbench.commands.candidate import Candidate
from cgbench.commands.session import Session
from cgbench.engine.engine import Engine
from cgbench.judging import contrast
from cgbench.records.agreement import schedule_digest
from cgbench.records.baseline import Baseline, Noise, Series
from cgbench.records.comparison import Comparison
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from tests.made import records

Floats = npt.NDArray[np.float64]

METRIC = "work_per_s"
NOISE = 0.03
_LEVEL = 1000.0
_CHUNK = 128


@dataclass(frozen=True)
class Weather:
    """How trials stray, as shares of the true value.

    Each trial's own noise has standard deviation `noise`: normal, or Student t with `tails`
    degrees of freedom scaled to it. On top a drift that is AR(1) from trial to trial of one
    session, with correlation `memory` and standard deviation `drift`; every session starts
    anywhere in it. A share `broken` of trials is slower by a tenth to a half.
    """

    noise: float = NOISE
    tails: float | None = None
    drift: float = 0.0
    memory: float = 0.0
    broken: float = 0.0

    def session(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield what is measured, trial after trial of one session."""
        state = self.drift * rng.standard_normal()
        step = self.drift * np.sqrt(1 - self.memory**2)
        while True:
            for own, push, fate, loss in zip(
                self._own(rng), step * rng.standard_normal(_CHUNK), rng.random(_CHUNK),
                rng.uniform(0.1, 0.5, _CHUNK), strict=True,
            ):  # fmt: skip
                share = np.exp(own + state) * (1 - loss if fate < self.broken else 1.0)
                yield float(_LEVEL * share)
                state = self.memory * state + push

    def _own(self, rng: np.random.Generator) -> Floats:
        if self.tails is None:
            return self.noise * rng.standard_normal(_CHUNK)
        raw = rng.standard_t(self.tails, _CHUNK)
        drawn: Floats = self.noise * raw / np.sqrt(self.tails / (self.tails - 2))
        return drawn


_RECORD = records.run(trials_planned=1)


class _Sheet:
    """The part of a run directory that pairs use beside trials."""

    path = Path("on-paper")

    def run(self) -> RunRecord:
        return _RECORD

    def write_run(self, _record: RunRecord) -> None:
        """Keep nothing."""


SESSION = Session(cast(Engine, None), "image", Path(), 0)


@cache
def _digest() -> str:
    return schedule_digest(_RECORD.experiment)


def side(values: dict[int, float]) -> Baseline:
    """Return the repetitions with these values as one side of a comparison."""
    series = Series(
        role="worker", option="cpu-quota", via="update", requested="50000", metric=METRIC,
        unit="1/s", values=tuple(values.values()),
    )  # fmt: skip
    return Baseline(
        name="paper", experiment=_RECORD.experiment.name, run=_RECORD.run,
        started=_RECORD.started, host=_RECORD.host, image=_RECORD.image, schedule=_digest(),
        repetitions=tuple(values), series=(series,),
    )  # fmt: skip


@dataclass
class Paper(Candidate):
    """A candidate whose next trial is drawn instead of measured; all of them are good."""

    weather: Iterator[float] = field(default_factory=lambda: iter(()))
    factor: float = 1.0
    values: dict[int, float] = field(default_factory=dict)

    def measure(self) -> None:
        self.repetition += 1
        self.values[self.repetition] = self.factor * next(self.weather)
        self.good.append(self.repetition)

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        kept = self.good if repetitions is None else repetitions
        return side({one: self.values[one] for one in sorted(kept)})


def paper(weather: Iterator[float], factor: float) -> Paper:
    """Return a candidate with no trials yet, true values `factor` times the usual."""
    calm = Noise(repetition=0, steal_cpus=0, other_cpus=0)
    sheet = cast(RunDirectory, _Sheet())
    return Paper(sheet, SESSION, (METRIC,), calm, weather=weather, factor=factor)


@contextmanager
def _opening(*candidates: Paper) -> Iterator[None]:
    """Let pairs open these candidates, in turn, and switch nothing."""
    waiting = iter(candidates)

    def opened(*_arguments: object) -> Candidate:
        return next(waiting)

    with (
        mock.patch.object(ab, "open_candidate", opened),
        mock.patch.object(ab, "switch", return_value=None),
    ):
        yield


def gated(weather: Weather, factor: float, trials: int, rng: np.random.Generator) -> Outcome:
    """Let `gate.decide` judge a candidate of another session against a baseline of `trials`."""
    before = weather.session(rng)
    kept = side({number: next(before) for number in range(1, trials + 1)})
    candidate = paper(weather.session(rng), factor)
    terms = gate.Terms(kept, budget_s=float("inf"))
    return Outcome(gate.decide(candidate, terms, SESSION.progress), candidate.repetition)


def alternated(weather: Weather, factor: float, rng: np.random.Generator) -> Outcome:
    """Let `paired.ab` judge two states whose trials alternate in one session."""
    session = weather.session(rng)
    before, after = paper(session, 1.0), paper(session, factor)
    with _opening(before, after):
        sides = ab.Sides("a", "b", (METRIC,), budget_s=float("inf"))
        found = ab.ab(_RECORD.experiment, sides, SESSION)
    return Outcome(found, before.repetition + after.repetition)


@dataclass(frozen=True)
class Outcome:
    """What one comparison said, and how many trials it took beside the baseline's."""

    comparison: Comparison
    trials: int


def remember() -> None:
    """Let this process draw permutations and resamples of one shape once.

    They depend on shape and seed alone, so nothing else changes.
    """
    for name in ("_assignments", "_signs", "_resamples"):
        setattr(contrast, name, cache(getattr(contrast, name)))
