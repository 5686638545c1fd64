"""What a value lives through: pause, and a restart of its container."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from cgbench.measuring.idle import survival
from cgbench.measuring.idle.containers import Supply
from cgbench.spec.options import option, update_body
from tests.made.idle_supply import cat
from tests.made.idle_supply import supply as new_supply


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


@pytest.mark.docker
def test_a_quota_survives_pause_and_restart_as_cat_says(supply: Supply) -> None:
    found = survival.measure(option("cpu-quota"), supply)
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
    assert [stage.stage for stage in found.stages] == ["pause", "restart"]
    for stage in found.stages:
        assert stage.before.enforced == limited
        assert stage.running
        assert stage.message == ""
    assert found.stages[0].survived is True
    assert found.stages[1].after.enforced == restarted
    assert found.stages[1].survived is (restarted == limited)


@pytest.mark.docker
def test_a_restart_policy_has_no_file_so_docker_is_asked(supply: Supply) -> None:
    found = survival.measure(option("restart"), supply)
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
    found = survival.measure(option("cpuset-mems"), supply)
    assert [stage.survived for stage in found.stages] == [None, None]
