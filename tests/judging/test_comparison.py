from __future__ import annotations

import pytest

from cgbench.errors import BaselineError
from cgbench.judging.comparison import compare
from cgbench.records.agreement import ALLOWABLE, names
from cgbench.records.comparison import Finding, Judgement
from tests.made.plain_sides import around, expecting, side


def _only(found: tuple[Finding, ...]) -> Finding:
    (one,) = found
    return one


def test_the_same_figures_twice_are_unchanged() -> None:
    sides = (side({"cpus_used": around(0.5)}), side({"cpus_used": around(0.5)}, "after"))
    found = compare(*sides)
    one = _only(found.findings)
    assert found.overall is Judgement.UNCHANGED
    assert one.change_pct == pytest.approx(0, abs=0.1)
    assert one.low_pct is not None
    assert one.high_pct is not None
    assert -2 < one.low_pct < one.high_pct < 2


@pytest.mark.parametrize(
    ("metric", "before", "after", "judgement"),
    [
        ("cpus_used", 0.5, 0.475, Judgement.REGRESSED),
        ("cpus_used", 0.5, 0.525, Judgement.IMPROVED),
        ("stall_p99_ms", 80.0, 90.0, Judgement.REGRESSED),
        ("stall_p99_ms", 80.0, 70.0, Judgement.IMPROVED),
        ("io_share_pct", 50.0, 60.0, Judgement.REGRESSED),
        ("io_share_pct", 60.0, 50.0, Judgement.REGRESSED),
    ],
)
def test_a_change_is_judged_by_the_direction_to_fear(
    metric: str, before: float, after: float, judgement: Judgement
) -> None:
    found = compare(side({metric: around(before)}), side({metric: around(after)}, "after"))
    one = _only(found.findings)
    assert one.judgement is judgement
    assert one.p is not None
    assert one.p < 0.001
    assert one.change_pct == pytest.approx(100 * (after / before - 1), abs=0.2)


@pytest.mark.parametrize(
    ("metric", "before", "after", "judgement"),
    [
        # The limit is 0.5 CPUs or 50 %: more is no better than less.
        ("cpus_used", 0.5, 0.55, Judgement.REGRESSED),
        ("cpus_used", 0.5, 0.45, Judgement.REGRESSED),
        ("cpus_used", 0.55, 0.5, Judgement.IMPROVED),
        ("cpus_used", 0.4, 0.45, Judgement.IMPROVED),
        ("io_share_pct", 60.0, 50.0, Judgement.IMPROVED),
        ("io_share_pct", 50.0, 60.0, Judgement.REGRESSED),
        # A floor: what lies beyond it says nothing.
        ("memory_kept_bytes", 2e8, 3e8, Judgement.UNCHANGED),
        ("memory_kept_bytes", 2e8, 0.5e8, Judgement.REGRESSED),
    ],
)
def test_where_something_is_expected_a_change_is_judged_by_the_distance_from_it(
    metric: str, before: float, after: float, judgement: Judgement
) -> None:
    expected = {"cpus_used": 0.5, "io_share_pct": 50.0, "memory_kept_bytes": 1e8}[metric]
    found = compare(
        expecting(expected, side({metric: around(before)})),
        expecting(expected, side({metric: around(after)}, "after")),
    )
    assert _only(found.findings).judgement is judgement


def test_a_baseline_with_a_metric_of_another_version_is_compared_by_the_others() -> None:
    known, strange = side({"cpus_used": around(0.5)}), "of_tomorrow"
    (series,) = known.series
    more = known.model_copy(
        update={"series": (series, series.model_copy(update={"metric": strange}))}
    )
    found = compare(more, known)
    assert {one.metric: one.judgement for one in found.findings} == {
        "cpus_used": Judgement.UNCHANGED, strange: Judgement.INCONCLUSIVE,
    }  # fmt: skip
    assert "does not know the metric" in found.findings[-1].reason


