"""What runtimes think they may use: a line a second, also where one of them has died."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from cgbench.spec import workload
from tests.examples.conftest import Start

PATIENCE_S = 20
GO = """#!/bin/sh
say() { echo "{\\"num_cpu\\": $1}"; }
if [ "$1" = once ]; then say 2; exit; fi
while read -r line; do say 1; done
"""
ANSWERS_ONCE_AND_DIES = """#!/bin/sh
read -r line
echo '{"available_processors": 3}'
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return the program, beside runtimes that are shell scripts."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    for file, text in ((tmp_path / "view", GO), (java, ANSWERS_ONCE_AND_DIES)):
        file.write_text(text)
        file.chmod(0o755)
    return Path(shutil.copy(workload.directory() / "runtimes" / "views.py", tmp_path))


def printed(start: Start, program: Path) -> list[Any]:
    process = start(program, "--lines", 2, "--every", 0.2)
    lines = process.communicate(timeout=PATIENCE_S)[0].splitlines()
    assert process.returncode == 0
    return [json.loads(line) for line in lines]


def test_each_line_has_the_view_of_every_runtime(start: Start, program: Path) -> None:
    first, second = printed(start, program)
    here = len(os.sched_getaffinity(0))
    assert first["nproc"] == here
    assert first["python"]["affinity"] == here
    assert first["python"]["cpu_count"] == os.cpu_count()
    assert first["go"] == second["go"] == {"num_cpu": 1}
    assert first["go_anew"] == second["go_anew"] == {"num_cpu": 2}
    assert first["java"] == {"available_processors": 3}
    assert second["second"] >= 0.2


def test_a_runtime_that_died_is_null_and_the_others_go_on(start: Start, program: Path) -> None:
    _first, second = printed(start, program)
    assert second["java"] is None
    assert second["go"] == {"num_cpu": 1}


def test_it_ends_when_it_is_asked_to(start: Start, program: Path) -> None:
    process = start(program)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["go"] == {"num_cpu": 1}
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
