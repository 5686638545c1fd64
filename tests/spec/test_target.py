"""A target as people type it, and every slip with one that is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import OptionError
from cgbench.spec import target
from cgbench.spec.metrics import METRICS


@pytest.mark.parametrize(
    ("text", "metric", "bound", "value"),
    [
        ("p99<=20ms", "latency_p99_ms", "<=", 20.0),
        ("p99 <= 0.5s", "latency_p99_ms", "<=", 500.0),
        ("p50<=250µs", "latency_p50_ms", "<=", 0.25),
        ("max<=1", "latency_max_ms", "<=", 1.0),
        ("rps>=900", "requests_per_s", ">=", 900.0),
        ("failed<=0.1%", "failed_pct", "<=", 0.1),
        ("latency_p99_ms<=20", "latency_p99_ms", "<=", 20.0),
        ("work_per_s>=1.5", "work_per_s", ">=", 1.5),
        ("wake_p99_us<=3ms", "wake_p99_us", "<=", 3000.0),
    ],
)
def test_people_write_targets_in_many_ways(
    text: str, metric: str, bound: str, value: float
) -> None:
    found = target.parse(text)
    assert (found.metric, found.bound, found.value) == (metric, bound, value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no metric"),
        ("p99", "no metric"),
        ("p99<20ms", "no metric"),
        ("p99==20ms", "no metric"),
        ("p98<=20ms", "unknown metric p98"),
        ("p99<=fast", "fast"),
        ("p99<=-5ms", "-5ms"),
        ("rps>=many", "no number"),
        ("p99>=20ms", "more of .* is worse"),
        ("rps<=900", "more of .* is better"),
    ],
)
def test_a_slip_is_answered_with_what_is_right(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        target.parse(text)
    assert caught.value.advice


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_a_value_meets_a_target_on_its_own_side_only(bound: float, value: float) -> None:
    ceiling = target.Target(metric="latency_p99_ms", bound="<=", value=bound)
    floor = target.Target(metric="requests_per_s", bound=">=", value=bound)
    assert ceiling.met_by(value) is (value <= bound)
    assert floor.met_by(value) is (value >= bound)


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_an_error_of_ours(text: str) -> None:
    try:
        found = target.parse(text)
    except OptionError as error:
        assert error.advice  # noqa: PT017
    else:
        assert found.metric in METRICS
        assert found.value >= 0


def test_a_target_is_said_with_its_unit() -> None:
    assert target.parse("p99<=20ms").words.endswith("<= 20 ms")
