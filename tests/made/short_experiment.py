"""A small experiment that integration tests run for real, and how they run the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SHORT = """
name = "short"
title = "A short walk"
question = "Does it work?"
option = "cpu-quota"
trials = {trials}
warmup = "200ms"

[[containers]]
role = "worker"
workload = "{workload}"
workers = {workers}
memory = "{memory}"

[[steps]]
set = {{ cpu-quota = {quotas} }}
hold = "{hold}"
"""


def write(
    folder: Path,
    *,
    trials: int = 1,
    quotas: str = "[20000, 50000]",
    hold: str = "1s",
    workers: int = 1,
    workload: str = "spin",
    memory: str = "64m",
) -> Path:
    """Write an experiment file and return its path."""
    path = folder / "short.toml"
    path.write_text(
        SHORT.format(
            trials=trials, quotas=quotas, hold=hold, workers=workers, workload=workload,
            memory=memory,
        )
    )  # fmt: skip
    return path


def cgbench(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cgbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | dict(environment or {}),
        check=False,
    )


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command and go on."""
    return subprocess.Popen(
        [sys.executable, "-m", "cgbench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
