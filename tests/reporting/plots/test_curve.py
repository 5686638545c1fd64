"""Fewer points of a line, the extremes kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cgbench.reporting.plots.curve import Curve, thinned


def curve(y: npt.NDArray[np.float64]) -> Curve:
    return Curve(np.arange(len(y), dtype=float), y)


@given(
    arrays(float, st.integers(0, 3000), elements=st.floats(-1e6, 1e6, allow_subnormal=False)),
    st.integers(0, 500),
)
def test_what_is_left_are_points_of_the_line_in_order(
    y: npt.NDArray[np.float64], points: int
) -> None:
    left = thinned(curve(y), points)
    assert len(left.x) == len(left.y) <= max(8, points) or len(left.x) == len(y)
    assert (np.diff(left.x) > 0).all()
    assert (left.y == y[left.x.astype(int)]).all()


@pytest.mark.parametrize("place", [0, 1, 7_777, 99_998, 99_999])
def test_a_single_spike_survives_among_a_hundred_thousand_points(place: int) -> None:
    y = np.sin(np.arange(100_000) / 1000)
    y[place] = 50.0
    assert thinned(curve(y), 500).y.max() == 50.0


def test_a_short_line_stays_whole() -> None:
    line = curve(np.arange(8.0))
    assert thinned(line, 0) is line