def test_a_sure_change_below_what_matters_is_unchanged() -> None:
    found = compare(side({"cpus_used": around(1.0)}), side({"cpus_used": around(0.99)}, "after"))
    assert _only(found.findings).judgement is Judgement.UNCHANGED


def test_the_metrics_own_resolution_is_the_least_that_matters() -> None:
    found = compare(
        side({"stall_p99_ms": around(50.0)}), side({"stall_p99_ms": around(54.0)}, "after")
    )
    one = _only(found.findings)
    assert one.effect_pct == pytest.approx(10, abs=0.1)
    assert one.judgement is Judgement.UNCHANGED


def test_much_noise_is_inconclusive_and_says_how_many_trials_would_decide() -> None:
    found = compare(
        side({"cpus_used": around(0.5, 6)}), side({"cpus_used": around(0.505, 6)}, "after")
    )
    one = _only(found.findings)
    assert found.overall is Judgement.INCONCLUSIVE
    assert one.more_trials is not None
    assert one.more_trials > 12
    assert "more trials a side" in one.reason


def test_one_or_two_trials_are_never_a_pass() -> None:
    for count in (1, 2):
        found = compare(
            side({"cpus_used": around(0.5)}), side({"cpus_used": [0.5] * count}, "after")
        )
        assert found.overall is Judgement.INCONCLUSIVE
        assert _only(found.findings).more_trials == 3 - count


def test_a_metric_the_candidate_lacks_is_never_a_pass() -> None:
    before = side({"cpus_used": around(0.5), "stall_p99_ms": around(80)})
    found = compare(before, side({"cpus_used": around(0.5)}, "after"))
    assert found.overall is Judgement.INCONCLUSIVE
    assert found.of(Judgement.INCONCLUSIVE)[0].metric == "stall_p99_ms"


@pytest.mark.parametrize(
    ("key", "value"),
    [("kernel", "6.2"), ("cpu_model", "Z"), ("cgroup", "v2"), ("runc", "9"), ("hostname", "b")],
)
def test_a_key_that_differs_is_named_unless_it_is_allowed(key: str, value: str) -> None:
    before = side({"cpus_used": around(0.5)})
    after = side({"cpus_used": around(0.5)}, "after", **{key: value})
    found = compare(before, after)
    assert found.overall is Judgement.INCOMPARABLE
    assert [one.key for one in found.differences] == [key]
    assert not found.findings
    allowed = compare(before, after, allow=[key])
    assert allowed.overall is Judgement.UNCHANGED
    assert [one.allowed for one in allowed.differences] == [True]


@pytest.mark.parametrize("key", ["experiment", "schedule", "image"])
def test_other_schedules_workloads_and_experiments_are_incomparable(key: str) -> None:
    before = side({"cpus_used": around(0.5)})
    found = compare(before, before.model_copy(update={key: "another"}))
    assert found.overall is Judgement.INCOMPARABLE
    assert found.differences[0].key == key


def test_an_unknown_key_to_allow_is_refused_with_those_there_are() -> None:
    before = side({"cpus_used": around(0.5)})
    with pytest.raises(BaselineError, match="--allow colour: no such key") as caught:
        compare(before, before, allow=["colour"])
    assert all(key in str(caught.value) for key in names(ALLOWABLE))
    with pytest.raises(BaselineError, match="--allow experiment: no such key"):
        compare(before, before, allow=["experiment"])


def test_counts_that_were_zero_and_are_not_any_more_are_found() -> None:
    before, after = side({"oom_kills": [0.0] * 8}), side({"oom_kills": [1.0] * 8}, "after")
    assert compare(before, after).overall is Judgement.REGRESSED
    assert compare(before, before).overall is Judgement.UNCHANGED


def test_the_worst_finding_is_the_overall_judgement() -> None:
    before = side({"cpus_used": around(0.5), "stall_p99_ms": around(80), "answer_ms": around(90)})
    after = side(
        {"cpus_used": around(0.6), "stall_p99_ms": around(99), "answer_ms": around(90)}, "after"
    )
    found = compare(before, after)
    assert found.overall is Judgement.REGRESSED
    assert {one.metric: one.judgement for one in found.findings} == {
        "cpus_used": Judgement.IMPROVED,
        "stall_p99_ms": Judgement.REGRESSED,
        "answer_ms": Judgement.UNCHANGED,
    }


