"""Where a series of values changed for good: the only importer of Apache Otava."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.errors import HistoryError

FEWEST = 6
"""With fewer values a change can hardly be distinguished from chance."""

MAX_P = 0.0001
"""The bound on p in Otava's second step, see `find`."""

SMALLEST_PCT = 2.0
"""Smaller changes are not reported."""

# Otava's own defaults: how many values it looks at around a candidate, and which are candidates.
_WINDOW, _CANDIDATE_P = 50, 0.01


@dataclass(frozen=True)
class Split:
    """A change point: `index` is the first value of the new level; the levels are means.

    `p` is Student's t-test between both sides. The split was chosen to make it small, so it is a
    bound that Otava works with, not the probability of a false alarm.
    """

    index: int
    before: float
    after: float
    p: float

    @property
    def change_pct(self) -> float | None:
        """How far the level moved, in percent of the old one; None where that is 0."""
        return None if self.before == 0 else 100 * (self.after - self.before) / self.before


def require() -> None:
    """Raise HistoryError where Otava is not installed."""
    try:
        import otava.analysis  # noqa: F401
    except ImportError as error:
        raise HistoryError(
            f"change points need Apache Otava, which is not installed: {error}",
            "Install it: pip install 'cgbench[history]'.",
        ) from None


def find(values: Sequence[float]) -> list[Split]:
    """Return the change points of finite values in order of time, none of fewer than FEWEST.

    Source: Fleming et al., Hunter: Using Change Point Detection to Hunt for Performance
    Regressions, 2023, which Otava implements. Raises HistoryError where it is not installed.
    """
    require()
    from otava.analysis import merge, split

    if len(values) < FEWEST:
        return []
    numbers = [float(value) for value in values]
    # Otava's own call ties both bounds together. At p 0.001 it finds a change in 4 % of stable
    # series of 60 values; at 0.0001 it misses a level that begins and ends within one window.
    candidates = split(numbers, _WINDOW, _CANDIDATE_P)
    found = merge(candidates, numbers, MAX_P, SMALLEST_PCT / 100)
    splits = [
        Split(
            index=int(one.index),
            before=float(one.stats.mean_before()),
            after=float(one.stats.mean_after()),
            p=float(one.stats.pvalue),
        )
        for one in found
    ]
    # Otava measures a change by the lower of both levels: 1.98 % of the old one may be 2.01 %.
    return [one for one in splits if one.change_pct is None or abs(one.change_pct) >= SMALLEST_PCT]
