"""A stored trial is shown as it was: what was used of which limit, what changed, who ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.commands.replay import looks
from cgbench.errors import StoreError
from cgbench.records.trial import Ending
from cgbench.records.watch import Look
from cgbench.units import NS_PER_S
from tests.made.run_builder import MadeUp, build, refuse

QUOTAS = MadeUp(trials=1, quotas=(20_000, 50_000))


def replayed(folder: Path, every_s: float = 1.0, trial: int | None = None) -> list[Look]:
    return list(looks(folder, trial, every_s))


def test_each_look_shows_what_was_used_of_the_limit_that_was_in_force(tmp_path: Path) -> None:
    found = replayed(build(tmp_path, QUOTAS).path)
    used = [one.readings[0].cpus for one in found]
    limits = [one.readings[0].cpus_limit for one in found]
    assert (used[0], limits[0]) == (None, None), "the warm-up had not begun"
    assert used[2] == pytest.approx(0.2, abs=0.01)
    assert used[4] == pytest.approx(0.5, abs=0.01)
    assert (limits[2], limits[4]) == (0.2, 0.5)
    assert found[2].readings[0].throttled_pct == pytest.approx(100)
    assert found[0].at == "2026-01-01T00:00:01.000+00:00"
    assert found[4].at == "2026-01-01T00:00:05.000+00:00"


def test_a_change_is_marked_with_what_was_done_before_it(tmp_path: Path) -> None:
    marks = [mark for one in replayed(build(tmp_path, QUOTAS).path) for mark in one.marks]
    assert [(mark.kind, mark.limit, mark.before, mark.after) for mark in marks] == [
        ("changed", "cpus", "-1", "20000"), ("changed", "cpus", "20000", "50000"),
    ]  # fmt: skip
    assert marks[0].just_before == "docker update --cpu-quota 20000, 0.012 s before"
    assert [mark.reason for mark in marks] == ["", ""]


def test_shorter_looks_are_more_and_miss_no_mark(tmp_path: Path) -> None:
    folder = build(tmp_path, QUOTAS).path
    slow, fast = replayed(folder), replayed(folder, 0.25)
    assert len(fast) >= 4 * (len(slow) - 1)
    assert [mark for one in fast for mark in one.marks] == [
        mark for one in slow for mark in one.marks
    ]


def test_a_value_that_the_kernel_did_not_take_is_no_limit_and_is_said(tmp_path: Path) -> None:
    wrong = MadeUp(trials=1, quotas=(20_000,), file=lambda text: "77000")
    found = replayed(build(tmp_path, wrong).path)
    assert {one.readings[0].cpus_limit for one in found} == {None}
    (mark,) = [mark for one in found for mark in one.marks]
    assert (mark.after, mark.reason) == ("77000", "20000 was asked for")


def test_a_refusal_is_a_mark(tmp_path: Path) -> None:
    directory = build(tmp_path, QUOTAS)
    refuse(directory, "50000", "the daemon said no")
    found = replayed(directory.path)
    (mark,) = [mark for one in found for mark in one.marks if mark.kind != "changed"]
    assert (mark.kind, mark.limit) == ("refused", "cpus")
    assert mark.reason == "docker update --cpu-quota 50000: the daemon said no"
    assert found[4].readings[0].cpus_limit == 0.2


def test_a_container_that_ended_uses_nothing_any_more(tmp_path: Path) -> None:
    directory = build(tmp_path, QUOTAS)
    (trial,) = directory.trials()
    last = trial.phases[-1]
    ended = Ending(role=last.role, t_ns=trial.t_begin_ns + 4 * NS_PER_S, exit_code=137,
                   oom_killed=True, reason="the container of worker was OOM-killed")  # fmt: skip
    phases = (*trial.phases[:-1], last.model_copy(update={"ending": ended}))
    directory.append_trial(trial.model_copy(update={"phases": phases}))
    found = replayed(directory.path)
    assert [one.readings[0].state for one in found[2:5]] == ["running", "exited", "exited"]
    (mark,) = [mark for one in found for mark in one.marks if mark.kind == "killed"]
    assert mark.reason == "the container of worker was OOM-killed"


def test_a_trial_that_was_not_measured_is_named(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=2, quotas=(20_000,), failed={2: "broke"}))
    with pytest.raises(StoreError, match="trial 2 was not measured to its end") as caught:
        replayed(directory.path, trial=2)
    assert caught.value.advice == "Trials: 1."
    assert replayed(directory.path, trial=1)


def test_a_folder_that_holds_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"run\.json"):
        replayed(tmp_path)


def test_a_trial_that_began_at_no_time_is_damaged(tmp_path: Path) -> None:
    directory = build(tmp_path, QUOTAS)
    (trial,) = directory.trials()
    directory.append_trial(trial.model_copy(update={"started": "yesterday"}))
    with pytest.raises(StoreError, match="trial 1 began at 'yesterday', which is no time"):
        replayed(directory.path)
