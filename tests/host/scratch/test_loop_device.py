"""Scratch devices: which are ours, whose owners are dead, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host.scratch import commands as privileged
from cgbench.host.scratch import leftovers, loop_device, ownership
from cgbench.host.scratch.loop_device import BlockDevice
from cgbench.host.scratch.scratch_file import PREFIX
from cgbench.spec.workload import CONTAINER_USER
from tests.made.host_tree import HostTree, hybrid

DEAD = f"{PREFIX}77-5-00ff"


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would be run, and run nothing."""
    ran: list[str] = []

    def run(name: str, *arguments: str | Path) -> str:
        ran.append(" ".join([name, *map(str, arguments)]))
        return ""

    monkeypatch.setattr(privileged, "run", run)
    monkeypatch.setattr(privileged, "until", lambda condition: condition())
    return ran


def device(tree: HostTree, name: str = "loop3") -> BlockDevice:
    return BlockDevice(tree.root / "dev" / name, "7:3", "none", True)


def test_a_deleted_backing_file_is_still_known(tree: HostTree) -> None:
    tree.loop("loop3", f"/var/tmp/{DEAD} (deleted)")
    assert loop_device.backing_file("loop3", tree.root) == Path("/var/tmp", DEAD)
    assert loop_device.loops_on(Path("/var/tmp", DEAD), tree.root) == ["loop3"]
    assert loop_device.backing_file("loop4", tree.root) is None


def test_only_what_the_dead_made_is_left_over(tree: HostTree) -> None:
    tree.process(88, 9)
    tree.loop("loop0", "/home/user/disk.img")
    tree.loop("loop1", f"/var/tmp/{PREFIX}88-9-00aa")
    tree.loop("loop2", f"/var/tmp/{PREFIX}88-8-00bb (deleted)")
    tree.write("sys/block/loop4/size", "0")
    for name in (f"{PREFIX}88-9-00aa", f"{PREFIX}77-5-00cc", f"{PREFIX}notes", "other"):
        tree.write(f"var/tmp/{name}", "x" * 1024)
    found = [one.description for one in leftovers._found(tree.root)]
    assert found == [
        f"loop device {tree.root}/dev/loop2 on /var/tmp/{PREFIX}88-8-00bb",
        f"scratch file {tree.root}/var/tmp/{PREFIX}77-5-00cc (1 KiB)",
    ]


def test_a_left_device_gets_scheduler_and_owner_back_before_it_is_detached(
    tree: HostTree, commands: list[str]
) -> None:
    tree.loop("loop2", f"/var/tmp/{DEAD}", scheduler="none [bfq]")
    tree.process(os.getpid(), 4710)
    node = (tree.root / "dev/loop2").stat()
    notes = {"scheduler": "none", "owner": f"{node.st_uid}:{node.st_gid}:660"}
    ownership.take("file", f"/var/tmp/{DEAD}", notes=notes, root=tree.root)
    tree.process(os.getpid(), 4711)
    (left,) = loop_device.leftovers(tree.root)
    left.give_back()
    assert (tree.root / "sys/block/loop2/queue/scheduler").read_text() == "none"
    assert (tree.root / "dev/loop2").stat().st_mode & 0o777 == 0o660
    assert commands == [f"losetup --detach {tree.root}/dev/loop2"]


def test_a_left_device_that_became_somebody_elses_meanwhile_is_left_alone(
    tree: HostTree, commands: list[str]
) -> None:
    tree.loop("loop2", f"/var/tmp/{DEAD}")
    (left,) = loop_device.leftovers(tree.root)
    tree.loop("loop2", "/home/user/disk.img")
    left.give_back()
    assert commands == []


def lent_by_the_dead(tree: HostTree, name: str) -> None:
    """Leave the lease of a device whose node belongs to containers."""
    tree.process(os.getpid(), 4710)
    notes = {"device": name, "scheduler": "none", "owner": "0:6:660"}
    ownership.take("file", f"/var/tmp/{DEAD}", notes=notes, root=tree.root)
    tree.process(os.getpid(), 4711)
    node = tree.write(f"dev/{name}", "")
    os.chown(node, CONTAINER_USER, -1)
    node.chmod(0o600)


@pytest.mark.parametrize("backing", [None, "/home/user/disk.img"])
def test_a_node_gets_its_owner_back_though_its_device_was_detached_by_hand(
    tree: HostTree, commands: list[str], backing: str | None
) -> None:
    """Finding 17 e: the next user of the device would share it with `nobody`."""
    if backing is not None:
        tree.loop("loop2", backing)
    lent_by_the_dead(tree, "loop2")
    (left,) = loop_device.leftovers(tree.root)
    assert left.description == f"owner of the device node {tree.root}/dev/loop2"
    left.give_back()
    node = (tree.root / "dev/loop2").stat()
    assert (node.st_uid, node.st_gid, node.st_mode & 0o777) == (0, 6, 0o660)
    assert commands == []
    assert loop_device.leftovers(tree.root) == []


