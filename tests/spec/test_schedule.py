"""An experiment becomes trial plans for one host: every step, fitted, in a seeded order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import ExperimentError
from cgbench.spec import experiment_file
from cgbench.spec.schedule import planned
from tests.made.experiment_texts import with_steps

relaxed = settings(deadline=None)


def test_a_list_of_values_stands_for_as_many_steps() -> None:
    mine = with_steps(
        'set = { cpu-quota = [2500, 5000], cpu-period = [5000, 10000] }\nhold = "1s"',
        'set = { cpu-quota = -1, cpu-shares = 512 }\nhold = "2s"',
    )
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert [dict(step.settings) for step in plan.steps] == [
        {"cpu-quota": 2500, "cpu-period": 5000},
        {"cpu-quota": 5000, "cpu-period": 10000},
        {"cpu-quota": -1, "cpu-shares": 512},
    ]
    assert [step.requested for step in plan.steps] == ["2500", "5000", "-1"]
    assert plan.hold_ns == 4 * 10**9


def test_a_value_beside_a_list_holds_for_each_of_its_steps() -> None:
    mine = with_steps('set = { cpu-quota = [2500, 5000], cpu-period = 10000 }\nhold = "1s"')
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert [step.settings["cpu-period"] for step in plan.steps] == [10000, 10000]


def test_one_value_beside_which_something_else_is_set_is_told_apart() -> None:
    """Found by measuring: the median of a set with and without a quota was of neither."""
    mine = with_steps(
        'set = { cpu-quota = [50000, 25000] }\nhold = "1s"',
        'set = { cpu-quota = 50000, cpu-shares = 512 }\nhold = "1s"',
        'set = { cpu-quota = 25000, cpu-shares = 512 }\nhold = "1s"\nnote = "mine"',
        'set = { cpu-quota = 12500, cpu-shares = 256 }\nhold = "1s"',
    )
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert [(step.requested, step.note) for step in plan.steps] == [
        ("50000", None), ("25000", None), ("50000", "--cpu-shares 512"), ("25000", "mine"),
        ("12500", None),
    ]  # fmt: skip


def test_a_repeated_list_is_walked_from_its_beginning_each_time() -> None:
    mine = with_steps('set = { cpu-quota = [2500, 5000] }\nhold = "1s"\nrepeat = 3')
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert [step.requested for step in plan.steps] == ["2500", "5000"] * 3


def test_rewrites_and_endings_are_planned_as_the_step_says() -> None:
    mine = with_steps(
        'set = { cpu-quota = 2500 }\nhold = "1s"\nrewrite = "5ms"\nmay_end = true',
        'set = { cpu-quota = 2500 }\nhold = "1s"',
    )
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert [(step.rewrite_ns, step.may_end) for step in plan.steps] == [
        (5_000_000, True),
        (None, False),
    ]


def test_a_step_without_the_experiments_option_is_judged_by_the_first_it_sets() -> None:
    mine = with_steps('set = { cpu-shares = 512, cpu-period = 10000 }\nhold = "1s"')
    (plan, *_) = planned(mine, cpus=2, seed=1)
    assert (plan.steps[0].option, plan.steps[0].requested) == ("cpu-shares", "512")


def test_a_container_born_with_a_value_begins_a_new_walk() -> None:
    mine = with_steps(
        'set = { cpu-quota = [20000, 40000] }\nhold = "1s"',
        'set = { cpu-quota = [20000, 40000] }\nhold = "1s"\nvia = "run"',
        'set = { cpu-quota = 60000 }\nhold = "1s"',
    )
    plans = planned(mine, cpus=2, seed=1)
    walks = {plan.walk: [step.settings["cpu-quota"] for step in plan.steps] for plan in plans}
    assert walks == {1: [20000, 40000], 2: [20000], 3: [40000, 60000]}
    assert len(plans) == 3 * mine.trials
    assert {(plan.repetition, plan.walk) for plan in plans} == {
        (repetition, walk) for repetition in range(1, mine.trials + 1) for walk in (1, 2, 3)
    }


@given(seed=st.integers(0, 2**32), trials=st.integers(1, 30))
@relaxed
def test_numbers_are_unique_and_count_from_one_in_the_shuffled_order(
    seed: int, trials: int
) -> None:
    mine = with_steps(
        'set = { cpu-quota = 20000 }\nhold = "1s"',
        'set = { cpu-quota = 20000 }\nhold = "1s"\nvia = "run"',
    ).model_copy(update={"trials": trials})
    plans = planned(mine, cpus=2, seed=seed)
    assert [plan.number for plan in plans] == list(range(1, 2 * trials + 1))
    assert len({(plan.repetition, plan.walk) for plan in plans}) == 2 * trials


@given(st.integers(0, 2**32))
@relaxed
def test_one_seed_gives_one_order(seed: int) -> None:
    mine = experiment_file.load("cpu-quota-sweep")
    assert planned(mine, cpus=2, seed=seed) == planned(mine, cpus=2, seed=seed)


def test_different_seeds_give_different_orders() -> None:
    mine = experiment_file.load("cpu-quota-sweep").model_copy(update={"trials": 20})
    orders = {tuple(plan.repetition for plan in planned(mine, 2, seed)) for seed in range(10)}
    assert len(orders) == 10


def test_values_beyond_the_host_are_left_out_where_the_step_says_so() -> None:
    mine = with_steps('set = { cpu-quota = [50000, 150000] }\nhold = "1s"\nfit_host = true')
    assert [len(plan.steps) for plan in planned(mine, cpus=1, seed=1)] == [1] * 5
    assert [len(plan.steps) for plan in planned(mine, cpus=2, seed=1)] == [2] * 5


def test_a_walk_that_would_begin_beyond_the_host_is_left_out_whole() -> None:
    mine = with_steps(
        'set = { cpu-quota = [150000, 50000] }\nhold = "1s"\nfit_host = true\nvia = "run"'
    )
    assert {plan.walk for plan in planned(mine, cpus=1, seed=1)} == {1}


@pytest.mark.parametrize("written", ["cpu-quota = 150000", "cpus = 1.5"])
def test_more_cpus_than_the_host_has_is_an_error_that_names_experiment_step_and_value(
    written: str,
) -> None:
    mine = with_steps('set = { cpu-quota = 50000 }\nhold = "1s"', f'set = {{{written}}}\nhold="1s"')
    with pytest.raises(ExperimentError) as caught:
        planned(mine, cpus=1, seed=1)
    flag = written.replace(" = ", " ")
    assert caught.value.message == (
        f"mine: steps.2: --{flag} asks for more than this host's 1 CPUs"
    )
    assert caught.value.advice is not None
    assert "fit_host" in caught.value.advice


def test_a_schedule_of_which_nothing_fits_is_an_error() -> None:
    mine = with_steps('set = { cpu-quota = 150000 }\nhold = "1s"\nfit_host = true')
    with pytest.raises(ExperimentError, match="mine: steps: none is left"):
        planned(mine, cpus=1, seed=1)


def test_a_quota_is_judged_by_the_period_in_force_when_it_is_set() -> None:
    born = with_steps('set = { cpu-quota = 60000 }\nhold = "1s"', options="{cpu-period=50000}")
    with pytest.raises(ExperimentError, match="asks for more"):
        planned(born, cpus=1, seed=1)
    changed = with_steps(
        'set = { cpu-period = 50000 }\nhold = "1s"', 'set = { cpu-quota = 60000 }\nhold = "1s"'
    )
    with pytest.raises(ExperimentError, match="asks for more"):
        planned(changed, cpus=1, seed=1)


def test_a_new_life_does_not_remember_the_period_of_the_one_before() -> None:
    mine = with_steps(
        'set = { cpu-period = 50000 }\nhold = "1s"',
        'set = { cpu-quota = 60000 }\nhold = "1s"\nvia = "run"',
    )
    assert {plan.walk for plan in planned(mine, cpus=1, seed=1)} == {1, 2}
