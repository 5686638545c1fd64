"""What gate and pairs make of trials on paper: false alarms, power, trials, beside other tools.

The deciding loops of `gate.decide` and `paired.ab` run as they are; only trials are drawn instead
of measured (`paper.py`). A 5 % slowdown is 0.95 of the work per second. Seeds are fixed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np

from cgbench.commands import gate
from cgbench.judging import comparison
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Judgement
from cgbench.units import NS_PER_MS
from tests.bench import paper
from tests.bench.figure import Figure, at_most
from tests.bench.paper import Weather
from tests.bench.rules import RULES, Floats
from tests.made.run_builder import MadeUp, build

SLOWER = 0.95
BASELINE = 30
"""Trials of a baseline as the job takes it, and what the bar's fixed rule has as well."""
FIXED = 30
MANY, SOME = 10_000, 2_000

CALM = Weather()
HEAVY = Weather(tails=3, broken=0.02)
ROUGH = Weather(tails=3, broken=0.02, drift=paper.NOISE, memory=0.9)
"""Drift as large as the noise, which lasts for about ten trials: half of all pairs of
sessions truly differ by more than 2 %. Of 30 such trials some three are independent."""

BRIEF = Weather(tails=3, broken=0.02, drift=paper.NOISE, memory=0.5)
SLIGHT = Weather(tails=3, broken=0.02, drift=paper.NOISE / 3, memory=0.9)
HALF = Weather(tails=3, broken=0.02, drift=paper.NOISE / 2, memory=0.9)

_MADE = 20
_PROCESSES = 2
_PARTS = 8


@dataclass(frozen=True)
class Task:
    """So many comparisons in one weather; `baseline` None for pairs."""

    weather: Weather
    factor: float
    baseline: int | None
    rounds: int
    seed: int


@dataclass(frozen=True)
class Tally:
    """What the comparisons said, as shares, and how many trials each took on average."""

    shares: dict[Judgement, float]
    trials: float

    def pct(self, judgement: Judgement) -> float:
        return 100 * self.shares.get(judgement, 0.0)

    @property
    def regressed(self) -> float:
        return self.pct(Judgement.REGRESSED)


def figures(scratch: Path) -> Iterator[Figure]:
    """Compute every figure; six minutes on two CPUs."""
    try:
        yield from _false_alarms()
        yield from _power()
    finally:
        _pool().terminate()
        _pool.cache_clear()
    yield from _other_tools()
    yield from _times(scratch)


