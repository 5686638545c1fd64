"""The host: what it is, what it lacks, and that only one cgbench measures at a time."""

from __future__ import annotations

import gzip
import mmap
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError
from cgbench.host import cpu_time, description, lock, preconditions
from cgbench.spec.experiment import Precondition

DOCKER = dict.fromkeys(
    ("os", "cgroup_driver", "version", "api", "runc", "storage_driver"), "unknown"
)


def test_a_user_without_rights_is_told_to_use_sudo() -> None:
    with pytest.raises(PreconditionError, match="root") as caught:
        preconditions.require_measurable(effective_user=1000)
    assert caught.value.exit_code == 3
    assert "sudo" in str(caught.value.advice)


def test_a_missing_scratch_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="nowhere"):
        preconditions.require_measurable(effective_user=0, scratch=tmp_path / "nowhere")


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
    assert description.timer_hz(boot=tmp_path, proc=tmp_path / "none") is None
    assert description.timer_hz(boot=tmp_path / "none", proc=tmp_path / "none") is None


def test_a_second_cgbench_is_refused_and_told_who_holds_the_host(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        lock.exclusively(path),
        pytest.raises(PreconditionError, match=f"process {os.getpid()}"),
        lock.exclusively(path),
    ):
        pass


def test_the_lock_is_free_again_when_its_holder_died(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, pathlib, signal; from cgbench.host import lock\n"
        f"with lock.exclusively(pathlib.Path({str(path)!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    with lock.exclusively(path):
        assert path.read_text() == str(os.getpid())


def test_leftovers_are_only_our_own_scratch_directories(tmp_path: Path) -> None:
    (tmp_path / "cgbench-x-0001").mkdir()
    (tmp_path / "cgbench-file").write_text("")
    (tmp_path / "other").mkdir()
    assert lock.scratch_leftovers(tmp_path) == [tmp_path / "cgbench-x-0001"]


def test_every_precondition_can_be_looked_at_and_explained() -> None:
    found = preconditions.preconditions(Precondition)
    assert set(found) == {str(name) for name in Precondition}
    assert all(preconditions.reason(name) for name in Precondition)


def test_an_unmet_precondition_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "cpus", lambda: 1)
    with pytest.raises(PreconditionError, match="fewer than 2 CPUs") as caught:
        preconditions.require([Precondition.TWO_CPUS])
    assert "two-cpus" in str(caught.value.advice)


def test_cpu_times_count_what_this_process_used() -> None:
    before = cpu_time.cpu_times(())
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    after = cpu_time.cpu_times(())
    assert after.cgbench_s - before.cgbench_s == pytest.approx(0.3, abs=0.1)
    assert after.busy_s > before.busy_s
    assert after.daemon_s is None
