"""The host: what it is, what it lacks, and that only one cgbench measures at a time."""

from __future__ import annotations

import gzip
import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from cgbench.host import description

DOCKER = dict.fromkeys(
    ("os", "cgroup_driver", "version", "api", "runc", "storage_driver"), "unknown"
)


def test_cpus_and_pages_are_as_the_system_has_them() -> None:
    found = description.describe(DOCKER)
    assert found.cpu_numbers == tuple(sorted(os.sched_getaffinity(0)))
    assert found.cpus == len(found.cpu_numbers)
    assert found.page_bytes == mmap.PAGESIZE


def test_a_process_bound_to_the_last_cpu_numbers_it_as_the_kernel_does() -> None:
    last = max(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, [{last}])\n"
        "from cgbench.host import description; print(description.cpu_numbers())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == f"({last},)\n"


@pytest.mark.parametrize(
    ("cpuinfo", "tree", "name"),
    [
        ("processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\n", "", "Intel(R) Xeon(R)"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "", "POWER9, altivec supported"),
        ("processor\t: 0\nuarch\t: sifive,u74-mc\n", "", "sifive,u74-mc"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "", "implementer 0x41 part 0xd0c"),
        ("CPU implementer\t: 0x41\nModel\t\t: Raspberry Pi 4\n", "", "Raspberry Pi 4"),
        ("processor\t: 0\nmodel name\t: \n", "Pine64 RockPro64\0", "Pine64 RockPro64"),
        ("processor\t: 0\n", "", "unknown"),
        (None, "", "unknown"),
    ],
)
def test_a_cpu_has_the_best_name_that_the_system_gives(
    tmp_path: Path, cpuinfo: str | None, tree: str, name: str
) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    if cpuinfo is not None:
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    if tree:
        (tmp_path / "proc/device-tree/model").write_text(tree)
    found = description.cpu_model(tmp_path)
    assert found.endswith(name)
    assert found != platform.machine()


@pytest.mark.parametrize(
    ("content", "nodes"), [("0\n", (0,)), ("0-1,3\n", (0, 1, 3)), ("\n", (0,)), (None, (0,))]
)
def test_memory_nodes_are_those_that_have_memory(
    tmp_path: Path, content: str | None, nodes: tuple[int, ...]
) -> None:
    folder = tmp_path / "devices/system/node"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "has_memory").write_text(content)
    assert description.memory_nodes(tmp_path) == nodes


def test_the_timer_is_read_from_the_running_kernels_configuration(tmp_path: Path) -> None:
    packed = gzip.compress(b"CONFIG_HZ_250=y\nCONFIG_HZ=250\n")
    (tmp_path / "config.gz").write_bytes(packed)
    assert description.timer_hz(boot=tmp_path / "none", proc=tmp_path) == 250


def test_the_timer_is_read_from_boot_where_the_kernel_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / f"config-{platform.release()}").write_text("CONFIG_HZ=1000\n")
    assert description.timer_hz(boot=tmp_path, proc=tmp_path / "none") == 1000


@pytest.mark.parametrize("content", ["", "CONFIG_HZ=fast\n", "# CONFIG_HZ is not set\n"])
def test_an_unknown_timer_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / f"config-{platform.release()}").write_text(content)
    for boot in (tmp_path, tmp_path / "none"):
        found = description.timer_hz(boot, tmp_path / "none", resolution=lambda _clock: 1e-9)
        assert found is None


def test_the_timer_is_as_fast_as_the_coarse_clock_where_no_configuration_says(
    tmp_path: Path,
) -> None:
    none = tmp_path / "none"
    assert description.timer_hz(none, none, resolution=lambda _clock: 0.004) == 250
    assert description.timer_hz(none, none, resolution=lambda _clock: 1 / 300) == 300
    assert description.timer_hz(none, none) == description.timer_hz()


def test_a_system_without_a_coarse_clock_has_an_unknown_timer(tmp_path: Path) -> None:
    def refused(_clock: int) -> float:
        raise OSError("Invalid argument")

    assert description.timer_hz(tmp_path, tmp_path, resolution=refused) is None
