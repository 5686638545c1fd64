"""From samples to rates, ratios and settling times; the home of pandas.

Everything is derived over measured elapsed time from stored readings: no Docker, no root, no Linux.
The formulas stand in the README's section of the same name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cgbench.judging.container_data import ContainerData, Window, busy_ns, load, steady_window
from cgbench.judging.expectation import Load, Situation
from cgbench.judging.intervals import error_pct, median_interval
from cgbench.judging.settling import time_to_effect
from cgbench.records.run import PHASE_COLUMNS, Phase, RunRecord, TrialRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.spec.experiment import Container
from cgbench.spec.options import Settings
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US, parse_cpu_list

if TYPE_CHECKING:
    import pandas as pd

UNITS: Mapping[str, str] = {
    "cpus_used": "CPUs",
    "probe_cpus": "CPUs",
    "throttled_periods_pct": "%",
    "throttled_time_pct": "%",
    "stall_time_pct": "%",
    "stalls_per_s": "1/s",
    "stall_p50_ms": "ms",
    "stall_p99_ms": "ms",
    "stall_max_ms": "ms",
    "work_per_cpu_s": "units/s",
    "answer_ms": "ms",
    "file_ms": "ms",
    "settle_ms": "ms",
    "docker_stats_cpus": "CPUs",
    "cpu_pressure_pct": "%",
    "cpu_share_pct": "%",
    "off_mask_cpu_ms": "ms",
    "off_mask_pct": "%",
    "work_per_s": "units/s",
    "memory_max_bytes": "bytes",
    "swap_max_bytes": "bytes",
    "memory_swap_max_bytes": "bytes",
    "tasks_max": "tasks",
    "oom_kills": "kills",
    "io_bytes_per_s": "bytes/s",
    "io_share_pct": "%",
    "wake_p50_us": "µs",
    "wake_p99_us": "µs",
    "wake_max_us": "µs",
    "ended_ms": "ms",
    "restarts": "restarts",
    "backoff_ms": "ms",
    "memory_bytes": "bytes",
}
"""Every metric and its unit."""

Floats = npt.NDArray[np.float64]


def steady(data: ContainerData, window: Window) -> dict[str, float | None]:
    """Return the steady metrics of one container over one window; absent ones are None."""
    found: dict[str, float | None] = {}
    used_ns = _difference(data.counters.get("usage_ns"), window)
    elapsed_ns = window.t_end_ns - window.t_begin_ns
    found["cpus_used"] = _ratio(used_ns, elapsed_ns)
    periods = _difference(data.counters.get("periods"), window)
    throttled = _difference(data.counters.get("throttled_periods"), window)
    found["throttled_periods_pct"] = _ratio(throttled, periods, 100)
    throttled_ns = _difference(data.counters.get("throttled_ns"), window)
    found["throttled_time_pct"] = _ratio(throttled_ns, elapsed_ns, 100)
    found["cpu_pressure_pct"] = _pressure_pct(data, window)
    found["docker_stats_cpus"] = _docker_stats(data, window)
    held = data.counters.get("memory_bytes", np.empty(0))[window.first : window.last + 1]
    found["memory_bytes"] = float(np.nanmedian(held)) if (~np.isnan(held)).any() else None
    moved = _difference(data.counters.get("io_bytes"), window)
    found["io_bytes_per_s"] = _ratio(moved, elapsed_ns, NS_PER_S)
    if data.record.probe == "wake":
        found |= _wake_metrics(data, window)
    elif data.stalls:
        found |= _stall_metrics(data, window)
    if data.stalls:
        begin, units = data.units
        inside = (begin >= window.t_begin_ns) & (begin < window.t_end_ns)
        done = float(units[inside].sum())
        found["work_per_cpu_s"] = _ratio(done, used_ns, NS_PER_S)
        found["work_per_s"] = _ratio(done, elapsed_ns, NS_PER_S)
    return found


def _wake_metrics(data: ContainerData, window: Window) -> dict[str, float | None]:
    late = np.concatenate(
        [
            lateness[(due >= window.t_begin_ns) & (due < window.t_end_ns)]
            for due, lateness in data.stalls
        ]
    )
    if not late.size:
        return {}
    p50, p99 = np.percentile(late, [50, 99]) / NS_PER_US
    return {
        "wake_p50_us": float(p50),
        "wake_p99_us": float(p99),
        "wake_max_us": float(late.max()) / NS_PER_US,
    }


def extremes(phase: Phase, data: ContainerData) -> dict[str, float | None]:
    """Return the highest gauges of a whole phase, and what ended in it; absent ones are None."""
    first, last = np.searchsorted(data.t_ns, (phase.change.t_answer_ns, phase.t_end_ns))
    found: dict[str, float | None] = {}
    for metric, counter in (
        ("memory_max_bytes", "memory_bytes"),
        ("swap_max_bytes", "swap_bytes"),
        ("memory_swap_max_bytes", "memory_swap_bytes"),
        ("tasks_max", "tasks"),
    ):
        values = data.counters.get(counter, np.empty(0))[first:last]
        read = values[~np.isnan(values)]
        if metric == "tasks_max":
            # A fork is charged before it is refused (kernel/cgroup/pids.c), so that a single
            # sample may catch one task too many: only what stood for two samples counts.
            read = np.minimum(read[1:], read[:-1])
        found[metric] = float(read.max()) if read.size else None
    if (kills := data.counters.get("oom_kills")) is not None:
        part = kills[first:last]
        found["oom_kills"] = _advance(part[~np.isnan(part)])
    if phase.ending is not None and phase.ending.role == data.record.role:
        found["ended_ms"] = (phase.ending.t_ns - phase.change.t_request_ns) / NS_PER_MS
    return found


def off_mask_ms(data: ContainerData, window: Window, settings: Settings) -> float | None:
    """Return the CPU time used in a window on CPUs outside the set that is declared.

    None where no set is, or the usage of such a CPU is not known.
    """
    text = str(settings.get("cpuset-cpus") or "")
    if not text or not data.per_cpu:
        return None
    mask = parse_cpu_list(text)
    used = [_difference(usage, window) for cpu, usage in data.per_cpu.items() if cpu not in mask]
    known = [one for one in used if one is not None]
    return sum(known) / NS_PER_MS if len(known) == len(used) else None


def off_mask_pct(data: ContainerData, window: Window, settings: Settings) -> float | None:
    """Return the share of a window's readings of running processes on CPUs outside the set.

    None where no set is declared, or no process was seen running. It says which CPUs are used where
    the kernel keeps no usage by CPU.
    """
    text = str(settings.get("cpuset-cpus") or "")
    if not text or not data.running_on:
        return None
    seen = np.concatenate([one[window.first : window.last + 1] for one in data.running_on])
    seen = seen[~np.isnan(seen)]
    if not seen.size:
        return None
    return 100 * float(np.mean(~np.isin(seen, parse_cpu_list(text))))


def _stall_metrics(data: ContainerData, window: Window) -> dict[str, float | None]:
    lengths = np.concatenate(
        [
            length[(begin >= window.t_begin_ns) & (begin < window.t_end_ns)]
            for begin, length in data.stalls
        ]
    )
    worker_ns = len(data.stalls) * (window.t_end_ns - window.t_begin_ns)
    busy = busy_ns(data, np.array([window.t_begin_ns, window.t_end_ns]))
    stalled_ns = worker_ns - float(busy[1] - busy[0])
    # Only a worker that never sleeps runs whenever it does not stall.
    running = float(busy[1] - busy[0]) / (window.t_end_ns - window.t_begin_ns)
    found: dict[str, float | None] = {
        "probe_cpus": running if data.record.probe == "spin" else None,
        "stall_time_pct": 100 * stalled_ns / worker_ns,
        "stalls_per_s": len(lengths) / window.seconds,
    }
    if lengths.size:
        p50, p99 = np.percentile(lengths, [50, 99]) / NS_PER_MS
        found |= {
            "stall_p50_ms": float(p50),
            "stall_p99_ms": float(p99),
            "stall_max_ms": float(lengths.max()) / NS_PER_MS,
        }
    return found


def _difference(counter: Floats | None, window: Window) -> float | None:
    """Return how far a counter went; None if it is absent, unread or went backwards."""
    if counter is None:
        return None
    part = counter[window.first : window.last + 1]
    return _advance(part[~np.isnan(part)])


def _advance(readings: Floats) -> float | None:
    if len(readings) < 2 or bool(np.any(np.diff(readings) < 0)):
        return None
    return float(readings[-1] - readings[0])


def _ratio(part: float | None, whole: float | None, scale: float = 1) -> float | None:
    return None if part is None or not whole else scale * part / whole


def _pressure_pct(data: ContainerData, window: Window) -> float | None:
    if data.pressure_us is None:
        return None
    part = slice(window.first, window.last + 1)
    pressure, t_ns = data.pressure_us[part].astype(float), data.t_ns[part]
    read = np.flatnonzero(~np.isnan(pressure))
    waited_us = _advance(pressure[read])
    if waited_us is None:
        return None
    # The slow readings do not stand at the window's ends: take the time between them.
    return _ratio(waited_us * NS_PER_US, float(t_ns[read[-1]] - t_ns[read[0]]), 100)


def _docker_stats(data: ContainerData, window: Window) -> float | None:
    """Return the median of the messages whose second lies wholly inside the window."""
    t_ns, cpus = data.stats
    inside = (t_ns >= window.t_begin_ns + NS_PER_S) & (t_ns < window.t_end_ns) & ~np.isnan(cpus)
    return float(np.median(cpus[inside])) if inside.any() else None


# Tables


def finished(directory: RunDirectory) -> list[TrialRecord]:
    """Return the trials that ended well, by number; the last record of each counts."""
    return ended_well(directory.trials())


def ended_well(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return those of a run's records that `finished` does."""
    latest = {trial.number: trial for trial in trials}
    return [latest[number] for number in sorted(latest) if latest[number].status == "ok"]


