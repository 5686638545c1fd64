"""How much CPU time was used until now, by whom; how fast the CPUs run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from cgbench.host import cpu_state
from cgbench.host.cpu_state import CpuState

# Noise


@dataclass(frozen=True)
class CpuTimes:
    """CPU-seconds since boot: busy and stolen on all CPUs, and used by cgbench and the daemon."""

    t_ns: int
    busy_s: float
    steal_s: float
    cgbench_s: float
    daemon_s: float | None
    state: CpuState


def daemon_processes() -> list[psutil.Process]:
    """Return the processes of the Docker daemon and containerd, without their shims."""
    return [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] in ("dockerd", "containerd")
    ]


def cpu_times(daemons: Iterable[psutil.Process]) -> CpuTimes:
    """Read how much CPU time was used until now, by whom."""
    times = psutil.cpu_times()
    # guest time is contained in user time already.
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    own = os.times()
    daemon: float | None = 0.0
    for process in daemons:
        try:
            used = process.cpu_times()
        except psutil.Error:
            daemon = None
            break
        assert daemon is not None
        daemon += used.user + used.system
    return CpuTimes(
        time.monotonic_ns(),
        busy,
        times.steal,
        own.user + own.system + own.children_user + own.children_system,
        daemon or None,
        cpu_state.read(),
    )
