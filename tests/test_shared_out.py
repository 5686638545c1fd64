"""Tests that are shared out: each runs once, in one process, and a failure in any fails all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import tests.__main__
from tests import shared_out

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


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


def run(folder: Path, told: Path, **files: str) -> list[int]:
    """Run files of three tests each in two processes; return their exit statuses."""
    (folder / "conftest.py").write_text(FIXTURE.format(told=str(told)))
    for name, also in files.items():
        text = TESTS.format(told=str(told), name=name, also=also or "pass")
        (folder / f"test_{name}.py").write_text(text)
    (folder / "taken").mkdir()
    command = [sys.executable, "-m", "pytest", "-p", shared_out.__name__, "-p", "no:cacheprovider",
               "-c", "/dev/null", "--rootdir", str(folder), str(folder)]  # fmt: skip
    environment = {shared_out.FOLDER: str(folder / "taken"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                   "PYTHONPATH": str(Path(__file__).parents[1])}  # fmt: skip
    processes = [
        subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    return [process.wait(60) for process in processes]


def test_every_test_runs_once_and_a_failure_fails_its_process(tmp_path: Path, told: Path) -> None:
    assert sorted(run(tmp_path, told, a="", b="assert n != 1", c="", d="")) == [0, 1]
    lines = told.read_text().splitlines()
    ran = [line for line in lines if line != "made"]
    assert sorted(ran) == [f"{name} {n}" for name in "abcd" for n in range(3)]
    assert lines.count("made") <= 2, "a fixture of the session is made once in a process"


@pytest.mark.parametrize(("failed", "asked"), [(1, False), (0, True)])
def test_where_nothing_is_to_run_nothing_is_taken(failed: int, asked: bool) -> None:
    option = SimpleNamespace(collectonly=asked)
    session = SimpleNamespace(testsfailed=failed, config=SimpleNamespace(option=option))
    assert shared_out.pytest_runtestloop(cast(pytest.Session, session)) is None


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
