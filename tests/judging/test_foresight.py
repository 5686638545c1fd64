"""What no run can judge is told before anything is measured, and what can be is not."""

from __future__ import annotations

import pytest

from cgbench.judging.foresight import foreseen
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment

HEAD = """
name = "mine"
title = "Mine"
question = "What happens?"
option = "{option}"
[[containers]]
role = "worker"
workload = "{workload}"
{more}
[[steps]]
set = {{ {steps} }}
hold = "2s"
"""


def own(option: str, workload: str, steps: str, more: str = "") -> Experiment:
    text = HEAD.format(option=option, workload=workload, steps=steps, more=more)
    return experiment_file.parse(text, "mine.toml")


def test_an_option_that_no_step_sets_is_told_with_what_to_write() -> None:
    """Met by a new user: `option = "memory"` with steps of cpu-quota passed without a word."""
    (said,) = foreseen(own("memory", "spin", "cpu-quota = [20000, 30000]"), 2)
    assert 'option = "memory", and no step sets it' in said
    assert 'option = "cpu-quota"' in said


@pytest.mark.parametrize(
    ("option", "workload", "steps", "words"),
    [
        ("memory", "spin", 'memory = "48m"', "Workloads that do: grow, cache"),
        ("pids-limit", "grow", "pids-limit = 24", "Workloads that do: fork"),
        ("cpu-quota", "wake", "cpu-quota = 20000", "Workloads that do: spin"),
        ("blkio-weight", "spin", "blkio-weight = 200", "Workloads that do: fio-randread"),
        ("restart", "spin", 'restart = "on-failure:2"', "Workloads that do: end"),
    ],
)
def test_a_workload_that_does_not_show_an_option_is_told_with_those_that_do(
    option: str, workload: str, steps: str, words: str
) -> None:
    (said,) = foreseen(own(option, workload, steps), 2)
    assert f"workload {workload} of worker does not show what --{option} does" in said
    assert words in said


@pytest.mark.parametrize(
    ("option", "workload", "steps", "more", "words"),
    [
        ("memory", "grow", 'memory = ["48m", "128m"]', 'size = "96m"',
         "at --memory 128m: the workload's `size` is not beyond the limit"),
        ("pids-limit", "fork", "pids-limit = [24, 60]", "count = 40",
         "at --pids-limit 60: the workload's `count`"),
        ("cpu-shares", "spin", "cpu-shares = 512", "",
         "at --cpu-shares 512: a weight shows only against another container"),
        ("restart", "end", 'restart = "always"', "", "at --restart always"),
    ],
)  # fmt: skip
def test_values_that_show_nothing_are_told_with_the_reason(
    option: str, workload: str, steps: str, more: str, words: str
) -> None:
    (said,) = foreseen(own(option, workload, steps, more), 2)
    assert words in said


def test_what_only_a_file_can_show_is_told() -> None:
    (said,) = foreseen(own("kernel-memory", "spin", 'kernel-memory = "32m"'), 2)
    assert said == "no workload shows what --kernel-memory does: only its interface file is judged"


@pytest.mark.parametrize(
    ("option", "workload", "steps", "more"),
    [
        ("cpu-quota", "spin", "cpu-quota = [20000, 30000]", ""),
        ("memory", "grow", 'memory = "48m"', 'size = "96m"'),
        ("pids-limit", "fork", "pids-limit = 24", "count = 40"),
        ("restart", "end", 'restart = "on-failure:2"', "count = 3"),
    ],
)
def test_of_an_experiment_that_can_be_judged_nothing_is_told(
    option: str, workload: str, steps: str, more: str
) -> None:
    assert list(foreseen(own(option, workload, steps, more), 2)) == []


@pytest.mark.parametrize("name", ["cpu-quota-sweep", "memory-limit-sweep", "pids-limit-sweep",
                                  "blkio-weight-contention"])  # fmt: skip
def test_built_in_experiments_can_be_judged(name: str) -> None:
    assert list(foreseen(experiment_file.load(name), 4)) == []


def test_a_container_alone_on_its_cpu_shows_no_weight() -> None:
    (said,) = foreseen(experiment_file.load("cpu-shares-contention"), 2)
    assert "at --cpu-shares 64 (alone)" in said


@pytest.mark.parametrize(
    ("option", "workload", "words"),
    [
        ("device-read-bps", "fio-seqwrite", "Workloads that do: fio-randread"),
        ("device-write-bps", "fio-randread", "Workloads that do: fio-seqwrite"),
        ("device-write-iops", "fio-seqwrite", "no workload shows what --device-write-iops does"),
    ],
)
def test_a_workload_that_moves_the_other_way_is_told(
    option: str, workload: str, words: str
) -> None:
    steps = f"{option} = 4000000"
    text = HEAD.format(option=option, workload=workload, steps=steps, more="")
    (said,) = foreseen(experiment_file.parse(f'{text}via = "run"', "mine.toml"), 2)
    assert words in said


def test_a_limit_of_a_device_that_its_workload_meets_is_judged() -> None:
    text = HEAD.format(
        option="device-read-bps",
        workload="fio-randread",
        steps="device-read-bps = 4000000",
        more="",
    )
    assert list(foreseen(experiment_file.parse(f'{text}via = "run"', "mine.toml"), 2)) == []
