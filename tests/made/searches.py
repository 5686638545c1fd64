"""Searches for a limit: a program that meets its target from a known limit on, and its document."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from cgbench.commands.program_life import Lived, Question
from cgbench.commands.tune import tune
from cgbench.records.tune import Observation, Tuned
from cgbench.spec import target, tunable
from cgbench.spec.program import Load, Program

PROGRAM = Program(image="shop", load=Load(url="http://127.0.0.1:8080/", rate=100))
KNEE = 0.3
RUN = "20261127T120000Z-0001"


def asked(limit: str = "cpus", low: float = 0.03, high: float = 2.0) -> Question:
    """Return what is searched for."""
    return Question(
        "shop", PROGRAM, target.parse("p99<=20ms"), tunable.tunable(limit), low, high,
        3 * 10**9, 600.0,
    )  # fmt: skip


class Program20ms:
    """Lives of a program whose 99th percentile is 5 ms from `knee` on, and 800 ms below it."""

    def __init__(self, knee: float = KNEE, width: float = 0.0, seed: int = 1) -> None:
        self.knee, self.width = knee, width
        self.lives: list[list[float]] = []
        self._rng = random.Random(seed)

    def __call__(self, limits: Sequence[float]) -> Lived:
        self.lives.append(list(limits))
        return Lived(tuple(self._one(limit, 2 * at) for at, limit in enumerate(limits, 1)))

    def _one(self, limit: float, phase: int) -> Observation:
        met = limit >= self.knee
        if self.width:
            off = (math.log(limit) - math.log(self.knee)) / self.width
            met = self._rng.random() < 1 / (1 + math.exp(-off))
        value = 5.0 if met else 800.0
        return Observation(
            limit=limit, value=value, met=met, run=RUN, phase=phase,
            metrics={"latency_p99_ms": value, "throttled_periods_pct": 0.0 if met else 90.0},
        )  # fmt: skip


def found(live: Program20ms | None = None) -> Tuned:
    """Return what such a search comes to."""
    return tune(asked(), live or Program20ms(), seed=1)
