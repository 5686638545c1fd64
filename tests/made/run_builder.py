"""Runs made without Docker: what a kernel that holds its limits would have shown, in real files.

A made-up kernel walks the schedule of a real experiment: in each period every worker runs until
its share of the quota is spent and then stands still. Counters, stalls, work and `docker stats`
all come from that one account, so whatever is derived from them can be known beforehand.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cgbench.judging.run import Run, load
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.host import Host
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import Column, ProbeLog, Samples, StatsPoint, TrialData
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
from cgbench.spec.conversions import bandwidth
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Settings
from cgbench.spec.schedule import PlannedStep, TrialPlan, planned
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US
from tests.made import records
from tests.made.records import HOST, RUN

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNITS_PER_MS = 600
SEED = 7
ANSWER_NS, FILE_NS = 15 * NS_PER_MS, 12 * NS_PER_MS
WARMUP_NS = 500 * NS_PER_MS
SOURCES = {
    "usage_ns": Source(column="cpuacct.usage", scale=1),
    "periods": Source(column="cpu.stat:nr_periods", scale=1),
    "throttled_periods": Source(column="cpu.stat:nr_throttled", scale=1),
    "throttled_ns": Source(column="cpu.stat:throttled_time", scale=1),
}


def obedient(settings: Settings) -> tuple[int | None, int]:
    """Hold exactly what is declared: quota (None for unlimited) and period in µs."""
    return bandwidth(settings)


@dataclass(frozen=True)
class MadeUp:
    """What to make: `kernel` says which quota and period it really holds.

    `file` turns the text an interface file should hold into the text it does; `failed` maps
    trials to the reasons they failed for; `noise` is how far single trials stray, as a share.
    `late_ns` is how long after the answer the kernel changes, which otherwise is before it.
    `quotas` are tried in place of those of the experiment's first step. Where it `starves` a
    container, no quota is used up, and nothing counts as throttled.
    """

    name: str = "cpu-quota-sweep"
    trials: int = 3
    hold_ns: int = 2 * NS_PER_S
    sampling_hz: int = 1000
    kernel: Callable[[Settings], tuple[int | None, int]] = obedient
    file: Callable[[str], str] = str
    failed: Mapping[int, str] = field(default_factory=dict)
    noise: float = 0.001
    other_cpu_s: float | None = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)
    status: str = "finished"
    finished: int | None = None
    host: Host = HOST
    late_ns: int = 0
    quotas: tuple[int, ...] = ()
    starves: bool = False

    @property
    def file_ns(self) -> int:
        """How long after the request the kernel changes."""
        return ANSWER_NS + self.late_ns if self.late_ns else FILE_NS


@dataclass(frozen=True)
class _Stretch:
    """Constant limits from `begin_ns`: each of `workers` runs `run_ns` of every `period_ns`."""

    begin_ns: int
    end_ns: int
    run_ns: int
    period_ns: int
    workers: int

    def used_ns(self, t_ns: Integers) -> Integers:
        """Return CPU time used from the begin until each time."""
        whole, part = np.divmod(np.clip(t_ns, self.begin_ns, self.end_ns) - self.begin_ns,
                                self.period_ns)  # fmt: skip
        used: Integers = self.workers * (whole * self.run_ns + np.minimum(part, self.run_ns))
        return used

    def stood_still_ns(self, t_ns: Integers) -> Integers:
        """Return the time that all workers stood still from the begin until each time."""
        passed: Integers = np.clip(t_ns, self.begin_ns, self.end_ns) - self.begin_ns
        return self.workers * passed - self.used_ns(t_ns)

    def periods(self, t_ns: Integers) -> Integers:
        """Return how many periods began after the first until each time."""
        begun: Integers = (np.clip(t_ns, self.begin_ns, self.end_ns) - self.begin_ns) // (
            self.period_ns
        )
        return begun

    @property
    def throttles(self) -> bool:
        return self.run_ns < self.period_ns

    def stalls(self) -> tuple[Integers, Integers]:
        """Return begin and length of one worker's stalls."""
        if not self.throttles:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        begin = np.arange(self.begin_ns + self.run_ns, self.end_ns, self.period_ns, dtype=np.int64)
        end = np.minimum(begin + self.period_ns - self.run_ns, self.end_ns)
        return begin, end - begin


