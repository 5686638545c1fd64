"""Scratch devices, swap and cgroups on the real machine: made, used, and given back, always.

What cgbench says is read back by other means: losetup, /proc/swaps, the kernel's own files.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import cgroups
from cgbench.host.scratch import commands, leftovers, loop_device, ownership
from cgbench.host.scratch.ownership import Leftover
from cgbench.spec.workload import CONTAINER_USER
from tests.conftest import CONTEXT
from tests.made.command import cgbench
from tests.made.host_tree import hybrid

MIB = 2**20
NAME = f"test{os.getpid()}"


def cgroup_driver() -> str:
    engine = Engine()
    try:
        return engine.describe()["cgroup_driver"]
    finally:
        engine.close()


def printed(*command: str | Path) -> str:
    return subprocess.run(
        [programs.find(str(command[0])) or command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def traces() -> set[str]:
    """Return everything on this machine that could be a cgbench's, read without its help."""
    loops = json.loads(printed("losetup", "--json", "--list") or '{"loopdevices": []}')
    found = {f"{one['name']} on {one['back-file']}" for one in loops["loopdevices"]}
    found |= set(Path("/proc/swaps").read_text().splitlines()[1:])
    found |= {str(path) for path in Path("/sys/block").glob("zram*")}
    for place, pattern in (
        ("/var/tmp", "cgbench-*"),
        ("/run/cgbench", "*"),
        ("/sys/fs/cgroup", "cgbench*"),
        ("/sys/fs/cgroup", "*/cgbench*"),
        ("/run/systemd/system.control", "cgbench*"),
    ):
        found |= {str(path) for path in Path(place).glob(pattern)}
    for path in Path("/sys/block").glob("loop*"):
        # Only the one in force: that another module was loaded meanwhile leaves no trace.
        (scheduler,) = re.findall(r"\[.+\]", (path / "queue/scheduler").read_text())
        owner = Path("/dev", path.name).stat().st_uid
        found.add(f"{path.name}: {scheduler}, owner {owner}")
    return found


@pytest.fixture
def _nothing_stays() -> Iterator[None]:
    # Where loop is a module, its devices exist once it is asked for one.
    printed("losetup", "--find")
    before = traces()
    yield
    assert traces() == before


nothing_stays = pytest.mark.usefixtures("_nothing_stays")


# Devices


@pytest.mark.docker
@nothing_stays
def test_a_scratch_device_is_as_large_as_asked_and_under_the_scheduler_asked_for() -> None:
    with leftovers.block_device(8 * MIB, "mq-deadline") as device:
        listed = printed("losetup", "--json", "--list", "--output-all", device.path)
        (about,) = json.loads(listed)["loopdevices"]
        assert Path(about["back-file"]).name.startswith(f"cgbench-scratch-{os.getpid()}-")
        assert about["maj:min"].strip() == device.number
        assert about["dio"] is device.direct_io
        assert printed("blockdev", "--getsize64", device.path).strip() == str(8 * MIB)
        scheduler = Path("/sys/block", device.path.name, "queue/scheduler")
        assert "[mq-deadline]" in scheduler.read_text()
        changed = leftovers.set_scheduler(device, "none")
        assert (changed.scheduler, changed.path) == ("none", device.path)
        assert "[none]" in scheduler.read_text()


@pytest.mark.docker
@nothing_stays
def test_bfq_takes_its_own_attributes() -> None:
    with leftovers.block_device(8 * MIB, None) as device:
        try:
            changed = leftovers.set_scheduler(device, "bfq", {"low_latency": 0})
        except PreconditionError as error:
            pytest.skip(error.message)
        assert changed.scheduler == "bfq"
        attribute = Path("/sys/block", device.path.name, "queue/iosched/low_latency")
        assert attribute.read_text().strip() == "0"
        with pytest.raises(PreconditionError, match="has no attribute 'none_such'"):
            leftovers.set_scheduler(device, "bfq", {"none_such": 1})


@pytest.mark.docker
@nothing_stays
def test_a_device_in_use_is_refused_and_a_free_one_is_not() -> None:
    with leftovers.block_device(8 * MIB, None) as device:
        leftovers.require_unused(device.path)
        printed("mkswap", device.path)
        printed("swapon", device.path)
        try:
            with pytest.raises(PreconditionError, match=f"{device.path} is in use"):
                leftovers.require_unused(device.path)
        finally:
            printed("swapoff", device.path)
        printed("mkfs.ext2", "-q", "-F", device.path)
        with tempfile.TemporaryDirectory() as folder:
            printed("mount", device.path, folder)
            try:
                with pytest.raises(PreconditionError, match=f"it is mounted at {folder}"):
                    leftovers.require_unused(device.path)
            finally:
                printed("umount", folder)


