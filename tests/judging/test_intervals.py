"""Medians, their intervals, errors and spreads, against brute force and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from random import Random

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.judging.intervals import error_pct, median_interval, relative_spread_pct

relaxed = settings(deadline=None)
LEVEL = 0.95

finite = st.floats(-1e9, 1e9, allow_nan=False)
samples = st.lists(finite, min_size=1, max_size=40)


def rank_of(count: int) -> int:
    """Return which smallest value the interval of `count` values begins with, from 1."""
    return int(median_interval(range(1, count + 1)).low)


# The median and its interval


@given(samples)
@relaxed
def test_the_median_is_numpys(values: list[float]) -> None:
    assert median_interval(values).median == pytest.approx(float(np.median(values)))


@given(samples)
@relaxed
def test_the_interval_runs_between_two_of_the_values_of_mirrored_rank(values: list[float]) -> None:
    interval = median_interval(values)
    ordered, rank = sorted(values), rank_of(len(values))
    assert (interval.low, interval.high) == (ordered[rank - 1], ordered[-rank])
    assert interval.low <= interval.median <= interval.high


@given(values=samples, random=st.randoms())
@relaxed
def test_the_order_of_values_does_not_matter(values: list[float], random: Random) -> None:
    other = list(values)
    random.shuffle(other)
    assert median_interval(other) == median_interval(values)


def brute_force_coverage(count: int, rank: int) -> float:
    """Go through every way in which `count` values can lie below or above the true median."""
    covered = 0
    for signs in product((False, True), repeat=count):
        below = sum(signs)
        covered += below >= rank and count - below >= rank
    return covered / (1 << count)


@pytest.mark.parametrize("count", range(1, 15))
def test_the_reported_level_is_the_coverage_that_brute_force_finds(count: int) -> None:
    interval = median_interval(range(1, count + 1))
    assert interval.level == pytest.approx(brute_force_coverage(count, rank_of(count)))


@pytest.mark.parametrize("count", range(1, 15))
def test_no_narrower_interval_would_reach_the_level(count: int) -> None:
    narrower = rank_of(count) + 1
    assert narrower > count / 2 or brute_force_coverage(count, narrower) < LEVEL


@pytest.mark.parametrize("count", range(6, 200))
def test_from_six_values_on_the_level_is_reached_with_the_rank_of_the_binomial(count: int) -> None:
    rank = rank_of(count)
    tail = [scipy.special.bdtr(below, count, 0.5) for below in (rank - 1, rank)]
    assert median_interval(range(count)).level == pytest.approx(1 - 2 * tail[0])
    assert 1 - 2 * tail[0] >= LEVEL > 1 - 2 * tail[1]


@pytest.mark.parametrize(("count", "level"), [(1, 0), (2, 0.5), (3, 0.75), (5, 0.9375)])
def test_few_values_give_their_whole_range_and_its_lower_coverage(count: int, level: float) -> None:
    values = [float(value) for value in range(count)]
    interval = median_interval(values)
    assert (interval.low, interval.high, interval.level) == (values[0], values[-1], level)


@pytest.mark.parametrize("count", [3, 5, 10, 30])
@pytest.mark.parametrize("distribution", ["normal", "exponential", "cauchy"])
def test_intervals_of_simulated_trials_cover_the_true_median_as_often_as_stated(
    count: int, distribution: str
) -> None:
    random = np.random.default_rng(20261124)
    true = {"normal": 0.0, "exponential": math.log(2), "cauchy": 0.0}[distribution]
    draw = {
        "normal": random.standard_normal,
        "exponential": random.standard_exponential,
        "cauchy": random.standard_cauchy,
    }[distribution]
    intervals = [median_interval(draw(count).tolist()) for _ in range(3000)]
    covered = float(np.mean([one.low <= true <= one.high for one in intervals]))
    # Four standard errors of a share of 3000.
    level = intervals[0].level
    assert abs(covered - level) < 4 * math.sqrt(level * (1 - level) / 3000)


def test_a_lower_level_may_be_asked_for() -> None:
    wide, narrow = median_interval(range(30)), median_interval(range(30), level=0.5)
    assert wide.low < narrow.low <= narrow.high < wide.high
    assert narrow.level >= 0.5


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [1.0, -math.inf]])
def test_no_values_or_one_that_is_not_finite_have_no_median(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a median needs values, all of them finite"):
        median_interval(values)


# Errors and spreads


@given(value=finite, expected=finite.filter(lambda number: abs(number) > 1e-6))
@relaxed
def test_an_error_is_in_percent_of_what_was_expected(value: float, expected: float) -> None:
    error = error_pct(value, expected)
    assert error is not None
    assert expected * (1 + error / 100) == pytest.approx(value, abs=1e-3)


def test_an_error_keeps_its_sign() -> None:
    assert error_pct(0.49, 0.5) == pytest.approx(-2)
    assert error_pct(0.51, 0.5) == pytest.approx(2)


def test_where_nothing_is_expected_there_is_no_error() -> None:
    assert error_pct(1.0, 0.0) is None


@pytest.mark.parametrize(("value", "expected"), [(math.nan, 1), (1, math.nan), (math.inf, 1)])
def test_an_error_of_what_is_not_finite_is_refused(value: float, expected: float) -> None:
    with pytest.raises(ValueError, match="two finite numbers"):
        error_pct(value, expected)


@pytest.mark.parametrize(
    ("values", "spread"),
    [([], None), ([5.0], 0), ([4.0, 5.0, 6.0], 40), ([4.0, 6.0], 40), ([-1.0, 0.0, 1.0], None)],
)
def test_a_spread_is_the_range_in_percent_of_the_median(
    values: Sequence[float], spread: float | None
) -> None:
    assert relative_spread_pct(values) == spread


@given(values=st.lists(st.floats(0.1, 1e6), min_size=1), factor=st.floats(0.1, 1e3))
@relaxed
def test_a_spread_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    spread = relative_spread_pct(values)
    assert spread is not None
    assert spread >= 0
    assert relative_spread_pct([factor * value for value in values]) == pytest.approx(
        spread, abs=1e-6
    )
