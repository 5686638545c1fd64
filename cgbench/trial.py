"""One trial: start its containers, warm up, walk the schedule, sample, stop, return a record."""

from __future__ import annotations

import contextlib
import math
import select
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from cgbench import cgroupfs, host
from cgbench.container import (
    Birth,
    Running,
    Snapshot,
    await_probes,
    describe,
    interface_path,
    interface_paths,
    snapshot,
    start,
    targets,
    text,
    why_ended,
)
from cgbench.engine import Answer, Engine, StatsStream
from cgbench.errors import ProbeError, TrialError, UpdateRejected
from cgbench.experiment import Experiment, PlannedStep, TrialPlan
from cgbench.options import Settings
from cgbench.probe import BUCKET_NS, WorkerLog
from cgbench.record import (
    Change,
    ContainerRecord,
    FileChange,
    Harness,
    Phase,
    ProbeFigures,
    SamplerFigures,
    TrialRecord,
)
from cgbench.sampler import Readings, Sampler, Target
from cgbench.store import ProbeLog, Samples, StatsPoint, TrialData
from cgbench.units import NS_PER_S, NS_PER_US

# Beyond the schedule: starting, warming up and slow answers on a loaded host.
_DEADLINE_MARGIN_S = 30
_SNAPSHOT_EVERY_S = 0.5


class Watcher(Protocol):
    """Whoever looks on while a trial runs; it must be quick and is called twice a second."""

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """A change was made and its phase begins."""

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """The containers as they are now."""


@dataclass(frozen=True)
class Setup:
    """What all trials of a run share."""

    experiment: Experiment
    engine: Engine
    image: str
    run: str
    scratch: Path = host.SCRATCH


@dataclass
class _Progress:
    """What a trial has come to so far; kept when it fails, so that nothing is lost."""

    t_begin_ns: int
    containers: list[ContainerRecord] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    readings: Readings | None = None
    figures: SamplerFigures | None = None
    logs: dict[str, tuple[WorkerLog, ...]] = field(default_factory=dict)
    streams: dict[str, StatsStream] = field(default_factory=dict)


def run_trial(plan: TrialPlan, setup: Setup, watcher: Watcher) -> tuple[TrialRecord, TrialData]:
    """Run one trial to its end and return its record and data.

    A container that dies, is killed or removed fails the trial: the record says why, and keeps
    what was measured until then. Errors that would fail every trial are raised.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    daemons = host.daemon_processes()
    before = host.cpu_times(daemons)
    progress = _Progress(before.t_ns)
    reason: str | None = None
    scratch = setup.scratch / f"{host.SCRATCH_PREFIX}{setup.run}-{plan.number:04}"
    scratch.mkdir(mode=0o711)
    try:
        _measure(plan, setup, watcher, progress, scratch)
    except (TrialError, ProbeError, UpdateRejected) as error:
        reason = error.message
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    after = host.cpu_times(daemons)
    data = _data(progress)
    record = TrialRecord(
        number=plan.number,
        repetition=plan.repetition,
        walk=plan.walk,
        status="ok" if reason is None else "failed",
        reason=reason,
        started=started,
        t_begin_ns=before.t_ns,
        t_end_ns=time.monotonic_ns(),
        hold_ns=plan.hold_ns,
        containers=tuple(progress.containers),
        phases=tuple(_with_file_times(progress)),
        sampler=progress.figures,
        probes=tuple(_probe_figures(progress)),
        harness=_harness(before, after, data, progress),
        n_samples=sum(len(samples.t_ns) for samples in data.samples),
    )
    return record, data


def deadline_s(plan: TrialPlan, experiment: Experiment) -> int:
    """Return after how many seconds a trial's containers end by themselves."""
    return math.ceil((plan.hold_ns + experiment.warmup) * 1.1 / NS_PER_S) + _DEADLINE_MARGIN_S