def _false_alarms() -> Iterator[Figure]:
    cells = (
        ("gate, heavy tails", HEAVY, BASELINE),
        ("gate, and long drift, noise / 3", SLIGHT, BASELINE),
        ("gate, and brief drift, noise x 1", BRIEF, BASELINE),
        ("gate, and long drift, noise x 1", ROUGH, BASELINE),
        ("ab, and long drift, noise x 1", ROUGH, None),
    )
    for name, weather, trials in cells:
        tally = run(weather, 1.0, trials, MANY)
        yield at_most(f"A/A false alarms: {name}", 1, tally.regressed, " %")
        for judgement in (Judgement.UNCHANGED, Judgement.INCONCLUSIVE, Judgement.IMPROVED):
            yield shown(f"  {judgement}", tally.pct(judgement))
    half = run(HALF, 1.0, BASELINE, MANY)
    yield shown("A/A false alarms: gate, and long drift, noise / 2", half.regressed)
    for trials in (gate.LOOKS[-1], FIXED // 2):
        name = f"the best rule there can be, {trials} trials: long drift"
        yield shown(f"{name}, noise x 1", best_rule(ROUGH, trials))
        yield shown(f"{name}, noise / 2", best_rule(HALF, trials))


def best_rule(weather: Weather, trials: int) -> float:
    """Return the false alarms, in percent, of the most powerful rule that finds 95 of 100.

    It compares the likelihood of steady noise and a slowdown with that of drift and none (Neyman
    and Pearson), knows noise, drift and correlation exactly, and meets no heavy tails: whatever
    judges a baseline of `BASELINE` and so many trials of another session does no better.
    """
    rng = np.random.default_rng(7)
    total = BASELINE + trials
    # What a side's level is, nobody knows: only contrasts between trials count.
    contrasts = np.linalg.qr(np.column_stack([np.ones(total), np.eye(total)[:, 1:]]))[0][:, 1:].T
    noise = paper.NOISE**2 * np.eye(total)
    drift = np.zeros((total, total))
    for part in (slice(None, BASELINE), slice(BASELINE, None)):
        apart = np.abs(np.subtract.outer(range(total)[part], range(total)[part]))
        drift[part, part] = weather.drift**2 * weather.memory**apart
    shift = contrasts @ np.repeat([0, np.log(SLOWER)], [BASELINE, trials])
    steady, drifting = (contrasts @ one @ contrasts.T for one in (noise, noise + drift))
    inverse = [np.linalg.inv(one) for one in (steady, drifting)]

    def favour(seen: Floats) -> Floats:
        """Return twice the logarithm of the ratio of likelihoods, but for a constant."""
        slower = np.einsum("ij,jk,ik->i", seen - shift, inverse[0], seen - shift)
        same: Floats = np.einsum("ij,jk,ik->i", seen, inverse[1], seen) - slower
        return same

    found = favour(rng.multivariate_normal(shift, steady, MANY))
    alarms = favour(rng.multivariate_normal(0 * shift, drifting, MANY))
    return 100 * float(np.mean(alarms >= np.quantile(found, 0.05)))


def _power() -> Iterator[Figure]:
    whole = fixed(SLOWER, SOME // 4)
    for trials in (5, 10, 20):
        tally = run(CALM, SLOWER, trials, SOME)
        yield shown(f"power at 5 %, 3 % noise: gate, baseline of {trials}", tally.regressed)
    gated = run(CALM, SLOWER, BASELINE, SOME)
    pairs = run(CALM, SLOWER, None, SOME)
    yield _reached(f"power at 5 %, 3 % noise: gate, baseline of {BASELINE}", 95, gated.regressed)
    yield _reached("power at 5 %, 3 % noise: ab", 95, pairs.regressed)
    yield shown(f"  fixed {FIXED} a side, same test", whole)
    name = f"trials, confirming ones too, / fixed {FIXED}"
    yield at_most(f"{name}: gate", 0.5, gated.trials / FIXED)
    yield at_most(f"{name} a side: ab", 0.5, pairs.trials / (2 * FIXED))
    unchanged = run(CALM, 1.0, BASELINE, SOME)
    yield shown(f"unchanged, 3 % noise, of ±2 %: gate ({unchanged.trials:.0f} trials)",
               unchanged.pct(Judgement.UNCHANGED))  # fmt: skip


def _reached(name: str, bar: float, value: float) -> Figure:
    return Figure(name, f">= {bar:g} %", f"{value:.2f} %", value >= bar)


def shown(name: str, value: float) -> Figure:
    return Figure(name, "", f"{value:.2f} %", None)


def run(weather: Weather, factor: float, baseline: int | None, rounds: int) -> Tally:
    """Share the comparisons out among the processes."""
    tasks = [
        Task(weather, factor, baseline, rounds // _PARTS, seed) for seed in range(1, _PARTS + 1)
    ]
    parts = _pool().map(_work, tasks, chunksize=1)
    seen: Counter[Judgement] = Counter()
    for counts, _trials in parts:
        seen.update(counts)
    total = sum(seen.values())
    shares = {judgement: count / total for judgement, count in seen.items()}
    return Tally(shares, sum(trials for _counts, trials in parts) / total)


@cache
def _pool() -> Pool:
    # One process per CPU is enough: threads of the matrix product would only be in the way.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    return get_context("spawn").Pool(_PROCESSES, paper.remember)


def _work(task: Task) -> tuple[Counter[Judgement], int]:
    rng = np.random.default_rng(task.seed)
    seen: Counter[Judgement] = Counter()
    trials = 0
    for _ in range(task.rounds):
        if task.baseline is None:
            outcome = paper.alternated(task.weather, task.factor, rng)
        else:
            outcome = paper.gated(task.weather, task.factor, task.baseline, rng)
        seen[outcome.comparison.overall] += 1
        trials += outcome.trials
    return seen, trials


def fixed(factor: float, rounds: int) -> float:
    """Return how often, in percent, one look at `FIXED` trials a side finds a regression."""
    rng = np.random.default_rng(99)
    found = 0
    for _ in range(rounds):
        before, after = (
            paper.side(dict(enumerate(scale * _sessions(CALM, 1, FIXED, rng)[0], 1)))
            for scale in (1.0, factor)
        )
        found += comparison.compare(before, after).overall is Judgement.REGRESSED
    return 100 * found / rounds


# Other tools


def _other_tools() -> Iterator[Figure]:
    for trials in (10, 30):
        rng = np.random.default_rng(trials)
        same = [1 / _sessions(HEAVY, SOME, trials, rng) for _ in range(2)]
        drifted = [1 / _sessions(ROUGH, SOME, trials, rng) for _ in range(2)]
        calm = [1 / _sessions(CALM, SOME, trials, rng) for _ in range(2)]
        for name, rule in RULES.items():
            short_name = f"{name}, {trials} a side"
            yield shown(f"{short_name}: A/A, heavy tails", 100 * float(np.mean(rule(*same))))
            yield shown("  A/A, drift and heavy tails", 100 * float(np.mean(rule(*drifted))))
            slower = rule(calm[0], calm[1] / SLOWER)
            yield shown("  power at 5 %, 3 % noise", 100 * float(np.mean(slower)))


def _sessions(weather: Weather, rounds: int, trials: int, rng: np.random.Generator) -> Floats:
    return np.array([list(islice(weather.session(rng), trials)) for _ in range(rounds)])


# Time


def _times(scratch: Path) -> Iterator[Figure]:
    before, after = _large(1), _large(2)
    begin = time.monotonic()
    comparison.compare(before, after)
    yield at_most("compare: 500 trials a side, 24 series", 3, time.monotonic() - begin, " s")
    runs = [str(_large_run(scratch / one)) for one in ("before", "after")]
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cgbench", "compare", *runs], stdout=subprocess.DEVNULL, check=False
    )
    seconds = time.monotonic() - begin
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"cgbench compare ended with {done.returncode}")
    yield at_most("cgbench compare of two runs of 500 trials", 3, seconds, " s")


def _large(seed: int) -> Baseline:
    """Return 500 trials of 24 series."""
    rng = np.random.default_rng(seed)
    one = paper.side(dict(enumerate(_sessions(CALM, 1, 500, rng)[0], 1)))
    series = tuple(
        one.series[0].model_copy(
            update={
                "requested": str(1000 * number),
                "values": tuple(_sessions(CALM, 1, 500, rng)[0]),
            }
        )
        for number in range(1, 25)
    )
    return one.model_copy(update={"series": series})


def _large_run(results: Path) -> Path:
    """Make a run of 500 trials: twenty, over and over, which differ in nothing but number."""
    directory = build(results, MadeUp(trials=_MADE, hold_ns=500 * NS_PER_MS, sampling_hz=100))
    made, rows = directory.trials(), directory.phases()
    assert rows is not None
    with (directory.path / "trials.jsonl").open("a") as file:
        for turn in range(1, 500 // _MADE):
            for one in made:
                numbers = {
                    "number": one.number + turn * _MADE,
                    "repetition": one.repetition + turn * _MADE,
                }
                file.write(one.model_copy(update=numbers).model_dump_json() + "\n")
    directory.write_phases(
        [
            row._replace(trial=row.trial + turn * _MADE)
            for turn in range(500 // _MADE)
            for row in rows
        ]
    )
    return directory.path