def compute(directory: RunDirectory) -> list[dict[str, Any]]:
    """Derive every row of phases.parquet from a run's raw files.

    Refused changes and phases that prepare others have none.
    """
    run = directory.run()
    return [row for trial in finished(directory) for row in _trial_rows(directory, run, trial)]


def _trial_rows(
    directory: RunDirectory, run: RunRecord, trial: TrialRecord
) -> Iterator[dict[str, Any]]:
    loaded = {one.role: load(directory, trial, one) for one in trial.containers}
    specs = {one.role: one for one in run.experiment.containers}
    in_force: dict[str, Settings] = {role: dict(one.options) for role, one in specs.items()}
    kinds = {one.role: one.probe for one in trial.containers}
    let_in: dict[str, int] = {}
    for phase in trial.phases:
        in_force[phase.role] = phase.settings
        tasks = int(phase.settings.get("pids-limit", 0))
        let_in[phase.role] = max(let_in.get(phase.role, 0), tasks)
        if phase.change.error is not None or phase.prepares:
            continue
        situation = Situation(
            {
                role: _load(one, in_force[role], let_in.get(role, 0), kinds[role])
                for role, one in specs.items()
            },
            run.host.cpus,
            run.experiment.group,
        )
        measured = {role: _measured(phase, data, in_force[role]) for role, data in loaded.items()}
        _add_shares({role: found for role, (found, _) in measured.items()}, situation)
        for role, (found, n_samples) in measured.items():
            found |= _restarts(phase, trial, role)
            for metric, value in found.items():
                if value is None:
                    continue
                expected = situation.expected(metric, role)
                row = (
                    run.experiment.name, trial.number, phase.number, role, phase.option,
                    phase.change.via, phase.requested, phase.effective, metric, UNITS[metric],
                    expected, value, None if expected is None else error_pct(value, expected),
                    n_samples,
                )  # fmt: skip
                yield dict(zip(PHASE_COLUMNS, row, strict=True))


