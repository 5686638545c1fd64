"""Scratch swap: what /proc/swaps says, which devices the dead left, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError, ScratchError
from cgbench.host.scratch import commands, headroom, ownership, swap
from cgbench.host.scratch.scratch_file import PREFIX
from tests.made.host_tree import HostTree, hybrid

MIB = 2**20
DEAD = f"{PREFIX}77-5-00ff"
MARK, OTHER = "6f1e7a3c-0000-4000-8000-00000000000a", "6f1e7a3c-0000-4000-8000-00000000000b"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostTree:
    monkeypatch.setattr(commands, "require_root", lambda: None)
    return hybrid(tmp_path)


def abandon_zram(tree: HostTree, subject: str, before: str) -> ownership.Lease:
    """Leave a lease whose owner is dead."""
    tree.process(os.getpid(), 4710)
    notes = {"before": before, "size": str(5 * MIB), "uuid": MARK}
    held = ownership.take("zram", subject, notes=notes, root=tree.root)
    tree.process(os.getpid(), 4711)
    return held


def descriptions(tree: HostTree) -> list[str]:
    return [one.description for one in swap.leftovers(tree.root)]


def test_free_swap_of_the_hosts_own_is_used_and_nothing_is_made(tree: HostTree) -> None:
    tree.swaps("/dev/sda2 partition 65536 1024 -2")
    tree.memory(total=100 * MIB, available=80 * MIB, swap_free=63 * MIB)
    with swap.swap(63 * MIB, root=tree.root) as lent:
        assert (lent.path, lent.size, lent.kind) == (Path("/dev/sda2"), 63 * MIB, "existing")
        assert ownership.every(tree.root) == []


def test_each_kind_that_cannot_be_had_is_told_with_its_reason(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("sys/class/zram-control/hot_add", "")
    monkeypatch.setattr(headroom, "in_memory", lambda folder, root: True)
    with (
        pytest.raises(PreconditionError) as caught,
        swap.swap(71 * MIB, tree.root, root=tree.root),
    ):
        pass
    assert "zram: a swap in memory of 71 MiB does not fit" in caught.value.message
    assert "file: " in caught.value.message
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("size", [0, -1])
def test_no_swap_at_all_is_no_wish(tree: HostTree, size: int) -> None:
    with (
        pytest.raises(PreconditionError, match="impossible"),
        swap.swap(size, root=tree.root),
    ):
        pass


def test_a_kernel_without_zram_is_told_so(tree: HostTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load_module", lambda *names: False)
    with (
        pytest.raises(PreconditionError, match="no zram"),
        swap.swap(MIB, kinds=("zram",), root=tree.root),
    ):
        pass


def test_a_zram_device_is_ours_only_if_it_was_recorded(tree: HostTree) -> None:
    tree.zram("zram0", 5 * MIB, MARK)
    tree.zram("zram1", 5 * MIB, MARK)
    tree.swaps("/dev/zram0 partition 5120 0 100", "/dev/zram1 partition 5120 0 100")
    assert descriptions(tree) == []
    abandon_zram(tree, "zram1", "zram0")
    assert descriptions(tree) == [
        "swap on /dev/zram1 (5 MiB)",
        f"zram device {tree.root}/dev/zram1",
    ]


@pytest.mark.parametrize("size", [5 * MIB, 6 * MIB])
def test_a_zram_device_of_the_same_number_that_another_made_stays(
    tree: HostTree, size: int
) -> None:
    """Finding 17 a: the administrator reset zram1, and the kernel gave its number out again."""
    held = abandon_zram(tree, "zram1", "zram0")
    tree.zram("zram1", size, OTHER)
    tree.swaps("/dev/zram1 partition 5120 0 100")
    assert descriptions(tree) == []
    held.drop()


def test_a_swap_file_that_is_called_like_a_device_stays(tree: HostTree) -> None:
    """Finding 17 a: by its last name /mnt/zram1 would fit as well."""
    tree.zram("zram1", 5 * MIB, MARK)
    abandon_zram(tree, "zram1", "")
    tree.swaps("/mnt/zram1 file 5120 0 100")
    assert descriptions(tree) == [f"zram device {tree.root}/dev/zram1"]


@pytest.mark.parametrize(("size", "ours"), [(0, True), (5 * MIB, True), (6 * MIB, False)])
def test_a_device_on_which_no_swap_was_made_yet_is_known_by_its_size(
    tree: HostTree, size: int, ours: bool
) -> None:
    tree.zram("zram1", size)
    abandon_zram(tree, "zram1", "")
    assert descriptions(tree) == [f"zram device {tree.root}/dev/zram1"] * ours


def test_a_number_that_became_somebody_elses_before_it_was_given_back_stays(
    tree: HostTree,
) -> None:
    tree.zram("zram1", 5 * MIB, MARK)
    control = tree.write("sys/class/zram-control/hot_remove", "")
    held = abandon_zram(tree, "zram1", "")
    (left,) = swap.leftovers(tree.root)
    tree.zram("zram1", 5 * MIB, OTHER)
    left.give_back()
    assert control.read_text() == ""
    assert held.record.exists()


def test_the_mark_stands_in_the_lease_before_the_device_is_made(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("sys/class/zram-control/hot_add", "1")
    ran: list[tuple[str | Path, ...]] = []
    monkeypatch.setattr(commands, "run", lambda *words: ran.append(words))
    monkeypatch.setattr(commands, "write", lambda path, text: None)
    with swap.swap(5 * MIB, kinds=("zram",), root=tree.root):
        (held,) = ownership.every(tree.root)
    assert held.subject == "zram1"
    assert ran[0] == ("mkswap", "--uuid", held.notes["uuid"], tree.root / "dev/zram1")


def test_two_devices_whose_names_were_not_written_down_are_both_found(tree: HostTree) -> None:
    """Second rank (3): two kills between hot_add and the note."""
    tree.zram("zram0")
    abandon_zram(tree, "", "")
    abandon_zram(tree, "", "zram0")
    tree.zram("zram1")
    assert descriptions(tree) == [f"zram device {tree.root}/dev/zram{n}" for n in (0, 1)]
    for left in swap.leftovers(tree.root):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commands, "write", lambda path, text: _take_away(tree, text))
            left.give_back()
    assert swap.leftovers(tree.root) == []
    assert ownership.every(tree.root) == []


def _take_away(tree: HostTree, number: str) -> None:
    """Do what the kernel does when a number is written to hot_remove."""
    shutil.rmtree(tree.root / f"sys/block/zram{number}")


def test_a_device_whose_name_was_not_written_down_in_time_is_the_new_empty_one(
    tree: HostTree,
) -> None:
    tree.zram("zram0")
    tree.zram("zram1", 5 * MIB)
    abandon_zram(tree, "", "zram0")
    assert descriptions(tree) == []
    tree.zram("zram2")
    assert descriptions(tree) == [f"zram device {tree.root}/dev/zram2"]
    # Of two, one is somebody else's.
    tree.zram("zram3")
    assert descriptions(tree) == []


def test_swap_on_files_and_loop_devices_of_the_dead_is_left_over(tree: HostTree) -> None:
    tree.process(88, 9)
    tree.loop("loop1", f"/var/tmp/{DEAD} (deleted)")
    tree.loop("loop2", "/home/user/swap.img")
    tree.swaps(
        f"/var/tmp/{DEAD} file 1024 0 5",
        f"/var/tmp/{PREFIX}88-9-00aa file 1024 0 4",
        "/dev/loop1 partition 1024 0 3",
        "/dev/loop2 partition 1024 0 2",
        "/swapfile file 1024 0 1",
    )
    assert descriptions(tree) == [f"swap on /var/tmp/{DEAD} (1 MiB)", "swap on /dev/loop1 (1 MiB)"]


def test_giving_back_switches_off_what_is_on_and_nothing_else(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str | Path, ...]] = []
    monkeypatch.setattr(commands, "run", lambda *words: ran.append(words))
    tree.swaps(f"/var/tmp/{DEAD} file 1024 0 5")
    (left,) = swap.leftovers(tree.root)
    left.give_back()
    assert ran == [("swapoff", Path("/var/tmp", DEAD))]
    tree.swaps()
    left.give_back()
    assert len(ran) == 1


def test_a_zram_device_that_stays_busy_is_told(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.zram("zram1", 5 * MIB, MARK)
    held = abandon_zram(tree, "zram1", "")
    (left,) = swap.leftovers(tree.root)
    monkeypatch.setattr(commands, "until", lambda condition: condition())
    with pytest.raises(ScratchError, match="hot_remove"):
        left.give_back()
    assert held.record.exists()
    held.drop()
    left.give_back()