def test_a_node_that_has_its_owner_or_is_gone_is_no_leftover(tree: HostTree) -> None:
    lent_by_the_dead(tree, "loop2")
    os.chown(tree.root / "dev/loop2", 0, -1)
    assert loop_device.leftovers(tree.root) == []
    (tree.root / "dev/loop2").unlink()
    assert loop_device.leftovers(tree.root) == []


def test_the_scheduler_of_a_device_that_is_not_ours_stays(tree: HostTree) -> None:
    tree.loop("loop3", "/home/user/disk.img")
    with pytest.raises(PreconditionError, match=r"in use for /home/user/disk\.img"):
        loop_device.set_scheduler(device(tree), "bfq", root=tree.root)
    with pytest.raises(PreconditionError, match="is no scratch device"):
        loop_device.set_scheduler(device(tree, "loop9"), "bfq", root=tree.root)
    assert (tree.root / "sys/block/loop3/queue/scheduler").read_text() == "[none] bfq\n"


def test_a_scheduler_that_the_kernel_lacks_is_told_with_those_it_has(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.loop("loop3", f"/var/tmp/{DEAD}", scheduler="[none] mq-deadline")
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(
        PreconditionError, match=r"'bfq' for .*: it has none, mq-deadline"
    ) as caught:
        loop_device.set_scheduler(device(tree), "bfq", root=tree.root)
    assert "kmod" in str(caught.value.advice)


def test_a_scheduler_that_is_a_module_is_loaded_by_the_kernels_alias(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.loop("loop3", f"/var/tmp/{DEAD}", scheduler="[none] mq-deadline")
    loaded = []

    def load(name: str) -> bool:
        loaded.append(name)
        tree.write("sys/block/loop3/queue/scheduler", "[none] mq-deadline bfq\n")
        return True

    monkeypatch.setattr(privileged, "load_module", load)
    loop_device.set_scheduler(device(tree), "bfq", root=tree.root)
    assert loaded == ["bfq-iosched"]
    assert (tree.root / "sys/block/loop3/queue/scheduler").read_text() == "bfq"


@pytest.mark.parametrize("outside", [True, False])
def test_an_attribute_of_a_scheduler_leads_to_no_other_file(tree: HostTree, outside: bool) -> None:
    """Security finding 10: an absolute name replaced the path, and root wrote any file."""
    tree.loop("loop3", f"/var/tmp/{DEAD}", scheduler="[none] bfq")
    tree.write("sys/block/loop3/queue/iosched/low_latency", "1")
    tree.write("etc/passwd", "precious")
    victim = str(tree.root / "etc/passwd") if outside else "../../../../../etc/passwd"
    with pytest.raises(PreconditionError, match="has no attribute") as caught:
        loop_device.set_scheduler(device(tree), "bfq", {victim: 0}, tree.root)
    assert "low_latency" in str(caught.value.advice)
    assert (tree.root / "etc/passwd").read_text() == "precious"
    loop_device.set_scheduler(device(tree), "bfq", {"low_latency": 0}, tree.root)
    assert (tree.root / "sys/block/loop3/queue/iosched/low_latency").read_text() == "0"


def test_a_kernel_that_refuses_direct_io_gets_the_device_without_it(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tree.root / "var/tmp" / DEAD
    tree.write("dev/loop-control", "")
    ran: list[tuple[str, ...]] = []

    def run(name: str, *arguments: str | Path) -> str:
        ran.append((name, *map(str, arguments)))
        if "--direct-io=on" in arguments:
            raise ScratchError("losetup: set direct io failed: Invalid argument")
        return "/dev/loop3"

    monkeypatch.setattr(privileged, "run", run)
    monkeypatch.setattr(privileged, "until", lambda condition: condition())
    with loop_device.attached(file, tree.root) as name:
        assert name == "loop3"
    assert ran == [
        ("losetup", "--find", "--show", "--direct-io=on", str(file)),
        ("losetup", "--find", "--show", str(file)),
    ]


def test_a_kernel_without_loop_devices_is_told_so(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileged, "load_module", lambda name: False)
    with (
        pytest.raises(PreconditionError, match="no loop devices"),
        loop_device.attached(tree.root / "file", tree.root),
    ):
        pass


def test_what_is_no_block_device_is_told_so(tree: HostTree, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="not a block device"):
        loop_device.require_unused(tree.write("dev/file", ""), tree.root)
    with pytest.raises(PreconditionError, match="No such file"):
        loop_device.require_unused(tmp_path / "nowhere", tree.root)
