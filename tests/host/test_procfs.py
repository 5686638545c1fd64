"""/proc is parsed once: a good, an absent and a malformed case of each file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cgbench.host import procfs
from cgbench.host.procfs import ActiveSwap, Mount, ProcessStat
from tests.made.host_tree import HostTree, hybrid

MIB = 2**20
STAT = "4242 (a (strange) name) R 1 4242 4242 0 -1 4194304 100 0 0 0 12 3 0 0 20 0 1 0 99 " + (
    "1900 900 184 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0"
)


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def test_a_process_is_read_whatever_its_name(tmp_path: Path) -> None:
    assert procfs.parse_stat(STAT) == ProcessStat(4242, "a (strange) name", "R", 15, 99, 3)
    assert procfs.process(4242, tmp_path) is None


@pytest.mark.parametrize("text", ["", "nonsense", "12 (cut off) R 1 2", STAT.replace("4242", "x")])
def test_a_malformed_process_is_none(text: str) -> None:
    assert procfs.parse_stat(text) is None


@given(name=st.text(max_size=15), pid=st.integers(1, 2**22), processor=st.integers(0, 8191))
def test_no_name_of_a_process_changes_what_is_read_of_it(
    name: str, pid: int, processor: int
) -> None:
    text = STAT.replace("4242 (a (strange) name)", f"{pid} ({name})").replace(
        " 17 3 0", f" 17 {processor} 0"
    )
    assert procfs.parse_stat(text) == ProcessStat(pid, name, "R", 15, 99, processor)


@given(st.text())
def test_any_text_is_a_process_or_none(text: str) -> None:
    procfs.parse_stat(text)


def test_all_processes_are_listed_with_what_they_used(tmp_path: Path) -> None:
    for pid in (7, 8):
        (tmp_path / str(pid)).mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "7" / "stat").write_text(STAT.replace("4242 (", "7 (", 1))
    # Process 8 has just ended.
    assert [(one.pid, one.used) for one in procfs.processes(tmp_path)] == [(7, 15)]


def test_this_very_process_is_found() -> None:
    seen = procfs.process(os.getpid())
    assert seen is not None
    assert (seen.pid, seen.state) == (os.getpid(), "R")
    assert seen.processor in os.sched_getaffinity(0)


def test_mounts_are_read_in_order_with_their_names_unescaped(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.write(
        "proc/self/mountinfo",
        "\n1 2 3\n1 2 0:3 / /x rw - cgroup\nnonsense\n"
        "31 25 0:26 /a\\040b /my\\134place rw master:15 - cgroup cgroup rw,cpu,cpuacct\n",
    )
    found = procfs.mounts(tmp_path / "proc")
    assert found == [Mount("0:26", "/a b", "/my\\place", "cgroup", ("rw", "cpu", "cpuacct"))]


def escaped(name: bytes, blanks: bytes = b" \t\n\\#") -> bytes:
    """Return a path as the kernel writes it (fs/seq_file.c: mangle_path)."""
    return b"".join(b"\\%03o" % one if one in blanks else bytes([one]) for one in name)


names = st.one_of(st.text(st.characters(exclude_characters="\0", codec="utf-8")).map(os.fsencode),
                  st.binary().map(lambda some: some.replace(b"\0", b"")))  # fmt: skip
# Blanks and ends of lines of Unicode, which the kernel leaves as they are: with them, a user who
# may mount in his own folder would write a line of his own.
FORGED = "x\u2028 - \r1\u20032\u20030:3\u2003/\u2003/sys/fs/cgroup".encode()


@given(root=names, point=names)
@example(root=b"", point=FORGED)
def test_any_name_of_a_mount_is_one_mount_with_that_name(
    tmp_path_factory: pytest.TempPathFactory, root: bytes, point: bytes
) -> None:
    proc = tmp_path_factory.getbasetemp() / "proc"
    (proc / "self").mkdir(parents=True, exist_ok=True)
    (proc / "self" / "mountinfo").write_bytes(
        b"31 25 0:26 /%b /%b rw - tmpfs a\\040b rw,cpu\n" % (escaped(root), escaped(point))
    )
    (only,) = procfs.mounts(proc)
    assert (only.device, only.kind, only.options) == ("0:26", "tmpfs", ("rw", "cpu"))
    assert (os.fsencode(only.root), os.fsencode(only.point)) == (b"/" + root, b"/" + point)


@given(name=names, size=st.integers(0, 2**40), priority=st.integers(-5, 32767))
@example(name=FORGED, size=1, priority=-2)
def test_any_name_of_a_swap_is_one_swap_with_that_name(
    tmp_path_factory: pytest.TempPathFactory, name: bytes, size: int, priority: int
) -> None:
    proc = tmp_path_factory.getbasetemp() / "proc"
    proc.mkdir(exist_ok=True)
    (proc / "swaps").write_bytes(
        b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        b"/%b   file\t\t%d\t\t0\t\t%d\n" % (escaped(name, b" \t\n\\"), size, priority)
    )
    (only,) = procfs.swaps(proc)
    assert only == ActiveSwap(Path(os.fsdecode(b"/" + name)), size * 1024, 0, priority)


def test_a_host_without_proc_is_an_error_and_no_host_without_mounts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        procfs.mounts(tmp_path)


def test_memory_is_read_in_bytes(tree: HostTree) -> None:
    info = procfs.memory(tree.root / "proc")
    assert info["MemTotal"] == 100 * MIB
    assert info["HugePages_Total"] == 0
    assert "MemFree" not in info
    assert procfs.memory(tree.root / "nowhere") == {}


def test_swaps_are_read_in_order_of_use_with_their_names_unescaped(tree: HostTree) -> None:
    tree.swaps(
        "/var/my\\040swap                         file\t\t65532\t\t12\t\t-2",
        "/dev/zram1                              partition\t1024\t\t0\t\t100",
        "malformed",
        "/dev/sda2 partition many few -2",
    )
    assert procfs.swaps(tree.root / "proc") == [
        ActiveSwap(Path("/dev/zram1"), MIB, 0, 100),
        ActiveSwap(Path("/var/my swap"), 65532 * 1024, 12 * 1024, -2),
    ]


def test_a_kernel_without_swap_has_none(tree: HostTree) -> None:
    (tree.root / "proc/swaps").unlink()
    assert procfs.swaps(tree.root / "proc") == []


def test_cpuinfo_gives_the_value_of_a_key_for_each_cpu(tree: HostTree) -> None:
    tree.write("proc/cpuinfo", "cpu MHz\t\t: 2000.0\nflags :\ncpu MHz\t\t: 3000.5 \n")
    assert procfs.cpu_info("cpu MHz", tree.root / "proc") == ["2000.0", "3000.5"]
    assert procfs.cpu_info("flags", tree.root / "proc") == []
    assert procfs.cpu_info("cpu MHz", tree.root / "nowhere") == []


def test_the_time_waited_is_the_total_of_some(tree: HostTree) -> None:
    text = "some avg10=1.00 avg60=0.50 avg300=0.10 total=1234\nfull avg10=0.00 total=99\n"
    tree.write("proc/pressure/cpu", text)
    tree.write("proc/pressure/io", "nothing\n")
    assert procfs.waited_us("cpu", tree.root / "proc") == 1234
    assert procfs.waited_us("io", tree.root / "proc") is None
    assert procfs.waited_us("memory", tree.root / "proc") is None


def test_a_signal_that_a_process_blocks_is_pending() -> None:
    with subprocess.Popen(["env", "--block-signal=TERM", "sleep", "60"]) as process:
        # Until then it is env, or this very Python.
        while procfs.process(process.pid) and "sleep" not in _name(process.pid):
            time.sleep(0.005)
        assert not procfs.pending(process.pid, signal.SIGTERM)
        process.terminate()
        assert procfs.pending(process.pid, signal.SIGTERM)
        assert not procfs.pending(process.pid, signal.SIGINT)
        process.kill()
    assert not procfs.pending(process.pid, signal.SIGTERM)


def _name(pid: int) -> str:
    return (procfs.PROC / str(pid) / "comm").read_text()


def test_the_family_of_a_process_are_all_that_descend_from_it() -> None:
    nested = "import subprocess; subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", nested]) as process:
        pidfd = os.pidfd_open(process.pid)
        try:
            found: list[int] = []
            while len(found) < 2:
                found = list(procfs.family(process.pid))
            assert found[0] == process.pid == procfs.held(pidfd)
        finally:
            for pid in reversed(found):
                os.kill(pid, signal.SIGKILL)
            process.wait()
        assert procfs.held(pidfd) is None
        os.close(pidfd)
        assert list(procfs.family(process.pid)) == [process.pid]


@pytest.mark.parametrize("most", [1, 4096, 2**16, 2**31])
def test_a_file_is_read_to_its_end_or_as_far_as_it_counts(tmp_path: Path, most: int) -> None:
    whole = bytes(range(256)) * 700
    (tmp_path / "file").write_bytes(whole)
    assert procfs.content(tmp_path / "file", most) == whole[:most]
    (tmp_path / "file").write_bytes(b"")
    assert procfs.content(f"{tmp_path}/file", most) == b""
    with pytest.raises(FileNotFoundError):
        procfs.content(tmp_path / "absent", most)
