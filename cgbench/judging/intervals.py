"""Pure statistics on plain numbers; imports nothing of cgbench."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation, in median absolute deviations."""


@dataclass(frozen=True)
class Interval:
    """A median with an interval that covers the true median with probability `level`."""

    median: float
    low: float
    high: float
    level: float


def median_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the median of independent values and its distribution-free interval.

    The interval runs from the k-th smallest to the k-th largest value, with the largest k whose
    coverage 1 − 2·P(Binomial(n, ½) < k) reaches `level`. With few values no k does: then it is
    the whole range, and `level` is its true, lower coverage (n = 2: 50 %, 3: 75 %, 5: 94 %).
    Source: Conover, Practical Nonparametric Statistics, section 3.2. Raises ValueError on no
    values, or on one that is not finite.
    """
    ordered = sorted(values)
    count = len(ordered)
    if not count or not all(map(math.isfinite, ordered)):
        raise ValueError("a median needs values, all of them finite")
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    chosen, coverage = _rank(count, level)
    return Interval(middle, ordered[chosen - 1], ordered[count - chosen], coverage)


@lru_cache(maxsize=1024)
def _rank(count: int, level: float) -> tuple[int, float]:
    """Return which smallest of `count` values the interval begins with, from 1, and its level."""
    # Of the 2^count ways to lie below or above the true median, those with fewer than `rank` below.
    half, below = 1 << (count - 1), 1
    chosen, coverage = 1, 1 - below / half
    for rank in range(2, count // 2 + 1):
        below += math.comb(count, rank - 1)
        if 1 - below / half < level:
            break
        chosen, coverage = rank, 1 - below / half
    return chosen, coverage


def error_pct(value: float, expected: float) -> float | None:
    """Return how far `value` lies from `expected`, in percent of it; None if nothing is expected.

    Raises ValueError when either is not finite.
    """
    if not (math.isfinite(value) and math.isfinite(expected)):
        raise ValueError("an error needs two finite numbers")
    return None if expected == 0 else 100 * (value - expected) / expected


def relative_spread_pct(values: Sequence[float]) -> float | None:
    """Return (largest − smallest) / median in percent, None for no values or a median of 0."""
    if not values:
        return None
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return None if middle == 0 else 100 * (ordered[-1] - ordered[0]) / middle
