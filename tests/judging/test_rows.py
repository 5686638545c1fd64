"""Metrics of runs whose every reading was worked out on paper: a known workload measures as known.

An ideal kernel is simulated: a worker runs from the beginning of each period until its quota is
used up and stands still until the next one. Rewriting the quota begins a new period.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.judging import container_data, rows, settling
from cgbench.judging.container_data import ContainerData, Window
from cgbench.judging.expectation import Load, Situation
from cgbench.judging.run import load
from cgbench.judging.steady import steady
from cgbench.records.confines import Confines
from cgbench.records.run import PHASE_COLUMNS, RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import Column, ProbeLog, Samples, StatsPoint, TrialData
from cgbench.records.trial import (
    Change,
    ContainerRecord,
    Ending,
    FileChange,
    Phase,
    Source,
    TrialRecord,
)
from cgbench.spec import experiment_file
from cgbench.spec.metrics import METRICS
from cgbench.units import NS_PER_MS
from tests.made import records

relaxed = settings(deadline=None)

MS = 1_000_000
SECOND = 1000 * MS
T0 = 7_000 * SECOND
PERIOD = 100 * MS
HOLD = 3 * SECOND
# The new limit shows in its file 10 ms after the request, and the answer comes 5 ms later.
OBEYED, ANSWERED = 10 * MS, 15 * MS
# Samples do not stand where periods begin.
OFFSET = 300_000

Integers = npt.NDArray[np.int64]

V1_SOURCES = {
    "usage_ns": Source(column="cpuacct.usage", scale=1),
    "periods": Source(column="cpu.stat:nr_periods", scale=1),
    "throttled_periods": Source(column="cpu.stat:nr_throttled", scale=1),
    "throttled_ns": Source(column="cpu.stat:throttled_time", scale=1),
}
V2_SOURCES = {
    "usage_ns": Source(column="cpu.stat:usage_usec", scale=1000),
    "periods": Source(column="cpu.stat:nr_periods", scale=1),
    "throttled_periods": Source(column="cpu.stat:nr_throttled", scale=1),
    "throttled_ns": Source(column="cpu.stat:throttled_usec", scale=1000),
}


@dataclass(frozen=True)
class Ideal:
    """One trial on the ideal kernel: the quotas in the order they were set, None for no limit.

    `sources` says which counters there are and in which unit. Phase i holds from its request at
    `request(i)` until the next one.
    """

    quotas_us: Sequence[int | None]
    workers: int = 1
    number: int = 1
    sources: Mapping[str, Source] = field(default_factory=lambda: V1_SOURCES)

    def request(self, phase: int) -> int:
        """Each change is asked for when a period begins: the workers run, whatever the quota."""
        return T0 + phase * HOLD + max(0, phase - 1) * OBEYED

    @property
    def end(self) -> int:
        return self.request(len(self.quotas_us)) - 1

    @property
    def times(self) -> Integers:
        return np.arange(T0 + OFFSET, self.end, MS, dtype=np.int64)

    def obeyed(self, phase: int) -> int:
        """Return when the kernel begins to obey the phase's quota: there a period begins."""
        return self.request(phase) + (OBEYED if phase else 0)

    def stalls(self) -> list[tuple[int, int]]:
        """Return begin and length of each worker's stalls."""
        found = []
        for phase, quota_us in enumerate(self.quotas_us):
            last = phase + 1 == len(self.quotas_us)
            until = self.end if last else self.obeyed(phase + 1)
            if quota_us is None or quota_us * 1000 >= self.workers * PERIOD:
                continue
            for begin in range(self.obeyed(phase), until, PERIOD):
                rest = begin + quota_us * 1000 // self.workers
                if min(begin + PERIOD, until) > rest:
                    found.append((rest, min(begin + PERIOD, until) - rest))
        return found

    @functools.cached_property
    def counters(self) -> dict[str, Integers]:
        """Every counter of the kernel at every sample, in SI units."""
        times, stalls = self.times, self.stalls()
        stalled = np.zeros(len(times), dtype=np.int64)
        throttled = np.zeros(len(times), dtype=np.int64)
        for begin, length in stalls:
            stalled += np.clip(times - begin, 0, length)
            throttled += np.where(times >= begin + length, length, 0)
        ends = np.array([begin + length for begin, length in stalls], dtype=np.int64)
        periods: list[int] = []
        for phase, quota_us in enumerate(self.quotas_us):
            if quota_us is not None:
                last = phase + 1 == len(self.quotas_us)
                until = self.end if last else self.obeyed(phase + 1)
                periods += range(self.obeyed(phase), until, PERIOD)
        return {
            "usage_ns": self.workers * (times - T0 - stalled),
            "periods": np.searchsorted(np.array(periods), times, side="right").astype(np.int64),
            "throttled_periods": np.searchsorted(ends, times, side="right").astype(np.int64),
            "throttled_ns": throttled,
            "waited_us": stalled // 1000,
        }

    def samples(self, role: str) -> Samples:
        counters = self.counters
        columns = [
            column(source.column, counters[name] // source.scale)
            for name, source in self.sources.items()
        ]
        slow = np.arange(len(self.times)) % 100 == 7
        columns.append(column("cpu.pressure:some.total", counters["waited_us"], slow))
        return Samples(role, self.times, np.zeros_like(self.times), columns)

    def probes(self, role: str) -> list[ProbeLog]:
        """Every worker does ten units in each millisecond that it runs."""
        buckets = np.arange(T0, self.end, MS, dtype=np.int64)
        units = np.full(len(buckets), 10, dtype=np.int64)
        for begin, length in self.stalls():
            units[(buckets >= begin) & (buckets < begin + length)] = 0
        stalls = np.array(self.stalls(), dtype=np.int64).reshape(-1, 2)
        return [
            ProbeLog(role, worker, buckets, units, stalls[:, 0], stalls[:, 1])
            for worker in range(self.workers)
        ]

    def phases(self, role: str) -> list[Phase]:
        return [self._phase(index, role) for index in range(len(self.quotas_us))]

    def _phase(self, index: int, role: str) -> Phase:
        quota_us = self.quotas_us[index]
        value = -1 if quota_us is None else quota_us
        request = self.request(index)
        shown = int(self.times[np.searchsorted(self.times, request + OBEYED)])
        file = FileChange(
            file="cpu.cfs_quota_us",
            before="-1",
            after=str(value),
            expected=str(value),
            t_changed_ns=shown,
        )
        change = Change(
            requested=str(value),
            settings={"cpu-quota": value},
            via="update",
            t_request_ns=request,
            t_answer_ns=request + ANSWERED,
            files=(file,),
        )
        return Phase(
            number=index + 1,
            role=role,
            option="cpu-quota",
            change=change,
            settings=change.settings,
            t_end_ns=self.request(index + 1),
        )

    def stats(self, role: str) -> list[StatsPoint]:
        """One message a second, with the use of the second before it; some say nothing."""
        points = [StatsPoint(role, T0, None, None)]
        usage = self.counters["usage_ns"]
        for second in range(1, (self.end - T0) // SECOND):
            used = int(usage[1000 * second] - usage[1000 * (second - 1)])
            points.append(StatsPoint(role, int(self.times[1000 * second]), used / SECOND, 4096))
        return points

    def record(self) -> TrialRecord:
        container = ContainerRecord(
            role="worker",
            container_id="3a0496325843",
            workload="spin",
            probe="spin",
            workers=self.workers,
            sources=self.sources,
        )
        return records.trial(self.number).model_copy(
            update={
                "containers": (container,),
                "phases": tuple(self.phases("worker")),
                "t_begin_ns": T0,
                "t_end_ns": self.end,
            }
        )

    def data(self) -> TrialData:
        return TrialData([self.samples("worker")], self.probes("worker"), self.stats("worker"))


def column(name: str, values: Integers, read: npt.NDArray[np.bool_] | None = None) -> Column:
    """Return a column of these values, absent where `read` is false."""
    index = np.arange(len(values), dtype=np.int32)
    if read is not None:
        index[~read] = -1
    return Column(name, index, tuple(values.tolist()))


def run_record(workers: int = 1) -> RunRecord:
    text = f"""
        name = "mine"
        title = "Mine"
        question = "?"
        option = "cpu-quota"
        containers = [{{ role = "worker", workload = "spin", workers = {workers} }}]
        steps = [{{ set = {{ cpu-quota = 50000 }}, hold = "3s" }}]
    """
    return records.run().model_copy(update={"experiment": experiment_file.parse(text, "mine.toml")})


def written(folder: Path, *trials: Ideal) -> RunDirectory:
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record(trials[0].workers))
    for one in trials:
        directory.write_trial(one.record(), one.data())
    return directory


def values(directory: RunDirectory, phase: int = 1) -> dict[str, float]:
    return {row.metric: row.value for row in load(directory).rows if row.phase == phase}


def expectations(directory: RunDirectory, metric: str) -> list[float | None]:
    return [row.expected for row in load(directory).rows if row.metric == metric]


def loaded(directory: RunDirectory) -> ContainerData:
    (one,) = directory.trials()
    with directory.tables(one.number) as tables:
        return container_data.load(tables, one.containers[0])


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A quarter of a CPU, then a half, then no limit; its rows are derived once."""
    directory = written(tmp_path_factory.mktemp("quarter"), Ideal([25_000, 50_000, None]))
    load(directory).keep_rows()
    return directory


@pytest.fixture(scope="module")
def read(quarter: RunDirectory) -> ContainerData:
    """What the container of that run measured, read once."""
    return loaded(quarter)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


# A known workload measures as known


def test_a_quarter_of_a_cpu_measures_as_a_quarter_of_a_cpu(quarter: RunDirectory) -> None:
    measured = values(quarter)
    assert measured["cpus_used"] == 0.25
    assert measured["throttled_periods_pct"] == 100
    assert measured["throttled_time_pct"] == 75
    assert measured["probe_cpus"] == pytest.approx(0.25)
    assert measured["stall_time_pct"] == pytest.approx(75)
    assert measured["stalls_per_s"] == pytest.approx(10)
    assert measured["stall_p50_ms"] == measured["stall_p99_ms"] == measured["stall_max_ms"] == 75
    assert measured["work_per_cpu_s"] == 10_000
    assert measured["docker_stats_cpus"] == pytest.approx(0.25)
    assert measured["docker_stats_off_pct"] == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(("throttled", "pct"), [((1,), 0), ((2,), 100), ((), 0)])
def test_a_period_is_throttled_by_what_the_kernel_counts_at_its_end(
    throttled: tuple[int, ...], pct: float
) -> None:
    """Met beside a busy CPU: of a period of 1 s that was not throttled, and got too little, the
    throttling of the period before was told, so that nothing excused it.
    """
    # Three periods of 100 samples each; the window is the second one.
    counted = np.repeat([0.0, 1.0, 2.0], 100)
    stopped = np.cumsum(np.isin(np.arange(300), [100 * one for one in throttled]))
    t_ns = np.arange(300, dtype=np.int64) * NS_PER_MS
    data = ContainerData(
        record=records.trial().containers[0], t_ns=t_ns,
        counters={"usage_ns": t_ns.astype(float), "periods": counted,
                  "throttled_periods": stopped.astype(float), "throttled_ns": 0.0 * counted},
        per_cpu={}, running_on=(), per_node={}, pressure_us=None, stalls=(), units=(t_ns, t_ns),
        stats=(t_ns, t_ns.astype(np.float64)),
    )  # fmt: skip
    window = Window(99 * NS_PER_MS, 199 * NS_PER_MS, 99, 199, whole_periods=True)
    assert steady(data, window)["throttled_periods_pct"] == pct


def test_pressure_is_the_share_of_time_waited_between_the_slow_readings(
    quarter: RunDirectory,
) -> None:
    # Slow readings stand one period apart, so the share is that of whole periods.
    assert values(quarter)["cpu_pressure_pct"] == pytest.approx(75)


@pytest.mark.parametrize("keys", [("anon", "file"), ("file",)])
def test_refaults_are_those_of_files_and_of_swap_between_the_slow_readings(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    """40 a second of each: what kernels before 5.9 do not tell apart is one column."""
    ideal = Ideal([25_000])
    record = ideal.record()
    container = record.containers[0]
    source = Source(column="memory.stat:workingset_refault*", scale=1)
    container = container.model_copy(update={"sources": {**container.sources, "refaults": source}})
    samples = ideal.samples("worker")
    slow = np.arange(len(ideal.times)) % 100 == 7
    read_again = (ideal.times - T0) * 40 // 10**9
    more = [column(f"memory.stat:workingset_refault_{key}", read_again, slow) for key in keys]
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    samples = replace(samples, columns=[*samples.columns, *more])
    directory.write_trial(
        record.model_copy(update={"containers": (container,)}), TrialData([samples], (), ())
    )
    assert values(directory)["refaults_per_s"] == pytest.approx(40 * len(keys), rel=0.05)


def test_without_a_limit_a_worker_uses_its_cpu_and_never_stalls(quarter: RunDirectory) -> None:
    measured = values(quarter, phase=3)
    assert measured["cpus_used"] == 1
    assert measured["throttled_time_pct"] == 0
    assert measured["stall_time_pct"] == pytest.approx(0)
    assert measured["stalls_per_s"] == 0


def test_without_periods_there_is_no_share_of_throttled_ones_and_without_stalls_no_length(
    quarter: RunDirectory,
) -> None:
    assert not {"throttled_periods_pct", "stall_p50_ms", "stall_max_ms"} & set(values(quarter, 3))


def test_what_is_expected_follows_the_quota_and_its_error_is_nought(quarter: RunDirectory) -> None:
    assert expectations(quarter, "cpus_used") == [0.25, 0.5, 1]
    assert expectations(quarter, "throttled_time_pct") == [None, None, None]
    for row in load(quarter).rows:
        if row.metric in ("cpus_used", "probe_cpus"):
            assert row.error_pct == pytest.approx(0, abs=1e-9)
        elif row.expected is None:
            assert row.error_pct is None


@pytest.mark.parametrize(("workers", "quota_us"), [(1, 10_000), (2, 150_000), (2, 30_000)])
def test_v1_and_v2_counters_give_the_same_figures(
    tmp_path: Path, workers: int, quota_us: int
) -> None:
    one = Ideal([quota_us], workers)
    other = replace(one, sources=V2_SOURCES)
    v1, v2 = written(tmp_path / "1", one), written(tmp_path / "2", other)
    measured = values(v1)
    assert measured == pytest.approx(values(v2))
    assert measured["cpus_used"] == pytest.approx(quota_us / 100_000)
    assert expectations(v1, "cpus_used") == [quota_us / 100_000]
    assert measured["probe_cpus"] == pytest.approx(quota_us / 100_000)
    assert measured["work_per_cpu_s"] == pytest.approx(10_000)


@given(st.integers(1, 99))
@settings(deadline=None, max_examples=20)
def test_every_quota_of_one_worker_measures_as_it_is(folder: Path, percent: int) -> None:
    directory = RunDirectory(folder / f"{percent}")
    if not directory.path.exists():
        directory = written(folder / f"{percent}", Ideal([percent * 1000]))
    else:
        directory = RunDirectory(folder / f"{percent}" / "mine" / "run")
    measured = values(directory)
    assert measured["cpus_used"] == pytest.approx(percent / 100, rel=1e-9)
    assert measured["throttled_time_pct"] == pytest.approx(100 - percent, rel=1e-9)
    assert measured["stall_max_ms"] == pytest.approx(100 - percent)


def test_time_to_effect_is_measured_from_the_request_on(quarter: RunDirectory) -> None:
    measured = values(quarter, phase=2)
    assert measured["answer_ms"] == 15
    # The first sample that shows the new value stands within a millisecond after it.
    assert measured["file_ms"] == pytest.approx(10.3)
    # The worker goes on by the old quota for ten milliseconds; then a new period begins. The
    # last of them is 2 % of what a period should hold, which is as wide as the band.
    assert measured["settle_ms"] in (9, 10)


def test_a_container_born_with_a_limit_has_no_time_to_effect(tmp_path: Path) -> None:
    ideal = Ideal([25_000])
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    record = ideal.record()
    (phase,) = record.phases
    born = phase.model_copy(update={"change": phase.change.model_copy(update={"via": "run"})})
    directory.write_trial(record.model_copy(update={"phases": (born,)}), ideal.data())
    measured = values(directory)
    assert not {"answer_ms", "file_ms", "settle_ms"} & set(measured)
    assert measured["cpus_used"] == 0.25


def test_a_file_that_never_changed_has_no_time(tmp_path: Path) -> None:
    ideal = Ideal([25_000])
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    record = ideal.record()
    (phase,) = record.phases
    (file,) = phase.change.files
    same = phase.change.model_copy(
        update={"files": (file.model_copy(update={"t_changed_ns": None}),)}
    )
    phases = (phase.model_copy(update={"change": same}),)
    directory.write_trial(record.model_copy(update={"phases": phases}), ideal.data())
    assert "file_ms" not in values(directory)
    assert "answer_ms" in values(directory)


# What is absent, and counters that go backwards


def with_samples(folder: Path, ideal: Ideal, samples: Samples) -> RunDirectory:
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record())
    data = TrialData([samples], ideal.probes("worker"), ideal.stats("worker"))
    directory.write_trial(ideal.record(), data)
    return directory


def with_columns(folder: Path, **changed: Column | None) -> RunDirectory:
    """Write a run of a quarter CPU with some columns replaced, or left out where None."""
    ideal = Ideal([25_000])
    samples = ideal.samples("worker")
    kept = {one.name: one for one in samples.columns}
    for name, other in changed.items():
        source = ideal.sources[name].column if name in ideal.sources else "cpu.pressure:some.total"
        if other is None:
            del kept[source]
        else:
            kept[source] = replace(other, name=source)
    return with_samples(folder, ideal, replace(samples, columns=list(kept.values())))


DERIVED = {
    "usage_ns": {"cpus_used", "work_per_cpu_s"},
    "periods": {"throttled_periods_pct", "skipped_periods_pct", "stood_still_pct"},
    "throttled_periods": {"throttled_periods_pct", "stood_still_pct"},
    "throttled_ns": {"throttled_time_pct"},
    "pressure": {"cpu_pressure_pct"},
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_no_file_shows_is_absent_and_never_zero(tmp_path: Path, name: str) -> None:
    whole = values(written(tmp_path / "whole", Ideal([25_000])))
    lacking = values(with_columns(tmp_path / "lacking", **{name: None}))
    assert set(whole) - set(lacking) == DERIVED[name]


@pytest.mark.parametrize("name", DERIVED)
def test_what_could_never_be_read_is_absent_and_never_zero(tmp_path: Path, name: str) -> None:
    times = Ideal([25_000]).times
    unread = column("x", np.zeros_like(times), np.zeros(len(times), dtype=np.bool_))
    lacking = values(with_columns(tmp_path, **{name: unread}))
    assert not DERIVED[name] & set(lacking)


@pytest.mark.parametrize("name", DERIVED)
def test_a_counter_that_goes_backwards_gives_no_rate(tmp_path: Path, name: str) -> None:
    counters = Ideal([25_000]).counters
    backwards = counters["waited_us" if name == "pressure" else name].copy()
    # Reset in mid-window, and beyond its old value again before the window ends.
    middle = len(backwards) // 2
    backwards[middle:] += 10 * int(backwards[-1]) + 10
    backwards[middle : middle + 200] = 0
    slow = np.arange(len(backwards)) % 100 == 7 if name == "pressure" else None
    measured = values(with_columns(tmp_path, **{name: column("x", backwards, slow)}))
    assert not DERIVED[name] & set(measured)


def test_a_container_without_a_probe_has_no_figures_of_one(tmp_path: Path) -> None:
    ideal = Ideal([25_000])
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(ideal.record(), TrialData([ideal.samples("worker")], (), ()))
    measured = values(directory)
    assert measured["cpus_used"] == 0.25
    assert not [name for name in measured if "stall" in name or "probe" in name or "work" in name]
    assert "settle_ms" not in measured
    assert "docker_stats_cpus" not in measured


def test_docker_stats_of_a_phase_in_which_the_stream_broke_are_not_known(tmp_path: Path) -> None:
    """Found by reading: fewer points would look like a full series."""
    ideal = Ideal([25_000, 50_000])
    record, data = ideal.record(), ideal.data()
    assert data.stats[-1].t_ns < ideal.end, "no message shows that there was none after it"
    found = {}
    for name, why in (("broke", "the daemon closed it"), ("whole", None)):
        container = record.containers[0].model_copy(update={"docker_stats_broke": why})
        directory = RunDirectory.create(tmp_path, name, "run")
        directory.write_run(run_record())
        directory.write_trial(record.model_copy(update={"containers": (container,)}), data)
        rows = load(directory).rows
        found[name] = [one.phase for one in rows if one.metric == "docker_stats_cpus"]
    assert found == {"broke": [1], "whole": [1, 2]}


def test_every_metric_has_a_unit_and_rows_have_the_columns_of_the_manual(
    quarter: RunDirectory,
) -> None:
    for row in load(quarter).rows:
        assert tuple(row._asdict()) == PHASE_COLUMNS
        assert row.unit == METRICS[row.metric].unit
        assert row.value is not None
        assert row.requested in ("25000", "50000", "-1")
        assert row.effective == row.requested


# CPUs, gauges and kills


def moving(usage: Mapping[str, Column], cpuset: str) -> tuple[TrialRecord, TrialData]:
    """Return a trial without limits in which the worker should keep to `cpuset`."""
    ideal = Ideal([None])
    record = ideal.record()
    (phase,) = record.phases
    (container,) = record.containers
    change = phase.change.model_copy(
        update={"requested": cpuset, "settings": {"cpuset-cpus": cpuset}, "files": ()}
    )
    moved = phase.model_copy(
        update={"option": "cpuset-cpus", "change": change, "settings": change.settings}
    )
    sources = {
        **V1_SOURCES,
        "usage_per_cpu_ns": Source(column="cpuacct.usage_percpu:*", scale=1),
        "running_on": Source(column="stat:*.processor", scale=1),
    }
    samples = ideal.samples("worker")
    columns = [*samples.columns, *(replace(one, name=name) for name, one in usage.items())]
    return (
        record.model_copy(
            update={
                "phases": (moved,),
                "containers": (container.model_copy(update={"sources": sources}),),
            }
        ),
        TrialData([replace(samples, columns=columns)], ideal.probes("worker"), ()),
    )


def moved_after(folder: Path, off_until: int, cpuset: str = "1") -> dict[str, float]:
    """Return the figures of a worker that left CPU 0 for CPU 1 some time after the request."""
    elapsed = Ideal([None]).times - T0
    usage = {
        "cpuacct.usage_percpu:0": column("x", np.minimum(elapsed, off_until)),
        "cpuacct.usage_percpu:1": column("x", np.maximum(0, elapsed - off_until)),
    }
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(*moving(usage, cpuset))
    return values(directory)


def test_cpu_time_off_the_mask_is_that_of_the_steady_window(tmp_path: Path) -> None:
    assert moved_after(tmp_path / "soon", 40 * MS)["off_mask_cpu_ms"] == 0
    # The window begins 200 ms after the answer, with the first sample from there on.
    late = moved_after(tmp_path / "late", 500 * MS)["off_mask_cpu_ms"]
    assert late == pytest.approx(500 - 215, abs=1)


def test_a_move_has_settled_with_the_last_sample_that_shows_time_off_the_mask(
    tmp_path: Path,
) -> None:
    assert moved_after(tmp_path, 40 * MS)["settle_ms"] == pytest.approx(40.3)


def test_a_worker_that_was_there_already_has_nothing_to_settle(tmp_path: Path) -> None:
    measured = moved_after(tmp_path, 0)
    assert (measured["settle_ms"], measured["off_mask_cpu_ms"]) == (0, 0)


def test_a_mask_of_all_cpus_is_never_left(tmp_path: Path) -> None:
    measured = moved_after(tmp_path, 500 * MS, cpuset="0-1")
    assert (measured["settle_ms"], measured["off_mask_cpu_ms"]) == (0, 0)


def test_usage_by_cpu_that_could_not_be_read_is_absent_and_never_zero(tmp_path: Path) -> None:
    times = Ideal([None]).times
    unread = column("x", np.zeros_like(times), np.zeros(len(times), dtype=np.bool_))
    usage = {"cpuacct.usage_percpu:0": unread, "cpuacct.usage_percpu:1": column("x", times - T0)}
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(*moving(usage, "1"))
    assert not {"settle_ms", "off_mask_cpu_ms"} & set(values(directory))
    wider = RunDirectory.create(tmp_path, "mine", "wider")
    wider.write_run(run_record())
    wider.write_trial(*moving(usage, "0-1"))
    assert "set_cpus_used" not in values(wider)


def seen_on(
    folder: Path, cpu: Integers, present: npt.NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return the figures of a worker set to CPU 1 that was seen on `cpu` per sample."""
    usage = {"stat:77.processor": column("x", cpu, present)}
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(*moving(usage, "1"))
    return values(directory)


def test_readings_off_the_mask_are_a_share_of_those_in_the_steady_window(tmp_path: Path) -> None:
    elapsed = Ideal([None]).times - T0
    soon = seen_on(tmp_path / "soon", (elapsed > 40 * MS).astype(np.int64))
    assert soon["off_mask_pct"] == 0
    never = seen_on(tmp_path / "never", np.zeros_like(elapsed))
    assert never["off_mask_pct"] == 100
    half = seen_on(tmp_path / "half", np.arange(len(elapsed)) % 2)
    assert half["off_mask_pct"] == pytest.approx(50, abs=1)


def test_the_cpus_of_a_set_that_were_used_are_counted_by_usage(tmp_path: Path) -> None:
    one = moved_after(tmp_path / "one", 40 * MS, cpuset="0-1")
    assert one["set_cpus_used"] == 1
    both = moved_after(tmp_path / "both", 500 * MS, cpuset="0-1")
    assert both["set_cpus_used"] == 2


def test_the_cpus_of_a_set_that_were_used_are_counted_by_readings(tmp_path: Path) -> None:
    elapsed = Ideal([None]).times - T0
    for name, seen, cpus in (
        ("other", np.zeros_like(elapsed), 0), ("own", np.ones_like(elapsed), 1),
        # A reading now and then does not make a CPU a used one.
        ("seldom", (np.arange(len(elapsed)) % 40 == 0).astype(np.int64), 0),
    ):  # fmt: skip
        assert seen_on(tmp_path / name, seen)["set_cpus_used"] == cpus


def test_a_worker_that_was_never_seen_running_was_on_no_cpu(tmp_path: Path) -> None:
    times = Ideal([None]).times
    found = seen_on(tmp_path, np.zeros_like(times), np.zeros(len(times), dtype=np.bool_))
    assert not {"off_mask_pct", "set_cpus_used"} & set(found)


def lying_on(folder: Path, there: Mapping[int, Integers], nodes: str) -> dict[str, float]:
    """Return the figures of a worker whose memory lies on nodes so, in pages per sample."""
    columns = {f"memory.numa_stat:anon.N{node}": column("x", one) for node, one in there.items()}
    record, data = moving(columns, "1")
    (container,), (phase,) = record.containers, record.phases
    source = Source(column="memory.numa_stat:anon.N*", scale=4096)
    sources = {**container.sources, "anon_per_node_bytes": source}
    settings = {"cpuset-mems": nodes} if nodes else {}
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(
        record.model_copy(
            update={
                "phases": (phase.model_copy(update={"settings": settings}),),
                "containers": (container.model_copy(update={"sources": sources}),),
            }
        ),
        data,
    )
    return values(directory)


def test_memory_off_the_nodes_is_what_lies_there_long_after_the_change(tmp_path: Path) -> None:
    elapsed = Ideal([None]).times - T0
    left = np.maximum(0, 1000 - elapsed // MS)
    there = {0: left, 1: 1000 - left, 2: np.full_like(left, 7)}
    assert lying_on(tmp_path / "a", there, "0")["off_nodes_bytes"] == 4096 * 1007
    assert lying_on(tmp_path / "b", there, "1")["off_nodes_bytes"] == 4096 * 7
    assert lying_on(tmp_path / "c", there, "1-2")["off_nodes_bytes"] == 0


@pytest.mark.parametrize(("nodes", "asked"), [((0,), "0"), ((0, 1), "0-1"), ((0, 1), "")])
def test_where_there_is_no_other_node_nothing_is_told_of_it(
    tmp_path: Path, nodes: tuple[int, ...], asked: str
) -> None:
    pages = np.full_like(Ideal([None]).times, 9)
    found = lying_on(tmp_path, dict.fromkeys(nodes, pages), asked)
    assert "off_nodes_bytes" not in found


def with_memory(folder: Path, kills: Sequence[int | None]) -> dict[str, float]:
    """Return the figures of a container whose counter of kills went through these values."""
    ideal = Ideal([None])
    times = ideal.times
    per_value = -(-len(times) // len(kills))
    index = (np.arange(len(times)) // per_value).astype(np.int32)
    gone = np.array([value is None for value in kills])
    index[gone[index]] = -1
    memory = np.abs(np.arange(len(times)) - 1000)
    samples = ideal.samples("worker")
    columns = [
        *samples.columns,
        Column("memory.oom_control:oom_kill", index, tuple(kills)),
        column("memory.usage_in_bytes", 4096 * (1_000_000 - memory), memory % 7 == 0),
    ]
    record = ideal.record()
    (container,) = record.containers
    sources = {
        **V1_SOURCES,
        "oom_kills": Source(column="memory.oom_control:oom_kill", scale=1),
        "memory_bytes": Source(column="memory.usage_in_bytes", scale=1),
    }
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_run(run_record())
    directory.write_trial(
        record.model_copy(
            update={"containers": (container.model_copy(update={"sources": sources}),)}
        ),
        TrialData([replace(samples, columns=columns)], (), ()),
    )
    return values(directory)


MIB = 2**20


@pytest.mark.parametrize(
    ("killed_at", "memory", "ends", "most"),
    [
        # Killed while Docker wrote the limit: all that is read is what its pages still are.
        (-5, lambda ms: np.maximum(0, 100 - ms // 10), True, None),
        # One of several was: what the others grow to counts, and a batch of the counter is none.
        (-5, lambda ms: np.where(
            ms < 800, 100 - ms // 10 + ms % 2 / 16, np.minimum(50, 20 + (ms - 800) // 10)
        ), False, 50),
        # What stays is what is held.
        (-5, lambda ms: np.maximum(60, 100 - ms // 10), False, 60),
        # Nobody was killed, or only later: the limit does not hold what is above it.
        (None, lambda ms: np.maximum(60, 100 - ms // 10), False, 98),
        (500, lambda ms: np.maximum(0, 100 - ms // 10), True, 98),
    ],
)  # fmt: skip
def test_memory_of_what_was_killed_by_the_change_counts_for_nothing(
    tmp_path: Path, killed_at: int | None, memory: Any, ends: bool, most: int | None
) -> None:
    ideal = Ideal([None])
    record = ideal.record()
    (container,), (phase,) = record.containers, record.phases
    elapsed = (ideal.times - phase.change.t_answer_ns) // MS
    kills = (elapsed >= killed_at) if killed_at is not None else np.zeros_like(elapsed, dtype=bool)
    columns = [
        *ideal.samples("worker").columns,
        Column("memory.oom_control:oom_kill", kills.astype(np.int32), (0, 1)),
        column("memory.usage_in_bytes", (memory(elapsed) * MIB).astype(np.int64)),
    ]
    sources = {
        **V1_SOURCES,
        "oom_kills": Source(column="memory.oom_control:oom_kill", scale=1),
        "memory_bytes": Source(column="memory.usage_in_bytes", scale=1),
    }
    ending = Ending(
        role="worker", t_ns=phase.t_end_ns, exit_code=137, oom_killed=True, reason="killed"
    )  # fmt: skip
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    changed = record.model_copy(
        update={
            "containers": (container.model_copy(update={"sources": sources}),),
            "phases": (phase.model_copy(update={"ending": ending if ends else None}),),
        }
    )
    samples = replace(ideal.samples("worker"), columns=columns)
    directory.write_trial(changed, TrialData([samples], (), ()))
    found = values(directory)
    assert found.get("memory_max_bytes") == (
        None if most is None else pytest.approx(most * MIB, abs=2.5 * MIB)
    )
    # What the change itself killed is counted as well.
    assert found["oom_kills"] == (killed_at is not None)


def test_the_highest_memory_of_a_phase_is_found_between_gaps(tmp_path: Path) -> None:
    assert with_memory(tmp_path, [0])["memory_max_bytes"] == 4096 * 1_000_000


def test_memory_is_kept_as_far_as_nobody_took_it_away_in_the_second_half(tmp_path: Path) -> None:
    """A median says nothing of what is lost in between, and growth takes time."""
    found = with_memory(tmp_path, [0])
    assert found["memory_kept_bytes"] < found["memory_bytes"] < found["memory_max_bytes"]
    # It falls by a page with every sample; the last ones of the phase are the lowest.
    kept = 1_000_000 - found["memory_kept_bytes"] / 4096 + 1000
    assert 2850 < kept < 2999


def test_kills_are_those_within_the_phase(tmp_path: Path) -> None:
    assert with_memory(tmp_path / "some", [3, 3, None, 5])["oom_kills"] == 2
    assert with_memory(tmp_path / "none", [3])["oom_kills"] == 0


@pytest.mark.parametrize("kills", [[None], [3, 0]])
def test_kills_that_are_not_known_are_absent_and_never_zero(
    tmp_path: Path, kills: list[int | None]
) -> None:
    assert "oom_kills" not in with_memory(tmp_path, kills)


# The steady window


def window_of(directory: RunDirectory, phase: int = 1, **changes: int) -> Window | None:
    (one,) = directory.trials()
    found = one.phases[phase - 1].model_copy(update=changes)
    return container_data.steady_window(found, loaded(directory), found.settings)


def test_the_steady_window_lies_between_two_beginnings_of_periods_while_throttled(
    quarter: RunDirectory,
) -> None:
    window = window_of(quarter)
    assert window is not None
    assert window.whole_periods
    # The last samples before a period begins, after two periods of settling.
    assert window.t_begin_ns == T0 + 300 * MS - MS + OFFSET
    assert (window.t_end_ns - window.t_begin_ns) % PERIOD == 0
    assert window.t_end_ns >= T0 + HOLD - 2 * PERIOD
    data = loaded(quarter)
    assert (data.t_ns[window.first], data.t_ns[window.last]) == (
        window.t_begin_ns,
        window.t_end_ns,
    )


def test_without_throttling_the_steady_window_is_all_but_the_settling(
    quarter: RunDirectory,
) -> None:
    window = window_of(quarter, phase=3)
    (one,) = quarter.trials()
    assert window is not None
    assert not window.whole_periods
    begin = one.phases[2].change.t_answer_ns + 200 * MS
    assert begin <= window.t_begin_ns < begin + MS
    assert one.phases[2].t_end_ns - 2 * MS <= window.t_end_ns < one.phases[2].t_end_ns
    assert window.seconds == pytest.approx(2.79, abs=0.02)


def test_settling_is_at_most_half_of_a_short_phase(quarter: RunDirectory) -> None:
    window = window_of(quarter, phase=3, t_end_ns=Ideal([1, 1, 1]).request(2) + 115 * MS)
    assert window is not None
    assert window.seconds == pytest.approx(0.05, abs=0.003)


def test_a_phase_without_two_samples_has_no_steady_window(quarter: RunDirectory) -> None:
    (one,) = quarter.trials()
    answer = one.phases[0].change.t_answer_ns
    assert window_of(quarter, t_end_ns=answer + MS) is None
    assert window_of(quarter, t_end_ns=answer) is None


# Running time and settling, against a naive count


@st.composite
def stall_logs(draw: st.DrawFn, until: int = 900 * MS) -> list[tuple[Integers, Integers]]:
    logs = []
    for _ in range(draw(st.integers(1, 3))):
        edges = sorted(draw(st.sets(st.integers(0, until), max_size=24)))
        pairs = list(zip(edges[::2], edges[1::2], strict=False))
        begins = np.array([T0 + begin for begin, _ in pairs], dtype=np.int64)
        lengths = np.array([end - begin for begin, end in pairs], dtype=np.int64)
        logs.append((begins, lengths))
    return logs


def naive_running(logs: Sequence[tuple[Integers, Integers]], begin: int, end: int) -> int:
    """Return how long all workers together ran between two moments."""
    running = 0
    for begins, lengths in logs:
        running += end - begin
        for stall, length in zip(begins.tolist(), lengths.tolist(), strict=True):
            running -= max(0, min(end, stall + length) - max(begin, stall))
    return running


@given(
    logs=stall_logs(),
    offsets=st.lists(st.integers(-(10**8), 10**9), min_size=1, max_size=20, unique=True),
)
@relaxed
def test_running_time_is_all_time_outside_stalls(
    read: ContainerData, logs: list[tuple[Integers, Integers]], offsets: list[int]
) -> None:
    moments = np.array(sorted(T0 + offset for offset in offsets), dtype=np.int64)
    data = replace(read, stalls=logs)
    naive = [naive_running(logs, int(moments[0]), int(moment)) for moment in moments]
    np.testing.assert_allclose(container_data.busy_ns(data, moments), naive, rtol=1e-9, atol=1e-3)


def naive_settling(
    logs: Sequence[tuple[Integers, Integers]], phase: Phase, window: Window, period_ns: int
) -> int | None:
    """Do as settle_ns says that it does, millisecond by millisecond."""
    begin, end = phase.change.t_request_ns, phase.t_end_ns
    moments = list(range(begin, end - period_ns + 1, MS))
    share = [naive_running(logs, moment, moment + period_ns) / period_ns for moment in moments]
    steady = [one for one, at in zip(share, moments, strict=True) if at >= window.t_begin_ns]
    low, high = np.percentile(steady, [1, 99])
    margin = 0.02 * float(np.median(steady))
    outside = [one < low - margin or one > high + margin for one in share]
    ahead = min(2 * period_ns // MS, len(share))
    for index in range(len(share) - ahead + 1):
        if not outside[index] and sum(outside[index : index + ahead]) <= 0.02 * ahead:
            return index * MS
    return None


@given(logs=stall_logs(until=600 * MS), period_ms=st.sampled_from([5, 20, 50]))
@settings(deadline=None, max_examples=40)
def test_settling_is_found_where_a_naive_search_finds_it(
    read: ContainerData, logs: list[tuple[Integers, Integers]], period_ms: int
) -> None:
    phase = Ideal([25_000])._phase(0, "worker").model_copy(update={"t_end_ns": T0 + 600 * MS})
    window = Window(T0 + 250 * MS, T0 + 600 * MS, 250, 600, False)
    data = replace(read, stalls=logs)
    found = settling.settle_ns(phase, data, window, period_ms * MS)
    assert found == naive_settling(logs, phase, window, period_ms * MS)


def test_a_workload_that_never_left_the_band_settled_at_once(quarter: RunDirectory) -> None:
    (one,) = quarter.trials()
    data = replace(loaded(quarter), stalls=[(np.array([T0]), np.array([1]))])
    window = Window(T0 + 250 * MS, T0 + 600 * MS, 250, 600, False)
    assert settling.settle_ns(one.phases[0], data, window, PERIOD) == 0


def test_a_phase_shorter_than_three_periods_does_not_settle(quarter: RunDirectory) -> None:
    (one,) = quarter.trials()
    phase = one.phases[0].model_copy(update={"t_end_ns": T0 + 3 * PERIOD - MS})
    window = Window(T0 + 100 * MS, T0 + 290 * MS, 100, 290, False)
    assert settling.settle_ns(phase, loaded(quarter), window, PERIOD) is None


# Tables of a run


def test_stored_rows_are_those_computed(tmp_path: Path) -> None:
    directory = written(tmp_path, Ideal([25_000]))
    computed = load(directory).rows
    load(directory).keep_rows()
    assert directory.phases() is not None
    assert load(directory).rows == computed


def test_rows_are_computed_anew_when_a_trial_was_added_since(tmp_path: Path) -> None:
    directory = written(tmp_path, Ideal([25_000]))
    load(directory).keep_rows()
    directory.write_trial(replace(Ideal([25_000]), number=2).record(), Ideal([25_000]).data())
    assert {row.trial for row in load(directory).rows} == {1, 2}


def test_a_failed_trial_has_no_rows(tmp_path: Path) -> None:
    directory = written(tmp_path, Ideal([25_000]))
    directory.append_trial(records.trial(2).model_copy(update={"status": "failed"}))
    assert [one.number for one in load(directory).finished] == [1]
    assert {row.trial for row in load(directory).rows} == {1}


def test_of_a_trial_that_was_repeated_the_last_record_counts(tmp_path: Path) -> None:
    directory = written(tmp_path, Ideal([25_000]))
    failed = Ideal([25_000]).record().model_copy(update={"status": "failed"})
    directory.append_trial(failed)
    assert load(directory).finished == []
    directory.append_trial(Ideal([25_000]).record())
    assert [one.number for one in load(directory).finished] == [1]


def test_a_run_without_a_finished_trial_has_an_empty_summary(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    assert load(directory).rows == ()
    assert load(directory).summary == ()
    load(directory).keep_rows()
    assert load(directory).summary == ()


def test_a_summary_counts_trials_and_neither_samples_nor_phases(tmp_path: Path) -> None:
    # In each trial the quota is set twice; the trials differ in what the kernel gave.
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    for number, given_us in enumerate((20_000, 25_000, 30_000), 1):
        asked = replace(Ideal([25_000, 25_000]), number=number)
        got = Ideal([given_us, given_us])
        directory.write_trial(asked.record(), got.data())
    (used,) = [one for one in load(directory).summary if one.metric == "cpus_used"]
    assert used.estimate.trials == 3
    assert (used.estimate.low, used.estimate.median, used.estimate.high) == pytest.approx(
        (0.2, 0.25, 0.3)
    )
    assert used.estimate.level == 0.75
    assert used.estimate.expected == 0.25
    assert used.estimate.error_pct == pytest.approx(0)
    assert (used.key.role, used.key.option, used.key.via) == ("worker", "cpu-quota", "update")
    assert (used.key.requested, used.enforced, used.estimate.unit) == ("25000", "25000", "CPUs")


def test_a_trial_counts_once_by_the_median_of_its_phases(tmp_path: Path) -> None:
    # Asked for the same three times, given 10, 20 and 60 %: the trial says 20.
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    asked, got = Ideal([25_000] * 3), Ideal([10_000, 20_000, 60_000])
    directory.write_trial(asked.record(), got.data())
    (used,) = [one for one in load(directory).summary if one.metric == "cpus_used"]
    assert used.estimate.median == pytest.approx(0.2)
    assert used.estimate.trials == 1


def test_a_summary_is_the_same_from_stored_rows(tmp_path: Path) -> None:
    directory = written(tmp_path, Ideal([25_000, None]))
    computed = load(directory).summary
    load(directory).keep_rows()
    assert load(directory).summary == computed
    documents = [one.to_json() for one in computed]
    assert json.loads(json.dumps(documents)) == documents


def test_where_phases_disagree_the_summary_does_not_pick_one(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "mine", "run")
    directory.write_run(run_record())
    ideal = Ideal([25_000, 25_000])
    record = ideal.record()
    one, two = record.phases
    (file,) = two.change.files
    other = two.change.model_copy(update={"files": (file.model_copy(update={"after": "26000"}),)})
    phases = (one, two.model_copy(update={"change": other}))
    directory.write_trial(record.model_copy(update={"phases": phases}), ideal.data())
    (used,) = [row for row in load(directory).summary if row.metric == "cpus_used"]
    assert used.enforced is None
    assert used.estimate.expected == 0.25


# Shares


def shared(
    measured: dict[str, dict[str, float | None]], *roles: str
) -> dict[str, dict[str, float | None]]:
    """Return what was measured with the shares of all containers that there were."""
    rows._add_shares(measured, Situation({role: Load({}, 1) for role in roles}, (0, 1)))
    return measured


def test_a_share_is_a_containers_part_of_what_all_rivals_used() -> None:
    found = shared({"a": {"cpus_used": 0.5}, "b": {"cpus_used": 1.5}}, "a", "b")
    assert found["a"]["cpu_share_pct"] == 25
    assert found["b"]["cpu_share_pct"] == 75


@pytest.mark.parametrize("rival", [{}, {"cpus_used": None, "io_bytes_per_s": None}, None])
def test_a_rival_without_a_reading_leaves_no_share_of_100_percent(
    rival: dict[str, float | None] | None,
) -> None:
    measured: dict[str, dict[str, float | None]] = {
        "a": {"cpus_used": 0.5, "io_bytes_per_s": 9.0}, "b": {"cpus_used": 1.0}
    }  # fmt: skip
    found = shared(measured if rival is None else {**measured, "c": rival}, "a", "b", "c")
    for one in found.values():
        assert "cpu_share_pct" not in one
        assert "io_share_pct" not in one


def test_a_rival_that_used_nothing_leaves_all_to_the_other() -> None:
    found = shared({"a": {"cpus_used": 0.5}, "b": {"cpus_used": 0.0}}, "a", "b")
    assert found["a"]["cpu_share_pct"] == 100


def test_a_container_alone_has_no_share() -> None:
    assert "cpu_share_pct" not in shared({"a": {"cpus_used": 0.5}}, "a")["a"]


# What confines containers


def usable_in(*phases: Phase) -> list[tuple[int, ...] | None]:
    """Return the CPUs that are known to be usable in each phase, by a worker that was let on 0."""
    whole = records.trial()
    (one,) = whole.containers
    begun = one.model_copy(update={"confines": Confines(affinity=("0",))})
    trial = whole.model_copy(update={"phases": phases, "containers": (begun,)})
    return [found.loads["worker"].usable for _phase, found in rows.situations(records.run(), trial)]


def test_a_container_may_use_what_confined_it_last() -> None:
    plain = records.phase()
    change = plain.change.model_copy(update={"settings": {"cpus": "1", "cpuset-cpus": "0-1"}})
    moved = plain.model_copy(update={"change": change, "settings": change.settings})
    wider = moved.model_copy(update={"confines": Confines(affinity=("0-1",))})
    assert usable_in(plain, wider, plain) == [(0,), (0, 1), (0, 1)]
    # Where a set was changed and nothing read, what was read before does not hold any more.
    assert usable_in(plain, moved) == [(0,), None]


def test_a_neighbour_has_the_text_of_its_own_file_and_not_of_the_changed_one() -> None:
    """It ran with 700 shares, and was shown with the other's 300."""
    changed = Phase(
        number=1, role="a", option="cpu-shares", settings={"cpu-shares": 300}, t_end_ns=9,
        elsewhere={"b": "700"},
        change=Change(
            requested="300", settings={"cpu-shares": 300}, via="update", t_request_ns=1,
            t_answer_ns=2,
            files=(FileChange(file="cpu.shares", before="1024", after="300", expected="300"),),
        ),
    )  # fmt: skip
    assert [changed.effective_of(role) for role in ("a", "b", "c")] == ["300", "700", None]
