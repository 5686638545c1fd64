"""A container's group is found by its identity, also where its processes made or joined others."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.errors import CgroupError
from cgbench.host import container_group
from cgbench.host.container_group import ContainerGroup

ID, PID = "ab" * 32, 42
V2 = "34 24 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
)


class Host:
    """A made-up host; files are written below its root."""

    def __init__(self, root: Path, mounts: str) -> None:
        self.root = root
        self.write("proc/self/mountinfo", mounts)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, pid: int, *lines: str) -> None:
        """Let a process be in groups, by the lines of its file."""
        self.write(f"proc/{pid}/cgroup", "".join(f"{line}\n" for line in lines))

    def group(self, path: str, *pids: int) -> None:
        self.write(f"sys/fs/cgroup/{path}/cgroup.procs", "".join(f"{pid}\n" for pid in pids))

    def found(self, parent: str = "") -> ContainerGroup | None:
        return container_group.find(PID, ID, parent, self.root / "proc", self.root)


def test_the_first_process_is_in_it(tmp_path: Path) -> None:
    host = Host(tmp_path, V2)
    host.process(PID, f"0::/docker/{ID}")
    host.group(f"docker/{ID}", PID, 43)
    found = host.found()
    assert found is not None
    assert found.cgroup.unified == tmp_path / "sys/fs/cgroup/docker" / ID
    assert found.astray == {}
    assert found.processes() == (PID, 43)
    assert found.is_there()


@pytest.mark.parametrize("own", [f"/docker/{ID}", f"/system.slice/docker-{ID}.scope"])
def test_groups_that_were_made_inside_are_not_the_one_that_docker_limits(
    tmp_path: Path, own: str
) -> None:
    """A container that runs systemd has its first process in `init.scope`."""
    host = Host(tmp_path, V2)
    host.process(PID, f"0::{own}/init.scope")
    host.group(own)
    host.group(f"{own}/init.scope", PID)
    host.group(f"{own}/system.slice/web.service", 44)
    found = host.found()
    assert found is not None
    assert found.cgroup.unified == tmp_path / "sys/fs/cgroup" / own.lstrip("/")
    assert found.astray == {}
    assert sorted(found.processes()) == [PID, 44]


@pytest.mark.parametrize(
    ("parent", "own"),
    [
        ("", f"docker/{ID}"),
        ("", f"system.slice/docker-{ID}.scope"),
        ("/mine", f"mine/{ID}"),
        ("mine.slice", f"mine.slice/docker-{ID}.scope"),
    ],
)
def test_the_group_is_found_also_where_all_processes_left_it(
    tmp_path: Path, parent: str, own: str
) -> None:
    host = Host(tmp_path, V2)
    host.process(PID, "0::/user.slice")
    host.group(own)
    found = host.found(parent)
    assert found is not None
    assert found.cgroup.unified == tmp_path / "sys/fs/cgroup" / own
    assert found.astray == {"": "/user.slice"}
    assert found.processes() == ()


def test_of_v1_each_hierarchy_may_have_lost_its_own(tmp_path: Path) -> None:
    host = Host(tmp_path, V1)
    host.process(PID, "3:pids:/elsewhere", f"2:cpu,cpuacct:/docker/{ID}", "1:name=systemd:/")
    host.group(f"cpu/docker/{ID}", PID)
    host.group(f"pids/docker/{ID}")
    found = host.found()
    assert found is not None
    assert set(found.cgroup.directories) == {"cpu", "cpuacct", "pids"}
    assert found.cgroup.directories["pids"] == tmp_path / "sys/fs/cgroup/pids/docker" / ID
    assert found.astray == {"pids": "/elsewhere"}


def test_a_process_of_another_host_has_no_group_here(tmp_path: Path) -> None:
    host = Host(tmp_path, V2)
    host.process(PID, "0::/user.slice")
    assert host.found() is None


def test_no_such_process_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="No such file"):
        Host(tmp_path, V2).found()


def test_a_group_that_went_is_not_there(tmp_path: Path) -> None:
    host = Host(tmp_path, V2)
    host.process(PID, f"0::/docker/{ID}")
    host.group(f"docker/{ID}")
    found = host.found()
    assert found is not None
    (tmp_path / f"sys/fs/cgroup/docker/{ID}/cgroup.procs").unlink()
    (tmp_path / f"sys/fs/cgroup/docker/{ID}").rmdir()
    assert not found.is_there()
    assert found.processes() == ()


def test_where_systemd_removed_the_group_that_all_left_it_is_where_its_process_is(
    tmp_path: Path,
) -> None:
    """Seen in the lab: the daemon was told to be another host's."""
    host = Host(tmp_path, V2)
    host.process(PID, "0::/elsewhere")
    host.group("elsewhere", PID, 99)
    assert host.found() is None, "nothing says whose process that is"
    folder = f"/var/lib/docker/containers/{ID}"
    host.write(f"proc/{PID}/mountinfo", f"9 1 0:5 / {folder}/mounts/shm rw - tmpfs shm rw\n")
    assert host.found() is None, "so the host sees it, and whoever runs the daemon"
    host.write(
        f"proc/{PID}/mountinfo", f"9 1 8:1 {folder}/hosts /etc/hosts rw - ext4 /dev/vda rw\n"
    )
    found = host.found()
    assert found is not None
    assert found.cgroup.unified == tmp_path / "sys/fs/cgroup/elsewhere"
    assert found.astray == {"": "/elsewhere"}
    assert found.processes() == (PID,), "the others in there are not the container's"
    assert found.is_there()
