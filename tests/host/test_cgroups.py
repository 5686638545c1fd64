"""Where a process's cgroup is, on every layout, and which interface files it has.

The trees are those of real hosts: /proc/<pid>/cgroup and mountinfo as captured, files as their
kernels wrote them. Only the mount points lie below a temporary directory.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from cgbench.errors import CgroupError
from cgbench.host import cgroups, interface_files
from cgbench.host.cgroups import Cgroup
from tests.made.interface_texts import (
    CPU_PRESSURE,
    IO_STAT,
    MEMORY_EVENTS,
    OOM_CONTROL,
    V1_CPU_STAT,
    V1_MEMORY_STAT,
    V2_CPU_STAT,
    V2_CPU_STAT_WITHOUT_CONTROLLER,
    V2_MEMORY_STAT,
)

ID = "3a0496325843b19cb7a08828f18b6735bef31d07628cc24cb54e318b0727dd5f"
PID = 18962

# Debian 12 without systemd, kernel 6.18, Engine 20.10 with the cgroupfs driver.
HYBRID_CGROUP = f"""\
9:name=systemd:/docker/{ID}
8:pids:/docker/{ID}
7:blkio:/docker/{ID}
6:freezer:/docker/{ID}
5:devices:/docker/{ID}
4:memory:/docker/{ID}
3:cpuset:/docker/{ID}
2:cpuacct:/docker/{ID}
1:cpu:/docker/{ID}
0::/docker/{ID}
"""
HYBRID_MOUNTS = """\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
# A host of the v1 years: cpu and cpuacct in one hierarchy, no cgroup2 at all.
V1_CGROUP = f"""\
12:pids:/docker/{ID}
6:memory:/docker/{ID}
4:blkio:/docker/{ID}
3:cpuset:/docker/{ID}
2:cpu,cpuacct:/docker/{ID}
1:name=systemd:/docker/{ID}
"""
V1_MOUNTS = """\
25 18 0:21 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
27 25 0:23 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/cpuset rw,nosuid shared:16 - cgroup cgroup rw,cpuset
32 25 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:17 - cgroup cgroup rw,memory
33 25 0:29 / /sys/fs/cgroup/blkio rw,nosuid shared:18 - cgroup cgroup rw,blkio
34 25 0:30 / /sys/fs/cgroup/pids rw,nosuid shared:19 - cgroup cgroup rw,pids
"""
V2_MOUNTS = """\
24 29 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
34 24 0:29 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""

V1_FILES = {
    "cpu/cpu.stat": V1_CPU_STAT,
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpuacct/cpuacct.usage": "25929493\n",
    "cpuacct/cpuacct.usage_percpu": "25000000 929493 \n",
    "memory/memory.usage_in_bytes": "2715648\n",
    "memory/memory.max_usage_in_bytes": "2715648\n",
    "memory/memory.oom_control": OOM_CONTROL,
    "memory/memory.stat": V1_MEMORY_STAT,
    "blkio/blkio.bfq.weight": "100\n",
    "blkio/blkio.throttle.io_service_bytes": "Total 0\n",
    "pids/pids.current": "1\n",
}
V2_FILES = {
    "cpu.stat": V2_CPU_STAT,
    "cpu.max": "50000 100000\n",
    "cpu.pressure": CPU_PRESSURE,
    "memory.current": "2715648\n",
    "memory.peak": "2715648\n",
    "memory.swap.current": "0\n",
    "memory.events": MEMORY_EVENTS,
    "pids.current": "1\n",
    "memory.stat": V2_MEMORY_STAT,
    "memory.pressure": CPU_PRESSURE,
    "io.stat": IO_STAT,
    "io.pressure": CPU_PRESSURE,
}


class Tree:
    """A fake host: `proc` and `root`, filled from captured text."""

    def __init__(self, folder: Path, cgroup: str, mounts: str) -> None:
        self.root, self.proc = folder / "root", folder / "proc"
        self._write(self.proc / str(PID) / "cgroup", cgroup)
        self._write(self.proc / "self" / "mountinfo", mounts)

    def add(self, directory: str, files: Mapping[str, str]) -> Path:
        """Make a cgroup's directory with the given interface files."""
        place = self.root / directory.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self._write(place / name, text)
        return place

    def find(self) -> Cgroup:
        """Find the cgroup of the one process there is."""
        return cgroups.find(PID, self.proc, self.root)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def hybrid(folder: Path) -> Tree:
    tree = Tree(folder, HYBRID_CGROUP, HYBRID_MOUNTS)
    for file, text in V1_FILES.items():
        controller, _, name = file.partition("/")
        tree.add(f"/sys/fs/cgroup/{controller}/docker/{ID}", {name: text})
    tree.add(
        f"/sys/fs/cgroup/unified/docker/{ID}",
        {"cpu.pressure": CPU_PRESSURE, "cpu.stat": V2_CPU_STAT_WITHOUT_CONTROLLER},
    )
    return tree


