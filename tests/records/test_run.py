"""Records: what they derive, and that they come back from JSON as they went."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cgbench.records.run import PHASE_COLUMNS, RunRecord
from cgbench.records.trial import FileChange, TrialRecord
from cgbench.records.versions import RUN
from cgbench.spec import experiment_file
from tests.made.records import figures, phase, quota_file, run, trial

relaxed = settings(deadline=None)


def test_a_trial_comes_back_from_its_line_of_json() -> None:
    assert TrialRecord.model_validate_json(trial().model_dump_json()) == trial()


def test_a_run_comes_back_from_its_json_with_the_whole_experiment() -> None:
    back = RunRecord.model_validate_json(run().model_dump_json())
    assert back == run()
    assert back.schema_version == RUN.written
    assert back.experiment == experiment_file.load("cpu-quota-sweep")


def test_a_trial_is_one_line() -> None:
    failed = trial().model_copy(update={"status": "failed", "reason": "died:\nkilled"})
    assert "\n" not in failed.model_dump_json()


def test_what_was_not_measured_stays_absent() -> None:
    bare = {"number": 1, "repetition": 1, "walk": 1, "status": "failed", "started": "",
            "t_begin_ns": 0, "t_end_ns": 0, "hold_ns": 0}  # fmt: skip
    record = TrialRecord.model_validate(bare)
    assert record.sampler is None
    assert record.harness is None
    assert record.reason is None
    assert record.phases == ()


def test_an_unknown_key_is_refused() -> None:
    document = {**trial().model_dump(), "mood": "good"}
    with pytest.raises(ValidationError, match="mood"):
        TrialRecord.model_validate(document)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        trial().number = 2  # type: ignore[misc]


def test_the_effective_value_is_the_text_of_the_file_afterwards() -> None:
    assert phase(quota_file("50000")).effective == "50000"


def test_the_effective_value_of_several_files_names_each_text_once() -> None:
    period = FileChange(file="cpu.cfs_period_us", before=None, after="100000", expected=None)
    assert phase(quota_file("50000"), period).effective == "50000 100000"
    assert phase(quota_file("100000"), period).effective == "100000"


def test_without_a_file_there_is_no_effective_value() -> None:
    assert phase().effective is None
    assert phase(quota_file(None)).effective is None


def test_the_requested_value_of_a_phase_is_that_of_its_change() -> None:
    assert phase().requested == "50000"


@given(ticks=st.integers(0, 10**6), missed=st.integers(0, 10**6))
@relaxed
def test_missed_deadlines_are_a_share_of_all_deadlines(ticks: int, missed: int) -> None:
    pct = figures(ticks, missed).missed_pct
    assert 0 <= pct <= 100
    assert pct * (ticks + missed) == pytest.approx(100 * missed)


def test_the_columns_of_phases_are_those_of_the_manual() -> None:
    assert " ".join(PHASE_COLUMNS) == (
        "experiment trial phase role option via requested note effective"
        " metric unit expected value error_pct n_samples"
    )
