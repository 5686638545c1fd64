"""The batch job: its input is always the same, and each pass says what it took."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.examples.conftest import Start

PATIENCE_S = 60
INPUT = "16e0567757dc1d67"
pytestmark = pytest.mark.skipif(shutil.which("xz") is None, reason="xz is not installed")


@pytest.fixture
def file(start: Start, tmp_path: Path) -> Path:
    made = tmp_path / "input"
    assert start("xz/passes.py", "--generate", made).wait(PATIENCE_S) == 0
    return made


def test_the_input_is_the_same_on_every_host(file: Path) -> None:
    assert file.stat().st_size == 2**20
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(INPUT)


def test_each_pass_is_a_line_that_says_what_it_took(start: Start, file: Path) -> None:
    job = start("xz/passes.py", file, "--passes", 2, "--preset", 0)
    lines = [json.loads(line) for line in job.communicate(timeout=PATIENCE_S)[0].splitlines()]
    assert job.returncode == 0
    assert [line["pass"] for line in lines] == [1, 2]
    for line in lines:
        assert line["bytes"] == 2**20
        assert line["bytes"] / 10 < line["compressed"] < line["bytes"]
        assert line["cpu_seconds"] > 0
        assert 0 < line["seconds"] < PATIENCE_S
    assert lines[0]["compressed"] == lines[1]["compressed"]


def test_it_ends_where_xz_fails_and_where_it_is_asked_to(start: Start, file: Path) -> None:
    assert start("xz/passes.py", file.with_name("none")).wait(PATIENCE_S) == 1
    job = start("xz/passes.py", file, "--preset", 0)
    assert job.stdout is not None
    assert json.loads(job.stdout.readline())["pass"] == 1
    job.send_signal(signal.SIGTERM)
    assert job.wait(PATIENCE_S) == 0