def v1(folder: Path) -> Tree:
    tree = Tree(folder, V1_CGROUP, V1_MOUNTS)
    for file, text in V1_FILES.items():
        controller, _, name = file.partition("/")
        mount = "cpu,cpuacct" if controller in ("cpu", "cpuacct") else controller
        tree.add(f"/sys/fs/cgroup/{mount}/docker/{ID}", {name: text})
    return tree


def v2(folder: Path, inside: str = f"/system.slice/docker-{ID}.scope") -> Tree:
    tree = Tree(folder, f"0::{inside}\n", V2_MOUNTS)
    tree.add(f"/sys/fs/cgroup{inside}", V2_FILES)
    return tree


# Finding


def test_on_a_hybrid_host_every_controller_has_its_own_v1_directory(tmp_path: Path) -> None:
    tree = hybrid(tmp_path)
    cgroup = tree.find()
    assert cgroup.version("cpu") == cgroup.version("memory") == cgroup.version("blkio") == 1
    top = tree.root / "sys/fs/cgroup"
    assert cgroup.path("cpu", "cpu.stat") == top / f"cpu/docker/{ID}/cpu.stat"
    assert cgroup.path("cpuacct", "x") == top / f"cpuacct/docker/{ID}/x"
    assert cgroup.unified == top / f"unified/docker/{ID}"
    assert cgroups.layout(tree.proc) == "hybrid"


def test_on_a_hybrid_host_counters_are_v1_and_pressure_is_v2(tmp_path: Path) -> None:
    cgroup = hybrid(tmp_path).find()
    columns = {counter.name: counter.column for counter in cgroup.counters()}
    assert (
        columns.items()
        >= {
            "usage_ns": "cpuacct.usage",
            "periods": "cpu.stat:nr_periods",
            "throttled_periods": "cpu.stat:nr_throttled",
            "throttled_ns": "cpu.stat:throttled_time",
            "memory_bytes": "memory.usage_in_bytes",
            "oom_kills": "memory.oom_control:oom_kill",
        }.items()
    )
    files = {counter.file for counter in cgroup.counters()}
    assert files <= {Path(name).name for name in V1_FILES}
    assert [path.name for path in cgroup.slow_files()] == ["cpu.pressure", "memory.stat"]


def test_on_a_v1_host_there_is_no_unified_directory(tmp_path: Path) -> None:
    tree = v1(tmp_path)
    cgroup = tree.find()
    assert cgroup.unified is None
    assert cgroup.path("cpuacct", "cpuacct.usage").parent.parent.parent.name == "cpu,cpuacct"
    assert cgroup.read("cpu", "cpu.cfs_quota_us") == "50000"
    assert {counter.file for counter in cgroup.counters()} <= {Path(name).name for name in V1_FILES}
    assert "throttled_ns" in {counter.name for counter in cgroup.counters()}
    assert [path.name for path in cgroup.slow_files()] == ["memory.stat"]
    assert cgroups.layout(tree.proc) == "v1"


@pytest.mark.parametrize("inside", [f"/system.slice/docker-{ID}.scope", f"/docker/{ID}"])
def test_on_a_v2_host_one_directory_serves_every_controller_whatever_the_driver(
    tmp_path: Path, inside: str
) -> None:
    tree = v2(tmp_path, inside)
    cgroup = tree.find()
    directory = tree.root / f"sys/fs/cgroup{inside}"
    assert cgroup.unified == directory
    for controller in ("cpu", "memory", "io", "pids"):
        assert cgroup.version(controller) == 2
        assert cgroup.path(controller, "x") == directory / "x"
    assert cgroup.read("cpu", "cpu.max") == "50000 100000"
    assert cgroups.layout(tree.proc) == "v2"


def test_on_a_v2_host_counters_are_v2_in_microseconds(tmp_path: Path) -> None:
    cgroup = v2(tmp_path).find()
    columns = {counter.name: (counter.column, counter.scale) for counter in cgroup.counters()}
    assert (
        columns.items()
        >= {
            "usage_ns": ("cpu.stat:usage_usec", 1000),
            "periods": ("cpu.stat:nr_periods", 1),
            "throttled_periods": ("cpu.stat:nr_throttled", 1),
            "throttled_ns": ("cpu.stat:throttled_usec", 1000),
            "memory_bytes": ("memory.current", 1),
            "oom_kills": ("memory.events:oom_kill", 1),
        }.items()
    )
    assert {path.name for path in cgroup.slow_files()} == {
        "cpu.pressure",
        "memory.pressure",
        "io.pressure",
        "memory.stat",
        "io.stat",
    }


