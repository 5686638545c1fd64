"""How long a service took for the requests of a prober, by the time at which each was due."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cgbench.judging.container_data import ContainerData, Window
from cgbench.records.trial import Phase
from cgbench.units import NS_PER_MS

FEWEST_FOR_P99 = 100
"""A 99th percentile of fewer requests has none beyond it."""

_FAILED = 0


def latency(data: ContainerData, window: Window) -> dict[str, float | None]:
    """Return what a prober's requests say of a service in a window; absent figures are None.

    Latency and failures are of the requests that were due in the window: a request that failed
    counts as one that took its timeout. Right answers count where they came. All are absent where
    a request that was due has no entry: the slowest may be among those that are missing.
    """
    record = data.record
    due = [
        length[(begin >= window.t_begin_ns) & (begin < window.t_end_ns)]
        for begin, length in data.stalls
    ]
    if record.pace_ns is None or record.timeout_ns is None:
        return {}
    expected = (window.t_end_ns - window.t_begin_ns) // record.pace_ns
    if len(due) != record.workers or any(len(each) < expected for each in due):
        return {}
    lengths: npt.NDArray[np.int64] = np.concatenate(due)
    if not lengths.size:
        return {}
    failed = lengths == _FAILED
    took_ms = np.where(failed, record.timeout_ns, lengths) / NS_PER_MS
    # Each is the latency of one request: no value is made up between two of them.
    p50, p99 = np.percentile(took_ms, [50, 99], method="inverted_cdf")
    begin, units = data.units
    inside = (begin >= window.t_begin_ns) & (begin < window.t_end_ns)
    return {
        "latency_p50_ms": float(p50),
        "latency_p99_ms": float(p99) if lengths.size >= FEWEST_FOR_P99 else None,
        "latency_max_ms": float(took_ms.max()),
        "requests_per_s": float(units[inside].sum()) / window.seconds,
        "failed_pct": 100 * float(failed.mean()),
    }


def spike(data: ContainerData, phase: Phase, window: Window) -> dict[str, float | None]:
    """Return what clients felt from the request of a change until the steady window began.

    Nothing where no request was due in that time, or none in the window to compare with. A request
    that failed counts as one that took its timeout.
    """
    record, begin_ns = data.record, phase.change.t_request_ns
    if record.timeout_ns is None or not data.stalls:
        return {}
    due = np.concatenate([begin for begin, _ in data.stalls])
    lengths = np.concatenate([length for _, length in data.stalls])
    failed = lengths == _FAILED
    took_ms = np.where(failed, record.timeout_ns, lengths) / NS_PER_MS
    before = (due >= begin_ns) & (due < window.t_begin_ns)
    steady = (due >= window.t_begin_ns) & (due < window.t_end_ns)
    if not before.any() or not steady.any():
        return {}
    worse = due[before & (took_ms > took_ms[steady].max())]
    return {
        "spike_ms": float(took_ms[before].max()),
        "spike_failed": float(failed[before].sum()),
        "recovered_ms": float(worse.max() - begin_ns) / NS_PER_MS if worse.size else 0.0,
    }
