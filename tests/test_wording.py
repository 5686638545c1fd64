"""Numbers in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.wording import (
    MINUS,
    amount,
    around,
    capitalised,
    count,
    milliseconds,
    percent_bound,
    quantity,
    signed,
    signed_percent,
    significant,
    whole_percent,
)


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_a_bound_is_never_below_its_value(value: float) -> None:
    bound = float(percent_bound(value).removesuffix(" %"))
    assert bound >= abs(value) - 1e-6
    assert bound <= max(0.1, abs(value) + 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.3, "0.3 %"), (0.31, "0.4 %"), (0.0, "0.1 %"), (-1.98, "2.0 %"), (33.2, "34 %")],
)
def test_a_bound_is_rounded_up(value: float, text: str) -> None:
    assert percent_bound(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.314, "+0.31 %"),
        (-0.794, f"{MINUS}0.79 %"),
        (-33.5, f"{MINUS}34 %"),
        (0.0, "0.00 %"),
        (-0.001, "0.00 %"),
        (9.96, "+10 %"),
    ],
)
def test_a_percentage_shows_its_sign(value: float, text: str) -> None:
    assert signed_percent(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.314, 2, "+0.31"), (-0.314, 1, "-0.3"), (-0.004, 2, "+0.00"), (0.0, 1, "+0.0")],
)
def test_a_number_that_rounds_to_nothing_is_not_below_it(
    value: float, digits: int, text: str
) -> None:
    assert signed(value, digits) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0992053, 4, "0.09921"),
        (1.5, 3, "1.50"),
        (1234.6, 4, "1235"),
        (0.0, 4, "0"),
        (-0.25, 2, f"{MINUS}0.25"),
        (math.inf, 3, "inf"),
    ],
)
def test_a_number_has_so_many_significant_digits(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


@given(st.floats(min_value=1e-6, max_value=1e9), st.integers(2, 6))
def test_significant_digits_keep_the_number(value: float, digits: int) -> None:
    assert float(significant(value, digits)) == pytest.approx(value, rel=10.0 ** (1 - digits))


def test_bytes_get_their_own_unit_and_others_keep_theirs() -> None:
    assert quantity(2**28, "bytes") == amount(2**28, "bytes") == "256 MiB"
    assert quantity(0.997, "CPUs") == "0.997 CPUs"
    assert amount(0.997, "CPUs") == "0.9970"


def test_nouns_agree_with_their_number() -> None:
    assert [count(number, "trial") for number in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_milliseconds_find_their_unit() -> None:
    assert [milliseconds(value) for value in (0.5, 41.2, 1020)] == ["500 µs", "41.2 ms", "1.02 s"]


def test_only_the_first_letter_is_raised() -> None:
    assert capitalised("docker's CPUs") == "Docker's CPUs"
    assert capitalised("") == ""


def test_a_band_that_reaches_farther_one_way_says_both() -> None:
    assert around("2 %", "2 %") == "±2 %"
    assert around("512 KiB", "256 KiB") == f"{MINUS}512 KiB +256 KiB"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.2, "<1 %"), (1, "1 %"), (50.4, "50 %"), (98.6, "99 %"), (99.52, ">99 %"),
     (99.0001, ">99 %"), (100, "100 %"), (104.2, "104 %")],
)  # fmt: skip
def test_a_share_is_all_or_nothing_only_where_it_is(value: float, text: str) -> None:
    assert whole_percent(value) == text
