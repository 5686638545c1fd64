"""Where a target begins to be met as a limit rises, from trials that each met it or did not.

Near the knee one limit meets its target in some trials and misses it in others. So a curve is
fitted: the chance to meet the target rises with the logarithm of the limit as a logistic function
does, and two numbers say all: the knee, where it is one half, and how steeply it rises. What is
known of them is kept as weights on a grid, which every trial multiplies with its likelihood
(Watson and Pelli, QUEST, 1983; Kontsevich and Tyler, 1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LAPSE = 0.02
"""How often a trial may come out otherwise for reasons that have nothing to do with the limit."""

LEVEL = 0.95
"""With which probability an interval holds the knee, and a value to suggest meets its target."""

_STEP = 0.004
_BEYOND = 0.05
_STEEPNESS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """The median of what is known of the knee, and between what it lies with probability LEVEL."""

    median: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """How many times the lower end its upper end is."""
        return self.high / self.low


class Posterior:
    """What trials say of the knee of a limit that was tried between `low` and `high`.

    Both are above 0, and in the limit's unit. The knee may lie beyond either.
    """

    def __init__(self, low: float, high: float) -> None:
        if not 0 < low < high or not math.isfinite(high):
            raise ValueError("a knee is looked for between two limits above 0")
        self.low, self.high = low, high
        begin, end = math.log(low) - _BEYOND, math.log(high) + _BEYOND
        self._knees: Floats = np.linspace(begin, end, math.ceil((end - begin) / _STEP) + 1)
        self._widths: Floats = np.array(_STEEPNESS)
        shape = (len(self._knees), len(self._widths))
        self._log_weights: Floats = np.zeros(shape)

    def learn(self, limit: float, *, met: bool) -> None:
        """Take in that one trial at `limit` met the target, or did not."""
        chance = self._chances(limit)
        self._log_weights += np.log(chance if met else 1 - chance)
        self._log_weights -= self._log_weights.max()

    def knee(self) -> Interval:
        """Return where the knee lies."""
        tail = (1 - LEVEL) / 2
        cumulated = np.cumsum(self._weights().sum(axis=1))
        places = np.searchsorted(cumulated, np.array((tail, 0.5, 1 - tail)) * cumulated[-1])
        low, median, high = np.exp(self._knees[np.minimum(places, len(self._knees) - 1)])
        return Interval(float(median), float(low), float(high))

    def chance(self, limit: float) -> float:
        """Return how probable it is that a trial at `limit` meets the target."""
        return float((self._weights() * self._chances(limit)).sum())

    def limits(self, chances: Sequence[float]) -> list[float | None]:
        """Return the smallest limits that meet the target with these probabilities, None if none.

        They lie between the lowest and the highest limit that may be tried.
        """
        weights, number = self._weights(), len(self._knees)
        # A chance depends only on how far a limit lies from the knee: so all are one convolution.
        step = self._knees[1] - self._knees[0]
        apart = np.arange(1 - number, number) * step
        met = np.zeros(number)
        for at, width in enumerate(self._widths):
            met += np.convolve(weights[:, at], _chance(apart / width))[number - 1 : 2 * number - 1]
        grid = np.exp(self._knees)
        within = (grid >= self.low * (1 - 1e-9)) & (grid <= self.high * (1 + 1e-9))
        found: list[float | None] = []
        for chance in chances:
            enough = np.flatnonzero(within & (met >= chance))
            found.append(float(grid[enough[0]]) if enough.size else None)
        return found

    def blur(self) -> float:
        """Return how many times the limit met in one of four trials that in three of four is.

        Of what is known of the steepness, the median. No more can be known of a knee than that.
        """
        cumulated = np.cumsum(self._weights().sum(axis=0))
        width = self._widths[int(np.searchsorted(cumulated, cumulated[-1] / 2))]
        return float(np.exp(2 * math.log(3) * width))

    def outside(self) -> tuple[float, float]:
        """Return how probable it is that the knee lies below `low`, and above `high`."""
        by_knee = self._weights().sum(axis=1)
        below = float(by_knee[self._knees < math.log(self.low)].sum())
        above = float(by_knee[self._knees > math.log(self.high)].sum())
        return below, above

    def _weights(self) -> Floats:
        weights: Floats = np.exp(self._log_weights)
        weights /= weights.sum()
        return weights

    def _chances(self, limit: float) -> Floats:
        """Return how probable it is that a trial meets the target, for each knee and steepness."""
        return _chance((math.log(limit) - self._knees[:, None]) / self._widths[None, :])


def _chance(off: Floats) -> Floats:
    """Return how probable it is to meet the target, so many widths above the knee."""
    chances: Floats = LAPSE + (1 - 2 * LAPSE) / (1 + np.exp(-np.clip(off, -60, 60)))
    return chances
