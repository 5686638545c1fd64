"""Whatever is asked, the host keeps a tenth of its memory and of its disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError
from cgbench.host.scratch import headroom, ownership
from tests.made.host_tree import ROOT_DEVICE, HostTree, hybrid

MIB = 2**20


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def test_a_host_that_does_not_say_what_is_available_gives_nothing(tree: HostTree) -> None:
    tree.write("proc/meminfo", "MemTotal:  102400 kB\n")
    with pytest.raises(PreconditionError, match="does not say how much memory is available"):
        headroom.require_memory(1, "a swap", tree.root)


def test_memory_can_be_had_down_to_the_last_tenth(tree: HostTree) -> None:
    headroom.require_memory(70 * MIB, "a swap", tree.root)
    with pytest.raises(PreconditionError) as caught:
        headroom.require_memory(70 * MIB + 1, "a swap", tree.root)
    assert "has 80 MiB free and keeps 10 MiB" in caught.value.message
    assert "At most 70 MiB" in str(caught.value.advice)
    assert caught.value.exit_code == 4


def test_what_others_were_promised_counts_as_used(tree: HostTree) -> None:
    held = ownership.take("group", "/cgbench-x", memory=60 * MIB, root=tree.root)
    with pytest.raises(PreconditionError, match="60 MiB are promised already"):
        headroom.require_memory(11 * MIB, "a swap", tree.root)
    held.drop()
    headroom.require_memory(11 * MIB, "a swap", tree.root)


@pytest.mark.parametrize("size", [0, -1])
def test_nothing_and_less_is_refused(tree: HostTree, size: int) -> None:
    with pytest.raises(PreconditionError, match="impossible"):
        headroom.require_memory(size, "a swap", tree.root)
    with pytest.raises(PreconditionError, match="impossible"):
        headroom.require_disk(size, "a file", tree.root, tree.root)


def test_a_disk_keeps_its_last_tenth(tree: HostTree) -> None:
    disk = os.statvfs(tree.root)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    # Others write too while this runs: a tenth of what could be had is well inside.
    headroom.require_disk((free - total // 10) // 10, "a file", tree.root, tree.root)
    with pytest.raises(PreconditionError, match="10 % of the file system at"):
        headroom.require_disk(free, "a file", tree.root, tree.root)


def test_a_missing_directory_is_named(tree: HostTree) -> None:
    with pytest.raises(PreconditionError, match="nowhere"):
        headroom.require_disk(1, "a file", tree.root / "nowhere", tree.root)


def test_a_file_in_memory_needs_memory_as_well(tree: HostTree) -> None:
    device = tree.root.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    assert not headroom.in_memory(tree.root, tree.root)
    mounts = (tree.root / "proc/self/mountinfo").read_text()
    mounts = mounts.replace(ROOT_DEVICE, number).replace("ext4 /dev/root", "tmpfs tmpfs")
    tree.write("proc/self/mountinfo", f"malformed\n{mounts}")
    assert headroom.in_memory(tree.root, tree.root)
    with pytest.raises(PreconditionError, match="of its memory"):
        headroom.require_disk(71 * MIB, "a file", tree.root, tree.root)
