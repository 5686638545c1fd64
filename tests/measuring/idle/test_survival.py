"""What a value lives through: other updates and containers, pause, and a restart of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from cgbench.measuring.idle import survival
from cgbench.measuring.idle.containers import Supply
from cgbench.measuring.idle.survival import Passage, examples, stage_of
from cgbench.records.idle_findings import Difference, Held, Stage
from cgbench.spec.options import OPTIONS, option, update_body
from tests.made.idle_supply import cat
from tests.made.idle_supply import supply as new_supply

STAGES = ["another update", "another container", "pause", "restart"]


# What is tried, and what is made of two readings: pure


def test_no_swap_and_a_period_of_200_ms_are_among_the_values() -> None:
    swaps = examples(OPTIONS["memory-swap"])
    assert {"memory": "64m", "memory-swap": "64m"} in swaps
    periods = [each.get("cpu-period") for each in examples(OPTIONS["cpu-period"])]
    assert 200_000 in periods


@pytest.mark.parametrize("name", OPTIONS)
def test_every_value_is_one_that_the_registry_takes(name: str) -> None:
    one = OPTIONS[name]
    for settings in examples(one):
        assert one.name in settings
        for each, value in settings.items():
            option(each).check(value)


def text(value: str | None, declared: str = "30000") -> Held:
    return Held(declared=declared, enforced=value)


def stage(
    before: str | None, after: str | None, *changes: Difference, running: bool = True
) -> Stage:
    seen = Passage(text("-1"), text(before), text(after), changes)
    return stage_of("another update", seen, (), running=running)


def changed(where: str, layer: str = "enforced") -> Difference:
    return Difference.model_validate(
        {"layer": layer, "where": where, "before": "200000", "after": "100000"}
    )


def test_a_value_survives_where_its_file_says_the_same() -> None:
    assert stage("30000", "30000").survived is True
    assert stage("30000", "30000", changed("CpuQuota", "declared")).survived is True


def test_a_value_is_lost_where_its_file_or_one_that_belongs_to_it_changed() -> None:
    assert stage("30000", "-1", changed("cpu.cfs_quota_us")).survived is False
    assert stage("30000", "30000", changed("cpu.cfs_period_us")).survived is False
    assert stage("30000", None, running=False).survived is False


def test_what_was_never_in_force_has_nothing_to_survive() -> None:
    assert stage("-1", "-1").survived is None
    late = stage("-1", "30000")
    assert (late.survived, late.took_hold) == (None, True)


# Real containers


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


@pytest.mark.docker
def test_a_quota_survives_pause_and_restart_as_cat_says(supply: Supply) -> None:
    (found,) = survival.measure([option("cpu-quota")], supply)["cpu-quota"]
    with supply.fresh() as idle:
        container_id = idle.container_id
        file = ("cpu.cfs_quota_us", "cpu.max")
        born = cat(container_id, *file)
        supply.site.engine.update_raw(container_id, update_body({"cpu-quota": 30_000}))
        limited = cat(container_id, *file)
        subprocess.run(["docker", "restart", "-t", "0", container_id], check=True)
        restarted = cat(container_id, *file)
    assert found.refusal is None
    assert found.born.enforced == born != limited
    assert [stage.stage for stage in found.stages] == STAGES
    for stage in found.stages:
        assert stage.before.enforced == limited
        assert stage.running
        assert stage.message == ""
    assert [stage.survived for stage in found.stages[:3]] == [True, True, True]
    assert found.stages[3].after.enforced == restarted
    assert found.stages[3].survived is (restarted == limited)


@pytest.mark.docker
def test_a_period_of_200_ms_survives_with_its_quota_as_cat_says(supply: Supply) -> None:
    _example, found = survival.measure([option("cpu-period")], supply)["cpu-period"]
    assert (found.value, found.beside) == ("200000", "--cpu-quota 60000")
    with supply.fresh() as idle:
        file = ("cpu.cfs_period_us", "cpu.max")
        body = update_body({"cpu-period": 200_000, "cpu-quota": 60_000})
        supply.site.engine.update_raw(idle.container_id, body)
        before = cat(idle.container_id, *file)
        supply.site.engine.update_raw(idle.container_id, update_body({"pids-limit": 128}))
        after = cat(idle.container_id, *file)
    updated = found.stages[0]
    assert (updated.stage, updated.before.enforced) == ("another update", before)
    assert updated.survived is (after == before)


@pytest.mark.docker
def test_a_restart_policy_has_no_file_so_docker_is_asked(supply: Supply) -> None:
    (found,) = survival.measure([option("restart")], supply)["restart"]
    assert found.file is None
    for stage in found.stages:
        assert stage.before.enforced is None
        assert "on-failure" in str(stage.after.declared)
        assert stage.survived is True


@pytest.mark.docker
def test_a_value_that_never_took_hold_has_nothing_to_survive(supply: Supply) -> None:
    # The one memory node that most hosts have is what a container is born with.
    with supply.fresh() as idle:
        if len(idle.cgroup.offered("mems")) > 1 or cat(idle.container_id, "cpuset.mems") != "0":
            pytest.skip("this host has more than one node, or names none at birth")
    (found,) = survival.measure([option("cpuset-mems")], supply)["cpuset-mems"]
    assert [stage.survived for stage in found.stages] == [None] * len(STAGES)