def test_pairs_see_through_a_drift_that_meets_both_sides() -> None:
    drift = [1 + 0.03 * index for index in range(14)]
    before = side({"work_per_s": [1000 * one for one in drift]})
    after = side(
        {"work_per_s": [950 * one * (1 + 0.001 * (index % 2)) for index, one in enumerate(drift)]},
        "after",
    )
    assert compare(before, after).overall is Judgement.INCONCLUSIVE
    assert compare(before, after, paired=True).overall is Judgement.REGRESSED


def by_metric(found: tuple[Finding, ...]) -> dict[str, Finding]:
    return {one.metric: one for one in found}


def test_fewer_stalls_are_told_as_what_follows_from_lost_cpu_time() -> None:
    """Met by a new user: beside a hog, stalls of 25 % less were improved without a word."""
    before = {"cpus_used": 1.5, "throttled_periods_pct": 98.0, "stall_p99_ms": 80.0}
    after = {"cpus_used": 1.0, "throttled_periods_pct": 20.0, "stall_p99_ms": 40.0}
    found = by_metric(
        compare(
            side({name: around(value) for name, value in before.items()}),
            side({name: around(value) for name, value in after.items()}, "after"),
        ).findings
    )
    assert found["cpus_used"].judgement is Judgement.REGRESSED
    assert "follows from" not in found["cpus_used"].reason
    for name in ("throttled_periods_pct", "stall_p99_ms"):
        assert found[name].judgement is Judgement.IMPROVED
        assert "it follows from the CPU time that is lost" in found[name].reason


def test_fewer_stalls_are_a_gain_where_no_cpu_time_is_lost() -> None:
    before = {"cpus_used": 1.5, "throttled_periods_pct": 98.0, "stall_p99_ms": 80.0}
    after = {"cpus_used": 1.5, "throttled_periods_pct": 20.0, "stall_p99_ms": 40.0}
    found = compare(
        side({name: around(value) for name, value in before.items()}),
        side({name: around(value) for name, value in after.items()}, "after"),
    )
    assert not any("follows from" in one.reason for one in found.findings)


def test_unchanged_within_a_coarse_resolution_says_so() -> None:
    """Met by a new user: unchanged, within 20 %, is a gate without teeth."""
    sides = side({"stall_p50_ms": around(20.0)}), side({"stall_p50_ms": around(20.0)}, "after")
    one = _only(compare(*sides).findings)
    assert one.judgement is Judgement.UNCHANGED
    assert "that is coarse" in one.reason
    assert "a change of 2 % would not show" in one.reason
    one = _only(
        compare(side({"cpus_used": around(0.5)}), side({"cpus_used": around(0.5)})).findings
    )
    assert "coarse" not in one.reason


@pytest.mark.parametrize("paired", [False, True])
def test_the_change_lies_between_the_levels_that_are_shown(*, paired: bool) -> None:
    """Met by a new user: 1.500 and 0.9997 stood beside a change of -32 %."""
    before, after = [1.5, 1.5, 1.5, 1.2, 1.5, 1.1], [1.0, 0.99, 1.0, 1.0, 1.01, 1.0]
    found = compare(side({"cpus_used": before}), side({"cpus_used": after}, "after"), paired=paired)
    one = _only(found.findings)
    assert one.levels is not None
    assert one.change_pct == pytest.approx(100 * (one.levels[1] / one.levels[0] - 1))


def test_levels_of_a_column_with_zeros_are_in_its_own_unit() -> None:
    found = compare(
        side({"throttled_periods_pct": [0.0] * 6}), side({"throttled_periods_pct": [0.0] * 6})
    )
    assert _only(found.findings).levels == pytest.approx((0.0, 0.0))