def build(results: Path, made: MadeUp | None = None) -> RunDirectory:
    """Return a whole run under `results`, of which each that is alike is made once, then copied.

    So is each trial in which the same is measured.
    """
    made = made or MadeUp()
    alike = [one for one in _KEPT if one.made == made]
    if not alike:
        known = [one for one in _KEPT if one.measured == _measured(made)]
        directory = make(Path(tempfile.mkdtemp(dir=_folder().name)), made, known)
        alike = [_Kept(made, directory)]
        _KEPT.append(alike[0])
    kept = alike[0].directory.path
    directory = RunDirectory.create(results, kept.parent.name, kept.name)
    shutil.copytree(kept, directory.path, dirs_exist_ok=True)
    return directory


@dataclass(frozen=True)
class _Kept:
    """A run that was made and that nobody changes."""

    made: MadeUp
    directory: RunDirectory

    @functools.cached_property
    def measured(self) -> MadeUp:
        return _measured(self.made)

    @functools.cached_property
    def _run(self) -> Run:
        return load(self.directory)

    @functools.cached_property
    def _trials(self) -> dict[int, tuple[TrialRecord, TrialPlan]]:
        plans = planned(self._run.record.experiment, HOST.cpus, SEED)
        return {one.number: (one, plans[one.number - 1]) for one in self._run.trials}

    def trial(self, plan: TrialPlan) -> TrialRecord | None:
        """Return the record of the trial that followed the same plan, whichever repetition."""
        known, own = self._trials.get(plan.number, (None, None))
        same = own is not None and (own.walk, own.steps) == (plan.walk, plan.steps)
        return known if same else None

    def rows(self, number: int, made: MadeUp) -> list[Row] | None:
        """Return the rows of a trial, unless they would be others for `made`."""
        found = [row for row in self._run.rows if row.trial == number]
        like = (made.file, made.host) == (self.made.file, self.made.host)
        return found if found and like else None


def _measured(made: MadeUp) -> MadeUp:
    """Return what decides what is measured in a trial, and nothing of what is only recorded."""
    plain = MadeUp()
    return replace(
        made, trials=plain.trials, file=plain.file, failed=plain.failed, cpu=plain.cpu,
        other_cpu_s=plain.other_cpu_s, status=plain.status, finished=plain.finished,
        host=plain.host,
    )  # fmt: skip


_KEPT: list[_Kept] = []


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="cgbench-made-")
    atexit.register(folder.cleanup)
    return folder


def make(results: Path, made: MadeUp, known: Sequence[_Kept] = ()) -> RunDirectory:
    """Make a whole run under `results` and return it; `known` are runs that measured the same."""
    shaped = _shaped(made)
    plans = planned(shaped, HOST.cpus, SEED)
    directory = RunDirectory.create(results, shaped.name, RUN)
    record = records.run(
        experiment=shaped, trials_planned=len(plans), host=made.host, status=made.status,
        elapsed_s=60.0,
    )  # fmt: skip
    directory.write_run(record)
    (directory.path / "trials.jsonl").touch()
    rows: list[list[Row] | None] = []
    for plan in plans[: made.finished]:
        kept = next((one for one in known if one.trial(plan) is not None), None)
        trial, data = _trial(plan, shaped, made, kept.trial(plan) if kept else None)
        if data is not None:
            directory.write_trial(trial, data)
        elif kept is not None:
            for table in kept.directory.path.glob(f"samples/trial-{plan.number:04}.*"):
                shutil.copyfile(table, directory.path / "samples" / table.name)
            directory.append_trial(trial)
        if trial.status == "ok":
            same = (one.rows(plan.number, made) for one in known)
            rows.append(next((one for one in same if one is not None), None))
    if None in rows:
        load(directory).keep_rows()
    else:
        directory.write_phases([row for one in rows for row in one or ()])
    return directory


def unfelt(directory: RunDirectory) -> RunDirectory:
    """Let nothing be known of how much CPU a run's workloads want: no figure of them is judged."""
    trials = [
        trial.model_copy(
            update={
                "containers": tuple(
                    one.model_copy(update={"probe": None}) for one in trial.containers
                )
            }
        )
        for trial in directory.trials()
    ]
    (directory.path / "trials.jsonl").unlink()
    (directory.path / "phases.parquet").unlink(missing_ok=True)
    for trial in trials:
        directory.append_trial(trial)
    return directory