# Swap


def swaps() -> dict[str, int]:
    """Return what /proc/swaps lists: the bytes of each."""
    lines = [line.split() for line in Path("/proc/swaps").read_text().splitlines()[1:]]
    return {fields[0]: int(fields[2]) * 1024 for fields in lines}


@pytest.mark.docker
@nothing_stays
def test_zram_gives_exactly_the_swap_that_was_asked_for() -> None:
    if not Path("/sys/class/zram-control").exists() and not commands.load_module(
        "zram", "num_devices=0"
    ):
        pytest.skip("this kernel has no zram")
    with leftovers.swap(16 * MIB, kinds=("zram",)) as lent:
        assert lent.kind == "zram"
        assert swaps()[str(lent.path)] == lent.size == 16 * MIB
        with leftovers.swap(MIB) as again:
            assert (again.kind, again.path) == ("existing", lent.path)


@pytest.mark.docker
@nothing_stays
def test_a_swap_file_gives_exactly_the_swap_that_was_asked_for() -> None:
    with leftovers.swap(16 * MIB, kinds=("file",)) as lent:
        assert lent.kind == "file"
        assert swaps()[str(lent.path)] == lent.size == 16 * MIB


@contextmanager
def overlay() -> Iterator[Path]:
    """Lend a directory on a file system that refuses swap files."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for name in ("lower", "upper", "work", "merged"):
            Path(folder, name).mkdir()
        places = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        printed("mount", "-t", "overlay", "overlay", "-o", places, f"{folder}/merged")
        try:
            yield Path(folder, "merged")
        finally:
            printed("umount", f"{folder}/merged")


@pytest.mark.docker
@nothing_stays
def test_where_the_file_system_refuses_swap_files_a_loop_device_carries_it() -> None:
    with overlay() as folder, leftovers.swap(16 * MIB, folder, kinds=("file",)) as lent:
        assert lent.path.name.startswith("loop")
        assert swaps()[str(lent.path)] == 16 * MIB
        behind = loop_device.backing_file(lent.path.name)
        assert behind is not None
        assert behind.parent == folder


# Groups


@contextmanager
def container(parent: str, *command: str, device: Path | None = None) -> Iterator[str]:
    """Run a container below a memory group, as cgbench would: as nobody, without capabilities."""
    devices = [] if device is None else ["--device", str(device)]
    container_id = printed(
        "docker", "run", "--detach", "--network", "none", "--cap-drop", "ALL",
        "--user", str(CONTAINER_USER), "--cgroup-parent", parent, *devices,
        image.tag(CONTEXT), *command,
    ).strip()  # fmt: skip
    try:
        yield container_id
    finally:
        printed("docker", "rm", "--force", container_id)


def group_around(container_id: str) -> cgroups.Cgroup:
    """Return the parent of a container's cgroup, found through its process."""
    found = cgroups.find(int(printed("docker", "inspect", "-f", "{{.State.Pid}}", container_id)))
    return cgroups.Cgroup(
        {name: path.parent for name, path in found.directories.items()},
        None if found.unified is None else found.unified.parent,
    )


def read(group: cgroups.Cgroup, controller: str, v1: str, v2: str) -> str:
    return str(group.read(controller, v1 if group.version(controller) == 1 else v2))


@pytest.mark.docker
@nothing_stays
def test_a_memory_group_caps_the_containers_below_it() -> None:
    with (
        leftovers.memory_group(NAME, 32 * MIB, cgroup_driver()) as parent,
        container(parent, "sleep", "60") as container_id,
    ):
        group = group_around(container_id)
        assert read(group, "memory", "memory.limit_in_bytes", "memory.max") == str(32 * MIB)
        # The container has no limit of its own: it is the group's that holds.
        hungry = ["dd", "if=/dev/zero", "of=/dev/null", f"bs={64 * MIB}", "count=1"]
        done = subprocess.run(["docker", "exec", container_id, *hungry], check=False, timeout=120)
        assert done.returncode == 137
        most = read(group, "memory", "memory.max_usage_in_bytes", "memory.peak")
        assert most == "None" or 16 * MIB < int(most) <= 32 * MIB


