"""How much CPU time was used until now, by whom; how fast the CPUs run, how long tasks waited."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import psutil

from cgbench.host import procfs

_DAEMONS = ("dockerd", "containerd", "podman")
_THROTTLES = "cpu[0-9]*/thermal_throttle/core_throttle_count"


@dataclass(frozen=True)
class CpuState:
    """One reading; None where the kernel does not say.

    `mhz` is the mean of all CPUs, `thermal_throttles` and `waited_us` count since boot: times that
    heat slowed a core, and µs in which some task waited for a CPU.
    """

    mhz: float | None
    thermal_throttles: int | None
    waited_us: int | None


@dataclass(frozen=True)
class CpuTimes:
    """CPU-seconds since boot: busy and stolen on all CPUs, and used by cgbench and the daemon.

    `daemon_s` is None where the daemon's processes were not found, or one of them is gone.
    """

    t_ns: int
    busy_s: float
    steal_s: float
    cgbench_s: float
    daemon_s: float | None
    state: CpuState


@dataclass(frozen=True)
class Process:
    """One process of the host and the CPU-seconds that it has used since it began."""

    pid: int
    name: str
    used_s: float


@dataclass(frozen=True)
class HostUse:
    """CPU-seconds since boot: idle and stolen on all of so many CPUs, and of each process.

    `processes` are by number and beginning, since a number is given again. `own` are the numbers of
    cgbench's processes, `throttles` how often heat slowed a core, None where that is not counted.
    """

    t_ns: int
    cpus: int
    idle_s: float
    steal_s: float
    processes: Mapping[tuple[int, int], Process]
    own: frozenset[int]
    throttles: int | None


def host_use(proc: Path = procfs.PROC, root: Path = Path("/")) -> HostUse:
    """Read where the CPU time of all CPUs went until now.

    What ran is what was not idle: most kernels look only at ticks at who runs, and miss what begins
    with a tick and ends before the next, but they know to the nanosecond how long a CPU is idle.
    """
    per_tick = 1 / os.sysconf("SC_CLK_TCK")
    found = {
        (one.pid, one.started): Process(one.pid, one.name, one.used * per_tick)
        for one in procfs.processes(proc)
    }
    own = frozenset(procfs.family(os.getpid(), proc))
    throttles = _numbers(root / "sys/devices/system/cpu", _THROTTLES)
    times = psutil.cpu_times(percpu=True)
    return HostUse(
        t_ns=time.monotonic_ns(),
        cpus=len(times),
        idle_s=sum(one.idle + one.iowait for one in times),
        steal_s=sum(one.steal for one in times),
        processes=found,
        own=own,
        throttles=sum(throttles) if throttles else None,
    )


def daemon_processes() -> list[psutil.Process]:
    """Return the processes of the container engine and containerd, without their shims."""
    return [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] in _DAEMONS
    ]  # fmt: skip


def cpu_times(daemons: Iterable[psutil.Process]) -> CpuTimes:
    """Read how much CPU time was used until now, by whom."""
    times = psutil.cpu_times()
    # guest time is contained in user time already.
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    own = os.times()
    return CpuTimes(
        time.monotonic_ns(),
        busy,
        times.steal,
        own.user + own.system + own.children_user + own.children_system,
        _daemon_s(daemons),
        cpu_state(),
    )


def _daemon_s(daemons: Iterable[psutil.Process]) -> float | None:
    used = []
    for process in daemons:
        try:
            times = process.cpu_times()
        except psutil.Error:
            return None
        used.append(times.user + times.system)
    return sum(used) if used else None


def cpu_state(root: Path = Path("/")) -> CpuState:
    """Read how the CPUs below `root` fare.

    Sources: cpufreq/scaling_cur_freq in kHz, else `cpu MHz` of /proc/cpuinfo;
    thermal_throttle/core_throttle_count; the total of "some" in /proc/pressure/cpu.
    """
    cpus = root / "sys/devices/system/cpu"
    khz = _numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq")
    mhz = procfs.cpu_info("cpu MHz", root / "proc")
    clocks = [one / 1000 for one in khz] or [
        float(one) for one in mhz if re.fullmatch(r"\d+(\.\d+)?", one)
    ]
    throttles = _numbers(cpus, _THROTTLES)
    return CpuState(
        mhz=round(mean(clocks), 1) if clocks else None,
        thermal_throttles=sum(throttles) if throttles else None,
        waited_us=procfs.waited_us("cpu", root / "proc"),
    )


def _numbers(folder: Path, pattern: str) -> list[int]:
    found = []
    for path in sorted(folder.glob(pattern)):
        try:
            text = path.read_text(errors="replace").strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return found
