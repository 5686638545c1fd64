"""CPU time by whom, and how the CPUs fare; what is not known is None."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from cgbench.host import cpu_time
from cgbench.host.cpu_time import CpuState, cpu_state


class Process:
    """A daemon's process that used so much CPU time, None for one that is gone."""

    def __init__(self, used_s: float | None) -> None:
        self._used_s = used_s

    def cpu_times(self) -> Any:
        if self._used_s is None:
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(user=self._used_s, system=0.0)


@pytest.mark.parametrize(
    ("used", "daemon_s"),
    [((1.5, 2.0), 3.5), ((0.0,), 0.0), ((), None), ((1.5, None), None)],
)
def test_a_daemon_that_used_nothing_is_none_only_where_it_was_not_found(
    used: tuple[float | None, ...], daemon_s: float | None
) -> None:
    daemons = cast(list[psutil.Process], [Process(one) for one in used])
    assert cpu_time.cpu_times(daemons).daemon_s == daemon_s


def test_cpu_times_count_what_this_process_used() -> None:
    before = cpu_time.cpu_times(())
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    after = cpu_time.cpu_times(())
    assert after.cgbench_s - before.cgbench_s == pytest.approx(0.3, abs=0.1)
    assert after.busy_s > before.busy_s
    assert after.daemon_s is None


def test_what_ran_is_what_was_not_idle_and_each_process_has_its_own() -> None:
    before = cpu_time.host_use()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    after = cpu_time.host_use()
    seconds = (after.t_ns - before.t_ns) / 1e9
    ran = after.cpus * seconds - (after.idle_s - before.idle_s) - (after.steal_s - before.steal_s)
    assert ran > 0.2
    assert os.getpid() in after.own
    (key,) = (key for key, one in after.processes.items() if one.pid == os.getpid())
    grown = after.processes[key].used_s - before.processes[key].used_s
    assert grown == pytest.approx(0.3, abs=0.1)


def _put(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def test_all_that_the_kernel_tells_is_read(tmp_path: Path) -> None:
    for cpu, khz, throttles in ((0, 2_400_000, 3), (1, 2_600_000, 4)):
        base = f"sys/devices/system/cpu/cpu{cpu}"
        _put(tmp_path, f"{base}/cpufreq/scaling_cur_freq", f"{khz}\n")
        _put(tmp_path, f"{base}/thermal_throttle/core_throttle_count", f"{throttles}\n")
    _put(tmp_path, "proc/pressure/cpu", "some avg10=1.00 avg60=0.50 avg300=0.10 total=1234\n")
    assert cpu_state(tmp_path) == CpuState(mhz=2500.0, thermal_throttles=7, waited_us=1234)


def test_cpuinfo_serves_where_there_is_no_cpufreq(tmp_path: Path) -> None:
    _put(tmp_path, "proc/cpuinfo", "cpu MHz\t\t: 2000.0\nflags : x\ncpu MHz\t\t: 3000.5\n")
    assert cpu_state(tmp_path).mhz == 2500.2


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    assert cpu_state(tmp_path) == CpuState(None, None, None)


def test_what_cannot_be_read_as_a_number_is_none(tmp_path: Path) -> None:
    _put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>\n")
    _put(tmp_path, "proc/pressure/cpu", "nothing\n")
    assert cpu_state(tmp_path) == CpuState(None, None, None)


def test_this_host_tells_its_clock_or_nothing() -> None:
    mhz = cpu_state().mhz
    assert mhz is None or 100 < mhz < 10_000
