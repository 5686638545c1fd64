"""How fast the host's CPUs run, how often heat slowed them, and how long tasks waited for one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import mean


@dataclass(frozen=True)
class CpuState:
    """One reading; None where the kernel does not tell.

    `mhz` is the mean of all CPUs, `thermal_throttles` and `waited_us` count since boot: times that
    heat slowed a core, and µs in which some task waited for a CPU.
    """

    mhz: float | None
    thermal_throttles: int | None
    waited_us: int | None


def read(root: Path = Path("/")) -> CpuState:
    """Read the state below `root`.

    Sources: cpufreq/scaling_cur_freq in kHz, else `cpu MHz` of /proc/cpuinfo;
    thermal_throttle/core_throttle_count; the total of "some" in /proc/pressure/cpu.
    """
    cpus = root / "sys/devices/system/cpu"
    khz = _numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq")
    told = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    clocks = [one / 1000 for one in khz] or [float(one) for one in told]
    throttles = _numbers(cpus, "cpu[0-9]*/thermal_throttle/core_throttle_count")
    some = re.search(r"^some .*\btotal=(\d+)", _text(root / "proc/pressure/cpu"), re.MULTILINE)
    return CpuState(
        mhz=round(mean(clocks), 1) if clocks else None,
        thermal_throttles=sum(throttles) if throttles else None,
        waited_us=int(some[1]) if some else None,
    )


def _numbers(folder: Path, pattern: str) -> list[int]:
    texts = [_text(path).strip() for path in sorted(folder.glob(pattern))]
    return [int(text) for text in texts if text.isdecimal()]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
