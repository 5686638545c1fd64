"""A log of changes stays within its bound, and loses nothing while its disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgbench.errors import StoreError
from cgbench.records import bounded_log
from cgbench.records.bounded_log import BoundedLog
from cgbench.records.cause import Cause, What
from cgbench.records.watch import Mark


def _fills(write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    """Return a write on a disk that has room for ten bytes more."""
    room = [10]

    def some(file: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, content[: room[0]])
        room[0] -= written
        return written

    return some


def mark(number: int, reason: str = "x" * 50) -> Mark:
    return Mark(kind="changed", at=f"2026-01-01T00:00:{number:02}", id="a", name="web",
                reason=reason, before=str(number))  # fmt: skip


def test_marks_are_read_as_they_were_written(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log")
    for number in range(3):
        log.add(mark(number))
    assert list(bounded_log.read(tmp_path / "log")) == [mark(number) for number in range(3)]
    BoundedLog(tmp_path / "log").add(mark(3))
    assert [one.before for one in bounded_log.read(tmp_path / "log")] == ["0", "1", "2", "3"]


def test_it_never_takes_more_than_its_bound_and_keeps_the_latest(tmp_path: Path) -> None:
    log, most = BoundedLog(tmp_path / "log", most_bytes=2000), 0
    for number in range(200):
        log.add(mark(number))
        most = max(most, sum(one.stat().st_size for one in tmp_path.iterdir()))
    line = len(mark(0).model_dump_json(exclude_none=True)) + 5
    assert most <= 2000 + 2 * line
    kept = [int(one.before or "") for one in bounded_log.read(tmp_path / "log")]
    assert kept == list(range(kept[0], 200))
    assert len(kept) >= 6


def test_a_bound_of_nothing_still_keeps_the_last_two(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", most_bytes=0)
    for number in range(5):
        log.add(mark(number))
    assert [one.before for one in bounded_log.read(tmp_path / "log")] == ["3", "4"]


def test_while_the_disk_is_full_marks_wait_and_none_is_written_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = BoundedLog(tmp_path / "log"), os.write
    log.add(mark(0))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", _fills(write))
        log.add(mark(1))
        log.add(mark(2))
        assert "disk full" in (log.troubled or "")
        assert [one.before for one in bounded_log.read(tmp_path / "log")] == ["0"]
    log.flush()
    assert log.troubled is None
    assert [one.before for one in bounded_log.read(tmp_path / "log")] == ["0", "1", "2"]


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="it is a link"):
        BoundedLog(tmp_path / "log")
    with pytest.raises(StoreError, match="cannot write"):
        BoundedLog(tmp_path / "absent" / "log")


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"kind": "odd", "at": "x"}'])
def test_a_file_of_something_else_is_refused_by_its_line(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log"
    BoundedLog(log).add(mark(0))
    with log.open("a") as file:
        file.write(f"{text}\n")
    with pytest.raises(StoreError, match="log:2: not a line of cgbench watch"):
        list(bounded_log.read(log))
    with pytest.raises(StoreError, match="cannot read"):
        list(bounded_log.read(tmp_path / "absent"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks=st.lists(st.from_type(Mark), max_size=3))
def test_every_mark_is_read_as_it_was_written(tmp_path: Path, marks: list[Mark]) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    log = BoundedLog(path)
    for one in marks:
        log.add(one)
    assert list(bounded_log.read(path)) == marks


@pytest.mark.parametrize("what", What)
def test_a_cause_without_a_limit_is_read_back(tmp_path: Path, what: What) -> None:
    cause = Cause(what=what, limit=None, level="none", reason="somebody asked Docker to stop it")
    ended = mark(0).model_copy(update={"kind": "ended", "cause": cause})
    BoundedLog(tmp_path / "log").add(ended)
    assert list(bounded_log.read(tmp_path / "log")) == [ended]
