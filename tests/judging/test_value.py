"""One value: Docker, the kernel and the workload are heard in that order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cgbench.judging import value
from cgbench.judging.excuse import Excuse
from cgbench.judging.summary import Estimate
from cgbench.judging.value import Judged, Shown, Tried
from cgbench.records.run import PointKey
from cgbench.records.trial import Awaited, AwaitedState, Ending, FileChange, Phase
from cgbench.records.verdict import Outcome
from cgbench.spec.band import Tolerance
from cgbench.spec.metrics import METRICS
from cgbench.units import NS_PER_S
from tests.made import records

EXACTLY = Tolerance(0.0, 0.0)
KEY = PointKey("worker", "cpu-quota", "update", "50000")
HELD = FileChange(file="cpu.cfs_quota_us", before="-1", after="50000", expected="50000")
DROPPED = HELD.model_copy(update={"after": "-1"})
NEARLY = HELD.model_copy(update={"after": "51000"})
ENDING = Ending(role="worker", t_ns=2_500, exit_code=137, oom_killed=True, reason="killed")


def phase(*files: FileChange, error: str | None = None, ending: Ending | None = None) -> Phase:
    made = records.phase(*files)
    change = made.change.model_copy(update={"error": error, "warnings": ()})
    return made.model_copy(update={"change": change, "ending": ending})


def felt(cpus: float, **changes: Any) -> Estimate:
    """Return what was felt of half a CPU, with a band of 0.02 CPUs."""
    within = abs(cpus - 0.5) <= 0.02
    found = {"expected": 0.5, "within": within, **changes}
    return Estimate("CPUs", found["expected"], cpus, None, None, None, 1, 200 * (cpus - 0.5),
                    tolerance=Tolerance(0.02, 0.02), within=found["within"])  # fmt: skip


def judged(
    *phases: Phase, felt: Estimate | None = None, awaited: bool = False,
    excuse: Excuse | None = None, key: PointKey = KEY,
) -> Judged:  # fmt: skip
    return value.judge(Tried(key, phases, "cpus_used", felt, awaited, excuse))


def test_what_was_never_measured_is_inconclusive() -> None:
    one = judged()
    assert (one.outcome, one.became) == (Outcome.INCONCLUSIVE, "never measured")


@pytest.mark.parametrize(
    ("cpus", "outcome"),
    [
        (0.51, Outcome.EFFECTIVE),
        (0.54, Outcome.IMPRECISE),
        (0.46, Outcome.IMPRECISE),
        (0.56, Outcome.WRONG),
        (0.25, Outcome.WRONG),
    ],
)
def test_what_the_kernel_holds_is_judged_by_what_is_felt(cpus: float, outcome: Outcome) -> None:
    assert judged(phase(HELD), felt=felt(cpus)).outcome is outcome


@pytest.mark.parametrize(
    ("high", "outcome"),
    [(0.3, Outcome.WRONG), (0.46, Outcome.IMPRECISE), (0.49, Outcome.INCONCLUSIVE)],
)
def test_what_remains_after_the_largest_excuse_is_judged(high: float, outcome: Outcome) -> None:
    one = judged(phase(HELD), felt=felt(0.25), excuse=Excuse(0.25, high, "a hog ran"))
    assert one.outcome is outcome
    assert "a hog ran" in one.reason


def test_nothing_excuses_a_file_with_another_value() -> None:
    excuse = Excuse(0.0, 1.0, "a hog ran")
    assert judged(phase(DROPPED), felt=felt(0.1), excuse=excuse).outcome is Outcome.IGNORED
    assert judged(phase(NEARLY), felt=felt(0.1), excuse=excuse).outcome is Outcome.IMPRECISE


def test_a_file_that_is_nearly_right_excuses_no_workload_that_is_not() -> None:
    assert judged(phase(NEARLY), felt=felt(0.51)).outcome is Outcome.IMPRECISE
    assert judged(phase(NEARLY), felt=felt(0.1)).outcome is Outcome.WRONG


def test_what_docker_drops_now_and_then_is_wrong() -> None:
    one = judged(phase(HELD), phase(DROPPED), felt=felt(0.5))
    assert one.outcome is Outcome.WRONG
    assert one.reason.startswith("in 1 of 2 phases Docker answered ok")


def test_a_refused_value_says_what_changed_all_the_same() -> None:
    one = judged(phase(HELD, error="no"))
    assert one.outcome is Outcome.REJECTED
    assert one.reason == "no; yet cpu.cfs_quota_us went from -1 to 50000 all the same"
    assert judged(phase(DROPPED, error="no")).yet_changed is None


def test_a_value_that_is_refused_now_and_then_is_partial_unless_it_fails() -> None:
    refused = phase(DROPPED, error="no")
    assert judged(refused, phase(HELD), felt=felt(0.5)).outcome is Outcome.PARTIAL
    assert judged(refused, phase(HELD), felt=felt(0.1)).outcome is Outcome.WRONG
    lying = judged(phase(HELD, error="no"), phase(HELD), felt=felt(0.1))
    assert lying.outcome is Outcome.WRONG
    assert lying.yet_changed


def test_a_value_without_a_reading_is_inconclusive_where_one_should_be() -> None:
    one = judged(phase(HELD), awaited=True)
    assert (one.outcome, one.became) == (Outcome.INCONCLUSIVE, "without a reading")
    silent = judged(phase(HELD))
    assert (silent.outcome, silent.shown) == (Outcome.EFFECTIVE, False)


def test_a_value_that_the_workload_did_not_reach_is_inconclusive() -> None:
    below = felt(0.3, within=None)
    assert judged(phase(HELD), felt=below).became == "not reached"


def test_a_small_value_that_a_tick_hides_is_judged_by_its_file_alone_and_says_so() -> None:
    small = replace(felt(0.015), expected=0.015, tolerance=Tolerance(0.008, 0.008), within=None)
    one = judged(phase(HELD), felt=small)
    assert (one.outcome, one.became) == (Outcome.EFFECTIVE, "not judged by a workload")
    assert not one.shown
    assert "a timer tick per worker makes the band 53 % wide" in one.reason
    assert judged(phase(DROPPED), felt=small).outcome is Outcome.IGNORED


def test_a_small_value_outside_even_that_band_is_wrong() -> None:
    small = replace(felt(0.1), expected=0.015, tolerance=Tolerance(0.008, 0.008), within=False)
    assert judged(phase(HELD), felt=small).outcome is Outcome.WRONG


def test_a_container_that_ended_at_the_limit_has_shown_it() -> None:
    below = felt(0.3, within=None)
    for one in (judged(phase(HELD, ending=ENDING), felt=below),
                judged(phase(HELD, ending=ENDING), awaited=True)):  # fmt: skip
        assert (one.outcome, one.shown) == (Outcome.EFFECTIVE, False)


def test_a_value_that_no_kernel_holds_is_dockers_to_obey() -> None:
    restart = KEY._replace(option="restart", requested="always")
    assert judged(phase(), felt=felt(0.5), key=restart).outcome is Outcome.EFFECTIVE
    assert judged(phase(), key=restart).shown is False
    # This one has a file in every kernel that knows it.
    assert judged(phase()).outcome is Outcome.IGNORED


def restarts(found: float, *, expected: float = 2.0) -> Judged:
    """Judge how often a container was restarted, by the metric's own band."""
    holds = METRICS["restarts"].holds(found, expected, EXACTLY, grown=False)
    estimate = Estimate("restarts", expected, found, None, None, None, 1, None, EXACTLY, holds)
    key = PointKey("worker", "restart", "update", "on-failure:2")
    return value.judge(Tried(key, [phase()], "restarts", estimate, False, None))


