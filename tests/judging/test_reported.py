"""What a program says of itself over a window: only what lies wholly in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging.container_data import Window
from cgbench.judging.reported import reported
from cgbench.records.trial import Reported

S = 10**9


def window(begin: int, end: int) -> Window:
    return Window(begin * S, end * S, 0, 1, whole_periods=False)


def points(metric: str, *many: tuple[float, float], role: str = "db") -> list[Reported]:
    return [Reported(role=role, t_ns=round(t * S), metric=metric, value=v) for t, v in many]


def test_a_report_that_began_before_the_window_is_of_another_limit() -> None:
    many = points("reported_mean_ms", (9, 99.0), (11, 50.0), (12, 2.0), (13, 4.0), (15, 99.0))
    assert reported(many, "db", window(10, 14)) == {"reported_mean_ms": 3.0}


def test_rates_are_averaged_over_the_time_that_they_are_of() -> None:
    many = points("reported_rate_per_s", (10, 1.0), (13, 100.0), (14, 200.0))
    assert reported(many, "db", window(10, 14)) == {"reported_rate_per_s": 125.0}


def test_of_maxima_the_highest_counts() -> None:
    many = points("reported_max_ms", (10, 1.0), (11, 5.0), (12, 3.0))
    assert reported(many, "db", window(10, 12)) == {"reported_max_ms": 5.0}


def test_where_nothing_lies_in_the_window_there_is_no_figure() -> None:
    many = points("reported_mean_ms", (9, 1.0), (15, 1.0))
    assert reported(many, "db", window(10, 14)) == {}
    assert reported(many, "other", window(0, 99)) == {}
    assert reported([], "db", window(0, 99)) == {}


@given(st.lists(st.floats(0.001, 1e6), min_size=2, max_size=30))
def test_a_rate_lies_between_those_that_were_reported(values: list[float]) -> None:
    many = points("reported_rate_per_s", *((10 + at, value) for at, value in enumerate(values)))
    found = reported(many, "db", window(10, 10 + len(values)))["reported_rate_per_s"]
    assert found is not None
    assert min(values[1:]) <= found * (1 + 1e-9)
    assert found <= max(values[1:]) * (1 + 1e-9)
    assert found == pytest.approx(sum(values[1:]) / len(values[1:]))