@pytest.mark.docker
@nothing_stays
def test_reads_of_a_scratch_device_pass_its_scheduler_and_are_accounted() -> None:
    size = 8 * MIB
    with (
        leftovers.block_device(size, None) as device,
        leftovers.memory_group(NAME, 64 * MIB, cgroup_driver()) as parent,
        container(parent, "sleep", "60", device=device.path) as container_id,
    ):
        try:
            # On v1 only bfq accounts what is not throttled (seen on kernel 6.18).
            leftovers.set_scheduler(device, "bfq")
        except PreconditionError as error:
            pytest.skip(error.message)
        statistics = Path("/sys/block", device.path.name, "stat")
        before = int(statistics.read_text().split()[2])
        source = f"if={device.path}"
        printed("docker", "exec", container_id, "dd", source, "of=/dev/null", "bs=64k",
                "iflag=direct")  # fmt: skip
        # In sectors of 512 bytes (kernel: Documentation/block/stat.rst).
        assert (int(statistics.read_text().split()[2]) - before) * 512 >= size
        group = group_around(container_id)
        accounted = read(group, "io", "blkio.bfq.io_service_bytes_recursive", "io.stat")
        own = [line for line in accounted.splitlines() if line.startswith(f"{device.number} ")]
        assert any(f"Read {size}" in line or f"rbytes={size} " in line for line in own), accounted


@pytest.mark.docker
@nothing_stays
def test_a_second_group_of_the_same_name_is_refused() -> None:
    with (
        leftovers.memory_group(NAME, 32 * MIB, cgroup_driver()),
        pytest.raises(PreconditionError, match="exists already"),
        leftovers.memory_group(NAME, 32 * MIB, cgroup_driver()),
    ):
        pass


@pytest.mark.docker
@nothing_stays
def test_the_driver_that_docker_uses_decides_what_a_group_is_called() -> None:
    engine = Engine()
    driver = engine.describe()["cgroup_driver"]
    engine.close()
    with leftovers.memory_group(NAME, 32 * MIB, cgroup_driver()) as parent:
        assert parent.endswith(".slice") is (driver == "systemd")


# Given back, always

Lender = Callable[[], AbstractContextManager[object]]

LENDERS: dict[str, Lender] = {
    "device": lambda: leftovers.block_device(8 * MIB, "mq-deadline"),
    "swap": lambda: leftovers.swap(8 * MIB, kinds=("zram", "file")),
    "swap file": lambda: leftovers.swap(8 * MIB, kinds=("file",)),
    "group": lambda: leftovers.memory_group(NAME, 32 * MIB, cgroup_driver()),
}
TOO_MUCH: dict[str, Lender] = {
    "device": lambda: leftovers.block_device(2**50, None),
    "swap": lambda: leftovers.swap(2**50),
    "group": lambda: leftovers.memory_group(NAME, 2**50, cgroup_driver()),
}


@pytest.mark.docker
@nothing_stays
@pytest.mark.parametrize("lender", LENDERS.values(), ids=LENDERS)
def test_what_was_lent_is_given_back_when_its_use_fails(lender: Lender) -> None:
    before = traces()

    def use() -> None:
        with lender():
            assert traces() != before
            # Whoever looks for leftovers meanwhile must not take it away.
            assert leftovers.leftovers() == []
            assert leftovers.give_back() == []
            raise RuntimeError("in use")

    with pytest.raises(RuntimeError, match="in use"):
        use()


@pytest.mark.docker
@nothing_stays
@pytest.mark.parametrize("lender", TOO_MUCH.values(), ids=TOO_MUCH)
def test_more_than_the_host_can_spare_is_refused_with_the_numbers(lender: Lender) -> None:
    told = r"1024 TiB .* free and keeps .*10 %"
    with pytest.raises(PreconditionError, match=told), lender():
        pass


@pytest.mark.docker
@nothing_stays
def test_a_device_for_which_there_is_no_scheduler_leaves_nothing() -> None:
    with (
        pytest.raises(PreconditionError, match="no I/O scheduler 'none-such'"),
        leftovers.block_device(8 * MIB, "none-such"),
    ):
        pass