def _measure(
    plan: TrialPlan, setup: Setup, watcher: Watcher, progress: _Progress, scratch: Path
) -> None:
    birth = Birth(scratch.name, setup.image, setup.run, deadline_s(plan, setup.experiment), scratch)
    with ExitStack() as stack:
        running = [
            start(stack, spec, plan, setup.engine, birth) for spec in setup.experiment.containers
        ]
        progress.streams = {container.spec.role: container.stats for container in running}
        await_probes(setup.engine, running)
        progress.targets = [target for container in running for target in targets(container, plan)]
        progress.containers = [describe(container) for container in running]
        sampler = Sampler(
            progress.targets, setup.experiment.sampling, scratch / "spool", birth.deadline_s
        )
        stack.callback(sampler.close)
        sampler.start()
        try:
            _walk(plan, setup, watcher, running, progress)
        finally:
            # Also after a failure or Ctrl-C: what was sampled until then is worth keeping.
            with contextlib.suppress(ProbeError):
                _collect(sampler, running, progress)


def _walk(
    plan: TrialPlan,
    setup: Setup,
    watcher: Watcher,
    running: Sequence[Running],
    progress: _Progress,
) -> None:
    by_role = {container.spec.role: container for container in running}
    look = _Lookout(setup.engine, running, watcher)
    look.hold_until(time.monotonic_ns() + setup.experiment.warmup)
    for number, step in enumerate(plan.steps, 1):
        container = by_role[step.role]
        change = _change(setup.engine, container, step)
        watcher.phase_started(step, number, len(plan.steps))
        try:
            look.hold_until(change.t_answer_ns + step.hold_ns)
        finally:
            progress.phases.append(
                Phase(
                    number=number,
                    role=step.role,
                    option=step.option,
                    change=change,
                    settings=dict(container.settings),
                    t_end_ns=time.monotonic_ns(),
                )
            )


def _change(engine: Engine, container: Running, step: PlannedStep) -> Change:
    """Make one change and read back every interface file it should have reached."""
    paths = interface_paths(container.cgroup, step.settings)
    before = {path: text(path) for path in paths}
    warnings: tuple[str, ...] = ()
    if step.via == "update":
        answer = engine.update(container.container_id, step.settings)
    elif step.via == "run":
        # Born with it: the container was started with these options a moment ago.
        now = time.monotonic_ns()
        answer = Answer(now, now, ())
    else:
        answer = _write(container.cgroup, container.settings | dict(step.settings), step)
    warnings = answer.warnings
    container.settings |= step.settings
    files = tuple(
        FileChange(file=path.name, before=before[path], after=text(path), expected=expected)
        for path, expected in interface_paths(container.cgroup, container.settings).items()
        if path in before
    )
    return Change(
        requested=step.requested,
        settings=step.settings,
        via=step.via,
        t_request_ns=answer.t_request_ns,
        t_answer_ns=answer.t_answer_ns,
        warnings=warnings,
        files=files,
    )


def _write(cgroup: cgroupfs.Cgroup, settings: Settings, step: PlannedStep) -> Answer:
    """Write the interface files directly, as the control arm of an experiment."""
    begin = time.monotonic_ns()
    for path, expected in interface_paths(cgroup, settings).items():
        names = [name for name in step.settings if interface_path(cgroup, name) == path]
        if names and expected is not None:
            try:
                path.write_text(expected)
            except OSError as error:
                raise TrialError(f"cannot write {expected} to {path}: {error.strerror}") from error
    return Answer(begin, time.monotonic_ns(), ())


class _Lookout:
    """Waits, and looks after the containers meanwhile."""

    def __init__(self, engine: Engine, containers: Sequence[Running], watcher: Watcher) -> None:
        self._engine = engine
        self._containers = containers
        self._watcher = watcher
        self._poll = select.poll()
        for container in containers:
            self._poll.register(container.pidfd, select.POLLIN)
        self._next_snapshot = time.monotonic()

    def hold_until(self, deadline_ns: int) -> None:
        """Wait until `deadline_ns`. Raises TrialError as soon as a container ends."""
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            if time.monotonic() >= self._next_snapshot:
                self._next_snapshot = time.monotonic() + _SNAPSHOT_EVERY_S
                self._watcher.snapshot([snapshot(container) for container in self._containers])
            wait_s = min(left / NS_PER_S, max(0.0, self._next_snapshot - time.monotonic()))
            # poll() counts whole milliseconds; the last one is slept.
            for descriptor, _event in self._poll.poll(int(wait_s * 1000)):
                (ended,) = (one for one in self._containers if one.pidfd == descriptor)
                raise TrialError(why_ended(self._engine, ended.spec.role, ended.container_id))
            if wait_s < 0.001:
                time.sleep(max(0.0, wait_s))