def test_too_few_restarts_are_no_verdict_since_a_slow_host_has_them_too() -> None:
    for found in (0.0, 1.0):
        one = restarts(found)
        assert (one.outcome, one.became) == (Outcome.INCONCLUSIVE, "not reached")
        assert "had not come when the phase ended" in one.reason


def test_too_many_restarts_are_wrong() -> None:
    assert restarts(3.0).outcome is Outcome.WRONG
    assert restarts(1.0, expected=0.0).outcome is Outcome.WRONG
    assert restarts(2.0).outcome is Outcome.EFFECTIVE


def tasks(found: float, *states: AwaitedState, held_on_s: float = 20.0) -> Judged:
    """Judge the most of 24 tasks, of phases that were held on for them and ended so."""
    phases = [
        phase().model_copy(
            update={
                "awaited": Awaited(
                    metric="tasks_max", state=state, held_on_ns=int(held_on_s * NS_PER_S)
                )
            }
        )
        for state in states
    ]
    holds = METRICS["tasks_max"].holds(found, 24.0, EXACTLY, grown=False)
    estimate = Estimate("tasks", 24.0, found, None, None, None, 1, None, EXACTLY, holds)
    key = PointKey("forker", "pids-limit", "update", "24")
    return value.judge(Tried(key, phases, "tasks_max", estimate, False, None))


def test_tasks_that_were_still_growing_when_patience_ended_are_no_verdict() -> None:
    one = tasks(20.0, "coming")
    assert one.outcome is Outcome.INCONCLUSIVE
    assert one.reason.endswith("when the phase ended, which was held on for it by 20 s")


def test_tasks_that_stand_still_below_their_limit_are_wrong() -> None:
    assert tasks(20.0, "standing").outcome is Outcome.WRONG


def test_too_many_tasks_are_wrong_however_long_was_waited() -> None:
    assert tasks(27.0, "coming").outcome is Outcome.WRONG


