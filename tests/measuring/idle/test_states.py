"""Updates of a container in each state, beside what `docker`, `cat` and the kernel show by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Command, Engine
from cgbench.engine.facts import Life
from cgbench.measuring.idle import states
from cgbench.measuring.idle.containers import Idle, Supply
from cgbench.measuring.idle.subject import Missed, Subject
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import StateFinding, When
from cgbench.spec.options import option
from tests.made.idle_supply import cat, inspected
from tests.made.idle_supply import supply as new_supply

QUOTA = ("cpu.cfs_quota_us", "cpu.max")


# A made-up daemon whose containers change their state by themselves


class Restless:
    """A daemon that says of one container what it is told to, in turn, and the last for ever."""

    def __init__(self, *lives: Life | None) -> None:
        self._lives = list(lives)

    def life(self, _container: str) -> Life | None:
        return self._lives.pop(0) if len(self._lives) > 1 else self._lives[0]

    def state(self, _container: str) -> None:
        return None

    def host_config(self, _container: str) -> dict[str, object]:
        return {"CpuQuota": 70_000}

    def update_raw(self, _container: str, _body: object) -> Answer:
        return Answer(1, 2, ())


EXITED, CREATED = Life("exited", 0, "a", 0), Life("created", 0, "", 0)
WAITING, RESTARTED = Life("restarting", 0, "a", 4), Life("restarting", 0, "b", 5)


def made_up(*lives: Life | None) -> Subject:
    site = Site(cast(Engine, Restless(*lives)), "image", "r")
    return Subject(option("cpu-quota"), site, Idle(site, "c" * 64))


def test_an_update_counts_where_the_container_was_in_its_state_before_and_after() -> None:
    found = made_up(EXITED).update("exited").finding()
    assert (found.outcome, found.value, found.missed) == ("accepted", "30000", None)
    assert found.before is not None
    assert found.before.declared == "70000"


@pytest.mark.parametrize(
    ("lives", "why"),
    [
        ([CREATED], "Docker said that it was created, not exited"),
        ([EXITED, EXITED, CREATED], "it was created and no longer exited after the answer"),
        ([None], "Docker said that it was removed"),
    ],
)
def test_a_container_that_was_not_in_a_state_is_no_finding_on_it(
    lives: list[Life | None], why: str
) -> None:
    with pytest.raises(Missed, match=why):
        made_up(*lives).update("exited")


def test_the_next_pause_before_a_restart_is_not_the_same() -> None:
    with pytest.raises(Missed, match="no longer restarting"):
        made_up(WAITING, WAITING, RESTARTED).update("restarting")


def test_a_stop_that_has_ended_is_not_under_way() -> None:
    under_way = iter([True, False])
    running = Life("running", 0, "a", 0)
    with pytest.raises(Missed, match="no longer stopping"):
        made_up(running).update("stopping", still=lambda: next(under_way))
    with pytest.raises(Missed, match="not stopping"):
        made_up(running).update("stopping", still=lambda: False)


# Real containers


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


def by_state(found: tuple[StateFinding, ...]) -> dict[str, StateFinding]:
    return {one.state: one for one in found}


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)


def enforced(found: StateFinding) -> list[str | None]:
    """Return the texts of the file in their order: before, after the answer, after each step."""
    held = (found.before, found.after, *(step.held for step in found.steps))
    return [None if one is None else one.enforced for one in held]


@pytest.mark.docker
def test_a_quota_is_in_force_in_each_state_when_cat_says_so(supply: Supply) -> None:
    found = by_state(states.measure(option("cpu-quota"), supply))
    with supply.created({}) as (_, idle):
        assert idle is not None
        name, texts = idle.container_id, {}
        docker("update", "--cpu-quota", "30000", name)
        docker("start", name)
        texts["created"] = cat(name, *QUOTA)
        docker("pause", name)
        docker("update", "--cpu-quota", "70000", name)
        texts["paused, 70000"] = cat(name, *QUOTA)
        docker("update", "--cpu-quota", "30000", name)
        texts["paused"] = cat(name, *QUOTA)
        docker("unpause", name)
        docker("stop", name)
        docker("update", "--cpu-quota", "70000", name)
        assert inspected(name, "CpuQuota") == "70000"
        docker("start", name)
        texts["exited, 70000"] = cat(name, *QUOTA)
    assert list(found) == ["created", "running", "paused", "restarting", "stopping", "exited"]
    assert [one.missed for one in found.values()] == [None] * 6
    assert {one.outcome for one in found.values()} == {"accepted"}
    assert [one.in_force for one in found.values()] == [
        When.START, When.NOW, When.NOW, When.RESTART, When.NOW, When.START,
    ]  # fmt: skip
    assert enforced(found["created"]) == [None, None, texts["created"]]
    assert enforced(found["paused"]) == [texts["paused, 70000"], *[texts["paused"]] * 2]
    assert enforced(found["exited"]) == [None, None, texts["created"]]
    assert enforced(found["stopping"])[1] == texts["exited, 70000"]
    assert not any(one.hollow or one.yet_changed for one in found.values())


@pytest.mark.docker
def test_a_daemon_that_starts_a_container_without_what_it_declares_is_seen(
    supply: Supply, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = supply.site.engine
    command = engine.command

    def forgetful(container_id: str, what: Command, patience_s: int = 0) -> Answer:
        answer = command(container_id, what, patience_s)
        if what == "start":
            path = Idle(supply.site, container_id).cgroup.path("pids", "pids.max")
            path.write_text("max")
        return answer

    monkeypatch.setattr(engine, "command", forgetful)
    found = by_state(states.measure(option("pids-limit"), supply))
    assert {one.state for one in found.values() if one.hollow} == {"created", "exited"}
    assert found["created"].in_force is found["exited"].in_force is When.NEVER
    assert enforced(found["created"]) == [None, None, "max"]
    assert found["running"].in_force is When.NOW


@pytest.mark.docker
def test_an_option_without_a_file_shows_what_docker_declares_and_no_more(supply: Supply) -> None:
    found = by_state(states.measure(option("restart"), supply))
    for one in found.values():
        assert one.missed is None
        assert one.in_force is None
        assert one.after is not None
        assert one.after.declared == one.sent