BORROWER = f"""
import sys
import time
from cgbench.host.scratch import leftovers as scratch
with (
    scratch.block_device({8 * MIB}, "mq-deadline"),
    scratch.swap({8 * MIB}, kinds=("zram", "file")),
    scratch.swap({8 * MIB}, kinds=("file",)),
    scratch.memory_group("{NAME}", {32 * MIB}, sys.argv[1]) as parent,
):
    print(parent, flush=True)
    time.sleep(60)
"""


def killed_borrower() -> str:
    """Let a process borrow one of each kind, kill it, and return what its group was called."""
    command = [sys.executable, "-c", BORROWER, cgroup_driver()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        parent = process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert parent
    return parent


@pytest.mark.docker
@nothing_stays
def test_after_kill_9_everything_is_found_and_given_back_once() -> None:
    parent = killed_borrower()
    found = leftovers.leftovers()
    assert f"memory group {parent}" in found
    assert sum(one.startswith("swap on") for one in found) == 2
    assert any(one.startswith("loop device /dev/loop") for one in found)
    assert any(one.startswith("scratch file /var/tmp/cgbench-scratch-") for one in found)
    assert leftovers.give_back() == found
    assert leftovers.leftovers() == []
    assert leftovers.give_back() == []


@pytest.mark.docker
@nothing_stays
def test_a_group_with_a_container_in_it_stays_until_the_container_is_gone() -> None:
    parent = killed_borrower()
    with container(parent, "sleep", "60"):
        assert f"memory group {parent}" not in leftovers.leftovers()
        leftovers.give_back()
    assert leftovers.give_back() == [f"memory group {parent}"]


@pytest.mark.docker
@nothing_stays
def test_the_doctor_tells_what_is_left_and_clean_removes_it() -> None:
    killed_borrower()
    left = leftovers.leftovers()
    examined = json.loads(cgbench("doctor", "--json", "-").stdout)
    (told,) = [one for one in examined["findings"] if one["name"] == "scratch"]
    assert all(one in told["text"] for one in left)
    assert "cgbench clean" in told["advice"]
    done = cgbench("clean")
    assert done.returncode == 0, done.stderr
    assert f"and {len(left)} scratch device" in done.stdout
    assert len(done.stdout.splitlines()) == 1


# Without the machine


def test_what_cannot_be_removed_does_not_save_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []

    def refuse() -> None:
        raise ScratchError("swapoff failed: Cannot allocate memory", "Free some.")

    found = [
        Leftover("swap on /dev/zram1", refuse),
        Leftover("loop device /dev/loop0", lambda: removed.append("loop0")),
        Leftover("memory group /x", refuse),
    ]
    monkeypatch.setattr(leftovers, "_found", lambda root: found)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    monkeypatch.setattr(commands, "until", lambda condition: condition())
    with pytest.raises(ScratchError) as caught:
        leftovers.give_back(tmp_path)
    assert removed == ["loop0"]
    assert caught.value.message == (
        "cannot remove swap on /dev/zram1: swapoff failed: Cannot allocate memory (1 more besides)"
    )
    assert caught.value.advice == "Free some."


def test_what_is_busy_for_a_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ScratchError("busy"), None])

    def give_back() -> None:
        if (error := next(answers)) is not None:
            raise error

    found = [Leftover("scratch file /x", give_back)]
    monkeypatch.setattr(leftovers, "_found", lambda root: found)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    assert leftovers.give_back(tmp_path) == ["scratch file /x"]


def test_leftovers_are_told_to_anyone_and_removed_by_root_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = hybrid(tmp_path)
    file = tree.write("var/tmp/cgbench-scratch-77-5-00ff", "x")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (told,) = leftovers.leftovers(tree.root)
    assert str(file) in told
    with pytest.raises(PreconditionError, match="only root"):
        leftovers.give_back(tree.root)
    assert file.exists()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert leftovers.give_back(tree.root) == [told]
    assert not file.exists()
    assert leftovers.give_back(tree.root) == []


def test_a_lease_of_the_dead_without_a_trace_is_forgotten(tmp_path: Path) -> None:
    tree = hybrid(tmp_path)
    tree.process(os.getpid(), 4710)
    held = ownership.take("file", str(tmp_path / "gone"), root=tree.root)
    tree.process(os.getpid(), 4711)
    assert leftovers.give_back(tree.root) == []
    assert not held.record.exists()