def test_every_counter_stands_in_its_file_under_its_column(tmp_path: Path) -> None:
    for tree in (hybrid(tmp_path / "h"), v1(tmp_path / "1"), v2(tmp_path / "2")):
        cgroup = tree.find()
        for counter in cgroup.counters():
            content = cgroup.path(counter.controller, counter.file).read_bytes()
            columns = interface_files.parse(counter.file, content)
            assert fnmatch.filter(columns, counter.column), counter


def test_v1_calls_io_blkio_and_both_names_lead_there(tmp_path: Path) -> None:
    cgroup = hybrid(tmp_path).find()
    assert cgroup.path("io", "x") == cgroup.path("blkio", "x")
    assert cgroup.read("io", "blkio.bfq.weight") == "100"


def test_a_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert hybrid(tmp_path).find().read("cpu", "cpu.rt_runtime_us") is None


def test_a_file_with_bytes_that_are_no_text_costs_nothing_but_those(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_bytes(b"usage_usec 5\nname \xff\n")
    assert Cgroup({}, tmp_path).read("cpu", "cpu.stat") == "usage_usec 5\nname \ufffd"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tree = hybrid(tmp_path)
    (tree.root / f"sys/fs/cgroup/cpu/docker/{ID}/cpu.shares").mkdir()
    with pytest.raises(CgroupError, match=r"cpu\.shares: Is a directory"):
        tree.find().read("cpu", "cpu.shares")


def test_a_counter_without_its_file_is_not_offered(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    directory = tree.find().unified
    assert directory is not None
    (directory / "memory.current").unlink()
    (directory / "io.stat").unlink()
    assert "memory_bytes" not in {counter.name for counter in tree.find().counters()}
    assert "io.stat" not in {path.name for path in tree.find().slow_files()}


def test_limit_files_are_those_that_can_be_set_and_count_nothing(tmp_path: Path) -> None:
    tree = hybrid(tmp_path)
    counters = {"cpu.stat": V1_CPU_STAT, "cpu.cfs_burst_us": "0\n", "cgroup.procs": "1\n"}
    place = tree.add(f"/sys/fs/cgroup/cpu/docker/{ID}", counters)
    (place / "cpu.stat").chmod(0o444)
    memory = {"memory.limit_in_bytes": "1\n", "memory.failcnt": "0\n", "memory.force_empty": ""}
    place = tree.add(f"/sys/fs/cgroup/memory/docker/{ID}", memory)
    (place / "memory.force_empty").chmod(0o200)
    for name in ("memory.usage_in_bytes", "memory.oom_control", "memory.stat"):
        (place / name).chmod(0o444)
    for file in ("unified/docker/{}/cpu.stat", "blkio/docker/{}/blkio.throttle.io_service_bytes"):
        (tree.root / "sys/fs/cgroup" / file.format(ID)).chmod(0o444)
    (tree.root / f"sys/fs/cgroup/pids/docker/{ID}/pids.current").chmod(0o444)
    assert set(tree.find().limit_files()) == {
        "cpu.cfs_burst_us",
        "cpu.cfs_quota_us",
        "memory.limit_in_bytes",
        "blkio.bfq.weight",
    }


@pytest.mark.parametrize(
    "files",
    [
        {"cpuset.cpus": "\n", "cpuset.cpus.effective": "0-2,4\n"},
        {"cpuset.cpus": "0-7\n", "cpuset.effective_cpus": "0-2,4\n"},
        {"cpuset.cpus": "0-2,4\n"},
    ],
)
def test_the_cpus_offered_are_the_effective_ones(tmp_path: Path, files: dict[str, str]) -> None:
    tree = hybrid(tmp_path)
    tree.add(f"/sys/fs/cgroup/cpuset/docker/{ID}", files)
    assert tree.find().offered("cpus") == (0, 1, 2, 4)


def test_an_odd_list_of_cpus_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus.effective").write_text("0-1,many\n")
    with pytest.raises(CgroupError, match=r"cpuset\.cpus\.effective: not a CPU list: '0-1,many'"):
        Cgroup({}, tmp_path).offered("cpus")


def test_nothing_offered_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match=r"cpuset\.mems: nothing is offered"):
        hybrid(tmp_path).find().offered("mems")


def test_a_controller_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="offers no rdma controller"):
        v1(tmp_path).find().version("rdma")


