from __future__ import annotations

from pathlib import Path

from cgbench.host.cpu_state import CpuState, read


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
    assert read(tmp_path) == CpuState(mhz=2500.0, thermal_throttles=7, waited_us=1234)


def test_cpuinfo_serves_where_there_is_no_cpufreq(tmp_path: Path) -> None:
    _put(tmp_path, "proc/cpuinfo", "cpu MHz\t\t: 2000.0\nflags : x\ncpu MHz\t\t: 3000.5\n")
    assert read(tmp_path).mhz == 2500.2


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    assert read(tmp_path) == CpuState(None, None, None)


def test_what_cannot_be_read_as_a_number_is_none(tmp_path: Path) -> None:
    _put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>\n")
    _put(tmp_path, "proc/pressure/cpu", "nothing\n")
    assert read(tmp_path) == CpuState(None, None, None)


def test_this_host_tells_its_clock_or_nothing() -> None:
    mhz = read().mhz
    assert mhz is None or 100 < mhz < 10_000
