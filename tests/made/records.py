"""The one host, run, trial and phase that tests begin with, every field filled."""

from __future__ import annotations

import functools
from typing import Any

from cgbench.records.host import Host
from cgbench.records.run import RunRecord
from cgbench.records.trial import (
    Change,
    ContainerRecord,
    FileChange,
    Harness,
    Phase,
    ProbeFigures,
    SamplerFigures,
    Source,
    TrialRecord,
)
from cgbench.spec import experiment_file

RUN = "20260101T000000Z-0001"
"""The name of every made-up run that does not need another."""

HOST = Host(
    hostname="made-up", kernel="6.1.0", os="Debian GNU/Linux 12", cpu_model="Model <1> & co",
    cpus=2, memory_bytes=8 * 2**30, swap_bytes=0, cgroup="v1", cgroup_driver="cgroupfs",
    docker="20.10.24", docker_api="1.41", runc="1.1.5", storage_driver="overlay2", timer_hz=250,
    clock="tsc", python="3.11.7", cgbench="0.1.0", engine="docker", runtime="runc",
    systemd="252", io_control="bfq", memory_nodes=1,
)  # fmt: skip
"""The host of every made-up run; `host()` returns one that differs from it."""


def phase(*files: FileChange) -> Phase:
    """Return a phase whose change showed in `files`."""
    change = Change(
        requested="50000",
        settings={"cpu-quota": 50000, "cpus": "0.5", "memory": 6291456.0},
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
    """Return what became of the file of the quota."""
    return FileChange(
        file="cpu.cfs_quota_us", before="-1", after=after, expected="50000", t_changed_ns=1_500
    )


def figures(ticks: int, missed: int) -> SamplerFigures:
    """Return the figures of a sampler."""
    return SamplerFigures(
        requested_hz=1000, achieved_hz=999.5, ticks=ticks, missed=missed,
        late_p50_us=5.5, late_p99_us=50, late_max_us=90, reading_p50_us=8,
        cpu_pct=2.9, scheduling="SCHED_FIFO 50", files=4,
    )  # fmt: skip


@functools.cache
def trial(number: int = 1) -> TrialRecord:
    """Return a trial that ended well; nobody can change it."""
    return TrialRecord(
        number=number,
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
                probe="spin",
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


def host(**changes: Any) -> Host:
    """Return HOST with these fields changed."""
    return HOST.model_copy(update=changes)


def run(**changes: Any) -> RunRecord:
    """Return a run of cpu-quota-sweep that has just begun on HOST, with these fields changed."""
    return _begun().model_copy(update=changes)


@functools.cache
def _begun() -> RunRecord:
    return RunRecord(
        run=RUN,
        experiment=experiment_file.load("cpu-quota-sweep"),
        quick=False,
        seed=7,
        trials_planned=2,
        image="cgbench/workload:0123456789ab",
        host=HOST,
        preconditions={"cpu-bandwidth": True},
        status="running",
        started="2026-01-01T00:00:00+00:00",
    )
