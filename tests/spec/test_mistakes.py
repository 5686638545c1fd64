"""Typical mistakes in an experiment file: each error shows a line that is right in its place."""

from __future__ import annotations

import pytest

from cgbench.errors import CgbenchError
from cgbench.spec import experiment_file

GOOD = """name = "mine"
title = "Mine"
question = "What happens?"
option = "cpu-quota"
trials = 3
group = "128m"
[quick]
trials = 1
hold = "1s"
[sampling]
fast_hz = 1000
[[containers]]
role = "worker"
workload = "spin"
workers = 2
memory = "256m"
pids = 64
[[steps]]
set = { cpu-quota = 20000 }
hold = "2s"
role = "worker"
note = "first"
"""

SET, HOLD, TRIALS, WORKLOAD = (
    "set = { cpu-quota = 20000 }", 'hold = "2s"', "trials = 3", 'workload = "spin"',
)  # fmt: skip
MISTAKES = (
    # Values of options
    (SET, 'set = { cpu-quota = "20%" }'),
    (SET, 'set = { cpu-quota = "20ms" }'),
    (SET, "set = { cpu-quota = 500 }"),
    (SET, "set = { cpu-quota = 0.5 }"),
    (SET, "set = { cpu-quota = true }"),
    (SET, 'set = { cpus = "0.5cpu" }'),
    (SET, 'set = { cpus = "50%" }'),
    (SET, 'set = { memory = "half" }'),
    (SET, "set = { memory = 512 }"),
    (SET, 'set = { cpuset-cpus = "0,1-" }'),
    (SET, 'set = { cpuset-cpus = "all" }'),
    (SET, 'set = { restart = "on-fail" }'),
    (SET, 'set = { restart = "on-failure:x" }'),
    (SET, "set = { blkio-weight = 5 }"),
    (SET, "set = { cpu-shares = 1 }"),
    (SET, "set = { cpu-period = 5 }"),
    (SET, 'set = { pids-limit = "many" }'),
    # Names of options
    (SET, "set = { cpu_quota = 20000 }"),
    (SET, "set = { cpu-qouta = 20000 }"),
    (SET, "set = { quota = 20000 }"),
    (SET, "set = { cpu-quota = 20000, --cpu-quota = 30000 }"),
    ('option = "cpu-quota"', 'option = "cpu-qouta"'),
    ('option = "cpu-quota"', 'option = "--cpu-quota"'),
    ('option = "cpu-quota"', 'options = ["cpu-quota"]'),
    # Shapes
    (SET, 'set = "cpu-quota 20000"'),
    (SET, "set = { cpu-quota = [] }"),
    (SET, "set = { cpu-quota = [20000, 30000], cpu-period = [1000, 2000, 3000] }"),
    ("[[steps]]", "[steps]"),
    ("[[containers]]", "[[container]]"),
    # A parent
    ('group = "128m"', 'group_options = { cpus = "0.5" }'),
    (TRIALS, 'group_options = { cpu = "0.5" }'),
    (TRIALS, "group_options = { cpu-shares = 512 }"),
    (TRIALS, 'group_options = { cpus = "50%" }'),
    # Durations, sizes, numbers
    (HOLD, 'hold = "2sec"'),
    (HOLD, "hold = 2"),
    (HOLD, 'hold = "0s"'),
    (HOLD, 'hold = "2h"'),
    (HOLD, "hold = 2s"),
    (HOLD, ""),
    (TRIALS, 'trials = "3"'),
    (TRIALS, "trials = 0"),
    (TRIALS, "trails = 3"),
    ("fast_hz = 1000", 'fast_hz = "1kHz"'),
    ("fast_hz = 1000", "rate = 1000"),
    ("workers = 2", 'workers = "two"'),
    ("workers = 2", "workers = 0"),
    ('memory = "256m"', 'memory = "lots"'),
    # Words
    (WORKLOAD, 'workload = "spinn"'),
    (WORKLOAD, 'workload = "redis"'),
    (WORKLOAD, 'image = "redis:7"'),
    (WORKLOAD, 'command = ["stress"]'),
    ('role = "worker"\nnote', 'role = "wroker"\nnote'),
    ('name = "mine"', 'name = "My Experiment"'),
    ('question = "What happens?"', ""),
    ('note = "first"', 'via = "create"'),
    ('note = "first"', 'fit_host = "yes"'),
    ('note = "first"', 'note = "first'),
    ('note = "first"', "note = first"),
    ('note = "first"', "scheduler = 'cfq'"),
)


@pytest.mark.parametrize(("good", "wrong"), MISTAKES, ids=lambda text: text or "nothing")
def test_the_error_shows_a_line_that_works_when_pasted(good: str, wrong: str) -> None:
    assert good in GOOD
    with pytest.raises(CgbenchError) as refused:
        experiment_file.parse(GOOD.replace(good, wrong, 1), "mine.toml")
    assert refused.value.message.startswith("mine.toml: ")
    _, shown, right = (refused.value.advice or "").partition("For example: ")
    assert shown, refused.value
    # The line that was wrong, and nothing else, is replaced.
    _, more, rest = good.partition("\n")
    experiment_file.parse(GOOD.replace(good, right + more + rest, 1), "mine.toml")


@pytest.mark.parametrize(
    "written",
    ['set = { "--cpu-quota" = 20000 }', 'set = { memory = "512MB" }', "set = { cpuset-cpus = 0 }"],
)
def test_some_spellings_are_understood(written: str) -> None:
    found = experiment_file.parse(GOOD.replace(SET, written), "mine.toml")
    assert not any(name.startswith("-") for step in found.steps for name in step.set)


def test_typical_mistakes_are_many() -> None:
    assert len(MISTAKES) >= 40