def test_what_came_in_most_trials_is_judged_by_them() -> None:
    assert tasks(24.0, "came", "came", "coming").outcome is Outcome.EFFECTIVE
    assert tasks(24.0, "came", "coming").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("found", [23.0, 25.0])
def test_one_task_more_or_less_than_the_limit_is_not_nearly_right(found: float) -> None:
    assert tasks(found, "standing").outcome is Outcome.WRONG


def test_a_median_hides_no_task_that_was_one_too_many_once() -> None:
    estimate = Estimate("tasks", 24.0, 24.0, None, None, None, 3, 0.0, EXACTLY, within=True)
    key = PointKey("forker", "pids-limit", "update", "24")
    tried = Tried(key, [phase()], "tasks_max", estimate, False, None, most=24.0)
    assert value.judge(tried).outcome is Outcome.EFFECTIVE
    one = value.judge(replace(tried, most=25.0))
    assert one.outcome is Outcome.WRONG
    assert one.reason == "at 24, tasks_max was 24 tasks of 24 (+0.00 %), and once 25.0 tasks"


def set_used(
    cpus: float, *, off_ms: float = 0.0, excuse: Excuse | None = None, above: str | None = None,
    most: float | None = None,
) -> Judged:  # fmt: skip
    """Judge a set of two CPUs by the time off it, and by how many of them were used."""
    off = Estimate("ms", 0.0, off_ms, None, None, None, 1, None, EXACTLY, off_ms == 0)
    used = Estimate("CPUs", 2.0, cpus, None, None, None, 1, 50 * cpus - 100, EXACTLY, cpus == 2)
    besides = (Shown("set_cpus_used", used, cpus if most is None else most, excuse, above),)
    key = PointKey("worker", "cpuset-cpus", "update", "0-1")
    return value.judge(Tried(key, [phase()], "off_mask_cpu_ms", off, False, None, besides))


def test_a_set_is_judged_by_both_nothing_off_it_and_each_cpu_of_it_used() -> None:
    assert set_used(2.0).outcome is Outcome.EFFECTIVE
    assert set_used(2.0, off_ms=900.0).outcome is Outcome.WRONG
    one = set_used(1.0)
    assert one.outcome is Outcome.INCONCLUSIVE
    assert "set_cpus_used was 1 CPUs of 2" in one.reason


def test_a_set_that_was_used_as_a_whole_once_can_be() -> None:
    """Seen on a quiet host: two workers stayed on one CPU of two in one of two phases."""
    assert set_used(1.5, most=2.0).outcome is Outcome.EFFECTIVE
    assert set_used(1.5, most=2.0, off_ms=900.0).outcome is Outcome.WRONG


def test_a_cpu_that_others_took_almost_wholly_is_not_missed() -> None:
    found = set_used(1.0, excuse=Excuse(1.0, 2.0, "a hog ran"))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "a hog ran" in found.reason


def test_what_keeps_a_workload_from_a_cpu_of_its_set_is_named() -> None:
    one = set_used(1.0, above="CPU 1 is isolated")
    assert one.outcome is Outcome.WRONG
    assert one.reason.endswith("set_cpus_used was 1 CPUs of 2 (-50.00 %): CPU 1 is isolated")
    assert set_used(2.0, above="CPU 1 is isolated").outcome is Outcome.EFFECTIVE


def test_nine_of_ten_cpus_are_not_nearly_ten() -> None:
    used = Estimate("CPUs", 10.0, 9.0, None, None, None, 1, -10.0, EXACTLY, within=False)
    key = PointKey("worker", "cpuset-cpus", "update", "0-9")
    one = value.judge(Tried(key, [phase()], "set_cpus_used", used, False, None))
    assert one.outcome is Outcome.WRONG


def test_a_group_above_that_allows_less_makes_a_short_value_wrong_and_is_named() -> None:
    above = "cpu.max of /docker is 25000 per 100000 µs"
    one = Tried(KEY, [phase(HELD)], "cpus_used", felt(0.25), False, Excuse(0.25, 0.6, "a hog ran"))
    found = value.judge(replace(one, above=above))
    assert found.outcome is Outcome.WRONG
    assert found.reason == f"at 50000, cpus_used was 0.25 CPUs of 0.5 (-50.00 %): {above}"
    assert value.judge(one).outcome is Outcome.INCONCLUSIVE


def test_a_group_above_is_no_matter_where_the_value_is_as_expected() -> None:
    one = Tried(KEY, [phase(HELD)], "cpus_used", felt(0.5), False, None, above="x")
    assert value.judge(one).outcome is Outcome.EFFECTIVE
    more = Tried(KEY, [phase(HELD)], "cpus_used", felt(0.7), False, None, above="x")
    assert value.judge(more).reason.endswith("(+40.00 %)")
