"""Memory groups: what is written where, what Docker is told, which the dead left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.errors import CgroupError, PreconditionError, ScratchError
from cgbench.host.scratch import commands, memory_group, ownership
from cgbench.spec.option import Settings
from tests.made.host_tree import HYBRID_PLACES, HostTree, hybrid, v2

MIB = 2**20


@pytest.fixture(autouse=True)
def powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let anyone make cgroups, wait for nothing, and find no systemd."""
    monkeypatch.setattr(commands, "require_root", lambda: None)
    monkeypatch.setattr(commands, "until", lambda condition, _timeout_s=0.0: condition())
    monkeypatch.setattr(programs, "find", lambda name: None)


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def like_a_kernel(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Let new directories have interface files, and old ones go with their files."""
    make, remove = Path.mkdir, Path.rmdir

    def mkdir(self: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        make(self, mode, parents, exist_ok)
        if "cgroup" in self.parts:
            for name, text in files.items():
                (self / name).write_text(text)

    def rmdir(self: Path) -> None:
        if any(path.is_dir() for path in self.iterdir()):
            remove(self)
        shutil.rmtree(self)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", rmdir)


V1_FILES = {
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.use_hierarchy": "0\n",
    "cgroup.procs": "",
}


def test_on_v1_the_limit_stands_in_the_memory_hierarchy_and_covers_what_is_below(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_a_kernel(monkeypatch, V1_FILES)
    with memory_group.memory_group("x", 8 * MIB, "cgroupfs", tree.root) as parent:
        assert parent == "/cgbench-x"
        directory = tree.root / "sys/fs/cgroup/memory/cgbench-x"
        assert (directory / "memory.limit_in_bytes").read_text() == str(8 * MIB)
        assert (directory / "memory.use_hierarchy").read_text() == "1"
        assert ownership.promised_memory(tree.root) == 8 * MIB
        # Docker makes the others when it starts a container.
        for place in HYBRID_PLACES:
            (tree.root / "sys/fs/cgroup" / place / "cgbench-x").mkdir(exist_ok=True)
        (directory / "4f2a").mkdir()
    assert list(tree.root.glob("sys/fs/cgroup/*/cgbench-x")) == []
    assert ownership.every(tree.root) == []


def test_on_v2_the_limit_stands_in_memory_max(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = v2(tmp_path)
    like_a_kernel(monkeypatch, {"memory.max": "max\n", "cgroup.procs": ""})
    with memory_group.memory_group("x", 8 * MIB, "cgroupfs", tree.root):
        written = (tree.root / "sys/fs/cgroup/cgbench-x/memory.max").read_text()
    assert written == str(8 * MIB)


def test_other_limits_stand_in_the_files_of_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = v2(tmp_path)
    files = {"memory.max": "max\n", "cpu.max": "max 100000\n", "pids.max": "max\n"}
    like_a_kernel(monkeypatch, {**files, "cgroup.procs": ""})
    beside: Settings = {"cpus": "0.5", "pids-limit": 40}
    with memory_group.memory_group("x", 8 * MIB, "cgroupfs", tree.root, beside):
        group = tree.root / "sys/fs/cgroup/cgbench-x"
        assert (group / "cpu.max").read_text() == "50000 100000"
        assert (group / "pids.max").read_text() == "40"
    assert not group.exists()


def test_a_first_level_without_the_memory_controller_is_told_and_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = v2(tmp_path)
    like_a_kernel(monkeypatch, {"cgroup.procs": ""})
    with (
        pytest.raises(PreconditionError, match=r"memory\.max is missing"),
        memory_group.memory_group("x", 8 * MIB, "cgroupfs", tree.root),
    ):
        pass
    assert list(tree.root.glob("sys/fs/cgroup/cgbench-*")) == []
    assert ownership.every(tree.root) == []


def test_a_limit_that_the_kernel_does_not_take_is_an_error(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_a_kernel(monkeypatch, V1_FILES)
    monkeypatch.setattr(commands, "write", lambda path, text: None)
    with (
        pytest.raises(ScratchError, match="holds 9223372036854771712 after 8388608"),
        memory_group.memory_group("x", 8 * MIB, "cgroupfs", tree.root),
    ):
        pass
    assert list(tree.root.glob("sys/fs/cgroup/*/cgbench-*")) == []


def test_with_systemd_it_is_a_slice_whose_limit_ends_with_the_boot(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_a_kernel(monkeypatch, V1_FILES)
    ran: list[str] = []
    directory = tree.root / "sys/fs/cgroup/memory/cgbench.slice/cgbench-a_b.slice"

    def run(name: str, *arguments: str | Path) -> str:
        ran.append(" ".join([name, *map(str, arguments)]))
        if "start" in arguments:
            directory.mkdir(parents=True)
            (directory / "memory.limit_in_bytes").write_text(f"{8 * MIB}\n")
        return ""

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(programs, "find", lambda name: f"/bin/{name}")
    with memory_group.memory_group("a-b", 8 * MIB, "systemd", tree.root) as parent:
        assert parent == "cgbench-a_b.slice"
        assert memory_group.leftovers(tree.root) == []
    assert ran == [
        f"systemctl set-property --runtime cgbench-a_b.slice MemoryMax={8 * MIB}",
        "systemctl start cgbench-a_b.slice",
        "systemctl stop cgbench-a_b.slice",
        "systemctl revert cgbench-a_b.slice",
        "systemctl stop cgbench.slice",
    ]
    assert list(tree.root.glob("sys/fs/cgroup/*/cgbench*")) == []


@pytest.mark.parametrize("others", ["process", "unit"])
def test_the_slice_of_all_is_not_stopped_while_others_are_in_it(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    """Finding 17 c: `systemd-run --slice=cgbench cgbench run ...` would end itself."""
    like_a_kernel(monkeypatch, V1_FILES)
    ran: list[str] = []
    monkeypatch.setattr(commands, "run", lambda *words: ran.append(" ".join(map(str, words))))
    monkeypatch.setattr(programs, "find", lambda name: f"/bin/{name}")
    tree.group("cgbench.slice", processes="17\n" if others == "process" else "")
    if others == "unit":
        tree.group("cgbench.slice/run-u1.service", processes="17\n")
    tree.group("cgbench.slice/cgbench-s.slice")
    (left,) = memory_group.leftovers(tree.root)
    left.give_back()
    assert ran == ["systemctl stop cgbench-s.slice", "systemctl revert cgbench-s.slice"]
    assert (tree.root / "sys/fs/cgroup/systemd/cgbench.slice").is_dir()


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".x", "a b", "-x"])
def test_a_name_that_could_be_a_path_is_refused(tree: HostTree, name: str) -> None:
    with (
        pytest.raises(PreconditionError, match="not a name"),
        memory_group.memory_group(name, MIB, "cgroupfs", tree.root),
    ):
        pass


def test_a_group_that_exists_is_not_taken(tree: HostTree) -> None:
    tree.group("cgbench-x")
    with (
        pytest.raises(PreconditionError, match=r"exists already: .*/cgbench-x"),
        memory_group.memory_group("x", MIB, "cgroupfs", tree.root),
    ):
        pass
    assert (tree.root / "sys/fs/cgroup/cpu/cgbench-x").is_dir()


def test_more_than_the_host_can_spare_is_refused_with_the_numbers(tree: HostTree) -> None:
    with (
        pytest.raises(PreconditionError, match="has 80 MiB free and keeps 10 MiB"),
        memory_group.memory_group("x", 71 * MIB, "cgroupfs", tree.root),
    ):
        pass


def test_groups_are_left_over_when_they_are_ours_unheld_and_empty(tree: HostTree) -> None:
    tree.group("docker")
    tree.group("cgbenchmark")
    tree.group("cgbench-empty/4f2a")
    tree.group("cgbench-busy")
    tree.group("cgbench-busy/4f2a", processes="17\n")
    tree.group("cgbench.slice/cgbench-s.slice")
    tree.group("cgbench-held")
    held = ownership.take("group", "/cgbench-held", root=tree.root)
    assert [one.description for one in memory_group.leftovers(tree.root)] == [
        "memory group /cgbench-empty",
        "memory group cgbench-s.slice",
    ]
    held.drop()
    assert len(memory_group.leftovers(tree.root)) == 3


def test_giving_back_takes_a_groups_directories_and_no_others(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_a_kernel(monkeypatch, {})
    tree.group("docker/4f2a")
    tree.group("cgbench-x/4f2a")
    tree.group("cgbench.slice/cgbench-s.slice")
    for left in memory_group.leftovers(tree.root):
        left.give_back()
        left.give_back()
    names = {path.name for path in tree.root.glob("sys/fs/cgroup/*/*")}
    assert names == {"docker"}


def test_a_group_with_a_process_in_it_stays_and_is_told(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_a_kernel(monkeypatch, V1_FILES)
    procs = tree.root / "sys/fs/cgroup/memory/cgbench-x/cgroup.procs"
    with (
        pytest.raises(CgroupError, match="still holds processes"),
        memory_group.memory_group("x", MIB, "cgroupfs", tree.root),
    ):
        procs.write_text("17\n")
    assert procs.exists()
    assert memory_group.leftovers(tree.root) == []
    procs.write_text("")
    (left,) = memory_group.leftovers(tree.root)
    left.give_back()
    assert not procs.exists()


def test_a_group_is_waited_for_in_which_an_engine_still_tidies_up(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Met with Podman on an emulated CPU: its cleanup went on after the container was gone."""
    like_a_kernel(monkeypatch, V1_FILES)
    procs = tree.root / "sys/fs/cgroup/memory/cgbench-x/cgroup.procs"
    asked: list[float] = []

    def until(condition: Callable[[], bool], timeout_s: float = 2.0) -> bool:
        asked.append(timeout_s)
        assert asked[1:] or not condition()
        procs.write_text("")
        return condition()

    monkeypatch.setattr(commands, "until", until)
    with memory_group.memory_group("x", MIB, "cgroupfs", tree.root):
        procs.write_text("17\n")
    assert asked == [20.0, 2.0]
    assert not procs.exists()


def test_without_cgroups_nothing_is_left_over(tree: HostTree) -> None:
    tree.write("proc/self/mountinfo", "")
    assert memory_group.leftovers(tree.root) == []
