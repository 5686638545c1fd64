"""What a worker does on its host: a child, an attempt in a folder, and nothing done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cgbench import __version__
from cgbench.fleet import task


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(task, "STATE", tmp_path)
    return tmp_path / "runs"


def request(*arguments: str, **other: Any) -> task.Request:
    given: Any = {
        "fleet": "f", "host": "h", "attempt": "one", "version": __version__,
        "arguments": list(arguments), "files": {},
    } | other  # fmt: skip
    found: task.Request = given
    return found


def test_a_command_gives_its_status_and_its_document(state: Path) -> None:
    found = task.measured(request("schema"))
    assert found["status"] == 0
    assert found["document"] is None
    assert found["files"] == b""
    assert found["worker_cpu_s"] >= 0
    assert json.loads((state / "f" / "one" / "ended.json").read_text())["status"] == 0


def test_where_it_writes_is_filled_in_and_packed(state: Path) -> None:
    folder = state / "f" / "one"
    (folder / "results" / "run").mkdir(parents=True)
    (folder / "results" / "run" / "x").write_text("kept")
    (folder / "document.json").write_text('{"a": 1}')
    done = {"status": 1, "said": "", "seconds": 2.0, "worker_cpu_s": 0.1}
    (folder / "ended.json").write_text(json.dumps(done))
    found = task.measured(request("verify", attempt="two"))
    # What an earlier attempt finished is given, and not measured again.
    assert (found["attempt"], found["status"], found["document"]) == ("one", 1, '{"a": 1}')
    with tarfile.open(fileobj=BytesIO(found["files"])) as archive:
        assert "./run/x" in archive.getnames()
    assert not (state / "f" / "two").exists()


@pytest.mark.parametrize("status", [130, 2, 4, -9])
def test_an_attempt_that_gave_nothing_is_made_again(status: int, state: Path) -> None:
    folder = state / "f" / "one"
    folder.mkdir(parents=True)
    ended = {"status": status, "said": "interrupted", "seconds": 2.0, "worker_cpu_s": 0.1}
    (folder / "ended.json").write_text(json.dumps(ended))
    found = task.measured(request("schema", attempt="two"))
    assert (found["attempt"], found["status"]) == ("two", 0)


def test_a_failed_command_gives_the_last_lines_of_what_it_said() -> None:
    found = task.measured(request("run", "no-such-experiment", "--results", "{results}"))
    assert found["status"] == 2
    assert "unknown experiment: no-such-experiment" in found["said"]


def test_another_version_is_not_mixed() -> None:
    with pytest.raises(RuntimeError, match=r"is not 0\.0"):
        task.measured(request("schema", version="0.0"))


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b"])
def test_the_name_of_a_fleet_leads_nowhere_else(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a fleet"):
        task.forgotten(name)


def test_what_was_fetched_is_forgotten(state: Path) -> None:
    task.measured(request("schema"))
    task.forgotten("f")
    assert not (state / "f").exists()


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """The kernel ends it, also where the parent was killed."""
    # Nobody writes to it, so that whoever reads it waits for ever.
    os.mkfifo(tmp_path / "compose.yaml")
    text = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'cgbench.fleet.child', str(os.getpid()),"
        f" 'audit', '--compose', {str(tmp_path / 'compose.yaml')!r}])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        _await(lambda: b"compose" in _command_line(child), "it did not become cgbench")
        assert b"fleet.child" not in _command_line(child)
        parent.kill()
    try:
        _await(lambda: not _command_line(child), "the child outlived its parent")
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


def _command_line(pid: int) -> bytes:
    """Return what a process was started with, once it is itself; nothing where it has ended."""
    try:
        found = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
    return found if b"fleet.child" not in found else b"fleet.child"


def test_children_are_ended_kindly() -> None:
    text = (
        "import time\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('bye')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True
    ) as started:  # fmt: skip
        child: Any = started
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        task._running.add(child)
        ender = threading.Thread(target=task.end_children)
        ender.start()
        said = child.communicate(timeout=60)[0]
        ender.join(60)
        task._running.discard(child)
    assert said == "bye\n"
