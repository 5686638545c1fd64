"""What the page cache holds of files, dropped and counted."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench.host import page_cache

SIZE = 256 * 4096


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a file that is on the disk, and whole in the page cache.

    Tests have their own folders in memory, from where nothing can be dropped.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        with (Path(made) / "file").open("wb") as file:
            file.write(os.urandom(SIZE))
            file.flush()
            os.fsync(file.fileno())
        yield Path(made)


def held(path: Path) -> int:
    with path.open("rb") as file:
        return page_cache.resident(file.fileno())


def on_a_disk(folder: Path) -> bool:
    """Say whether a folder is on something that keeps pages elsewhere than in memory."""
    best = ("", "")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point, kind = line.split()[1:3]
        if folder.resolve().is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1] not in ("tmpfs", "ramfs", "rootfs")


def test_what_is_dropped_is_no_longer_in_memory(folder: Path) -> None:
    if not on_a_disk(folder):
        pytest.skip("a file in memory cannot be dropped from it")
    assert held(folder / "file") == SIZE
    assert page_cache.drop([folder]) == 0
    assert held(folder / "file") == 0


def test_what_a_process_has_mapped_stays_and_is_counted(folder: Path) -> None:
    with (
        (folder / "file").open("rb") as file,
        mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as mapped,
    ):
        assert len(mapped[:]) == SIZE
        assert page_cache.drop([folder]) == SIZE


def test_a_folder_that_is_not_there_says_that_nothing_is_known(tmp_path: Path) -> None:
    assert page_cache.drop([tmp_path / "absent"]) is None
    assert page_cache.drop([]) == 0


def test_links_pipes_and_empty_files_are_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * SIZE)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "folder").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    (inside / "empty").touch()
    assert page_cache.drop([inside]) == 0
    assert held(outside) == SIZE


def test_too_many_files_are_not_said_to_be_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "MOST_FILES", 0)
    assert page_cache.drop([folder]) is None
