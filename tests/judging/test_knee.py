"""Where a target begins to be met: found from phases that each met it or not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging.knee import LAPSE, LEVEL, Posterior

LOW, HIGH = 0.03, 2.0
SURVEY = [HIGH * (LOW / HIGH) ** (at / 7) for at in range(8)]


def searched(meets: Callable[[float], bool], rounds: int = 8) -> Posterior:
    """Search as `cgbench tune` does: a survey, then around what is known by then."""
    known = Posterior(LOW, HIGH)
    for limit in SURVEY:
        known.learn(limit, met=meets(limit))
    for _ in range(rounds):
        for found in known.limits((0.08, 0.29, 0.5, 0.71, 0.92)):
            limit = HIGH if found is None else found
            known.learn(limit, met=meets(limit))
        if known.knee().ratio <= max(1.05, known.blur()):
            break
    return known


@given(st.floats(0.05, 1.5))
def test_a_sharp_knee_is_found_within_a_few_percent(knee: float) -> None:
    found = searched(lambda limit: limit >= knee).knee()
    assert found.low <= found.median <= found.high
    assert found.median == pytest.approx(knee, rel=0.03)
    assert found.ratio <= 1.05


def test_a_blurred_knee_lies_in_its_interval_as_often_as_that_says() -> None:
    rng = random.Random(3)
    inside = 0
    for _ in range(60):
        knee = math.exp(rng.uniform(math.log(0.06), math.log(1.4)))

        def meets(limit: float, knee: float = knee) -> bool:
            chance = 1 / (1 + math.exp(-(math.log(limit) - math.log(knee)) / 0.02))
            return rng.random() < chance

        found = searched(meets).knee()
        inside += found.low <= knee <= found.high
    # 57 of 60 are expected; below 50 would come about once in a thousand times.
    assert inside >= 50


def test_one_odd_phase_moves_a_knee_hardly() -> None:
    known = searched(lambda limit: limit >= 0.4)
    before = known.knee().median
    known.learn(1.5, met=False)
    assert known.knee().median == pytest.approx(before, rel=0.05)


def test_a_sufficient_limit_lies_above_the_knee_and_meets_it_nearly_always() -> None:
    known = searched(lambda limit: limit >= 0.4)
    (found,) = known.limits((LEVEL,))
    assert found is not None
    assert 0.4 <= found <= 0.46
    assert known.chance(found) >= LEVEL
    assert known.chance(0.3) < 0.1


def test_where_all_or_none_is_met_the_knee_lies_beyond() -> None:
    every, none = searched(lambda _: True), searched(lambda _: False)
    assert every.outside()[0] > LEVEL
    assert none.outside()[1] > LEVEL
    assert none.limits((LEVEL,)) == [None]


def test_nothing_is_known_before_anything_was_tried() -> None:
    known = Posterior(LOW, HIGH)
    assert known.knee().ratio > 30
    assert known.limits((1 - LAPSE / 2,)) == [None]


def test_a_blurred_knee_is_said_to_be_and_a_sharp_one_not() -> None:
    rng = random.Random(5)

    def blurred(limit: float) -> bool:
        return rng.random() < 1 / (1 + math.exp(-(math.log(limit) - math.log(0.4)) / 0.1))

    assert searched(lambda limit: limit >= 0.4).blur() < 1.05
    assert searched(blurred, rounds=20).blur() > 1.1


def test_limits_rise_with_the_chance_that_is_asked_for() -> None:
    known = searched(lambda limit: limit >= 0.4)
    found = known.limits((0.1, 0.5, 0.9))
    assert all(one is not None for one in found)
    assert found == sorted(found, key=lambda one: one or 0.0)


@given(st.lists(st.tuples(st.floats(LOW, HIGH), st.booleans()), max_size=60), st.floats(LOW, HIGH))
def test_whatever_was_seen_chances_are_chances_and_rise(
    seen: list[tuple[float, bool]], limit: float
) -> None:
    known = Posterior(LOW, HIGH)
    for one, met in seen:
        known.learn(one, met=met)
    assert 0 < known.chance(limit) < 1
    assert known.chance(limit) <= known.chance(limit * 1.2) + 1e-9
    found = known.knee()
    assert LOW * 0.9 <= found.low <= found.median <= found.high <= HIGH * 1.1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (2, 1), (1, 1), (1, math.inf)])
def test_a_knee_is_looked_for_between_two_limits(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="two limits above 0"):
        Posterior(low, high)


def test_limits_are_those_that_their_chances_say() -> None:
    known = searched(lambda limit: limit >= 0.4)
    for wanted, found in zip((0.2, 0.5, 0.8), known.limits((0.2, 0.5, 0.8)), strict=True):
        assert found is not None
        assert known.chance(found) >= wanted - 1e-6
        assert known.chance(found * 0.99) <= wanted + 1e-6
