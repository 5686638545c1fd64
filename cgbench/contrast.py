"""Candidate against baseline, in numbers: ratio, interval, evidence; imports nothing of cgbench.

The unit is the trial, which carries all metrics at once. Evidence is a permutation test whose
statistic is the largest Welch t of the whole family (Westfall and Young 1993, single-step maxT):
its p-values are corrected for the number of metrics, keep their correlation, and need no
assumption on the tails. The interval is a BCa bootstrap of the ratio (Efron 1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Worse = Literal["lower", "higher", "either"]

RESAMPLES = 2000
PERMUTATIONS = 10_000
# Values further than this many (normal-consistent) median deviations beyond both sides' medians
# are pulled in to there: one broken trial shall not decide.
_CLIP = 5.0
_MAD_TO_SIGMA = 1.4826
# Below this share of the smallest effect a spread is rounding, not noise.
_FLOOR = 0.01


@dataclass(frozen=True)
class Family:
    """What is compared at once: rows are trials, columns metrics, NaN where one lacks a value.

    `worse`, `effect` and `resolution` have an entry per column: the direction to fear, the
    smallest share that matters, and what is added to all values of a column that has zeros, in
    its own unit, since a ratio of nothing means nothing (0: such a column has no ratio).
    Paired sides have as many rows, row by row measured together.
    """

    baseline: Floats
    candidate: Floats
    worse: Sequence[Worse]
    effect: Sequence[float]
    resolution: Sequence[float]
    paired: bool = False


@dataclass(frozen=True)
class Contrast:
    """One metric: candidate over baseline with its interval, and p-values of the family.

    `ratio` is None where no ratio exists. `p_worse` and `p_better` are None where there are no
    two trials on each side. `spread` is the standard deviation of a single trial, as a share.
    """

    ratio: float | None
    low: float | None
    high: float | None
    p_worse: float | None
    p_better: float | None
    spread: float | None


def contrasts(family: Family, seed: int = 0, level: float = 0.95) -> list[Contrast]:
    """Compare every column of the two sides.

    Raises ValueError when the sides have no or differing columns, or paired ones differing rows.
    """
    before, after = family.baseline, family.candidate
    if before.ndim != 2 or after.ndim != 2 or before.shape[1] != after.shape[1]:
        raise ValueError("both sides need rows of trials with the same columns")
    if family.paired and before.shape != after.shape:
        raise ValueError("paired sides need equally many trials")
    rng = np.random.default_rng(seed)
    scaled = [
        _scaled(before[:, column], after[:, column], family.resolution[column])
        for column in range(before.shape[1])
    ]
    usable = [one is not None for one in scaled]
    empty = (np.full(len(before), math.nan), np.full(len(after), math.nan))
    sides = [one if one is not None else empty for one in scaled]
    left = np.column_stack([one[0] for one in sides])
    right = np.column_stack([one[1] for one in sides])
    floor = np.array([_FLOOR * math.log1p(effect) for effect in family.effect])
    p_worse, p_better = _evidence(left, right, floor, family, rng)
    return [
        _contrast(left[:, j], right[:, j], float(p_worse[j]), float(p_better[j]),
                  family.paired, level, rng)
        if usable[j] else Contrast(None, None, None, None, None, None)
        for j in range(len(sides))
    ]  # fmt: skip


def _scaled(before: Floats, after: Floats, resolution: float) -> tuple[Floats, Floats] | None:
    """Return logarithms with far values pulled in, None where a ratio would mean nothing."""
    known = np.concatenate([before, after])
    known = known[np.isfinite(known)]
    if not np.isfinite(before).any() or not np.isfinite(after).any() or (known < 0).any():
        return None
    if (known == 0).any():
        start = 1.0 if (known == 0).all() else resolution
        if start <= 0:
            return None
        before, after = before + start, after + start
    sides = (np.log(before), np.log(after))
    middles = [float(np.nanmedian(side)) for side in sides]
    off = np.concatenate([side - middle for side, middle in zip(sides, middles, strict=True)])
    reach = _CLIP * _MAD_TO_SIGMA * float(np.nanmedian(np.abs(off)))
    if reach > 0:
        # The same bounds for all: a value is not pulled in for the side it is on.
        low, high = min(middles) - reach, max(middles) + reach
        sides = (np.clip(sides[0], low, high), np.clip(sides[1], low, high))
    return sides


def _evidence(
    left: Floats, right: Floats, floor: Floats, family: Family, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return family-wise p-values that the candidate is worse, and that it is better."""
    if family.paired:
        observed, permuted = _paired_statistics(right - left, floor, rng)
    else:
        observed, permuted = _statistics(left, right, floor, rng)
    sign = np.array([-1.0 if one == "lower" else 1.0 for one in family.worse])
    either = np.array([one == "either" for one in family.worse])
    seen = np.where(either, np.abs(observed), sign * observed)
    drawn = np.where(either, np.abs(permuted), sign * permuted)
    return _corrected(seen, drawn), _corrected(
        np.where(either, math.nan, -seen), np.where(either, math.nan, -drawn)
    )


