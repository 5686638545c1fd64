"""What a trial has brought in: gathered while it runs, turned into record and data at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cgbench.engine import streams as docker_streams
from cgbench.errors import ProbeError, ProbeSilent, SamplerError
from cgbench.host import cpu_time
from cgbench.measuring.container import Running
from cgbench.measuring.probe import BUCKET_NS, ProbeFile, WorkerLog
from cgbench.measuring.readings import Readings, Target
from cgbench.measuring.sampler import Sampler
from cgbench.records.samples import ProbeLog, Samples, StatsPoint, TrialData
from cgbench.records.trial import (
    ContainerRecord,
    Event,
    FileChange,
    Harness,
    Phase,
    ProbeFigures,
    Reported,
    SamplerFigures,
)
from cgbench.units import NS_PER_S, NS_PER_US

# Its own schedule wakes a prober at once; beside load it may wait for a CPU.
_PROBERS_END_S = 1.0


@dataclass
class Harvest:
    """What a trial has come to so far; kept when it fails, so that nothing is lost.

    `lost` says what could not be had although the trial went well.
    """

    t_begin_ns: int
    containers: list[ContainerRecord] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    readings: Readings | None = None
    figures: SamplerFigures | None = None
    logs: dict[str, tuple[WorkerLog, ...]] = field(default_factory=dict)
    streams: dict[str, docker_streams.StatsStream] = field(default_factory=dict)
    events: list[docker_streams.Event] = field(default_factory=list)
    reports: list[Reported] = field(default_factory=list)
    lost: str | None = None


def collect(
    sampler: Sampler, running: Sequence[Running], progress: Harvest, *, forgiving: bool = False
) -> None:
    """Stop sampler and probes and take what they have, the one whatever the other does.

    Raises SamplerError or ProbeError once all that can be had was taken; a probe that never began
    is no error where `forgiving` says that a container may end at any time.
    """
    for stream in progress.streams.values():
        stream.expect_end()
    try:
        progress.readings, progress.figures = sampler.stop()
    except SamplerError:
        with contextlib.suppress(ProbeError):
            _collect_logs(running, progress, forgiving=True)
        raise
    _collect_logs(running, progress, forgiving)


def _collect_logs(running: Sequence[Running], progress: Harvest, forgiving: bool) -> None:
    probes = {
        container.spec.role: container.probe for container in running if container.probe is not None
    }
    unusable: dict[str, ProbeError] = {}
    for role, probe in probes.items():
        try:
            probe.stop()
        except ProbeError as error:
            unusable[role] = error
    # A worker looks for the stop once per bucket, unless it is throttled just now.
    time.sleep(0.02)
    _await_probers([probe for role, probe in probes.items() if role not in unusable])
    for role, probe in probes.items():
        if role in unusable:
            continue
        try:
            progress.logs[role] = probe.read()
        except ProbeError as error:
            unusable[role] = error
    for why in unusable.values():
        if not (forgiving and isinstance(why, ProbeSilent)):
            raise why


def _await_probers(probes: Sequence[ProbeFile]) -> None:
    """Wait until probers have noted what became of every request, or long enough."""
    limit = time.monotonic() + _PROBERS_END_S
    asking = [probe for probe in probes if probe.task.kind == "request"]
    with contextlib.suppress(ProbeError):
        while not all(probe.finished() for probe in asking) and time.monotonic() < limit:
            time.sleep(0.005)


def take_events(stream: docker_streams.EventStream, progress: Harvest) -> None:
    """Stop the stream of events and take what came; ends may be missing if it broke before."""
    progress.events.extend(stream.finish())
    progress.lost = stream.broken


def data(progress: Harvest) -> TrialData:
    """Return samples, probe logs and `docker stats` messages; the containers must be gone."""
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


def containers(progress: Harvest) -> Iterator[ContainerRecord]:
    """Yield the containers, each with what became of its `docker stats`; they must be gone."""
    for one in progress.containers:
        stream = progress.streams.get(one.role)
        broke = None if stream is None else stream.broken
        yield one.model_copy(update={"docker_stats_broke": broke})


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


def probe_figures(progress: Harvest) -> Iterator[ProbeFigures]:
    """Yield what each worker of each probe saw in all."""
    for role, logs in progress.logs.items():
        for log in logs:
            yield ProbeFigures(
                role=role,
                worker=log.worker,
                stalls=len(log.stall_begin_ns) + log.stalls_lost,
                stalls_lost=log.stalls_lost,
                longest_unit_us=log.longest_unit_ns / NS_PER_US,
                **vars(log.tally),
            )


def events(progress: Harvest) -> Iterator[Event]:
    """Yield what Docker said of the containers, in the order it happened."""
    roles = {one.container_id: one.role for one in progress.containers}
    for event in sorted(progress.events, key=lambda one: one.t_ns):
        if event.container_id in roles:
            yield Event(
                role=roles[event.container_id],
                t_ns=event.t_ns,
                action=event.action,
                exit_code=event.exit_code,
            )


def with_histories(progress: Harvest) -> Iterator[Phase]:
    """Add to each change what the sampler saw in each interface file, and when it took hold."""
    for phase in progress.phases:
        files = tuple(_with_history(file, phase, progress) for file in phase.change.files)
        change = phase.change.model_copy(update={"files": files})
        yield phase.model_copy(update={"change": change})


def _with_history(file: FileChange, phase: Phase, progress: Harvest) -> FileChange:
    paths = (
        target.path
        for target in progress.targets
        if target.role == phase.role and target.path.name == file.file
    )
    path = next(paths, None)
    if path is None or progress.readings is None:
        return file
    seen = progress.readings.history(path, phase.change.t_request_ns, phase.t_end_ns)
    if seen is None:
        return file
    took_hold_ns = seen.took_hold_ns(file.expected)
    return file.model_copy(update={"history": seen, "t_changed_ns": took_hold_ns})


def harness(
    before: cpu_time.CpuTimes,
    after: cpu_time.CpuTimes,
    measured: TrialData,
    progress: Harvest,
) -> Harness:
    """Return what cgbench, the daemon and others used between two readings of CPU times."""
    elapsed = (after.t_ns - before.t_ns) / NS_PER_S
    daemon = (
        None
        if before.daemon_s is None or after.daemon_s is None
        else after.daemon_s - before.daemon_s
    )
    own = after.cgbench_s - before.cgbench_s
    used = _used_by_containers(measured, progress)
    other = None
    if daemon is not None and used is not None:
        # The clocks are read one after the other, so that little can come to less than nothing.
        other = max(0.0, after.busy_s - before.busy_s - own - daemon - used)
    waited = _grown(before.state.waited_us, after.state.waited_us)
    return Harness(
        cgbench_cpu_s=own,
        daemon_cpu_s=daemon,
        steal_cpu_s=after.steal_s - before.steal_s,
        other_cpu_s=other,
        elapsed_s=elapsed,
        mhz=after.state.mhz,
        thermal_throttles=_grown(before.state.thermal_throttles, after.state.thermal_throttles),
        waited_s=None if waited is None else waited * NS_PER_US / NS_PER_S,
    )


def _grown(before: int | None, after: int | None) -> int | None:
    """Return how far a counter went, None if it went back: that of a CPU that is gone is lost."""
    return None if before is None or after is None or after < before else after - before


def _used_by_containers(measured: TrialData, progress: Harvest) -> float | None:
    """Return the CPU-seconds that all containers used, None where that of one is not known."""
    if progress.readings is None:
        return None
    used = [
        _used_s(samples, container, progress.events)
        for samples, container in zip(measured.samples, progress.containers, strict=True)
    ]
    known = [one for one in used if one is not None]
    return sum(known) if len(known) == len(used) else None


def _used_s(
    samples: Samples, container: ContainerRecord, events: Sequence[docker_streams.Event]
) -> float | None:
    """Return the CPU-seconds a container used until the last sample that found its group.

    None where nothing was read, or where it was started again: its new group is not sampled.
    """
    begin_ns = samples.t_ns[0] if len(samples.t_ns) else 0
    again = any(
        event.container_id == container.container_id
        and event.action == "start"
        and event.t_ns > begin_ns
        for event in events
    )
    source = container.sources.get("usage_ns")
    if again or source is None:
        return None
    for column in samples.columns:
        if column.name == source.column:
            seen = [value for value in column.values if isinstance(value, int)]
            return seen[-1] * source.scale / NS_PER_S if seen else None
    return None
