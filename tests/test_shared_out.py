"""Tests that are shared out: each runs once, in one process, and a failure in any fails all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import tests.__main__

FIXTURE = """
import pytest
@pytest.fixture(scope="session")
def number():
    with open({told!r}, "a") as file:
        file.write("made\\n")
"""
TESTS = """
import pytest, time
@pytest.mark.parametrize("n", range(3))
def test_one(number, n):
    with open({told!r}, "a") as file:
        file.write(f"{name} {{n}}\\n")
    time.sleep(0.05)
    {also}
"""
RUN = """
import gc, json, os, sys
from pathlib import Path
import pytest
from _pytest.config import get_config
from tests.made import command
from tests.shared_out import SharedOut
get_config()  # imports pytest's own plugins
gc.freeze()
for line in sys.stdin:
    arguments = json.loads(line)
    fork = os.fork()
    if fork == 0:
        folder = Path(arguments[-1])
        os.chdir(folder)
        printed = os.open("printed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        command.prepare(2)
        sys.exit(pytest.main(arguments, plugins=[SharedOut(2, folder / "taken")]))
    print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]), flush=True)
"""
"""Run pytest in a fork for each list of arguments, the last a folder, and print how it ended."""


class Done(NamedTuple):
    """How pytest ended, and what it printed."""

    returncode: int
    stdout: str


@pytest.fixture(scope="module")
def runner() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported pytest, which takes longer than the tests here."""
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                   "PYTHONPATH": str(Path(__file__).parents[1])}  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


@pytest.fixture
def run(runner: subprocess.Popen[str], tmp_path: Path, told: Path) -> Callable[..., Done]:
    """Run files of three tests each in two processes."""

    def run(*arguments: str, **files: str) -> Done:
        (tmp_path / "conftest.py").write_text(FIXTURE.format(told=str(told)))
        for name, also in files.items():
            text = TESTS.format(told=str(told), name=name, also=also or "pass")
            (tmp_path / f"test_{name}.py").write_text(text)
        (tmp_path / "taken").mkdir()
        assert runner.stdin is not None
        assert runner.stdout is not None
        command = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path),
                   *arguments, str(tmp_path)]  # fmt: skip
        print(json.dumps(command), file=runner.stdin, flush=True)
        status = int(runner.stdout.readline())
        return Done(status, (tmp_path / "printed").read_text())

    return run


def test_every_test_runs_once_and_a_failure_fails_all(run: Callable[..., Done], told: Path) -> None:
    done = run(a="", b="assert n != 1", c="", d="")
    assert done.returncode == 1
    lines = told.read_text().splitlines()
    ran = [line for line in lines if line != "made"]
    assert sorted(ran) == [f"{name} {n}" for name in "abcd" for n in range(3)]
    assert lines.count("made") <= 2, "a fixture of the session is made once in a process"
    assert done.stdout.count("FAILED test_b.py::test_one[1]") == 1


def test_what_every_process_printed_is_shown(run: Callable[..., Done]) -> None:
    done = run("-s", a="print('n', n, 'of a')", b="print('n', n, 'of b')")
    assert done.returncode == 0
    for name in "ab":
        assert all(done.stdout.count(f"n {n} of {name}\n") == 1 for n in range(3))
    assert done.stdout.count(" passed in ") == 2


def test_a_process_that_dies_fails_all(run: Callable[..., Done]) -> None:
    done = run(a="import os; os.kill(os.getpid(), 9)", b="")
    assert done.returncode == 1
    assert "processes of tests ended with" in done.stdout
    assert "-9" in done.stdout


@pytest.mark.parametrize(("arguments", "status"), [(["-k", "absent"], 5), (["--collect-only"], 0)])
def test_where_nothing_is_to_run_nothing_is_taken(
    run: Callable[..., Done], arguments: list[str], status: int, tmp_path: Path, told: Path
) -> None:
    assert run(*arguments, a="").returncode == status
    assert not told.exists()
    assert list((tmp_path / "taken").iterdir()) == []


def test_what_cannot_be_collected_is_said_once(
    run: Callable[..., Done], tmp_path: Path, told: Path
) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name")
    done = run(a="")
    assert done.returncode == 2
    assert done.stdout.count("ERROR test_broken.py") == 1
    assert not told.exists()


@pytest.mark.parametrize(("room", "place"), [(0, True), (-1, False)])
def test_files_lie_in_memory_where_there_is_room(
    room: int, place: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=tests.__main__.ROOM + room)
    monkeypatch.setattr(tests.__main__, "MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    assert tests.__main__.quick_place() == (tmp_path if place else None)
    monkeypatch.setattr(tests.__main__, "MEMORY", tmp_path / "absent")
    assert tests.__main__.quick_place() is None