def _shaped(made: MadeUp) -> Experiment:
    original = experiment_file.load(made.name)
    steps = tuple(step.model_copy(update={"hold": made.hold_ns}) for step in original.steps)
    if made.quotas:
        steps = (steps[0].model_copy(update={"set": {"cpu-quota": made.quotas}}),)
    sampling = original.sampling.model_copy(update={"fast_hz": made.sampling_hz})
    return original.model_copy(update={"trials": made.trials, "steps": steps, "sampling": sampling})


def _trial(
    plan: TrialPlan, shaped: Experiment, made: MadeUp, known: TrialRecord | None = None
) -> tuple[TrialRecord, TrialData | None]:
    """Return a trial, and what was measured unless that is `known`."""
    rng = np.random.default_rng(plan.number)
    (container,) = shaped.containers
    begin = 1_000 * NS_PER_S * plan.number
    phases, settings, now = [], dict(container.options), begin + WARMUP_NS
    for number, step in enumerate(plan.steps, 1):
        before = dict(settings)
        settings |= step.settings
        change = _change(step, before, settings, now, made)
        now += ANSWER_NS + step.hold_ns
        phases.append(
            Phase(number=number, role=step.role, option=step.option, change=change,
                  settings=dict(settings), t_end_ns=now)
        )  # fmt: skip
    reason = made.failed.get(plan.number)
    data = None
    if known is None:
        stretches = _stretches(begin, now, phases, container.workers, made, rng)
        data = _data(stretches, container.role, made, rng)
        samples, probes = len(data.samples[0].t_ns), tuple(map(_figures, data.probes))
    else:
        samples, probes = known.n_samples, known.probes
    record = TrialRecord(
        number=plan.number, repetition=plan.repetition, walk=plan.walk,
        status="ok" if reason is None else "failed", reason=reason,
        started="2026-01-01T00:00:00.000+00:00", t_begin_ns=begin - NS_PER_S, t_end_ns=now,
        hold_ns=plan.hold_ns,
        containers=(
            ContainerRecord(role=container.role, container_id="0" * 64, sources=SOURCES,
                            workload=container.workload, workers=container.workers,
                            probe="spin"),
        ),
        phases=tuple(phases), sampler=_sampler(samples, made), probes=probes,
        harness=Harness(cgbench_cpu_s=0.5, daemon_cpu_s=None, steal_cpu_s=0.0,
                        other_cpu_s=made.other_cpu_s, elapsed_s=(now - begin) / NS_PER_S,
                        **made.cpu),
        n_samples=samples,
    )  # fmt: skip
    return record, data


def _figures(log: ProbeLog) -> ProbeFigures:
    return ProbeFigures(role=log.role, worker=log.worker, stalls=len(log.stall_begin_ns),
                        stalls_lost=0, longest_unit_us=20.0)  # fmt: skip


def _change(step: PlannedStep, before: Settings, after: Settings, now: int, made: MadeUp) -> Change:
    def texts(settings: Settings) -> dict[str, str]:
        quota, period = bandwidth(settings)
        return {"cpu-period": str(period), "cpu-quota": str(-1 if quota is None else quota)}

    old, new = texts(before), texts(after)
    files = tuple(
        FileChange(
            file="cpu.cfs_quota_us" if name == "cpu-quota" else "cpu.cfs_period_us",
            before=old[name], after=old[name] if made.late_ns else made.file(new[name]),
            expected=new[name],
            t_changed_ns=None if old[name] == made.file(new[name]) else now + made.file_ns,
            history=_history(old[name], made.file(new[name]), now, made),
        )
        for name in step.settings
    )  # fmt: skip
    return Change(requested=step.requested, note=step.note, settings=step.settings, via="update",
                  t_request_ns=now, t_answer_ns=now + ANSWER_NS, files=files)  # fmt: skip


def _history(before: str, after: str, now: int, made: MadeUp) -> FileHistory | None:
    """Return what was sampled of a file that changed late; older runs have no such thing."""
    if not made.late_ns:
        return None
    stood = [Stood(t_ns=now, text=before), Stood(t_ns=now + made.file_ns, text=after)]
    return FileHistory.of(stood[: 1 if before == after else 2])


def _stretches(
    begin: int,
    end: int,
    phases: Sequence[Phase],
    workers: int,
    made: MadeUp,
    rng: np.random.Generator,
) -> list[_Stretch]:
    edges = [(begin, (None, 100_000))] + [
        (phase.change.t_request_ns + made.file_ns, made.kernel(phase.settings)) for phase in phases
    ]
    ends = [edge for edge, _ in edges[1:]] + [end]
    stretches = []
    for (first, (quota, period_us)), last in zip(edges, ends, strict=True):
        period = period_us * NS_PER_US
        run = period
        if quota is not None:
            share = quota * NS_PER_US / workers * (1 + made.noise * rng.standard_normal())
            run = min(period, round(share))
        stretches.append(_Stretch(first, last, run, period, workers))
    return stretches


