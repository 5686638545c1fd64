"""Which way a metric is worse, and how finely it can be known at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    pass


Worse = Literal["lower", "higher", "either"]


@dataclass(frozen=True)
class Gauge:
    """`worse` is the direction to fear; differences below `resolution`, in the metric's unit, are
    no news: a tick, a sampling interval, one event in a window.
    """

    worse: Worse
    resolution: float = 0.0


# The kernel hands a group's quota to its CPUs in slices (sched_cfs_bandwidth_slice_us): which
# worker gets the last one of a period is chance, and moves its stall by as much.
_SLICE_MS = 5.0
# A tick's overrun of 1 ms in a period of 100 ms, of one worker and summed over two.
_OVERRUN_PCT = 1.0

GAUGES: Mapping[str, Gauge] = {
    "cpus_used": Gauge("lower", 0.002),
    "probe_cpus": Gauge("lower", 0.004),
    "throttled_periods_pct": Gauge("higher", 1.0),
    "throttled_time_pct": Gauge("higher", 2 * _OVERRUN_PCT),
    "stall_time_pct": Gauge("higher", _OVERRUN_PCT),
    "stalls_per_s": Gauge("higher", 1.0),
    "stall_p50_ms": Gauge("higher", _SLICE_MS),
    "stall_p99_ms": Gauge("higher", _SLICE_MS),
    "stall_max_ms": Gauge("higher", _SLICE_MS),
    "work_per_cpu_s": Gauge("lower"),
    "work_per_s": Gauge("lower"),
    "answer_ms": Gauge("higher", 1.0),
    "file_ms": Gauge("higher", 1.0),
    "settle_ms": Gauge("higher", 1.0),
    "docker_stats_cpus": Gauge("either", 0.01),
    "cpu_pressure_pct": Gauge("higher", 1.0),
    "cpu_share_pct": Gauge("either", 0.5),
    "off_mask_cpu_ms": Gauge("higher", 1.0),
    "off_mask_pct": Gauge("higher", 1.0),
    "memory_max_bytes": Gauge("either", 64 * 4096),
    "swap_max_bytes": Gauge("either", 64 * 4096),
    "memory_swap_max_bytes": Gauge("either", 64 * 4096),
    "memory_bytes": Gauge("either", 64 * 4096),
    "tasks_max": Gauge("either"),
    "oom_kills": Gauge("higher"),
    "io_bytes_per_s": Gauge("lower"),
    "io_share_pct": Gauge("either", 0.5),
    "wake_p50_us": Gauge("higher", 1.0),
    "wake_p99_us": Gauge("higher", 1.0),
    "wake_max_us": Gauge("higher", 1.0),
    "ended_ms": Gauge("either", 1.0),
    "restarts": Gauge("either"),
    "backoff_ms": Gauge("higher", 1.0),
}
"""Every metric of `metrics.UNITS`."""

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
