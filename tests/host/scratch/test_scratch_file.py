"""Scratch files: all their blocks, their owner in the name, and nobody else's removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgbench.errors import ScratchError
from cgbench.host.scratch import ownership, scratch_file, swap
from cgbench.host.scratch.ownership import Owner
from cgbench.host.scratch.scratch_file import PREFIX
from tests.made.host_tree import HostTree, hybrid

DEAD = f"{PREFIX}77-5-00ff"


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path)


def test_the_owner_stands_in_the_name_of_a_scratch_file() -> None:
    assert scratch_file.owner_of(Path("/any/where", DEAD)) == Owner(77, 5)


@pytest.mark.parametrize(
    "name", ["x", PREFIX, f"{PREFIX}77", f"{PREFIX}77-5", f"{DEAD}.img", f"my-{DEAD}"]
)
def test_a_file_of_any_other_name_is_nobodys(name: str) -> None:
    assert scratch_file.owner_of(Path("/var/tmp", name)) is None


def test_what_others_put_beside_our_scratch_files_is_not_left_over(tree: HostTree) -> None:
    folder = tree.root / "var/tmp"
    (folder / f"{PREFIX}77-5-00aa").mkdir(parents=True)
    (folder / f"{PREFIX}77-5-00bb").symlink_to("/etc/passwd")
    (folder / f"{PREFIX}77-5-00cc").symlink_to(folder / "nowhere")
    foreign = tree.write(f"var/tmp/{PREFIX}77-5-00dd", "x")
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
    else:
        foreign.unlink()
    assert scratch_file.leftovers(tree.root) == []


def test_a_file_in_another_folder_is_found_by_its_lease(tree: HostTree) -> None:
    tree.process(os.getpid(), 4710)
    path = tree.root / "mnt" / f"{PREFIX}{ownership.this_process(tree.root)}-00ff"
    ownership.take("file", str(path), root=tree.root)
    tree.write(str(path.relative_to(tree.root)), "")
    assert scratch_file.leftovers(tree.root) == []
    tree.process(os.getpid(), 4711)
    (left,) = scratch_file.leftovers(tree.root)
    left.give_back()
    assert not path.exists()
    left.give_back()


@pytest.mark.parametrize("written", [True, False])
def test_a_scratch_file_has_all_its_blocks_and_goes_in_the_end(
    tree: HostTree, tmp_path: Path, written: bool
) -> None:
    size = 2**20 + 4096
    with scratch_file.lent(size, "a file", tmp_path, written=written, root=tree.root) as held:
        about = Path(held.subject).stat()
        assert about.st_size == size
        assert about.st_blocks * 512 >= size
        assert about.st_mode & 0o777 == 0o600
        assert any(Path(held.subject).read_bytes()[-4096:]) is written
        assert ownership.every(tree.root) == [held]
    assert list(tmp_path.glob(f"{PREFIX}*")) == []
    assert ownership.every(tree.root) == []


def test_a_scratch_file_goes_when_it_cannot_be_filled(
    tree: HostTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        pytest.raises(ScratchError, match="No space left"),
        scratch_file.lent(4096, "a file", tmp_path, written=True, root=tree.root),
    ):
        pass
    assert list(tmp_path.glob(f"{PREFIX}*")) == []
    assert ownership.every(tree.root) == []


def left_by_the_dead(tree: HostTree) -> Path:
    """Make a scratch file as a process that dies before it can give it back."""
    tree.process(os.getpid(), 4710)
    folder = tree.root / "var/tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_file.lent(4096, "a file", folder, written=False, root=tree.root) as held:
        path, lease = Path(held.subject), held.record.read_text()
        saved = path.with_name("saved")
        path.rename(saved)
    saved.rename(path)
    held.record.write_text(lease)
    tree.process(os.getpid(), 4711)
    return path


def test_a_file_that_somebody_else_put_in_its_place_is_not_removed(tree: HostTree) -> None:
    """Security finding 17: things are known by a mark that is read back, not by name alone."""
    path = left_by_the_dead(tree)
    (left,) = scratch_file.leftovers(tree.root)
    path.rename(path.with_name("moved away"))
    path.write_text("precious")
    assert scratch_file.leftovers(tree.root) == []
    assert not scratch_file.is_abandoned(path, tree.root), "nor is swap on it switched off"
    tree.write("proc/swaps", f"Filename Type Size Used Priority\n{path} file 4 0 32767\n")
    assert swap.leftovers(tree.root) == []
    # It was replaced after it was found.
    left.give_back()
    assert path.read_text() == "precious"


def test_what_was_made_is_removed_by_its_inode_also_after_another_boot(tree: HostTree) -> None:
    path = left_by_the_dead(tree)
    tree.write("proc/sys/kernel/random/boot_id", "another")
    (record,) = (tree.root / "run/cgbench").glob("file-*.json")
    device = path.stat().st_dev
    record.write_text(record.read_text().replace(f'"{device}:', '"1:'))
    (left,) = scratch_file.leftovers(tree.root)
    left.give_back()
    assert not path.exists()


def test_a_file_that_was_replaced_while_it_was_lent_stays(tree: HostTree, tmp_path: Path) -> None:
    with scratch_file.lent(4096, "a file", tmp_path, written=False, root=tree.root) as held:
        path = Path(held.subject)
        path.rename(tmp_path / "moved away")
        path.write_text("precious")
    assert path.read_text() == "precious"
    assert ownership.every(tree.root) == []
