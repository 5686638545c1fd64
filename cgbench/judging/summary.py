"""A run's rows across its trials: each metric's median at each point, with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from cgbench.judging.bands import Bands
from cgbench.judging.intervals import error_pct, median_interval
from cgbench.records.run import PointKey, Row
from cgbench.spec.band import Tolerance

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A metric at one requested value, across trials.

    `low` and `high` bound the median with probability `level`; None where one trial allows none.
    `tolerance` is how far from `expected` the median may lie, and `within` whether it does: None
    where nothing is expected, or the value shows nothing.
    """

    unit: str
    expected: float | None
    median: float
    low: float | None
    high: float | None
    level: float | None
    trials: int
    error_pct: float | None
    tolerance: Tolerance | None = None
    within: bool | None = None

    @property
    def tolerance_pct(self) -> Tolerance | None:
        """The tolerance in percent of the expected value, None where there is none."""
        if self.tolerance is None or not self.expected:
            return None
        below, above = self.tolerance.below, self.tolerance.above
        return Tolerance(100 * below / self.expected, 100 * above / self.expected)

    @property
    def allowed(self) -> float:
        """How far the median may lie on its side of what is expected, 0 where no band is known."""
        if self.tolerance is None or self.expected is None:
            return 0.0
        return self.tolerance.beside(self.median, self.expected)

    @property
    def error_bounds_pct(self) -> tuple[float, float] | None:
        """The interval as errors in percent of the expected value, None where there is none."""
        if self.low is None or self.high is None or not self.expected:
            return None
        low, high = (100 * (end / self.expected - 1) for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Entry:
    """One metric at one point; `enforced` is the text of its files, None where trials differ."""

    key: PointKey
    metric: str
    enforced: str | None
    estimate: Estimate

    def to_json(self) -> dict[str, str | float | None]:
        """Return it as `cgbench show RUN --json` gives it; one trial's interval has level 0."""
        one = self.estimate
        return {
            **self.key._asdict(),
            "metric": self.metric,
            "unit": one.unit,
            "enforced": self.enforced,
            "expected": one.expected,
            "median": one.median,
            "ci_low": one.median if one.low is None else one.low,
            "ci_high": one.median if one.high is None else one.high,
            "ci_level": one.level or 0.0,
            "n_trials": one.trials,
            "error_pct": one.error_pct,
            "tolerance": None if one.tolerance is None else one.tolerance.below,
            "tolerance_above": None if one.tolerance is None else one.tolerance.above,
            "within": one.within,
        }


def summary(rows: Iterable[Row], bands: Bands) -> tuple[Entry, ...]:
    """Return one entry per point and metric, in the order of the rows.

    A trial counts once: the median of its phases at that point.
    """
    groups: dict[tuple[PointKey, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.key, row.metric), []).append(row)
    return tuple(
        Entry(key, metric, _only(row.effective for row in group), estimated(group, bands))
        for (key, metric), group in groups.items()
    )


def estimated(rows: Sequence[Row], bands: Bands) -> Estimate:
    """Return the estimate of one metric at one point; `rows` must not be empty."""
    by_trial: dict[int, list[float]] = {}
    for row in rows:
        by_trial.setdefault(row.trial, []).append(row.value)
    interval = median_interval([median(values) for values in by_trial.values()])
    alone = len(by_trial) < 2
    expected = _only(row.expected for row in rows)
    held = bands.held(rows, interval.median, expected)
    return Estimate(
        unit=rows[0].unit,
        expected=expected,
        median=interval.median,
        low=None if alone else interval.low,
        high=None if alone else interval.high,
        level=None if alone else interval.level,
        trials=len(by_trial),
        error_pct=None if expected is None else error_pct(interval.median, expected),
        tolerance=None if held is None else held.tolerance,
        within=None if held is None else held.within,
    )


def _only(values: Iterable[T | None]) -> T | None:
    """Return the value that all share, None if they differ or it is absent."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