def _load(spec: Container, settings: Settings, tasks_let_in: int, probe: str | None) -> Load:
    return Load(
        settings=settings,
        workers=spec.workers if probe == "spin" else None,
        size=spec.size,
        tasks=spec.count,
        tasks_let_in=tasks_let_in,
        exit_status=spec.count,
        grouped=spec.group,
    )


def _measured(
    phase: Phase, data: ContainerData, settings: Settings
) -> tuple[dict[str, float | None], int]:
    """Return the metrics of one container in one phase, and how many samples they rest on."""
    found = extremes(phase, data)
    window = steady_window(phase, data, settings)
    if data.record.role == phase.role:
        found |= time_to_effect(phase, data, window, settings)
    if window is None:
        return found, 0
    found |= steady(data, window)
    found["off_mask_cpu_ms"] = off_mask_ms(data, window, settings)
    found["off_mask_pct"] = off_mask_pct(data, window, settings)
    return found, window.last - window.first + 1


def _restarts(phase: Phase, trial: TrialRecord, role: str) -> dict[str, float | None]:
    """Return how often a container was started again in a phase, and after what pause."""
    begin_ns, end_ns = phase.change.t_request_ns, phase.t_end_ns
    told = [event for event in trial.events if event.role == role and event.t_ns < end_ns]
    pauses = [
        after.t_ns - before.t_ns
        for before, after in pairwise(event for event in told if event.action in ("start", "die"))
        if after.action == "start" and after.t_ns >= begin_ns
    ]
    if not pauses and not any(e.action == "die" and e.t_ns >= begin_ns for e in told):
        return {}
    return {
        "restarts": float(len(pauses)),
        "backoff_ms": float(np.median(pauses)) / NS_PER_MS if pauses else None,
    }


