"""Leases: written before, found after, and only the dead lose what they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cgbench.errors import ScratchError
from cgbench.host.scratch import ownership
from cgbench.host.scratch.ownership import Owner
from tests.made.host_tree import BOOT, HostTree, hybrid


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def test_the_owner_is_told_from_a_later_process_of_the_same_id(tree: HostTree) -> None:
    me = ownership.this_process(tree.root)
    assert me == Owner(os.getpid(), 4711)
    assert me.lives(tree.root)
    assert not Owner(os.getpid(), 4712).lives(tree.root)


@pytest.mark.parametrize(("state", "lives"), [("S", True), ("R", True), ("Z", False), ("X", False)])
def test_a_zombie_does_not_live(tree: HostTree, state: str, lives: bool) -> None:
    tree.process(77, 5, state)
    assert Owner(77, 5).lives(tree.root) is lives


@pytest.mark.parametrize("stat", ["", "77 (sleep) S 1 2", "77 (sleep) S " + "x " * 40])
def test_a_process_that_cannot_be_read_does_not_live(tree: HostTree, stat: str) -> None:
    tree.write("proc/77/stat", stat)
    assert not Owner(77, 5).lives(tree.root)


def test_without_proc_nothing_can_be_lent(tmp_path: Path) -> None:
    with pytest.raises(ScratchError, match="does not show this process"):
        ownership.this_process(tmp_path)


def test_a_lease_is_found_as_it_was_written_until_it_is_dropped(tree: HostTree) -> None:
    taken = ownership.take("zram", "", memory=5, notes={"before": "zram0"}, root=tree.root)
    assert ownership.every(tree.root) == [taken]
    known = taken.amended(subject="zram1")
    assert ownership.every(tree.root) == [known]
    assert (known.subject, known.notes, known.memory) == ("zram1", {"before": "zram0"}, 5)
    assert ownership.abandoned(tree.root) == []
    known.drop()
    known.drop()
    assert ownership.every(tree.root) == []


def test_memory_counts_as_promised_only_while_its_owner_lives(tree: HostTree) -> None:
    tree.process(77, 5)
    one = ownership.take("group", "/cgbench-x", memory=5, root=tree.root)
    two = ownership.take("zram", "zram1", memory=7, root=tree.root)
    assert ownership.promised_memory(tree.root) == 12
    _hand_over(two.record, Owner(77, 5))
    assert ownership.promised_memory(tree.root) == 12
    tree.process(77, 6)
    assert ownership.promised_memory(tree.root) == 5
    assert [other.subject for other in ownership.abandoned(tree.root)] == ["zram1"]
    one.drop()


def _hand_over(record: Path, owner: Owner) -> Path:
    """Let a lease belong to another process."""
    content = json.loads(record.read_text())
    content["owner"] = {"pid": owner.pid, "started": owner.started}
    target = record.with_name(f"{content['kind']}-{owner}-00ff.json")
    target.write_text(json.dumps(content))
    record.unlink()
    return target


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "file"}', '{"owner": 3}'])
def test_a_lease_that_cannot_be_read_is_left_out(tree: HostTree, text: str) -> None:
    tree.write("run/cgbench/file-77-5-00ff.json", text)
    assert ownership.every(tree.root) == []


def test_of_another_boot_only_files_are_left(tree: HostTree) -> None:
    file = ownership.take("file", "/x", root=tree.root)
    ownership.take("zram", "zram1", root=tree.root)
    tree.write("proc/sys/kernel/random/boot_id", BOOT.replace("4a5f", "0000"))
    assert ownership.every(tree.root) == [file]


def test_sweeping_forgets_the_dead_and_half_written_leases_and_nothing_else(
    tree: HostTree,
) -> None:
    mine = ownership.take("file", "/x", root=tree.root)
    dead = _hand_over(ownership.take("file", "/y", root=tree.root).record, Owner(77, 5))
    half = tree.write("run/cgbench/zram-77-5-00aa.json.new", '{"kind"')
    unreadable = tree.write("run/cgbench/zram-77-5-00aa.json", "{")
    foreign = tree.write("run/cgbench/notes.txt", "not ours")
    ownership.sweep(tree.root)
    assert [path.exists() for path in (dead, half, unreadable)] == [False] * 3
    assert mine.record.exists()
    assert foreign.exists()


def test_a_run_directory_that_cannot_be_written_is_named(tree: HostTree) -> None:
    tree.write("run/cgbench", "a file")
    with pytest.raises(ScratchError, match="run/cgbench"):
        ownership.take("file", "/x", root=tree.root)
