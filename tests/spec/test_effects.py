"""What is run to show an option's effect while others are updated."""

from __future__ import annotations

import pytest

from cgbench.spec import effects, experiment_file, workload
from cgbench.spec.effects import SHOWN, walks
from cgbench.spec.judged import candidates
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS
from cgbench.spec.schedule import planned

CONFLICT = [("cpus", "cpu-quota"), ("cpu-quota", "cpus"), ("cpu-period", "cpus")]


def names(found: tuple[tuple[Option, ...], ...]) -> list[list[str]]:
    return [[one.name for one in walk] for walk in found]


def test_options_that_refuse_one_another_get_containers_of_their_own() -> None:
    found = names(walks("memory", ["cpus", "cpu-quota", "pids-limit"], CONFLICT, ()))
    assert found == [["cpus", "pids-limit"], ["cpu-quota"]]


def test_what_replaces_the_option_gets_a_container_of_its_own_at_the_end() -> None:
    found = names(walks("memory", ["cpus", "restart", "pids-limit"], (), ["restart"]))
    assert found == [["cpus", "pids-limit"], ["restart"]]


def test_a_longer_period_comes_last_since_every_window_after_it_is_longer() -> None:
    found = names(walks("cpu-quota", ["cpu-period", "cpu-shares", "memory"], (), ()))
    assert found == [["cpu-shares", "memory", "cpu-period"]]


def test_what_takes_from_the_workload_what_it_needs_is_left_out() -> None:
    found = names(walks("blkio-weight", ["cpus", "memory"], (), ()))
    assert found == [["memory"]]


@pytest.mark.parametrize("option", SHOWN)
def test_each_effect_is_shown_by_an_experiment_that_can_be_run(option: str) -> None:
    others = [name for name in OPTIONS if name != option]
    shown = effects.experiment(option, walks(option, others, CONFLICT, ()))
    assert candidates(shown, option)
    for container in shown.containers:
        workload.load(container.workload)
    plans = planned(shown, 2, seed=1)
    for plan in plans:
        first, *rest = plan.steps
        assert (first.via, first.prepares) == ("run", True)
        assert all(step.via == "update" for step in rest)
    hold_s = sum(plan.hold_ns for plan in plans) / 1e9
    assert hold_s < (70 if SHOWN[option].ends else 40)


@pytest.mark.parametrize("option", SHOWN)
def test_the_option_is_set_again_right_before_each_other_one(option: str) -> None:
    others = [name for name in OPTIONS if name != option]
    shown = effects.experiment(option, walks(option, others, CONFLICT, ()))
    for plan in planned(shown, 2, seed=1):
        asked = [step.option for step in plan.steps[1:]]
        assert asked[::2] == [option] * len(asked[::2])
        for step in plan.steps[2::2]:
            assert step.option != option
            assert step.settings[step.option] == OPTIONS[step.option].other


def test_the_other_options_are_updated_for_less_than_five_minutes_in_all() -> None:
    """The bar is six minutes more; containers start, and what is open is measured again."""
    held = 0
    for option in SHOWN:
        others = [name for name in OPTIONS if name != option]
        shown = effects.experiment(option, walks(option, others, CONFLICT, ()))
        held += sum(plan.hold_ns for plan in planned(shown, 2, seed=1))
    assert held / 1e9 < 300


def test_growth_that_ends_the_container_gets_a_life_for_each_and_one_alone() -> None:
    shown = effects.experiment("memory-swap", [(OPTIONS["cpus"], OPTIONS["restart"])])
    lives = sorted([step.option for step in plan.steps[1:]] for plan in planned(shown, 2, seed=1))
    assert lives == [["memory-swap"], ["memory-swap", "cpus"], ["memory-swap", "restart"]]


def test_values_are_those_of_the_registry_or_of_the_experiments_that_judge() -> None:
    """A value at which the effect shows: elsewhere a smaller or larger one would bind nothing."""
    for option, shown in SHOWN.items():
        judged = {
            str(value)
            for name in experiment_file.builtin_names()
            for step in experiment_file.load(name).steps
            for settings in step.unrolled()
            for key, value in settings.items()
            if key == option
        }
        assert str(shown.settings[option]) in judged | {str(OPTIONS[option].example)}


def test_a_device_is_shared_out_as_in_the_experiment_with_weights() -> None:
    shown = effects.experiment("blkio-weight", [[OPTIONS["pids-limit"]]])
    built_in = experiment_file.load("blkio-weight-contention")
    assert shown.scheduler_attributes == built_in.scheduler_attributes != {}