def _data(
    stretches: Sequence[_Stretch], role: str, made: MadeUp, rng: np.random.Generator
) -> TrialData:
    begin, end = stretches[0].begin_ns, stretches[-1].end_ns
    t_ns = np.arange(begin, end, NS_PER_S // made.sampling_hz, dtype=np.int64)
    late = rng.integers(5_000, 40_000, len(t_ns))
    index = np.arange(len(t_ns), dtype=np.int32)
    throttled = [stretch for stretch in stretches if stretch.throttles]
    periods = _summed(throttled, t_ns, _Stretch.periods)
    counters = {
        "cpuacct.usage": _used(stretches, t_ns),
        "cpu.stat:nr_periods": periods,
        "cpu.stat:nr_throttled": 0 * periods if made.starves else periods,
        "cpu.stat:throttled_time": _summed(throttled, t_ns, _Stretch.stood_still_ns),
    }
    columns = [Column(name, index, tuple(values.tolist())) for name, values in counters.items()]
    probes = [_probe(stretches, role, worker) for worker in range(stretches[0].workers)]
    seconds = np.arange(begin + NS_PER_S, end, NS_PER_S, dtype=np.int64)
    shown = np.diff(_used(stretches, np.concatenate(([begin], seconds)))) / NS_PER_S
    stats = [StatsPoint(role, int(t), float(cpus), 10 * 2**20)
             for t, cpus in zip(seconds, shown, strict=True)]  # fmt: skip
    return TrialData([Samples(role, t_ns, late, columns)], probes, stats)


def _used(stretches: Sequence[_Stretch], t_ns: Integers) -> Integers:
    return _summed(stretches, t_ns, _Stretch.used_ns)


def _summed(
    stretches: Sequence[_Stretch], t_ns: Integers, account: Callable[[_Stretch, Integers], Integers]
) -> Integers:
    """Return the sum of an account over all stretches at each time; times are in order."""
    total = np.zeros(len(t_ns), np.int64)
    for one in stretches:
        # Before a stretch its account is 0, and behind it what it is at its end.
        begin, end = np.searchsorted(t_ns, (one.begin_ns, one.end_ns))
        total[begin:end] += account(one, t_ns[begin:end])
        total[end:] += account(one, np.array([one.end_ns]))
    return total


def _probe(stretches: Sequence[_Stretch], role: str, worker: int) -> ProbeLog:
    begin, end = stretches[0].begin_ns, stretches[-1].end_ns
    t_ns = np.arange(begin, end, NS_PER_MS, dtype=np.int64)
    running = np.diff(_used(stretches, np.append(t_ns, end))) / stretches[0].workers
    stalls = [stretch.stalls() for stretch in stretches]
    return ProbeLog(
        role, worker, t_ns, np.round(running / NS_PER_MS * UNITS_PER_MS).astype(np.int64),
        np.concatenate([first for first, _ in stalls]),
        np.concatenate([length for _, length in stalls]),
    )  # fmt: skip


def _sampler(samples: int, made: MadeUp) -> SamplerFigures:
    return SamplerFigures(
        requested_hz=made.sampling_hz, achieved_hz=made.sampling_hz, ticks=samples, missed=0,
        late_p50_us=11.0, late_p99_us=41.0, late_max_us=80.0, reading_p50_us=6.0, cpu_pct=1.8,
        scheduling="SCHED_FIFO 50", files=9,
    )  # fmt: skip


def refuse(directory: RunDirectory, requested: str, words: str, only: Sequence[int] = ()) -> Run:
    """Have Docker refuse a value, in every trial or only in some; load what is left of the run."""
    for trial in directory.trials():
        if only and trial.number not in only:
            continue
        phases = [
            phase.model_copy(update={"change": phase.change.model_copy(update={"error": words})})
            if phase.requested == requested
            else phase
            for phase in trial.phases
        ]
        directory.append_trial(trial.model_copy(update={"phases": tuple(phases)}))
    stored = directory.phases()
    assert stored is not None
    directory.write_phases([
        row for row in stored
        if row.requested != requested or (only and row.trial not in only)
    ])  # fmt: skip
    return load(directory)
