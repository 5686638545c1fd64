"""Root writes through no link and into nothing that is there (finding 11), and syncs names."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from cgbench.errors import StoreError
from cgbench.records import output_folder
from cgbench.records.run_directory import RunDirectory
from cgbench.records.writing import append_file, whole, write_file


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "precious"
    file.write_text("as it was")
    return file


WRITERS: dict[str, Callable[[Path], object]] = {
    "whole": lambda path: write_file(path, "new\n"),
    "appended": lambda path: append_file(path, "new\n"),
}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@writers
def test_a_file_is_written_where_there_was_none(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "page")
    assert (tmp_path / "page").read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@writers
def test_a_link_in_the_place_of_a_file_is_refused(
    tmp_path: Path, precious: Path, write: Callable[[Path], object]
) -> None:
    (tmp_path / "page").symlink_to(precious)
    with pytest.raises(StoreError, match=r"cannot write .*page: it is a link"):
        write(tmp_path / "page")
    assert precious.read_text() == "as it was"
    assert (tmp_path / "page").is_symlink()


@writers
def test_what_is_no_regular_file_stays_as_it_is(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / "page")
    with pytest.raises(StoreError, match=r"cannot write .*page: it is no regular file"):
        write(tmp_path / "page")
    assert stat.S_ISFIFO((tmp_path / "page").stat().st_mode)


@writers
def test_a_folder_that_is_a_link_is_refused(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pages").symlink_to("elsewhere")
    with pytest.raises(StoreError, match="pages is a link") as caught:
        write(tmp_path / "pages" / "page")
    assert caught.value.advice == "Name the folder that it leads to."
    assert list((tmp_path / "elsewhere").iterdir()) == []


@writers
def test_another_users_link_on_the_way_is_refused_and_ones_own_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object]
) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "way").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "way" / "deep" / "own")
    assert (tmp_path / "elsewhere" / "deep" / "own").read_text() == "new\n"
    os.lchown(tmp_path / "way", 4711, -1)
    with pytest.raises(StoreError, match="there is a link of user 4711"):
        write(tmp_path / "way" / "deep" / "other")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    write(tmp_path / "way" / "deep" / "theirs")
    assert {path.name for path in (tmp_path / "elsewhere/deep").iterdir()} == {"own", "theirs"}


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b" / "x")
    (tmp_path / "b").symlink_to(tmp_path / "a" / "x")
    with pytest.raises(StoreError, match="is a link"), output_folder.opened(tmp_path / "a" / "y"):
        pass


def test_the_temporary_name_is_random_and_never_opened_if_it_is_there(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for _ in range(3):
        with whole(tmp_path / "page"):
            names |= {path.name for path in tmp_path.iterdir()} - {"page", "precious"}
    assert len(names) == 3
    assert all(name.endswith(".partial") for name in names)
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed")
    (tmp_path / ".guessed.partial").symlink_to(precious)
    with pytest.raises(StoreError, match="page: File exists"):
        write_file(tmp_path / "page", "new")
    assert precious.read_text() == "as it was"


def test_a_planted_partial_of_the_old_name_costs_nothing(tmp_path: Path, precious: Path) -> None:
    (tmp_path / ".page.partial").symlink_to(precious)
    write_file(tmp_path / "page", "new\n")
    assert precious.read_text() == "as it was"


def test_the_folder_is_synced_once_the_name_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, (tmp_path / "page").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_file(tmp_path / "page", "new")
    assert synced == [(False, False), (True, True)]


def test_a_file_system_without_a_sync_of_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refused(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refused)
    write_file(tmp_path / "page", "new")
    assert (tmp_path / "page").read_text() == "new"


def test_nothing_stays_when_writing_fails(tmp_path: Path, precious: Path) -> None:
    def half(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyError

    with pytest.raises(KeyError), whole(precious) as file:
        half(file)
    assert precious.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [precious]


def test_a_run_is_not_begun_below_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "quota").symlink_to("elsewhere")
    with pytest.raises(StoreError, match="quota is a link"):
        RunDirectory.create(tmp_path, "quota", "20260101T000000Z-0001")
    assert list((tmp_path / "elsewhere").iterdir()) == []
