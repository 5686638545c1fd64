"""Programs that root runs: found where only root can put them."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from cgbench import programs

CGBENCH = Path(programs.__file__).parent


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the caller's, first on the PATH that sudo hands on."""
    for name in ("losetup", "debootstrap", "cgbench-of-the-user"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    return tmp_path


def test_root_never_runs_what_lies_in_the_callers_directory(
    caller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (programs.find("losetup") or "").startswith(("/usr/", "/sbin/"))
    assert not (programs.find("debootstrap") or "").startswith(str(caller))
    assert programs.find("cgbench-of-the-user") is None
    assert programs.environment(LC_ALL="C")["PATH"] == programs.SYSTEM
    assert programs.environment(LC_ALL="C")["LC_ALL"] == "C"


def test_another_user_finds_own_programs_after_the_hosts(
    caller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (programs.find("losetup") or "").startswith(("/usr/", "/sbin/"))
    assert programs.find("cgbench-of-the-user") == str(caller / "cgbench-of-the-user")
    # An empty entry would be the working directory.
    monkeypatch.delenv("PATH")
    assert "" not in programs.path().split(":")


def test_every_call_of_a_program_hands_on_that_environment() -> None:
    """Only a command of the user's own, and Python itself, need no search."""
    ran = {}
    for file in CGBENCH.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            words = ast.unparse(node.func)
            if words in ("subprocess.run", "subprocess.Popen", "execute", "shutil.which"):
                env = next((one.value for one in node.keywords if one.arg == "env"), None)
                name = f"{file.relative_to(CGBENCH).as_posix()}: {words}"
                ran[name] = "" if env is None else ast.unparse(env).partition("(")[0]
    others = {name for name, env in ran.items() if env != "programs.environment"}
    assert others == {
        "commands/ab.py: subprocess.Popen",
        "measuring/sampler.py: subprocess.Popen",
        "programs.py: shutil.which",
    }
    assert len(ran) >= len(others) + 4
