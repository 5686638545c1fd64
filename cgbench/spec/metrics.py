"""Every metric there is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from cgbench.spec.band import Band
from cgbench.spec.metric import Metric

# The kernel hands a group's quota to its CPUs in slices (sched_cfs_bandwidth_slice_us): which
# worker gets the last one of a period is chance, and moves its stall by as much.
_SLICE_MS = 5.0
# A tick's overrun of 1 ms in a period of 100 ms, of one worker and summed over two.
_OVERRUN_PCT = 1.0
# The kernel charges memory in batches of this many pages per CPU (mm/memcontrol.c).
_BATCH_PAGES = 64
# A counter stops short of its limit by what lies in batches and by what reclaim frees at once. It
# passes it only where a charge is forced (as of a process that is being killed), by single pages.
_FORCED_PAGES = 32

# By so much the medians of two ways to ask on one schedule were apart on a busy host.
_MEDIAN_MS = 0.2
# How late a prober may notice a request before it counts as late itself.
_LATE_MS = 1.0

SET_USED_PCT = 5.0
"""A CPU of a set counts as used if the workload ran there for this part of the time."""

_CPU_BAND = Band(pct=1.5, ticks_per_worker=1)

_ALL = (
    Metric(
        "cpus_used", "CPUs", "CPUs used",
        "CPU time by the cgroup's usage counter, divided by the elapsed time.",
        "lower", 0.002, shows="exact", taken_away=True, band=_CPU_BAND,
    ),
    Metric(
        "probe_cpus", "CPUs", "CPUs used, by the probe",
        "Time in which the probe's workers ran, divided by the elapsed time.",
        "lower", 0.004, shows="exact", taken_away=True, band=_CPU_BAND,
    ),
    Metric(
        "throttled_periods_pct", "%", "throttled periods",
        "Periods in which the group ran out of quota, in percent of all periods.",
        "higher", 1.0,
    ),
    Metric(
        "skipped_periods_pct", "%", "skipped periods",
        "Periods that passed between two samples beyond the first, in percent of all periods: at "
        "most so many refills of the quota were lost, since the kernel's timer was late.",
        "higher", 1.0,
    ),
    Metric(
        "stood_still_pct", "%", "standstill at the ends",
        "Time for which the host stood still right before the two ends of the steady window, in "
        "percent of it: what ran then is charged on one side and paid back on the other.",
        "higher", 1.0,
    ),
    Metric(
        "throttled_time_pct", "%", "throttled time",
        "Time that run queues of the group stood still, summed over CPUs, in percent of the "
        "elapsed time.",
        "higher", 2 * _OVERRUN_PCT,
    ),
    Metric(
        "stall_time_pct", "%", "stalled time",
        "Time in which workers wanted to run and did not, in percent of all workers' time.",
        "higher", _OVERRUN_PCT,
    ),
    Metric(
        "stalls_per_s", "1/s", "stalls per second",
        "Stalls that begin in the steady window, divided by the elapsed time.",
        "higher", 1.0,
    ),
    Metric(
        "stall_p50_ms", "ms", "stalls, median",
        "Median length of the stalls that begin in the steady window.",
        "higher", _SLICE_MS,
    ),
    Metric(
        "stall_p99_ms", "ms", "stalls, 99th percentile",
        "99th percentile of the lengths of the stalls that begin in the steady window.",
        "higher", _SLICE_MS,
    ),
    Metric(
        "stall_max_ms", "ms", "longest stall",
        "Length of the longest stall that begins in the steady window.",
        "higher", _SLICE_MS,
    ),
    Metric(
        "work_per_cpu_s", "units/s", "work per CPU-second",
        "Units of work per second of CPU time: the host's speed, and no measure of a limit.",
        "lower",
    ),
    Metric(
        "answer_ms", "ms", "time to the answer",
        "Time from the request to the API's answer.",
        "higher", 1.0,
    ),
    Metric(
        "file_ms", "ms", "time to the interface file",
        "Time from the request to the first reading of the interface file with the new value.",
        "higher", 1.0,
    ),
    Metric(
        "settle_ms", "ms", "time to settle",
        "Time from the request until the workload has settled.",
        "higher", 1.0,
    ),
    Metric(
        "docker_stats_cpus", "CPUs", "CPUs used, by docker stats",
        "Median of what `docker stats` showed in the steady window.",
        "either", 0.01,
    ),
    Metric(
        "docker_stats_off_pct", "%", "docker stats against the counter",
        "How far `docker stats` was off the usage counter over the same seconds, at the median.",
        "either", 1.0,
    ),
    Metric(
        "cpu_pressure_pct", "%", "CPU pressure",
        "Time in which at least one task waited for a CPU (`some` of cpu.pressure), in percent of "
        "the elapsed time.",
        "higher", 1.0,
    ),
    Metric(
        "cpu_share_pct", "%", "share of CPU time",
        "CPUs used, in percent of what the container and its rivals used together.",
        "either", 0.5, shows="exact", band=Band(pct=5),
    ),
    Metric(
        "off_mask_cpu_ms", "ms", "CPU time off the set",
        "CPU time used on CPUs outside the declared set, in the steady window (cgroup v1).",
        "higher", 1.0, shows="exact", taken_away=True, graded=False,
    ),
    Metric(
        "off_mask_pct", "%", "readings off the set",
        "Readings of a running worker on a CPU outside the declared set, in percent of all "
        "readings of running workers (cgroup v2).",
        "higher", 1.0, shows="exact", graded=False,
    ),
    Metric(
        "set_cpus_used", "CPUs", "CPUs of the set used",
        f"CPUs of the declared set on which the workload ran for at least {SET_USED_PCT:g} % of "
        "the steady window: by usage per CPU (cgroup v1) or readings of running workers (v2).",
        "lower", shows="exact", taken_away=True, graded=False,
    ),
    Metric(
        "work_per_s", "units/s", "work per second",
        "Units of work per second of elapsed time.",
        "lower",
    ),
    Metric(
        "memory_max_bytes", "bytes", "most memory",
        "Highest reading of the memory in use in the phase.",
        "either", resolution_pages=_BATCH_PAGES, shows="ceiling",
        band=Band(pages_per_cpu=_BATCH_PAGES, pages_per_cpu_above=_FORCED_PAGES),
    ),
    Metric(
        "swap_max_bytes", "bytes", "most swap",
        "Highest reading of the swap in use in the phase.",
        "either", resolution_pages=_BATCH_PAGES,
    ),
    Metric(
        "memory_swap_max_bytes", "bytes", "most memory and swap",
        "Highest reading of memory and swap in use together in the phase.",
        "either", resolution_pages=_BATCH_PAGES, shows="ceiling",
        band=Band(pct=3, pages_per_cpu=_BATCH_PAGES),
    ),
    Metric(
        "memory_bytes", "bytes", "memory held",
        "Median reading of the memory in use in the steady window.",
        "either", resolution_pages=_BATCH_PAGES,
    ),
    Metric(
        "memory_kept_bytes", "bytes", "memory kept",
        "5th percentile of the readings of the memory in use in the second half of the steady "
        "window: what nobody took away.",
        "either", resolution_pages=_BATCH_PAGES, shows="floor", band=Band(pct=10),
    ),
    Metric(
        "off_nodes_bytes", "bytes", "memory off the nodes",
        "The container's own (anonymous) memory on nodes outside the declared ones, in the second "
        "half of the steady window (memory.numa_stat), where the host has others.",
        "higher", resolution_pages=_BATCH_PAGES, shows="exact", graded=False,
        band=Band(pages_per_cpu=_BATCH_PAGES),
    ),
    Metric(
        "tasks_max", "tasks", "most tasks",
        "Highest reading of the number of tasks in the phase.",
        "either", shows="exact", graded=False,
    ),
    Metric(
        "refaults_per_s", "1/s", "refaults per second",
        "Pages that were read or swapped in again after reclaim had taken them, divided by the "
        "elapsed time (`workingset_refault` of memory.stat): memory is short long before a kill.",
        "higher", 1.0,
    ),
    Metric(
        "oom_kills", "kills", "OOM kills",
        "Processes that the kernel killed for lack of memory in the phase.",
        "higher",
    ),
    Metric(
        "io_bytes_per_s", "bytes/s", "I/O rate",
        "Bytes read and written in the steady window, divided by the elapsed time.",
        "lower", shows="ceiling", band=Band(pct=2, requests=1, slices=1),
    ),
    Metric(
        "io_share_pct", "%", "share of I/O",
        "Bytes read and written, in percent of what all containers moved together.",
        "either", 0.5, shows="exact", taken_away=True, band=Band(pct=15),
    ),
    Metric(
        "wake_p50_us", "µs", "late wake-ups, median",
        "Median of how late a `wake` worker woke up after its deadlines.",
        "higher", 1.0,
    ),
    Metric(
        "wake_p99_us", "µs", "late wake-ups, 99th percentile",
        "99th percentile of how late a `wake` worker woke up after its deadlines.",
        "higher", 1.0,
    ),
    Metric(
        "wake_max_us", "µs", "latest wake-up",
        "How late a `wake` worker woke up at most after its deadlines.",
        "higher", 1.0,
    ),
    Metric(
        "latency_p50_ms", "ms", "latency, median",
        "Median time from the moment at which a request was due to the last byte of its answer; "
        "one that failed counts as its timeout.",
        "higher", _MEDIAN_MS,
    ),
    Metric(
        "latency_p99_ms", "ms", "latency, 99th percentile",
        "99th percentile of the same, of at least 100 requests: a quantile needs one beyond it.",
        "higher", _LATE_MS,
    ),
    Metric(
        "latency_max_ms", "ms", "longest latency",
        "The longest of the same.",
        "higher", _LATE_MS,
    ),
    Metric(
        "requests_per_s", "1/s", "right answers per second",
        "Right answers that came in the steady window, divided by the elapsed time.",
        "lower", 1.0,
    ),
    Metric(
        "failed_pct", "%", "failed requests",
        "Requests due in the steady window that were refused, broken off, answered wrongly or not "
        "answered within their timeout, in percent of all that were due.",
        "higher", 0.1,
    ),
    Metric(
        "ended_ms", "ms", "time to the end",
        "Time from the request to the end of the container.",
        "either", 1.0,
    ),
    Metric(
        "restarts", "restarts", "restarts",
        "Starts after an end in the phase, by Docker's events.",
        "either", shows="ceiling", graded=False,
    ),
    Metric(
        "backoff_ms", "ms", "pause before a restart",
        "Median pause between an end and the next start, by Docker's events.",
        "higher", 1.0,
    ),
    Metric(
        "spike_ms", "ms", "longest latency after the change",
        "Longest latency of the requests due between the change and the steady window.",
        "higher", _LATE_MS,
    ),
    Metric(
        "spike_failed", "requests", "failures after the change",
        "How many of those requests failed.",
        "higher",
    ),
    Metric(
        "recovered_ms", "ms", "time until latency is steady",
        "Time from the change to the last of those requests that took longer than any in the "
        "steady window; 0 where none did.",
        "higher", _LATE_MS,
    ),
    Metric(
        "reported_rate_per_s", "1/s", "rate, as reported",
        "What a program or its load says it did per second, averaged over time.",
        "lower",
    ),
    Metric(
        "reported_mean_ms", "ms", "mean latency, as reported",
        "Median of the mean latencies that a program or its load reported in the steady window.",
        "higher",
    ),
    Metric(
        "reported_p50_ms", "ms", "median latency, as reported",
        "Median of the median latencies that a program or its load reported in the steady window.",
        "higher",
    ),
    Metric(
        "reported_p99_ms", "ms", "latency, 99th percentile, as reported",
        "Median of the 99th percentiles that a program or its load reported in the steady window: "
        "a load that waits for an answer before it asks again forgives every stall.",
        "higher",
    ),
    Metric(
        "reported_max_ms", "ms", "longest latency, as reported",
        "Highest latency that a program or its load reported in the steady window.",
        "higher",
    ),
    Metric(
        "reported_duration_s", "s", "time of a job, as reported",
        "Median of the times that a job took which began and ended in the steady window.",
        "higher",
    ),
    Metric(
        "reported_cpus", "CPUs", "CPUs, as reported",
        "Median of how many CPUs a program said in the steady window that it may use.",
        "either",
    ),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by its name, in the order in which tables show them."""


def nearest(name: str) -> str:
    """Return the advice on a name that is no metric: the nearest one, else all of them."""
    near = difflib.get_close_matches(name, METRICS, 1)
    return f"Did you mean {near[0]}?" if near else f"Metrics: {', '.join(sorted(METRICS))}."
