"""Kinds of changes: before, after, direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from cgbench.records.trial import Change, Phase, TrialRecord
from cgbench.reporting.words.changes import Direction, Kind, clearest, kinds
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Value
from tests.made import records


def walked(*settings: Mapping[str, Value], option: str, note: str = "") -> TrialRecord:
    """Return a trial that walked a schedule of settings, judged by `option`."""
    in_force: dict[str, Value] = {}
    phases = []
    for number, declared in enumerate(settings, 1):
        in_force |= declared
        requested = f"{declared[option]} {note}".strip()
        change = Change(requested=requested, settings=declared, via="update", t_request_ns=0,
                        t_answer_ns=1)  # fmt: skip
        phases.append(
            Phase(number=number, role="worker", option=option, change=change,
                  settings=dict(in_force), t_end_ns=2)
        )  # fmt: skip
    return records.trial().model_copy(update={"phases": tuple(phases)})


def born_with(**options: Value) -> Experiment:
    """Return an experiment whose container starts with the given options."""
    original = experiment_file.load("cpu-quota-sweep")
    names = {name.replace("_", "-"): value for name, value in options.items()}
    container = original.containers[0].model_copy(update={"options": names})
    return original.model_copy(update={"containers": (container,)})


def test_a_quota_goes_up_and_down() -> None:
    trial = walked({"cpu-quota": 10_000}, {"cpu-quota": 25_000}, {"cpu-quota": 10_000},
                   option="cpu-quota")  # fmt: skip
    found = kinds(trial, born_with(cpu_period=100_000))
    assert [kind.direction for kind in found.values()] == ["lowered", "raised", "lowered"]
    assert [kind.words for kind in found.values()] == [
        "no limit → 10 % of a CPU",
        "10 % → 25 % of a CPU",
        "25 % → 10 % of a CPU",
    ]
    assert [kind.short for kind in found.values()] == ["no limit → 10 %", "10 → 25 %", "25 → 10 %"]
    assert [kind.ratio for kind in found.values()] == [None, 2.5, 0.4]


def test_lifting_a_quota_raises_it() -> None:
    trial = walked({"cpu-quota": 50_000}, {"cpu-quota": -1}, option="cpu-quota")
    lifted = kinds(trial, born_with())[2]
    assert (lifted.direction, lifted.after, lifted.ratio) == ("raised", "no limit", None)


def test_what_the_container_was_born_with_stands_before_the_first_change() -> None:
    trial = walked({"cpu-quota": 20_000}, option="cpu-quota")
    first = kinds(trial, born_with(cpu_quota=40_000, cpu_period=100_000))[1]
    assert (first.before, first.direction, first.ratio) == ("40 % of a CPU", "lowered", 0.5)


def test_a_period_that_was_never_set_is_the_default() -> None:
    trial = walked({"cpu-period": 5_000, "cpu-quota": 2_500},
                   {"cpu-period": 10_000, "cpu-quota": 5_000}, option="cpu-period")  # fmt: skip
    found = kinds(trial, born_with())
    assert [kind.words for kind in found.values()] == ["default → 5 ms", "5 ms → 10 ms"]
    assert [kind.direction for kind in found.values()] == ["set", "raised"]
    assert found[2].period_us == 10_000


def test_a_set_of_cpus_has_no_direction() -> None:
    trial = walked({"cpuset-cpus": "0"}, {"cpuset-cpus": "0-1"}, option="cpuset-cpus")
    assert {kind.direction for kind in kinds(trial, born_with()).values()} == {Direction.SET}


def test_a_note_is_shown_and_does_not_disturb_the_number() -> None:
    trial = walked({"cpu-quota": 10_000}, {"cpu-quota": 20_000}, option="cpu-quota", note="1/s")
    kind = kinds(trial, born_with())[2]
    assert (kind.direction, kind.after) == ("raised", "20 % of a CPU (1/s)")


KIND = Kind("worker", "cpu-quota", "a", "b", Direction.RAISED, 2.0, 100_000)


def test_the_largest_change_each_way_tells_most() -> None:
    small = replace(KIND, ratio=1.5)
    large = replace(KIND, ratio=4.0)
    down = replace(KIND, ratio=0.5, direction=Direction.LOWERED)
    further = replace(KIND, ratio=0.1, direction=Direction.LOWERED)
    assert clearest([small, large, down, further]) == [large, further]


def test_a_period_short_enough_for_milliseconds_is_preferred() -> None:
    slow = replace(KIND, ratio=4.0, period_us=1_000_000)
    assert clearest([slow, KIND]) == [KIND]
    assert clearest([slow]) == [slow]


@pytest.mark.parametrize("many", [[], [replace(KIND, direction=Direction.SET, ratio=None)] * 2])
def test_without_direction_the_first_is_shown_if_there_is_one(many: list[Kind]) -> None:
    assert clearest(many) == many[:1]
