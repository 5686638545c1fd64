"""An experiment from somebody else: nothing in it becomes a path, a device, a command or a field.

Each way from a key to something that root does has one gate. They are listed here; the same models
read the experiment of a run that is resumed.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from cgbench.errors import CgbenchError, ExperimentError, OptionError
from cgbench.records.run import RunRecord
from cgbench.spec import experiment, experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.options import OPTIONS
from cgbench.spec.workload import Workload
from tests.made.experiment_texts import GOOD, with_change, with_steps
from tests.made.records import run

ELSEWHERE = (
    "/proc/sys/kernel/sysrq", "/etc/passwd", "/sys/block/sda/device/delete", "../x", "a/b", "..",
    "", " ", "a b", "x\n", "x\x00", "\x1b[31m", "x;id", "$(id)", "--x", "x&y=1", "é", "x" * 61,
)  # fmt: skip
"""Names that lead somewhere else, end early, or are options."""

NAMES: dict[str, tuple[str | int, ...]] = {
    "the folder of results": ("name",),
    "a file below /dev/shm, a container's name": ("containers", 0, "role"),
    "a file of workloads, whose command then runs": ("containers", 0, "workload"),
    "the container that is changed": ("steps", 0, "role"),
    "a field of Docker's update": ("option",),
}
"""Where a name in an experiment leads."""


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate(document)
    return str(caught.value)


def good() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(experiment_file.parse(GOOD, "mine.toml").model_dump_json())
    return found


def put(document: dict[str, Any], place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    here: Any = document
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    return document


@pytest.mark.parametrize("text", ELSEWHERE)
@pytest.mark.parametrize("place", NAMES.values(), ids=NAMES)
def test_a_name_leads_nowhere_else(place: tuple[str | int, ...], text: str) -> None:
    assert str(place[-1]) in refused(put(good(), place, text))


@pytest.mark.parametrize("text", ELSEWHERE)
def test_an_attribute_of_a_scheduler_is_no_path(text: str) -> None:
    """Security finding 10: an absolute name replaced the path, and root wrote any file."""
    said = refused(put(good(), ("scheduler_attributes",), {text: 1}))
    assert "scheduler_attributes" in said
    key = json.dumps(text, ensure_ascii=False)
    with pytest.raises(ExperimentError) as caught:
        experiment_file.parse(f"scheduler_attributes = {{ {key} = 1 }}\n{GOOD}", "mine.toml")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", [*ELSEWHERE, "/tmp/evil"])
def test_a_workload_is_one_of_ours(text: str) -> None:
    """Security finding 10: a path in its place ran any command in the container."""
    with pytest.raises(CgbenchError):
        experiment_file.parse(
            with_change('workload = "spin"', f"workload = {json.dumps(text)}"), "mine.toml"
        )


@pytest.mark.parametrize("text", ELSEWHERE)
@pytest.mark.parametrize("key", ["run", "image"])
def test_what_a_resumed_run_is_called_leads_nowhere_else(key: str, text: str) -> None:
    """Second rank: run.json's `image` and `run` reach Docker and paths on --resume."""
    if (key, text) in (("run", "x" * 61), ("image", "a/b"), ("image", "x" * 61)):
        return
    document = json.loads(run().model_dump_json()) | {key: text}
    with pytest.raises(ValidationError, match=key):
        RunRecord.model_validate(document)


def test_the_experiment_of_a_resumed_run_goes_through_the_same_gate() -> None:
    """Security finding 10: the same from run.json by --resume."""
    document = json.loads(run().model_dump_json())
    document["experiment"]["scheduler_attributes"] = {"/proc/sys/kernel/sysrq": 1}
    with pytest.raises(ValidationError, match="scheduler_attributes"):
        RunRecord.model_validate(document)


@pytest.mark.parametrize("name", sorted(OPTIONS))
@pytest.mark.parametrize("text", ["\x1b[31m", "1\n", "٣", "x" * 5000, "0-1\x00", "1; id", "$(id)"])
def test_no_text_becomes_a_value_of_an_option_that_docker_is_sent(name: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        OPTIONS[name].check(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('memory = "65t"', "memory"),
        ('size = "65t"', "size"),
        ("size = -1", "size"),
        ("count = 4097", "count"),
        ("workers = 257", "workers"),
        ("pids = 4097", "pids"),
        ('pace = "2h"', "pace"),
    ],
)
def test_a_container_asks_for_no_more_than_a_host_can_have(line: str, key: str) -> None:
    """Security finding 7 and second rank: numbers without an upper bound."""
    with pytest.raises(ExperimentError, match=f"containers.1.{key}"):
        experiment_file.parse(with_change('workload = "spin"', f'workload = "spin"\n{line}'), "x")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('device = "2t"', "device"),
        ("device = -1", "device"),
        ('swap = "2t"', "swap"),
        ('group = "65t"', "group"),
        ('warmup = "2h"', "warmup"),
        (f'title = "{"x" * 1001}"', "title"),
        ('title = "\\u001b[31m"', "title"),
        ('question = "\\u202e"', "question"),
    ],
)
def test_an_experiment_asks_for_no_more_than_a_host_can_have(line: str, key: str) -> None:
    text = "\n".join(one for one in GOOD.splitlines() if not one.startswith(f"{key} ="))
    with pytest.raises(ExperimentError, match=key):
        experiment_file.parse(f"{line}\n{text}", "x")


def test_a_hold_of_999_hours_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"steps\.1\.hold: should be at most 1h"):
        experiment_file.parse(with_change('"2s"', '"999h"'), "x")


def test_lists_and_repeats_stand_for_no_more_changes_than_a_trial_can_make() -> None:
    """Second rank: list length x repeat x trials was unbounded, `show` took all memory."""
    many = ", ".join(["50000"] * 1000)
    with pytest.raises(ExperimentError) as caught:
        with_steps(f'set = {{ cpu-quota = [{many}] }}\nhold = "1s"\nrepeat = 11')
    assert "11000 changes, more than 10000" in caught.value.message
    most = with_steps(f'set = {{ cpu-quota = [{many}] }}\nhold = "1s"\nrepeat = 10')
    assert most.steps[0].changes == experiment.MOST_CHANGES


def test_trials_asked_for_on_the_command_line_are_bounded_too() -> None:
    many = ", ".join(["50000"] * 200)
    one = with_steps(f'set = {{ cpu-quota = [{many}] }}\nhold = "1s"\nvia = "run"')
    with pytest.raises(ExperimentError, match="200000 trials, more than 100000"):
        one.repeated(1000)


def test_a_workload_file_holds_names_and_words() -> None:
    command = ["stress-ng", "\x1b"]
    with pytest.raises(ValidationError, match="command"):
        Workload.model_validate(
            {"name": "x", "summary": "x", "controller": "cpu", "command": command}
        )
