"""How often a worker stalls for how long."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.reporting.plots.stall_rates import BINS_PER_DECADE, THRESHOLD_MS, StallCount

LENGTHS = st.lists(st.floats(THRESHOLD_MS, 5000.0), min_size=1, max_size=200)


@given(st.lists(LENGTHS, min_size=1, max_size=4), st.floats(0.5, 100.0))
def test_each_point_of_the_curve_counts_the_stalls_at_least_that_long(
    trials: list[list[float]], seconds: float
) -> None:
    counted = StallCount()
    for lengths in trials:
        counted.add(np.array(lengths), seconds)
    curve = counted.curve()
    everything = np.concatenate(trials)
    total_s = seconds * len(trials)
    # A bin is 6 % wide; a length at its very edge may fall on either side.
    step = 10 ** (1 / BINS_PER_DECADE)
    for x, y in zip(curve.x[:-1], curve.y[:-1], strict=True):
        most = (everything >= x / step).sum() / total_s
        least = (everything >= x * step).sum() / total_s
        assert least - 1e-9 <= y <= most + 1e-9
    assert curve.x[-1] == everything.max()
    assert curve.y[0] == pytest.approx(len(everything) / total_s)
    assert (np.diff(curve.y) <= 1e-9).all()


def test_seconds_without_a_stall_lower_the_rate() -> None:
    counted = StallCount()
    counted.add(np.array([10.0, 10.0]), 1.0)
    counted.add(np.array([]), 3.0)
    assert counted.curve().y[0] == 0.5


def test_a_plateau_keeps_only_its_ends() -> None:
    counted = StallCount()
    counted.add(np.full(50, 95.0), 5.0)
    curve = counted.curve()
    assert list(curve.y[:2]) == [10.0, 10.0]
    assert len(curve.x) <= 4
    assert curve.x[0] == THRESHOLD_MS
