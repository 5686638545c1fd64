"""Idle containers: what they are, that each is fresh, and that none is left."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.engine.facts import Creation, State
from cgbench.errors import EngineError
from cgbench.measuring import own_process
from cgbench.measuring.idle.containers import Limits, Stopped, Supply, outcome, words
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import Difference
from cgbench.spec.options import option, update_body
from tests.made.idle_supply import cat, containers, inspected, site
from tests.made.idle_supply import supply as new_supply


@pytest.fixture
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


def test_readings_differ_where_a_field_or_a_file_does() -> None:
    before = Limits({"Memory": "0", "CpuQuota": "0"}, {"cpu.max": "max 100000", "pids.max": "max"})
    after = Limits({"Memory": "0", "CpuQuota": "1"}, {"cpu.max": "1 100000", "cpu.idle": "0"})
    assert before.differences(before) == ()
    assert before.differences(after) == (
        Difference(layer="declared", where="CpuQuota", before="0", after="1"),
        Difference(layer="enforced", where="cpu.idle", before=None, after="0"),
        Difference(layer="enforced", where="cpu.max", before="max 100000", after="1 100000"),
        Difference(layer="enforced", where="pids.max", before="max", after=None),
    )


def test_a_container_that_ended_has_no_files_to_differ() -> None:
    before, after = Limits({"Memory": "0"}, {"pids.max": "max"}), Limits({"Memory": "1"}, {})
    assert [each.where for each in before.differences(after)] == ["Memory"]
    assert [each.where for each in after.differences(before)] == ["Memory"]


@pytest.mark.parametrize(
    ("answer", "word", "said"),
    [
        (Answer(1, 2, ()), "accepted", ""),
        (Answer(1, 2, ("dropped", "why not")), "warned", "dropped; why not"),
        (Answer(1, 2, (), "runc:\nno\n: unknown"), "rejected", "runc: no : unknown"),
        (Answer(1, 2, (), f"No container {'0123456789abcdef' * 4}"), "rejected",
         "No container 0123456789ab"),
    ],
)  # fmt: skip
def test_the_daemons_answer_is_a_word_and_its_own_words_in_one_line(
    answer: Answer, word: str, said: str
) -> None:
    assert outcome(answer) == word
    assert words(answer) == said


class Stubborn:
    """A daemon that makes containers and removes all but the first."""

    def __init__(self, error: Exception) -> None:
        self.made: list[str] = []
        self.removed: list[str] = []
        self._error = error
        self._lock = threading.Lock()

    def create(self, _spec: object) -> Creation:
        with self._lock:
            self.made.append(f"c{len(self.made)}")
            return Creation(self.made[-1], Answer(1, 2, ()))

    def command(self, _container: str, _what: str, **_named: float) -> Answer:
        return Answer(1, 2, ())

    def state(self, _container: str) -> State:
        return State(running=True, pid=os.getpid(), exit_code=0, oom_killed=False, error="")

    def remove(self, container: str) -> None:
        if container == "c0":
            raise self._error
        self.removed.append(container)


@pytest.mark.parametrize("error", [EngineError("cannot remove c0"), RuntimeError("a surprise")])
def test_a_container_that_stays_is_reported_and_keeps_no_other(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by reading: futures were not looked at, the first failure the last."""
    # The made-up daemon's containers all run as this very process.
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    daemon = Stubborn(error)
    place = Site(cast(Engine, daemon), "image", "r")

    def use(failure: BaseException | None) -> None:
        with Supply(place, ahead=1) as supply:
            supply.give_back(supply.take())
            supply.take()
            if failure is not None:
                raise failure

    with pytest.raises(type(error), match=str(error)):
        use(None)
    if isinstance(error, EngineError):
        assert sorted(daemon.removed) == sorted(daemon.made[1:])
        with pytest.raises(ZeroDivisionError):
            use(ZeroDivisionError())


class Together(Stubborn):
    """A daemon that starts no container until it is asked for a second one."""

    def __init__(self) -> None:
        super().__init__(EngineError("it goes"))
        self.two = threading.Barrier(2)

    def command(self, _container: str, _what: str, **_named: float) -> Answer:
        self.two.wait(timeout=60)
        return super().command(_container, _what)


def test_several_hands_start_as_many_containers_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    daemon = Together()
    with Supply(Site(cast(Engine, daemon), "image", "r"), ahead=0, hands=2) as supply:
        daemon.made.append("c0")
        assert len({idle.container_id for idle in supply.take_all(4)}) == 4
    assert sorted(daemon.removed) == sorted(daemon.made[1:])


def test_a_supply_that_was_stopped_hands_out_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    daemon = Stubborn(EngineError("it goes"))
    daemon.made.append("c0")
    with Supply(Site(cast(Engine, daemon), "image", "r")) as supply:
        assert len({idle.container_id for idle in supply.take_all(3)}) == 3
        supply.stop()
        with pytest.raises(Stopped):
            supply.take()
        with pytest.raises(Stopped), supply.born({}):
            pass
    assert sorted(daemon.removed) == sorted(daemon.made[1:])


@pytest.mark.docker
def test_an_idle_container_has_no_limits_and_one_task_and_no_network(supply: Supply) -> None:
    with supply.fresh() as idle:
        assert cat(idle.container_id, "pids.current") == "1"
        assert cat(idle.container_id, "pids.max") == "max"
        for field in ("Memory", "MemorySwap", "CpuQuota", "NanoCpus"):
            assert inspected(idle.container_id, field) == "0"
        assert inspected(idle.container_id, "NetworkMode") == "none"
        assert inspected(idle.container_id, "RestartPolicy.Name") == "no"


@pytest.mark.docker
def test_each_container_is_fresh_and_its_limits_are_those_of_cat(supply: Supply) -> None:
    quota = option("cpu-quota")
    with supply.fresh() as first:
        born = first.held(quota)
        supply.site.engine.update_raw(first.container_id, update_body({"cpu-quota": 30_000}))
        held = first.held(quota)
        assert held.declared == inspected(first.container_id, "CpuQuota") == "30000"
        assert held.enforced == cat(first.container_id, "cpu.cfs_quota_us", "cpu.max")
    with supply.fresh() as second:
        assert second.container_id != first.container_id
        assert second.held(quota) == born != held


@pytest.mark.docker
def test_a_container_that_ended_while_it_waited_is_not_handed_out(supply: Supply) -> None:
    engine, first = supply.site.engine, supply.take()
    waiting: list[str] = []
    while not waiting:
        states = {one: engine.state(one) for one in containers(supply.site)}
        waiting = [one for one, state in states.items() if state is not None and state.running]
        waiting = [one for one in waiting if one != first.container_id]
    for container_id in waiting:
        engine.remove(container_id)
    with supply.fresh() as idle:
        assert idle.container_id not in waiting
        assert idle.find()


@pytest.mark.docker
def test_a_birth_that_the_daemon_refuses_is_an_answer(supply: Supply) -> None:
    with supply.born({"CpuQuota": 999}) as (answer, idle):
        assert idle is None
        assert "quota" in str(answer.refusal)
    with supply.born({"CpuQuota": 30_000}) as (answer, idle):
        assert idle is not None
        assert answer.refusal is None
        assert idle.held(option("cpu-quota")).declared == "30000"


@pytest.mark.docker
def test_containers_go_also_when_their_user_fails() -> None:
    def use(supply: Supply) -> None:
        with supply:
            supply.take()
            raise RuntimeError

    with site() as place:
        with pytest.raises(RuntimeError):
            use(Supply(place))
        assert containers(place) == []
