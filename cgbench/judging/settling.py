"""How long after a request the daemon answered, the files changed and the workload settled."""

from __future__ import annotations

import numpy as np

from cgbench.judging.container_data import ContainerData, Window, busy_ns
from cgbench.records.trial import Phase
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.units import NS_PER_MS, NS_PER_US, parse_cpu_list

# How the band of "settled" is drawn: see settle_ns.
_BAND_PERCENTILES = (1, 99)
_BAND_MARGIN = 0.02
_OUTLIERS_ALLOWED = 0.02

# Workloads that sleep by design: a pause in their work shows nothing about a limit.
_NOT_SPINNING = ("wake", "fork", "end", "request", None)


def settle_ns(phase: Phase, data: ContainerData, window: Window, period_ns: int) -> int | None:
    """Return how long after the request the workload settled, None if it never did.

    At each millisecond s the running time within [s, s + period) is known from the stalls. Its
    1st and 99th percentile in the steady window, 2 % further apart on each side, are the band.
    Settled is the first s after the request from which, for two periods, no more than 2 % of
    the windows leave the band. Zero means that the workload never left it.
    """
    begin_ns, end_ns = phase.change.t_request_ns, phase.t_end_ns
    grid = np.arange(begin_ns, end_ns + 1, NS_PER_MS, dtype=np.int64)
    width = max(1, period_ns // NS_PER_MS)
    if not data.stalls or len(grid) <= 3 * width:
        return None
    running = busy_ns(data, grid)
    share = (running[width:] - running[:-width]) / (grid[width:] - grid[:-width])
    steady_from = int(np.searchsorted(grid, window.t_begin_ns))
    if steady_from >= len(share):
        return None
    low, high = np.percentile(share[steady_from:], _BAND_PERCENTILES)
    margin = _BAND_MARGIN * float(np.median(share[steady_from:]))
    outside = (share < low - margin) | (share > high + margin)
    # How many of the windows that begin within two periods from s on lie outside the band.
    cumulated = np.concatenate(([0], np.cumsum(outside)))
    ahead = min(2 * width, len(share))
    leaving = cumulated[ahead:] - cumulated[: len(cumulated) - ahead]
    settled = np.flatnonzero((leaving <= _OUTLIERS_ALLOWED * ahead) & ~outside[: len(leaving)])
    return int(grid[settled[0]] - begin_ns) if settled.size else None


def moved_ns(phase: Phase, data: ContainerData, settings: Settings) -> int | None:
    """Return how long after the request CPU time was last used off the declared set of CPUs.

    Zero means never since then; None means that the kernel does not count usage per CPU.
    """
    mask = parse_cpu_list(str(settings.get("cpuset-cpus") or ""))
    off = [usage for cpu, usage in data.per_cpu.items() if cpu not in mask]
    if not data.per_cpu or not mask:
        return None
    first, last = np.searchsorted(data.t_ns, (phase.change.t_request_ns, phase.t_end_ns))
    total = np.sum(off, axis=0)[first:last] if off else np.zeros(2)
    if np.count_nonzero(~np.isnan(total)) < 2:
        return None
    grew = np.flatnonzero(np.diff(total) > 0)
    if not grew.size:
        return 0
    return int(data.t_ns[first + grew[-1] + 1] - phase.change.t_request_ns)


def time_to_effect(
    phase: Phase, data: ContainerData, window: Window | None, settings: Settings
) -> dict[str, float | None]:
    """Return answer_ms, file_ms and settle_ms of a change made by update; nothing for others."""
    change = phase.change
    found: dict[str, float | None] = {
        "answer_ms": (change.t_answer_ns - change.t_request_ns) / NS_PER_MS
    }
    seen = [file.t_changed_ns for file in change.files if file.t_changed_ns is not None]
    found["file_ms"] = (max(seen) - change.t_request_ns) / NS_PER_MS if seen else None
    if phase.option == "cpuset-cpus":
        settled = moved_ns(phase, data, settings)
    elif (
        window is None
        or data.record.probe in _NOT_SPINNING
        or option(phase.option).controller != "cpu"
    ):
        # How the workers run shows when a CPU limit took effect, but not other limits.
        settled = None
    else:
        settled = settle_ns(phase, data, window, bandwidth(settings)[1] * NS_PER_US)
    found["settle_ms"] = None if settled is None else settled / NS_PER_MS
    return found if change.via == "update" else {}
