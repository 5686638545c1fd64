"""Whose effect was disturbed, and what is never called a disturbance."""

from __future__ import annotations

import pytest

from cgbench.judging.effects import Around, Seen, confirmed, judged
from cgbench.judging.summary import Estimate
from cgbench.records.idle_findings import Effect, Felt
from cgbench.spec.band import Tolerance


def estimate(value: float, expected: float | None, within: bool | None) -> Estimate:
    return Estimate(
        unit="CPUs", expected=expected, median=value, low=None, high=None, level=None, trials=1,
        error_pct=None, tolerance=None if expected is None else Tolerance(0.02, 0.02),
        within=within,
    )  # fmt: skip


def cpus(
    value: float, expected: float | None = 0.3, *, excuse: str | None = None,
    bound_pct: float | None = 100.0, within: bool | None = None,
) -> Seen:  # fmt: skip
    if within is None and expected is not None:
        within = abs(value - expected) <= 0.02
    return Seen(estimate(value, expected, within), excuse, bound_pct)


def felt(before: Seen | None, after: Seen | None, metric: str = "cpus_used") -> Effect:
    return judged(Around(metric, "--memory 96m", before, after))


QUIET = cpus(0.301)


def test_an_effect_that_goes_on_is_kept() -> None:
    found = felt(QUIET, cpus(0.299))
    assert found.felt is Felt.KEPT
    assert (found.before, found.after, found.expected, found.tolerance) == (0.301, 0.299, 0.3, 0.02)


def test_an_update_that_should_change_the_effect_and_does_disturbs_nothing() -> None:
    found = felt(QUIET, cpus(0.151, 0.15))
    assert found.felt is Felt.FOLLOWED
    assert (found.expected_before, found.expected) == (0.3, 0.15)


def test_an_update_that_should_change_the_effect_and_does_not_disturbs_it() -> None:
    assert felt(QUIET, cpus(0.3, 0.15)).felt is Felt.DISTURBED


def test_a_quota_that_is_gone_is_a_disturbance_with_all_figures() -> None:
    found = felt(QUIET, cpus(2.0, bound_pct=None))
    assert found.felt is Felt.DISTURBED
    assert found.reason == (
        "cpus_used was 0.301 CPUs before, and after --memory 96m cpus_used was 2 CPUs of 0.3 CPUs "
        "±0.02 CPUs"
    )


def test_a_halved_quota_that_binds_in_every_period_is_a_disturbance() -> None:
    assert felt(QUIET, cpus(0.15, bound_pct=100.0)).felt is Felt.DISTURBED


@pytest.mark.parametrize("bound_pct", [40.0, None])
def test_cpu_time_that_others_may_have_taken_is_not(bound_pct: float | None) -> None:
    found = felt(QUIET, cpus(0.15, bound_pct=bound_pct))
    assert found.felt is Felt.INCONCLUSIVE
    assert "something else than its quota held it back" in found.reason


def test_what_others_took_excuses_no_more_than_the_periods_without_throttling() -> None:
    assert felt(QUIET, cpus(0.15, bound_pct=80.0)).felt is Felt.DISTURBED


def test_others_never_add_cpu_time() -> None:
    assert felt(QUIET, cpus(0.4, bound_pct=40.0)).felt is Felt.DISTURBED


def test_a_disturbed_host_is_no_disturbance_by_an_update() -> None:
    found = felt(QUIET, cpus(0.2, excuse="the hypervisor took 5 % away"))
    assert found.felt is Felt.INCONCLUSIVE
    assert "but the hypervisor took 5 % away" in found.reason


@pytest.mark.parametrize("before", [None, cpus(0.2), cpus(0.3, None)])
def test_an_effect_that_did_not_show_before_cannot_be_disturbed(before: Seen | None) -> None:
    found = felt(before, cpus(2.0))
    assert found.felt is Felt.INCONCLUSIVE
    assert "before --memory 96m the effect did not show" in found.reason


def test_what_was_not_read_afterwards_is_open() -> None:
    assert felt(QUIET, None).felt is Felt.INCONCLUSIVE


def test_where_nothing_is_expected_nothing_is_shown() -> None:
    assert felt(QUIET, cpus(0.3, None)).felt is Felt.NOT_SHOWN


def test_a_limit_that_was_not_reached_afterwards_is_open() -> None:
    below = Seen(estimate(0.1, 0.3, None))
    assert felt(QUIET, below, "memory_max_bytes").felt is Felt.INCONCLUSIVE


def test_tasks_below_the_limit_are_not_excused_by_other_load() -> None:
    assert felt(QUIET, cpus(0.1, bound_pct=None), "tasks_max").felt is Felt.DISTURBED


# Measured again


def one(outcome: Felt) -> Effect:
    return Effect(felt=outcome, reason=f"it was {outcome}", metric="cpus_used", unit="CPUs")


DISTURBED, KEPT, OPEN = (one(each) for each in (Felt.DISTURBED, Felt.KEPT, Felt.INCONCLUSIVE))


def test_a_disturbance_is_one_only_where_every_measurement_shows_it() -> None:
    found = confirmed(DISTURBED, [DISTURBED, DISTURBED, DISTURBED])
    assert found.felt is Felt.DISTURBED
    assert "measured 4 times" in found.reason


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (DISTURBED, [DISTURBED, KEPT, DISTURBED]), (DISTURBED, [OPEN]), (OPEN, [DISTURBED]),
        (DISTURBED, [KEPT, KEPT, KEPT]),
    ],
)  # fmt: skip
def test_an_effect_that_comes_and_goes_is_open(first: Effect, again: list[Effect]) -> None:
    found = confirmed(first, again)
    assert found.felt is Felt.INCONCLUSIVE
    assert f"of {len(again) + 1} measurements" in found.reason


@pytest.mark.parametrize("again", [KEPT, OPEN])
def test_of_what_a_restless_host_left_open_the_second_measurement_counts(again: Effect) -> None:
    assert confirmed(OPEN, [again]) == again
