"""From a run's files to curves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging.run import load
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting.plots import over_time
from cgbench.reporting.plots.curves import REPETITIONS_SHOWN, Curves, Timeline, curves, window_ns
from cgbench.units import NS_PER_MS
from tests.made.run_builder import ANSWER_NS, FILE_NS, UNITS_PER_MS, WARMUP_NS, MadeUp, build

POINTS = 600


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return build(tmp_path_factory.mktemp("results"), MadeUp(noise=0.0))


@pytest.fixture(scope="module")
def drawn(run: RunDirectory) -> Curves:
    return curves(load(run), POINTS)


@pytest.fixture(scope="module")
def timeline(drawn: Curves) -> Timeline:
    assert drawn.timeline is not None
    return drawn.timeline


def test_the_timeline_shows_the_first_trial_with_all_its_changes(timeline: Timeline) -> None:
    assert timeline.trial == 1
    assert [kind.after.partition(" ")[0] for _, kind in timeline.changes] == [
        "10", "25", "50", "75", "100", "150", "100", "75", "50", "25", "10",
    ]  # fmt: skip
    assert timeline.changes[0][0] == pytest.approx(WARMUP_NS / 1e9)
    assert timeline.seconds == pytest.approx(0.5 + 11 * 2.015, abs=0.01)


def test_cpus_used_follow_the_declared_limit_a_period_after_each_change(
    timeline: Timeline,
) -> None:
    (usage,) = timeline.usages
    for (begin, _), (end, _) in zip(timeline.changes, timeline.changes[1:], strict=False):
        inside = (usage.used.x > begin + 0.2) & (usage.used.x < end)
        declared = usage.declared.y[np.searchsorted(usage.declared.x, (begin + end) / 2) - 1]
        assert usage.used.y[inside] == pytest.approx(declared, abs=0.002)


def test_the_declared_line_has_a_step_per_change_and_reaches_the_end(timeline: Timeline) -> None:
    (usage,) = timeline.usages
    assert list(usage.declared.y) == [
        2.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 1.0, 0.75, 0.5, 0.25, 0.1, 0.1,
    ]  # fmt: skip
    assert usage.declared.x[-1] == pytest.approx(timeline.seconds)
    assert usage.declared.x[1] == pytest.approx((WARMUP_NS + ANSWER_NS) / 1e9)


def test_docker_stats_come_along_message_by_message(timeline: Timeline) -> None:
    (usage,) = timeline.usages
    assert len(usage.shown.x) == 22
    assert np.diff(usage.shown.x) == pytest.approx(1.0)


def test_a_stream_of_docker_stats_that_broke_is_named_in_the_title(timeline: Timeline) -> None:
    whole = over_time.docker_stats(timeline)
    (usage,) = timeline.usages
    assert not usage.shown_broke
    cut = dataclasses.replace(timeline, usages=(dataclasses.replace(usage, shown_broke=True),))
    broken = over_time.docker_stats(cut)
    assert whole is not None
    assert broken is not None
    assert "missing" not in whole.title + whole.summary
    for text in (broken.title, broken.summary):
        assert "22 messages, and some are missing since its stream broke" in text


def test_lines_over_time_have_few_points(timeline: Timeline) -> None:
    (usage,) = timeline.usages
    assert POINTS / 2 < len(usage.used.x) <= POINTS + 12
    assert (np.diff(usage.used.x) > 0).all()


def test_one_raising_and_one_lowering_change_are_shown_with_all_repetitions(
    drawn: Curves,
) -> None:
    assert [(step.kind.short, step.total) for step in drawn.steps] == [
        ("10 → 25 %", 3), ("25 → 10 %", 3),
    ]  # fmt: skip
    assert [each.trial for each in drawn.steps[0].repetitions] == [1, 2, 3]


def test_repetitions_are_aligned_at_the_request(drawn: Curves) -> None:
    for repetition in drawn.steps[0].repetitions:
        assert repetition.answer_ms == ANSWER_NS / NS_PER_MS
        assert repetition.file_ms == FILE_NS / NS_PER_MS
        assert repetition.settle_ms is not None
        assert repetition.work.x[0] == pytest.approx(-200, abs=1)
        assert repetition.work.x[-1] == pytest.approx(400, abs=1)


def test_work_per_millisecond_is_that_of_all_workers_and_the_change_shows_in_it(
    drawn: Curves,
) -> None:
    work = drawn.steps[0].repetitions[0].work
    before, after = work.y[work.x < 0], work.y[work.x >= 12]
    assert work.y.max() == 2 * UNITS_PER_MS
    # Two periods at 10 % before; nearly four at 25 % after the file changed.
    assert before.sum() == pytest.approx(2 * 10 * UNITS_PER_MS, rel=0.02)
    assert after.sum() == pytest.approx(4 * 25 * UNITS_PER_MS, rel=0.02)


def test_no_more_repetitions_are_shown_than_an_eye_can_compare(tmp_path: Path) -> None:
    run = build(tmp_path, MadeUp(trials=REPETITIONS_SHOWN + 2, hold_ns=500 * NS_PER_MS))
    step = curves(load(run), POINTS).steps[0]
    assert (len(step.repetitions), step.total) == (REPETITIONS_SHOWN, REPETITIONS_SHOWN + 2)


def test_stalls_are_counted_per_value_over_all_trials_as_the_metrics_count_them(
    run: RunDirectory, drawn: Curves
) -> None:
    rows = load(run).rows
    assert len(drawn.stalls) == 6
    for key, curve in drawn.stalls.items():
        here = [row for row in rows if row.key == key]
        longest = [row.value for row in here if row.metric == "stall_max_ms"]
        rates = [row.value for row in here if row.metric == "stalls_per_s"]
        assert curve.x[-1] == pytest.approx(max(longest))
        assert min(rates) - 0.01 <= curve.y[0] <= max(rates) + 0.01


def test_failed_trials_are_left_out(tmp_path: Path) -> None:
    run = build(tmp_path, MadeUp(trials=2, failed={1: "killed"}, hold_ns=500 * NS_PER_MS))
    found = curves(load(run), POINTS)
    assert found.timeline is not None
    assert found.timeline.trial == 2
    assert {step.total for step in found.steps} == {1}


def test_without_a_finished_trial_there_is_nothing_to_draw(tmp_path: Path) -> None:
    run = build(tmp_path, MadeUp(trials=1, failed={1: "killed"}, hold_ns=500 * NS_PER_MS))
    assert curves(load(run), POINTS) == Curves(None, (), (), {})


@given(st.integers(1_000, 1_000_000))
def test_the_window_holds_whole_periods_and_at_least_a_tenth_of_a_second(period_us: int) -> None:
    window = window_ns({"cpu-period": period_us})
    assert window % (period_us * 1000) == 0
    assert 100 * NS_PER_MS <= window < 100 * NS_PER_MS + period_us * 1000
