"""Change points: found where a level moves, not in steady series, and an error without Otava."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import HistoryError
from cgbench.judging import change_points
from cgbench.judging.change_points import FEWEST, Split, find


def levels(*parts: tuple[float, int], noise: float = 0.01, seed: int = 1) -> list[float]:
    rng = np.random.default_rng(seed)
    return [
        level * (1 + noise * rng.standard_normal()) for level, count in parts for _ in range(count)
    ]


def test_a_level_that_moves_is_found_where_it_moves() -> None:
    (only,) = find(levels((1.0, 15), (0.95, 15)))
    assert only.index == 15
    assert only.change_pct == pytest.approx(-5, abs=0.8)
    assert only.p < change_points.MAX_P
    assert [only.before, only.after] == pytest.approx([1, 0.95], rel=0.01)


def test_two_moves_are_two_change_points_in_order() -> None:
    assert [one.index for one in find(levels((1.0, 12), (1.2, 12), (1.0, 12)))] == [12, 24]


def test_steady_series_seldom_have_one() -> None:
    found = [find(levels((1.0, 30), noise=0.03, seed=seed)) for seed in range(200)]
    assert sum(map(bool, found)) <= 2


def test_a_move_below_the_smallest_that_matters_is_not_reported() -> None:
    assert find(levels((1.0, 20), (1.01, 20), noise=0.0001)) == []


def test_too_few_values_have_none() -> None:
    assert find([1.0] * (FEWEST // 2) + [2.0] * (FEWEST // 2 - 1)) == []
    assert len(find([1.0] * (FEWEST // 2) + [2.0] * (FEWEST // 2))) == 1


@given(
    parts=st.lists(st.tuples(st.floats(1, 1000), st.integers(1, 12)), min_size=1, max_size=4),
    noise=st.sampled_from([0.0, 0.01, 0.1]),
    unit=st.sampled_from([2.0**-30, 4.0, 2.0**30]),
)
def test_change_points_lie_within_the_series_and_are_the_same_in_another_unit(
    parts: list[tuple[float, int]], noise: float, unit: float
) -> None:
    values = levels(*parts, noise=noise)
    found = find(values)
    assert [one.index for one in found] == sorted({one.index for one in found})
    for one in found:
        assert 0 < one.index < len(values)
        assert 0 <= one.p <= change_points.MAX_P
        for mean in (one.before, one.after):
            assert min(values) * (1 - 1e-9) <= mean <= max(values) * (1 + 1e-9)
        assert one.change_pct is not None
        assert abs(one.change_pct) >= change_points.SMALLEST_PCT
    # A power of two changes no digit of a value.
    elsewhere = find([value * unit for value in values])
    assert [one.index for one in elsewhere] == [one.index for one in found]


def test_a_change_from_0_has_no_percentage() -> None:
    (only,) = find([0.0] * 6 + [3.0] * 6)
    assert only.change_pct is None
    assert Split(1, 2.0, 3.0, 0.0).change_pct == 50


def test_without_otava_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "otava", None)
    monkeypatch.setitem(sys.modules, "otava.analysis", None)
    with pytest.raises(HistoryError, match="Otava") as caught:
        find([1.0] * 10)
    assert caught.value.advice == "Install it: pip install 'cgbench[history]'."