def test_a_bind_mounted_subtree_is_left_through_its_root(tmp_path: Path) -> None:
    # Docker in Docker without a cgroup namespace: the outer container's group is the root here.
    outer = "/docker/aaaa"
    mounts = f"""\
30 25 0:26 {outer} /sys/fs/cgroup/cpu rw,nosuid master:15 - cgroup cgroup rw,cpu
"""
    tree = Tree(tmp_path, f"1:cpu:{outer}/docker/{ID}\n", mounts)
    tree.add(f"/sys/fs/cgroup/cpu/docker/{ID}", {"cpu.stat": V1_CPU_STAT})
    assert tree.find().read("cpu", "cpu.stat") == V1_CPU_STAT.rstrip("\n")


def test_the_root_of_a_subtree_ends_at_a_slash(tmp_path: Path) -> None:
    mounts = "30 25 0:26 /docker/aa /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    tree = Tree(tmp_path, "1:cpu:/docker/aabb\n", mounts)
    assert tree.find().path("cpu", "x") == tree.root / "sys/fs/cgroup/cpu/docker/aabb/x"


def test_the_root_of_a_subtree_itself_is_its_mount_point(tmp_path: Path) -> None:
    mounts = "30 25 0:26 /docker/aa /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    tree = Tree(tmp_path, "1:cpu:/docker/aa\n", mounts)
    assert tree.find().path("cpu", "x") == tree.root / "sys/fs/cgroup/cpu/x"


def test_a_mount_point_with_a_space_is_unescaped(tmp_path: Path) -> None:
    mounts = r"34 24 0:29 / /mnt/my\040groups\134x rw - cgroup2 cgroup2 rw" + "\n"
    tree = Tree(tmp_path, f"0::/docker/{ID}\n", mounts)
    directory = tree.add(f"/mnt/my groups\\x/docker/{ID}", V2_FILES)
    assert tree.find().unified == directory


def test_the_first_mount_of_a_hierarchy_is_the_one_taken(tmp_path: Path) -> None:
    mounts = V2_MOUNTS + "99 24 0:29 / /mnt/second rw - cgroup2 cgroup2 rw\n"
    tree = Tree(tmp_path, f"0::/docker/{ID}\n", mounts)
    first = tree.add(f"/sys/fs/cgroup/docker/{ID}", V2_FILES)
    tree.add(f"/mnt/second/docker/{ID}", V2_FILES)
    assert tree.find().unified == first


def test_lines_of_mountinfo_that_are_no_mounts_are_passed_over(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    with (tree.proc / "self" / "mountinfo").open("a") as file:
        file.write("\n1 2 3\n1 2 0:3 / /x rw - cgroup\nnonsense\n")
    assert tree.find().unified is not None


def test_a_process_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match=r"4711/cgroup: No such file"):
        cgroups.find(4711, hybrid(tmp_path).proc, tmp_path)


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_group_with_an_end_of_a_line_in_its_name_is_no_other_group(
    tmp_path: Path, end: str
) -> None:
    """The kernel refuses a newline only: a user with a group of his own would pass for another."""
    (tmp_path / str(PID)).mkdir()
    forged = f"/user.slice/x{end}0::/docker/{ID}"
    (tmp_path / str(PID) / "cgroup").write_bytes(f"0::{forged}\n".encode())
    assert cgroups.paths_of(PID, tmp_path) == (forged,)


def test_a_malformed_line_of_proc_is_named(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "nonsense\n", V2_MOUNTS)
    with pytest.raises(CgroupError, match="malformed line 'nonsense'"):
        tree.find()


def test_a_cgroup_that_is_not_mounted_here_is_an_error_with_advice(tmp_path: Path) -> None:
    tree = Tree(tmp_path, f"0::/docker/{ID}\n", V2_MOUNTS)
    with pytest.raises(CgroupError, match="no cgroup that is mounted here") as caught:
        tree.find()
    assert caught.value.advice is not None
    assert "host" in caught.value.advice


def test_a_host_without_any_hierarchy_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "", "23 1 254:0 / / rw,relatime - ext4 /dev/root rw\n")
    with pytest.raises(CgroupError, match="no cgroup hierarchy is mounted"):
        cgroups.layout(tree.proc)


def test_a_host_without_proc_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="mountinfo: No such file"):
        cgroups.layout(tmp_path)


def test_this_very_process_is_found_where_cgroups_are_mounted() -> None:
    try:
        cgroups.layout()
        cgroup = cgroups.find(os.getpid())
    except CgroupError as error:
        pytest.skip(error.message)
    assert cgroup.directories or cgroup.unified


def test_the_processes_of_a_cgroup_are_those_it_lists(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("12\nodd\n34\n")
    assert cgroups.Cgroup({}, tmp_path).processes() == (12, 34)
    assert cgroups.Cgroup({}, tmp_path / "gone").processes() == ()
