"""What systemd says is asked for by its program; where that says nothing, nothing is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.host import systemd


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes a systemctl that runs a line of shell."""

    def make(line: str) -> None:
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
        monkeypatch.setattr(programs, "find", lambda name: str(tmp_path / name))

    return make


def test_the_last_time_that_units_were_read_is_so_long_ago(says: Callable[[str], None]) -> None:
    at_us = time.monotonic_ns() // 1000 - 7_000_000
    says(f'[ "$2" = --property=UnitsLoadTimestampMonotonic ] && echo {at_us}')
    found = systemd.reloaded_s()
    assert found is not None
    assert 7 <= found < 60


def test_units_that_were_never_read_anew_were_not(says: Callable[[str], None]) -> None:
    says("echo 0")
    assert systemd.reloaded_s() is None


def test_the_default_of_every_unit(says: Callable[[str], None]) -> None:
    says('[ "$2" = --property=DefaultTasksMax ] && echo 3466')
    assert systemd.default_tasks() == 3466


@pytest.mark.parametrize("line", ["echo", "echo infinity", "exit 1", "echo 1; exit 1"])
def test_what_is_not_said_is_not_known(line: str, says: Callable[[str], None]) -> None:
    says(line)
    assert systemd.default_tasks() is None
    assert systemd.reloaded_s() is None


def test_without_systemd_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda _: None)
    assert systemd.default_tasks() is None


@pytest.mark.parametrize("told", ["257.9-1~deb13u1", "257", "257 (257.9-1~deb13u1)"])
def test_the_version_is_the_number_of_what_runs(
    told: str, says: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    says(f'[ "$2" = --property=Version ] && echo "{told}"')
    assert systemd.release(tmp_path) == "257"


def test_a_host_without_systemd_says_so_although_its_programs_are_there(
    says: Callable[[str], None], tmp_path: Path
) -> None:
    says("echo 252")
    assert systemd.release(tmp_path) == "none"


def test_a_systemd_that_does_not_answer_has_no_version(
    says: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    says("exit 1")
    assert systemd.release(tmp_path) is None
