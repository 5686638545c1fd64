"""What confines a container is read from its processes and from all groups up to the root."""

from __future__ import annotations

import os
from pathlib import Path

from cgbench.host import cgroups, confines, procfs
from cgbench.host.cgroups import Cgroup

STATUS = "Name:\tspin\nCpus_allowed:\t1\nCpus_allowed_list:\t{}\nMems_allowed:\t1\n"


def written(path: Path, **files: str) -> Path:
    """Write files into a directory, with a point for each double underscore."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(f"{text}\n")
    return path


def process(proc: Path, pid: int, allowed: str) -> None:
    written(proc / str(pid), status=STATUS.format(allowed))


def test_on_v2_each_group_up_to_the_root_is_read(tmp_path: Path) -> None:
    top = written(tmp_path / "cgroup", cgroup__procs="", cpuset__cpus__effective="0-3")
    slice_ = written(
        top / "docker.slice", cgroup__procs="", cpuset__cpus__effective="0", cpu__max="50000 100000"
    )
    own = written(slice_ / "one", cgroup__procs="41\n42\n43", cpuset__cpus__effective="0",
                  memory__max="max", pids__max="12")  # fmt: skip
    process(tmp_path / "proc", 41, "0")
    process(tmp_path / "proc", 42, "0")
    written(tmp_path / "sys/devices/system/cpu", offline="4-7", isolated="")
    found = confines.read(Cgroup({}, own), tmp_path / "proc", tmp_path)
    assert found.affinity == ("0",)
    assert [one.path for one in found.groups] == ["/docker.slice/one", "/docker.slice", "/"]
    assert found.groups[0].files == {
        "cpuset.cpus.effective": "0", "memory.max": "max", "pids.max": "12",
    }  # fmt: skip
    assert found.groups[1].files["cpu.max"] == "50000 100000"
    assert (found.isolated, found.offline) == (None, "4-7")
    assert found.binding((0, 1)) == "cpuset.cpus.effective of /docker.slice is 0"


def test_on_v1_the_hierarchies_are_read_level_by_level(tmp_path: Path) -> None:
    folders = {}
    for controller, file in (("cpu", "cpu__cfs_quota_us"), ("cpuset", "cpuset__effective_cpus")):
        for place in ("", "docker", "docker/one"):
            text = "0-1" if controller == "cpuset" else "-1"
            files = {"cgroup__procs": "", file: text}
            folders[controller] = written(tmp_path / controller / place, **files)
    found = confines.read(Cgroup(folders, None), tmp_path / "proc", tmp_path)
    assert [one.path for one in found.groups] == ["/docker/one", "/docker", "/"]
    assert found.groups[1].files == {"cpu.cfs_quota_us": "-1", "cpuset.effective_cpus": "0-1"}
    assert found.usable == (0, 1)


def test_on_a_hybrid_host_a_file_that_one_hierarchy_lacks_hides_none_of_another(
    tmp_path: Path,
) -> None:
    folders = {
        "memory": written(tmp_path / "memory", cgroup__procs="", memory__limit_in_bytes="4096")
    }
    unified = written(tmp_path / "unified", cgroup__procs="", pids__max="7")
    found = confines.read(Cgroup(folders, unified), tmp_path / "proc", tmp_path)
    assert found.groups[0].files == {"memory.limit_in_bytes": "4096", "pids.max": "7"}


def test_of_several_containers_what_is_above_them_is_read_once(tmp_path: Path) -> None:
    top = written(tmp_path / "cgroup", cgroup__procs="", pids__max="9")
    parent = written(top / "docker", cgroup__procs="", pids__max="8")
    written(tmp_path / "sys/devices/system/cpu", offline="3", isolated="")
    above = confines.Above()
    found = []
    for name in ("one", "other"):
        own = written(parent / name, cgroup__procs="", pids__max=str(len(name)))
        read = confines.read(Cgroup({}, own), tmp_path / "proc", tmp_path, above=above)
        found.append([(group.path, group.files["pids.max"]) for group in read.groups])
        assert read.offline == "3"
        # Whoever changes it meanwhile is seen by the next audit.
        written(parent, pids__max="5")
        written(tmp_path / "sys/devices/system/cpu", offline="1")
    assert found == [
        [("/docker/one", "3"), ("/docker", "8"), ("/", "9")],
        [("/docker/other", "5"), ("/docker", "8"), ("/", "9")],
    ]


def test_a_group_that_is_gone_confines_nothing(tmp_path: Path) -> None:
    found = confines.read(Cgroup({}, tmp_path / "gone"), tmp_path, tmp_path)
    assert found.usable is None


def test_more_affinities_than_are_kept_are_not_known(tmp_path: Path) -> None:
    pids = range(1, 18)
    own = written(tmp_path / "one", cgroup__procs="\n".join(map(str, pids)))
    for pid in pids:
        process(tmp_path / "proc", pid, str(pid))
    found = confines.read(Cgroup({}, own), tmp_path / "proc", tmp_path)
    assert (found.affinity, found.usable) == ((), None)


def test_a_process_without_a_status_has_no_affinity(tmp_path: Path) -> None:
    process(tmp_path, 1, "0-3,8")
    assert procfs.allowed_cpus(1, tmp_path) == "0-3,8"
    assert procfs.allowed_cpus(2, tmp_path) is None
    written(tmp_path / "3", status="Name:\tx")
    assert procfs.allowed_cpus(3, tmp_path) is None


def test_this_very_process_may_use_what_the_kernel_says() -> None:
    allowed = procfs.allowed_cpus(os.getpid())
    assert allowed is not None
    found = confines.read(cgroups.find(os.getpid()))
    assert found.groups
    assert found.groups[-1].path == "/"


V1_HOME = {"cpu,cpuacct": "/docker/one", "memory": "/docker/one"}


def member(proc: Path, pid: int, *lines: str, children: str = "") -> None:
    written(proc / str(pid), cgroup="\n".join(lines))
    written(proc / str(pid) / "task" / str(pid), children=children)


def test_processes_in_another_group_are_astray_in_that_hierarchy(tmp_path: Path) -> None:
    at_home = ("3:memory:/docker/one", "2:cpu,cpuacct:/docker/one", "0::/")
    member(tmp_path, 41, *at_home, children="42 43 44")
    member(tmp_path, 42, *at_home)
    member(tmp_path, 43, "3:memory:/docker/one", "2:cpu,cpuacct:/else: where", "0::/moved")
    # The last one has ended.
    found = confines.read(Cgroup({}, tmp_path / "x"), tmp_path, tmp_path, first=41, home=V1_HOME)
    assert found.astray == {"cpu,cpuacct": "/else: where"}
    at_ease = confines.read(Cgroup({}, tmp_path / "x"), tmp_path, tmp_path, first=42, home=V1_HOME)
    assert at_ease.astray == {}


def test_nothing_is_astray_where_no_home_is_known(tmp_path: Path) -> None:
    member(tmp_path, 41, "0::/elsewhere")
    own = Cgroup({}, tmp_path / "x")
    assert confines.read(own, tmp_path, tmp_path, first=41, home={}).astray == {}
    assert confines.read(own, tmp_path, tmp_path, home={"": "/docker/one"}).astray == {}
    found = confines.read(own, tmp_path, tmp_path, first=41, home={"": "/docker/one"})
    assert found.astray == {"": "/elsewhere"}