def _corrected(seen: Floats, drawn: Floats) -> Floats:
    """Return for each statistic how often the largest of a permutation reaches it."""
    largest = np.max(np.where(np.isnan(drawn), -math.inf, drawn), axis=1)
    largest.sort()
    # Sums differ in their last bits with the order of terms; a tie must count as reached.
    reached = len(largest) - np.searchsorted(largest, seen - 1e-9 * (1 + np.abs(seen)))
    return np.where(np.isnan(seen), math.nan, np.minimum(1.0, reached / len(largest)))


def _statistics(
    left: Floats, right: Floats, floor: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return Welch's t of every column, and of every column in every permutation of the rows."""
    rows = np.vstack([left, right])
    chosen = _assignments(len(left), len(right), rng)
    known = np.isfinite(rows)
    # Centred: the variance is a difference of large sums otherwise.
    centre = np.where(known, rows, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    values = np.where(known, rows - centre, 0.0)
    sums = [known.sum(axis=0), values.sum(axis=0), (values**2).sum(axis=0)]
    parts = [chosen @ known, chosen @ values, chosen @ values**2]
    rest = [total - part for total, part in zip(sums, parts, strict=True)]
    mean_b, square_b = _moments(*rest)
    mean_c, square_c = _moments(*parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (mean_c - mean_b) / np.sqrt(square_b + square_c + floor**2)
    # The first assignment is the one that was measured.
    return t[0], t


def _moments(count: Floats, total: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Return means and their squared standard errors, NaN for fewer than two values."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        variance = np.maximum(0.0, squares - count * mean**2) / (count - 1)
        error = variance / count
    enough = count >= 2
    return np.where(enough, mean, math.nan), np.where(enough, error, math.nan)


def _assignments(left: int, right: int, rng: np.random.Generator) -> Floats:
    """Return which rows are called candidate: all ways if they are few, else a random lot.

    The first is the one measured, which counts among the random ones (Phipson and Smyth 2010).
    """
    total = left + right
    if math.comb(total, right) <= PERMUTATIONS:
        ways = list(combinations(range(total), right))
        chosen = np.zeros((len(ways), total))
        chosen[np.arange(len(ways))[:, None], np.array(ways)] = 1.0
        return chosen[::-1]
    order = rng.random((PERMUTATIONS, total)).argsort(axis=1)
    chosen = (order >= left).astype(float)
    chosen[0] = np.arange(total) >= left
    return chosen


def _paired_statistics(
    differences: Floats, floor: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the t of every column of differences, and those with signs turned at random."""
    count = len(differences)
    if 2**count <= PERMUTATIONS:
        signs = np.array(list(islice(product((1.0, -1.0), repeat=count), 2**count)))
    else:
        signs = rng.choice((1.0, -1.0), (PERMUTATIONS, count))
        signs[0] = 1.0
    known = np.isfinite(differences)
    values = np.where(known, differences, 0.0)
    number = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = signs @ values / number
        variance = ((values**2).sum(axis=0) - number * mean**2) / (number - 1)
        t = mean / np.sqrt(np.maximum(0.0, variance) / number + floor**2)
    t = np.where(number >= 2, t, math.nan)
    return t[0], t


def _contrast(
    left: Floats, right: Floats, p_worse: float, p_better: float, paired: bool, level: float,
    rng: np.random.Generator,
) -> Contrast:  # fmt: skip
    before, after = left[np.isfinite(left)], right[np.isfinite(right)]
    if paired:
        differences = right - left
        differences = differences[np.isfinite(differences)]
        middle, spread = float(np.mean(differences)), _deviation(differences) / math.sqrt(2)
        low, high = _interval((differences,), level, rng)
    else:
        middle = float(np.mean(after) - np.mean(before))
        spread = math.sqrt((_deviation(before) ** 2 + _deviation(after) ** 2) / 2)
        low, high = _interval((before, after), level, rng)
    return Contrast(
        math.exp(middle),
        None if low is None else math.exp(low),
        None if high is None else math.exp(high),
        None if math.isnan(p_worse) else p_worse,
        None if math.isnan(p_better) else p_better,
        None if math.isnan(spread) else math.expm1(spread),
    )


def _deviation(values: Floats) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _interval(
    samples: tuple[Floats, ...], level: float, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """Return the bootstrap interval of the mean, or of the last mean less the first."""
    from scipy import stats

    if min(len(one) for one in samples) < 3:
        return None, None
    if all(np.ptp(one) == 0 for one in samples):
        # Nothing varies: resampling would only say so again.
        middle = float(np.mean(samples[-1]) - (np.mean(samples[0]) if len(samples) > 1 else 0.0))
        return middle, middle

    def statistic(*parts: Floats, axis: int = -1) -> Floats:
        last: Floats = np.mean(parts[-1], axis=axis)
        return last if len(parts) == 1 else last - np.mean(parts[0], axis=axis)

    found = stats.bootstrap(
        samples, statistic, n_resamples=RESAMPLES, vectorized=True, confidence_level=level,
        method="BCa", rng=rng,
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
