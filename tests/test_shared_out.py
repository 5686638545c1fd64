"""Tests that are shared out: each runs once, in one process, and a failure in any fails all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
import sys
from pathlib import Path
import pytest
from tests.made import command
from tests.shared_out import SharedOut
command.prepare(2)
sys.exit(pytest.main(sys.argv[2:], plugins=[SharedOut(2, Path(sys.argv[1]))]))
"""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


def run(
    folder: Path, told: Path, *arguments: str, **files: str
) -> subprocess.CompletedProcess[str]:
    """Run files of three tests each in two processes."""
    (folder / "conftest.py").write_text(FIXTURE.format(told=str(told)))
    for name, also in files.items():
        text = TESTS.format(told=str(told), name=name, also=also or "pass")
        (folder / f"test_{name}.py").write_text(text)
    (folder / "taken").mkdir()
    command = [sys.executable, "-c", RUN, str(folder / "taken"), "-p", "no:cacheprovider",
               "-c", "/dev/null", "--rootdir", str(folder), str(folder), *arguments]  # fmt: skip
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                   "PYTHONPATH": str(Path(__file__).parents[1])}  # fmt: skip
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip


def test_every_test_runs_once_and_a_failure_fails_all(tmp_path: Path, told: Path) -> None:
    done = run(tmp_path, told, a="", b="assert n != 1", c="", d="")
    assert done.returncode == 1
    lines = told.read_text().splitlines()
    ran = [line for line in lines if line != "made"]
    assert sorted(ran) == [f"{name} {n}" for name in "abcd" for n in range(3)]
    assert lines.count("made") <= 2, "a fixture of the session is made once in a process"
    assert done.stdout.count("FAILED test_b.py::test_one[1]") == 1


def test_what_every_process_printed_is_shown(tmp_path: Path, told: Path) -> None:
    done = run(tmp_path, told, "-s", a="print('n', n, 'of a')", b="print('n', n, 'of b')")
    assert done.returncode == 0
    for name in "ab":
        assert all(done.stdout.count(f"n {n} of {name}\n") == 1 for n in range(3))
    assert done.stdout.count(" passed in ") == 2


def test_a_process_that_dies_fails_all(tmp_path: Path, told: Path) -> None:
    done = run(tmp_path, told, a="import os; os.kill(os.getpid(), 9)", b="")
    assert done.returncode == 1
    assert "processes of tests ended with" in done.stdout
    assert "-9" in done.stdout


@pytest.mark.parametrize(("arguments", "status"), [(["-k", "absent"], 5), (["--collect-only"], 0)])
def test_where_nothing_is_to_run_nothing_is_taken(
    arguments: list[str], status: int, tmp_path: Path, told: Path
) -> None:
    assert run(tmp_path, told, *arguments, a="").returncode == status
    assert not told.exists()
    assert list((tmp_path / "taken").iterdir()) == []


def test_what_cannot_be_collected_is_said_once(tmp_path: Path, told: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name")
    done = run(tmp_path, told, a="")
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