def _add_shares(measured: Mapping[str, dict[str, float | None]], situation: Situation) -> None:
    """Add to each container's metrics its part of what it and its rivals used together."""
    for role, found in measured.items():
        for metric, source, rivals in (
            ("cpu_share_pct", "cpus_used", situation.rivals(role)),
            ("io_share_pct", "io_bytes_per_s", tuple(measured)),
        ):
            value = found.get(source)
            others = [measured[rival].get(source) for rival in rivals if rival in measured]
            total = sum(other for other in others if other is not None)
            if len(others) > 1 and value is not None and total > 0:
                found[metric] = 100 * value / total


def write(directory: RunDirectory) -> None:
    """Compute phases.parquet and write it."""
    computed = compute(directory)
    directory.write_phases({column: [row[column] for row in computed] for column in PHASE_COLUMNS})


def rows(
    directory: RunDirectory, known: Sequence[TrialRecord] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of phases.parquet, computed anew where it lacks a finished trial.

    `known` are the finished trials, where the caller has read them already.
    """
    stored = directory.phases()
    done = {one.number for one in (finished(directory) if known is None else known)}
    if stored is not None and set(stored["trial"]) == done:
        return [
            dict(zip(stored, values, strict=True)) for values in zip(*stored.values(), strict=True)
        ]
    return compute(directory)


def summary(directory: RunDirectory) -> list[dict[str, Any]]:
    """Return one object per role, option, via, requested value and metric, across trials.

    A trial counts once: the median of its phases with that value. `ci_level` is the probability
    with which the interval covers the median.
    """
    # Here and not above: whoever measures needs rows, and is spared half a second and 60 MiB.
    import pandas as pd

    table = pd.DataFrame(rows(directory), columns=list(PHASE_COLUMNS))
    if table.empty:
        return []
    keys = ["role", "option", "via", "requested", "metric"]
    return [
        _summarised(dict(zip(keys, key, strict=True)), group)
        for key, group in table.groupby(keys, sort=False)
    ]


def _summarised(key: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    per_trial = group.groupby("trial")["value"].median()
    interval = median_interval(list(per_trial))
    expected = _only(group["expected"])
    return key | {
        "unit": group["unit"].iloc[0],
        "enforced": _only(group["effective"]),
        "expected": expected,
        "median": interval.median,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_level": interval.level,
        "n_trials": len(per_trial),
        "error_pct": None if expected is None else error_pct(interval.median, expected),
    }


def _only(values: Iterable[Any]) -> Any:
    """Return the value that all share, None if none does or it is absent."""
    distinct = {None if _absent(value) else value for value in values}
    return distinct.pop() if len(distinct) == 1 else None


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
