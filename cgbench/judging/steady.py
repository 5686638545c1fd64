"""The metrics of one container over one window: rates, ratios, stalls and extremes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cgbench.judging.container_data import ContainerData, Window, busy_ns
from cgbench.judging.latency import latency
from cgbench.records.trial import Phase
from cgbench.spec.metrics import SET_USED_PCT
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US, parse_cpu_list

Floats = npt.NDArray[np.float64]
# Below this share of a CPU a few ticks decide, and a ratio says nothing.
_LEAST_CPUS = 0.05
# By how much a memory counter may rise by itself: a batch of a CPU (kernel: mm/memcontrol.c).
_LAGS_BYTES = 64 * 4096


def steady(data: ContainerData, window: Window) -> dict[str, float | None]:
    """Return the steady metrics of one container over one window; absent ones are None."""
    found: dict[str, float | None] = {}
    used_ns = _difference(data.counters.get("usage_ns"), window)
    elapsed_ns = window.t_end_ns - window.t_begin_ns
    found["cpus_used"] = _ratio(used_ns, elapsed_ns)
    # The kernel counts a period when it ends, and whether the group was throttled in it
    # (kernel/sched/fair.c, do_sched_cfs_period_timer): one sample after the window's end, which is
    # the last one before that.
    counted = replace(window, first=window.first + 1, last=window.last + 1)
    counted = counted if window.whole_periods else window
    periods = _difference(data.counters.get("periods"), counted)
    throttled = _difference(data.counters.get("throttled_periods"), counted)
    found["throttled_periods_pct"] = _ratio(throttled, periods, 100)
    found["skipped_periods_pct"] = _ratio(_skipped(data, counted), periods, 100)
    if window.whole_periods and found["throttled_periods_pct"] is not None:
        found["stood_still_pct"] = _ratio(float(window.stood_ns), elapsed_ns, 100)
    throttled_ns = _difference(data.counters.get("throttled_ns"), window)
    found["throttled_time_pct"] = _ratio(throttled_ns, elapsed_ns, 100)
    found["cpu_pressure_pct"] = _pressure_pct(data, window)
    found["docker_stats_cpus"] = _docker_stats(data, window)
    held = data.counters.get("memory_bytes", np.empty(0))[window.first : window.last + 1]
    found["memory_bytes"] = _percentile(held, 50)
    # A container that was just given a reservation has half of the window to grow up to it.
    found["memory_kept_bytes"] = _percentile(held[len(held) // 2 :], 5)
    found["refaults_per_s"] = _rate_between(data.counters.get("refaults"), data.t_ns, window)
    moved = _difference(data.counters.get("io_bytes"), window)
    found["io_bytes_per_s"] = _ratio(moved, elapsed_ns, NS_PER_S)
    if data.record.probe == "request":
        # Its units are answers of a service, which say nothing about the prober's own CPU time.
        return found | latency(data, window)
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


def _skipped(data: ContainerData, window: Window) -> float | None:
    """Return how many periods passed between two samples beyond the first, in a whole window.

    A timer that is late by several periods counts them all, and refills the quota once (kernel:
    kernel/sched/fair.c, do_sched_cfs_period_timer).
    """
    counter = data.counters.get("periods")
    if counter is None:
        return None
    part = counter[window.first : window.last + 1]
    read = part[~np.isnan(part)]
    return float(np.maximum(np.diff(read) - 1, 0).sum())


def _percentile(readings: Floats, percent: float) -> float | None:
    read = readings[~np.isnan(readings)]
    return float(np.percentile(read, percent)) if read.size else None


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
    began, first, last = np.searchsorted(
        data.t_ns, (phase.change.t_request_ns, phase.change.in_force_ns, phase.t_end_ns)
    )
    ended = phase.ending is not None and phase.ending.role == data.record.role
    found: dict[str, float | None] = {}
    counted = data.counters.get("oom_kills", np.empty(0))
    # From the last reading before the request: to write a limit below use kills before Docker says
    # that it is done.
    known = np.flatnonzero(~np.isnan(counted[:began]))
    since = int(known[-1]) if known.size else 0
    killed = bool(_advance(_read(counted[since : first + 1])))
    for metric, counter in (
        ("memory_max_bytes", "memory_bytes"),
        ("swap_max_bytes", "swap_bytes"),
        ("memory_swap_max_bytes", "memory_swap_bytes"),
        ("tasks_max", "tasks"),
    ):
        read = _read(data.counters.get(counter, np.empty(0))[first:last])
        if killed and metric != "tasks_max":
            read = _after_a_fall(read, ended=ended)
        if metric == "tasks_max":
            # A fork is charged before it is refused (kernel/cgroup/pids.c), so that a single
            # sample may catch one task too many: only what stood for two samples counts.
            read = np.minimum(read[1:], read[:-1])
        found[metric] = float(read.max()) if read.size else None
    found["oom_kills"] = _advance(_read(counted[since:last]))
    if ended and phase.ending is not None:
        found["ended_ms"] = (phase.ending.t_ns - phase.change.t_request_ns) / NS_PER_MS
    return found


def _read(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _after_a_fall(read: Floats, *, ended: bool) -> Floats:
    """Return the readings of memory from where it first grew again after a kill.

    What was killed is gone only when all of its pages are: until then the limit is exceeded, and
    lets nothing in. Of a container that `ended` with it nothing is left.
    """
    lowest = np.minimum.accumulate(read)
    grew = np.flatnonzero(read - lowest > _LAGS_BYTES)
    if grew.size:
        return read[int(np.argmin(read[: grew[0]])) :]
    return read[:0] if ended else read[-1:]


def off_mask_ms(data: ContainerData, window: Window, settings: Settings) -> float | None:
    """Return the CPU time used in a window on CPUs outside the set that is declared.

    None where no set is declared, or the usage of such a CPU is not known.
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

    None where no set is declared, or no process was seen running. It shows which CPUs are used
    where the kernel does not count usage per CPU.
    """
    text = str(settings.get("cpuset-cpus") or "")
    if not text or not data.running_on:
        return None
    seen = np.concatenate([one[window.first : window.last + 1] for one in data.running_on])
    seen = seen[~np.isnan(seen)]
    if not seen.size:
        return None
    return 100 * float(np.mean(~np.isin(seen, parse_cpu_list(text))))


def off_nodes_bytes(data: ContainerData, window: Window, settings: Settings) -> float | None:
    """Return the median of the memory on nodes outside the declared ones in a window's second half.

    Memory moves some time after the change. None where no node is declared, or there is no other.
    """
    text = str(settings.get("cpuset-mems") or "")
    nodes = parse_cpu_list(text)
    off = [values for node, values in data.per_node.items() if node not in nodes]
    if not text or not off:
        return None
    middle = (window.first + window.last) // 2
    seen = np.sum(off, axis=0)[middle : window.last + 1]
    return _percentile(seen, 50)


def set_cpus_used(data: ContainerData, window: Window, settings: Settings) -> float | None:
    """Return on how many CPUs of the declared set a workload ran for its part of a window.

    None where no set is declared, or it is not known where the workload ran.
    """
    text = str(settings.get("cpuset-cpus") or "")
    if not text:
        return None
    mask, least = parse_cpu_list(text), SET_USED_PCT / 100
    if data.per_cpu:
        used = [_difference(data.per_cpu.get(cpu), window) for cpu in mask]
        known = [one for one in used if one is not None]
        whole_ns = window.t_end_ns - window.t_begin_ns
        complete = len(known) == len(mask)
        return float(sum(one >= least * whole_ns for one in known)) if complete else None
    if not data.running_on:
        return None
    seen = np.array([one[window.first : window.last + 1] for one in data.running_on])
    if np.isnan(seen).all():
        return None
    return float(sum(np.mean((seen == cpu).any(axis=0)) >= least for cpu in mask))


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
    waited_us_per_s = _rate_between(data.pressure_us, data.t_ns, window)
    return None if waited_us_per_s is None else 100 * waited_us_per_s * NS_PER_US / NS_PER_S


def _rate_between(
    counter: Floats | None, t_ns: npt.NDArray[np.int64], window: Window
) -> float | None:
    """Return how fast a counter went per second that is read slowly.

    Its readings do not stand at the window's ends: the time between them counts.
    """
    if counter is None:
        return None
    part = slice(window.first, window.last + 1)
    readings, times = counter[part].astype(float), t_ns[part]
    read = np.flatnonzero(~np.isnan(readings))
    advanced = _advance(readings[read])
    if advanced is None:
        return None
    return _ratio(advanced, float(times[read[-1]] - times[read[0]]), NS_PER_S)


def docker_stats_off_pct(data: ContainerData, begin_ns: int, end_ns: int) -> float | None:
    """Return how far `docker stats` is off the usage counter, the median of the messages between.

    Each is compared with what the counter says of the time since the one before it, so that neither
    a change of the limit nor other load sets them apart. None where there is no such pair.
    """
    usage = data.counters.get("usage_ns")
    t_ns, shown = data.stats
    if usage is None or len(t_ns) < 2:
        return None
    read = ~np.isnan(usage)
    if not read.any():
        return None
    used = np.interp(t_ns, data.t_ns[read], usage[read], left=np.nan, right=np.nan)
    cpus = np.diff(used) / np.diff(t_ns)
    later, said = t_ns[1:], shown[1:]
    counts = (later >= begin_ns) & (later < end_ns) & (cpus >= _LEAST_CPUS) & ~np.isnan(said)
    if not counts.any():
        return None
    return float(np.median(100 * (said[counts] / cpus[counts] - 1)))


def _docker_stats(data: ContainerData, window: Window) -> float | None:
    """Return the median of the messages whose second lies wholly inside the window.

    None where some may be missing, since the stream broke within the window or before it.
    """
    t_ns, cpus = data.stats
    if data.record.docker_stats_broke is not None and not (t_ns >= window.t_end_ns).any():
        return None
    inside = (t_ns >= window.t_begin_ns + NS_PER_S) & (t_ns < window.t_end_ns) & ~np.isnan(cpus)
    return float(np.median(cpus[inside])) if inside.any() else None