def _collect(sampler: Sampler, running: Sequence[Running], progress: _Progress) -> None:
    """Stop sampler and probes and take what they have."""
    progress.readings, progress.figures = sampler.stop()
    probes = {
        container.spec.role: container.probe for container in running if container.probe is not None
    }
    for probe in probes.values():
        probe.stop()
    # A worker looks for the stop once per bucket, unless it is throttled just now.
    time.sleep(0.02)
    progress.logs = {role: probe.read() for role, probe in probes.items()}


def _data(progress: _Progress) -> TrialData:
    readings = progress.readings
    roles = [container.role for container in progress.containers]
    return TrialData(
        samples=[] if readings is None else [readings.samples(role) for role in roles],
        probes=[_probe_log(role, log) for role, logs in progress.logs.items() for log in logs],
        stats=[
            StatsPoint(role, point.t_ns, point.cpus, point.memory_bytes)
            for role, stream in progress.streams.items()
            for point in stream.finish()
        ],
    )


def _probe_log(role: str, log: WorkerLog) -> ProbeLog:
    last = np.flatnonzero(log.units)
    used = int(last[-1]) + 1 if last.size else 0
    return ProbeLog(
        role,
        log.worker,
        log.t0_ns + np.arange(used, dtype=np.int64) * BUCKET_NS,
        log.units[:used],
        log.stall_begin_ns,
        log.stall_length_ns,
    )


def _probe_figures(progress: _Progress) -> Iterator[ProbeFigures]:
    for role, logs in progress.logs.items():
        for log in logs:
            yield ProbeFigures(
                role=role,
                worker=log.worker,
                stalls=len(log.stall_begin_ns) + log.stalls_lost,
                stalls_lost=log.stalls_lost,
                longest_unit_us=log.longest_unit_ns / NS_PER_US,
            )


def _with_file_times(progress: _Progress) -> Iterator[Phase]:
    """Add to each change when the sampler first saw each interface file changed."""
    for phase in progress.phases:
        if progress.readings is None:
            yield phase
            continue
        files = []
        for file in phase.change.files:
            paths = (
                target.path
                for target in progress.targets
                if target.role == phase.role and target.path.name == file.file
            )
            path, seen = next(paths, None), None
            if path is not None and file.after != file.before:
                seen = progress.readings.first_change(
                    path, phase.change.t_request_ns, phase.t_end_ns
                )
            files.append(file.model_copy(update={"t_changed_ns": seen}))
        yield phase.model_copy(
            update={"change": phase.change.model_copy(update={"files": tuple(files)})}
        )


def _harness(
    before: host.CpuTimes, after: host.CpuTimes, data: TrialData, progress: _Progress
) -> Harness:
    elapsed = (after.t_ns - before.t_ns) / NS_PER_S
    daemon = (
        None
        if before.daemon_s is None or after.daemon_s is None
        else after.daemon_s - before.daemon_s
    )
    own = after.cgbench_s - before.cgbench_s
    used = sum(
        _used_s(samples, container)
        for samples, container in zip(data.samples, progress.containers, strict=False)
    )
    other = after.busy_s - before.busy_s - own - (daemon or 0.0) - used
    return Harness(
        cgbench_cpu_s=own,
        daemon_cpu_s=daemon,
        steal_cpu_s=after.steal_s - before.steal_s,
        other_cpu_s=max(0.0, other),
        elapsed_s=elapsed,
    )


def _used_s(samples: Samples, container: ContainerRecord) -> float:
    """Return the CPU-seconds a container used until its last sample."""
    source = container.sources.get("usage_ns")
    for column in samples.columns:
        if source is not None and column.name == source.column and column.values:
            return int(column.values[-1] or 0) * source.scale / NS_PER_S
    return 0.0
