"""Records: what they derive, and that they come back from JSON as they went."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cgbench import experiment
from cgbench.record import (
    PHASE_COLUMNS,
    SCHEMA_VERSION,
    Change,
    ContainerRecord,
    FileChange,
    Harness,
    Host,
    Phase,
    ProbeFigures,
    RunRecord,
    SamplerFigures,
    Source,
    TrialRecord,
)

relaxed = settings(deadline=None)


def phase(*files: FileChange) -> Phase:
    change = Change(
        requested="50000",
        settings={"cpu-quota": 50000, "cpus": "0.5", "memory": 1.5},
        via="update",
        t_request_ns=1_000,
        t_answer_ns=2_000,
        warnings=("dropped",),
        files=files,
    )
    return Phase(
        number=1,
        role="worker",
        option="cpu-quota",
        change=change,
        settings=change.settings,
        t_end_ns=3_000,
    )


def quota_file(after: str | None) -> FileChange:
    return FileChange(
        file="cpu.cfs_quota_us", before="-1", after=after, expected="50000", t_changed_ns=1_500
    )


def figures(ticks: int, missed: int) -> SamplerFigures:
    return SamplerFigures(
        requested_hz=1000, achieved_hz=999.5, ticks=ticks, missed=missed,
        late_p50_us=5.5, late_p99_us=50, late_max_us=90, reading_p50_us=8,
        cpu_pct=2.9, scheduling="SCHED_FIFO 50", files=4,
    )  # fmt: skip


def trial() -> TrialRecord:
    return TrialRecord(
        number=1,
        repetition=1,
        walk=1,
        status="ok",
        started="2026-11-24T10:15:30Z",
        t_begin_ns=0,
        t_end_ns=4_000,
        hold_ns=3_000,
        containers=(
            ContainerRecord(
                role="worker",
                container_id="3a0496325843",
                workload="spin",
                workers=2,
                sources={"usage_ns": Source(column="cpuacct.usage", scale=1)},
            ),
        ),
        phases=(phase(quota_file("50000")),),
        sampler=figures(10, 0),
        probes=(
            ProbeFigures(role="worker", worker=0, stalls=3, stalls_lost=0, longest_unit_us=4.5),
        ),
        harness=Harness(
            cgbench_cpu_s=0.1, daemon_cpu_s=None, steal_cpu_s=0, other_cpu_s=0.2, elapsed_s=4
        ),
        n_samples=10,
    )


def run() -> RunRecord:
    return RunRecord(
        run="20261124T101530Z-3f9c",
        experiment=experiment.load("cpu-period-sweep"),
        quick=True,
        seed=7,
        trials_planned=2,
        image="cgbench/workload:abc",
        host=Host(
            hostname="h", kernel="6.18", os="Debian", cpu_model="x", cpus=2, memory_bytes=1,
            swap_bytes=0, cgroup="hybrid", cgroup_driver="cgroupfs", docker="20.10",
            docker_api="1.41", runc="1.1.5", storage_driver="overlay2", timer_hz=None,
            clock="tsc", python="3.11.7", cgbench="0.1.0",
        ),
        preconditions={"cpu-bandwidth": True},
        status="running",
        started="2026-11-24T10:15:30Z",
    )  # fmt: skip


def test_a_trial_comes_back_from_its_line_of_json() -> None:
    assert TrialRecord.model_validate_json(trial().model_dump_json()) == trial()


def test_a_run_comes_back_from_its_json_with_the_whole_experiment() -> None:
    back = RunRecord.model_validate_json(run().model_dump_json())
    assert back == run()
    assert back.schema_version == SCHEMA_VERSION
    assert back.experiment == experiment.load("cpu-period-sweep")


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
        "experiment trial phase role option via requested effective"
        " metric unit expected value error_pct n_samples"
    )
