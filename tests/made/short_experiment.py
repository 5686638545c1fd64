"""A small experiment that integration tests run for real."""

from __future__ import annotations

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
