"""A group that is read again tells only what changed, and when it is gone."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from cgbench.host.watched_group import WatchedGroup


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "group"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text(f"{name}\n")
    return {name: folder / name for name in ("one", "two", "absent")}


def test_only_what_changed_is_told(files: dict[str, Path]) -> None:
    group = WatchedGroup(files)
    assert group.look() == {"one": (None, b"one\n"), "two": (None, b"two\n")}
    assert group.look() == {}
    files["two"].write_text("three\n")
    assert group.look() == {"two": (b"two\n", b"three\n")}
    assert group.texts == {"one": b"one\n", "two": b"three\n"}
    assert set(group.names) == {"one", "two"}
    group.close()


def test_without_keeping_them_open_the_same_is_told(files: dict[str, Path]) -> None:
    group = WatchedGroup(files, keep=False)
    assert group.kept_open == 0
    assert group.look() == {"one": (None, b"one\n"), "two": (None, b"two\n")}
    files["two"].write_text("three\n")
    assert group.look() == {"two": (b"two\n", b"three\n")}
    shutil.rmtree(files["one"].parent)
    assert group.look() is None


def test_a_group_that_is_gone_refuses_every_file(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = WatchedGroup(files)
    group.look()

    def gone(*_: object) -> bytes:
        raise OSError(errno.ENODEV, "No such device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", gone)
        assert group.look() is None
    assert group.look() == {}, "one file that refuses for a moment is not the end of all"
    group.close()


def test_where_no_more_files_may_be_open_they_are_opened_each_time(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def full(path: str, flags: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        group = WatchedGroup({name: files[name] for name in ("one", "two")})
    assert os.open is opened
    assert group.look() == {"one": (None, b"one\n"), "two": (None, b"two\n")}
    shutil.rmtree(files["one"].parent)
    assert group.look() is None
    group.close()
