"""What a value lives through: other updates and containers, pause, and a restart of its own."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.engine.facts import Creation, State
from cgbench.errors import NoAnswer
from cgbench.measuring import own_process
from cgbench.measuring.idle import survival
from cgbench.measuring.idle.containers import Supply
from cgbench.measuring.idle.survival import Passage, examples, stage_of
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import Difference, Held, Stage, Survival
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


def test_a_quota_that_systemd_rounds_is_among_the_values() -> None:
    assert {"cpus": "0.015"} in examples(OPTIONS["cpus"])
    assert {"cpu-quota": 1500} in examples(OPTIONS["cpu-quota"])


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


# In which order it is tried


class Daemon:
    """Makes containers, all of which run as this very process, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._numbers = itertools.count()

    def create(self, _spec: object) -> Creation:
        self.asked.append("create")
        return Creation(f"c{next(self._numbers)}", Answer(1, 2, ()))

    def command(self, _container: str, what: str, **_named: float) -> Answer:
        self.asked.append(what)
        return Answer(1, 2, ())

    def update_raw(self, _container: str, _body: Mapping[str, object]) -> Answer:
        self.asked.append("update")
        return Answer(1, 2, ())

    def state(self, _container: str) -> State:
        return State(running=True, pid=os.getpid(), exit_code=0, oom_killed=False, error="")

    def host_config(self, _container: str) -> Mapping[str, object]:
        return {}

    def remove(self, _container: str) -> None:
        self.asked.append("remove")


def test_no_container_starts_or_ends_beside_an_update_and_several_values_share_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    monkeypatch.setattr(survival, "_LATE_S", 0.0)
    daemon = Daemon()
    names = ("cpu-shares", "cpu-period", "memory", "pids-limit", "restart")
    some = [option(name) for name in names]
    with Supply(Site(cast(Engine, daemon), "image", "r"), ahead=0) as supply:
        found = survival.measure(some, supply)
    assert list(found) == [one.name for one in some]
    assert [each.value for one in some for each in found[one.name]] == [
        str(settings[one.name]) for one in some for settings in examples(one)
    ]
    assert all([stage.stage for stage in each.stages] == STAGES
               for several in found.values() for each in several)  # fmt: skip
    # Six values are set, and an unrelated option of each is updated: nothing comes in between.
    asked = [what for what in daemon.asked if what != "remove"]
    assert asked == [
        *(6 * ["create", "start"]), *(12 * ["update"]), "create", "start", "stop",
        *(6 * ["pause", "unpause"]), *(6 * ["restart"]),
    ]  # fmt: skip
    assert daemon.asked.count("remove") == daemon.asked.count("create")


def survived(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, hands: int) -> None:
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    monkeypatch.setattr(survival, "_LATE_S", 0.0)
    some = [option(name) for name in ("cpu-shares", "cpu-period", "memory", "pids-limit")]
    with Supply(Site(cast(Engine, daemon), "image", "r"), ahead=0) as supply:
        survival.measure(some, supply, hands)


def test_several_at_a_time_go_through_one_stage_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon()
    survived(daemon, monkeypatch, 3)
    asked = [what for what in daemon.asked if what != "remove"]
    assert Counter(asked[-15:]) == {"pause": 5, "unpause": 5, "restart": 5}
    assert asked[-5:] == 5 * ["restart"]


def test_what_stops_one_stops_all_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon()

    def hangs(_container: str, what: str, **_named: float) -> Answer:
        if what == "pause":
            raise NoAnswer("Docker did not answer")
        return Daemon.command(daemon, _container, what)

    monkeypatch.setattr(daemon, "command", hangs)
    with pytest.raises(NoAnswer):
        survived(daemon, monkeypatch, 3)
    assert "restart" not in daemon.asked
    assert daemon.asked.count("remove") == daemon.asked.count("create")


# Real containers


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


def rounded_up(small: Survival) -> bool:
    """Say whether any update makes it a whole hundredth of a CPU, as systemd does."""
    return small.stages[0].after.enforced == "2000 100000"


@pytest.mark.docker
def test_a_quota_survives_pause_and_restart_as_cat_says(supply: Supply) -> None:
    found, small = survival.measure([option("cpu-quota")], supply)["cpu-quota"]
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
    assert (small.value, small.stages[0].survived) == ("1500", not rounded_up(small))


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
