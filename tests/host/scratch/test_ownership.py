"""Leases: written before, found after, and only the dead lose what they hold."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError, ScratchError
from cgbench.host.scratch import ownership
from cgbench.host.scratch.ownership import Owner
from tests.made.host_tree import BOOT, HostTree, hybrid


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def test_the_owner_is_told_from_a_later_process_of_the_same_id(tree: HostTree) -> None:
    me = ownership.this_process(tree.root)
    assert me == Owner(os.getpid(), 4711, BOOT[:8], 0)
    assert me.lives(tree.root)
    assert not Owner(os.getpid(), 4712).lives(tree.root)
    assert not Owner(os.getpid(), 4711, "00000000", 0).lives(tree.root)


@pytest.mark.parametrize("known", [Owner(7, 5), Owner(7, 5, "4a5ff6c2", 4026531836)])
def test_an_owner_is_read_back_from_a_name(known: Owner) -> None:
    assert ownership.owner(str(known)) == known
    assert re.fullmatch(ownership.OWNER, str(known))


FIRST, INNER = 0xEFFF_FFFC, 4026532999


def in_space(tree: HostTree, process: str, space: int) -> None:
    """Put a process into a PID namespace."""
    link = tree.root / "proc" / process / "ns" / "pid"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"pid:[{space}]")


def test_an_owner_of_another_namespace_is_not_judged_by_its_number_here(tree: HostTree) -> None:
    """Finding 17 b: a living owner on the host is no dead one to a cgbench in a container."""
    in_space(tree, "self", INNER)
    assert Owner(77, 5, BOOT[:8], FIRST).lives(tree.root), "nothing here can show that it is dead"
    tree.process(78, 5)
    assert not Owner(78, 6, BOOT[:8], INNER).lives(tree.root)


def test_the_first_namespace_shows_whether_another_has_a_process_left(tree: HostTree) -> None:
    in_space(tree, "self", FIRST)
    inner = Owner(7, 5, BOOT[:8], INNER)
    assert not inner.lives(tree.root)
    in_space(tree, "4000", INNER)
    assert inner.lives(tree.root)


def test_what_a_living_owner_in_another_namespace_holds_is_left_alone(tree: HostTree) -> None:
    in_space(tree, "self", FIRST)
    held = ownership.take("zram", "zram0", root=tree.root)
    in_space(tree, "self", INNER)
    assert ownership.abandoned(tree.root) == []
    ownership.sweep(tree.root)
    assert held.record.exists()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_of_leases_that_others_may_write_to_is_not_believed(
    tree: HostTree, mode: int
) -> None:
    """Second rank (1): made under umask 0, any user could forge a lease for root to act on."""
    ownership.take("zram", "zram0", root=tree.root)
    (tree.root / "run/cgbench").chmod(mode)
    assert ownership.every(tree.root) == []
    with pytest.raises(PreconditionError, match="run/cgbench is no folder that only this user"):
        ownership.take("zram", "zram1", root=tree.root)


def test_a_folder_of_leases_that_is_a_link_is_not_believed(tree: HostTree) -> None:
    ownership.take("zram", "zram0", root=tree.root)
    (tree.root / "run/cgbench").rename(tree.root / "run/elsewhere")
    (tree.root / "run/cgbench").symlink_to("elsewhere")
    assert ownership.every(tree.root) == []


def test_a_lease_that_others_may_write_or_wrote_is_not_believed(tree: HostTree) -> None:
    held = ownership.take("zram", "zram0", root=tree.root)
    held.record.chmod(0o666)
    assert ownership.every(tree.root) == []
    held.record.chmod(0o644)
    assert ownership.every(tree.root) == [held]
    os.chown(held.record, 4711, -1)
    assert ownership.every(tree.root) == []


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
    with pytest.raises(PreconditionError, match="run/cgbench"):
        ownership.take("file", "/x", root=tree.root)


def test_the_owner_of_a_build_is_judged_by_its_name(tree: HostTree) -> None:
    """Second rank (1): by the bare number, 500 MB stayed where it was given out again."""
    me = ownership.this_process(tree.root)
    assert not ownership.is_dead(str(me), tree.root)
    assert ownership.is_dead(f"{me.pid}-{me.started + 1}-{me.boot}-0", tree.root)
    assert ownership.is_dead(f"{me.pid}-{me.started}-00000000-0", tree.root)
    assert ownership.is_dead("77", tree.root)
    assert not ownership.is_dead(str(me.pid), tree.root)
    assert not ownership.is_dead("notes", tree.root)


def test_a_lease_that_finds_no_room_leaves_no_file(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ScratchError, match="No space left"):
        ownership.take("caps", "trial 1", root=tree.root)
    assert list((tree.root / "run/cgbench").iterdir()) == []
