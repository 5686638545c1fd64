"""Records that are well formed and cannot be: the first thing wrong is named."""

from __future__ import annotations

from typing import Any

import pytest

from cgbench.records.plausible import complaint, most_rows
from cgbench.records.trial import TrialRecord
from tests.made.records import run, trial


def changed(**phase: Any) -> TrialRecord:
    """Return a trial of which the phase, or the change in it, says something else."""
    one = trial()
    (before,) = one.phases
    change = {key: phase.pop(key) for key in list(phase) if key in type(before.change).model_fields
              and key != "settings"}  # fmt: skip
    after = before.model_copy(update=phase | {"change": before.change.model_copy(update=change)})
    return one.model_copy(update={"phases": (after,)})


def test_a_trial_as_it_is_written_is_plausible() -> None:
    assert complaint(run(), trial()) is None


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (changed(role="nobody"), "phase 1: the trial has no container nobody"),
        (changed(t_end_ns=1_999), "phase 1: its times are not in order"),
        (changed(t_request_ns=2_001), "phase 1: its times are not in order"),
        (changed(option="memory-swap"), "phase 1: --memory-swap is not among the options it set"),
        (changed(settings={"cpu-quota": "much"}), "phase 1: --cpu-quota much: "),
        (changed(settings={"speed": 1}), "phase 1: unknown option: speed"),
        (trial().model_copy(update={"t_begin_ns": 5_000}), "it ends before it begins"),
        (trial().model_copy(update={"phases": trial().phases * 2}), "its phases are not in order"),
        (
            trial().model_copy(update={"containers": trial().containers * 2}),
            "two containers have the same role",
        ),
    ],
)
def test_what_cannot_be_is_named(record: TrialRecord, problem: str) -> None:
    said = complaint(run(), record)
    assert said is not None
    assert said.startswith(problem)


def test_a_phase_of_years_is_named_before_its_milliseconds_are_counted() -> None:
    """Second rank: np.arange went over a phase's times, of which one was 2**60."""
    one = changed(t_end_ns=2**60)
    said = complaint(run(), one.model_copy(update={"t_end_ns": 2**61}))
    assert said == "phase 1: it takes longer than any step of the experiment"


def test_the_rows_of_a_trial_are_bounded_by_its_time_and_rates() -> None:
    one = trial().model_copy(update={"t_end_ns": 60 * 10**9})
    assert 120 * 1000 < most_rows(run(), one) < 120 * 150_000


def test_a_container_that_the_experiment_lacks_is_named() -> None:
    (one,) = trial().containers
    other = trial().model_copy(
        update={"containers": (one.model_copy(update={"role": "other"}),), "phases": ()}
    )
    assert complaint(run(), other) == "the experiment has no container other"
