"""A small valid experiment file, and changes to it."""

from __future__ import annotations

from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment

GOOD = """\
name = "mine"
title = "Mine"
question = "What happens?"
option = "cpu-quota"

[[containers]]
role = "worker"
workload = "spin"

[[steps]]
set = { cpu-quota = 50000 }
hold = "2s"
"""


def with_change(old: str, new: str) -> str:
    """Return the file with one part of it replaced."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def with_steps(*steps: str, options: str = "{}") -> Experiment:
    """Return the experiment with other steps, and with options at its container's birth."""
    head = GOOD[: GOOD.index("[[steps]]")].replace(
        'workload = "spin"', f'workload = "spin"\noptions = {options}'
    )
    return experiment_file.parse(
        head + "".join(f"[[steps]]\n{step}\n" for step in steps), "mine.toml"
    )
