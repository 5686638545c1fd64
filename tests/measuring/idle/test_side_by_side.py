"""Options side by side: in order, apart where they must be, and nothing left whatever fails."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.engine.facts import Creation, State
from cgbench.errors import EngineError
from cgbench.host.interrupts import Interrupted
from cgbench.measuring import own_process
from cgbench.measuring.idle.containers import Supply
from cgbench.measuring.idle.side_by_side import AT_ONCE, measured
from cgbench.measuring.site import Progress, Site, silent
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS, option

# Nobody waits for as long unless something is wrong.
PATIENCE_S = 60.0

SOME = tuple(option(name) for name in ("cpus", "memory", "pids-limit", "cpu-shares", "restart"))

T = str | int


class Daemon:
    """Makes containers, all of which run as this very process, and knows which are alive."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.most = 0
        self._lock = threading.Lock()
        self._number = 0

    def create(self, _spec: object) -> Creation:
        with self._lock:
            self._number += 1
            self.alive.add(f"c{self._number}")
            self.most = max(self.most, len(self.alive))
            return Creation(f"c{self._number}", Answer(1, 2, ()))

    def command(self, _container: str, _what: str, **_named: float) -> Answer:
        return Answer(1, 2, ())

    def state(self, _container: str) -> State:
        return State(running=True, pid=os.getpid(), exit_code=0, oom_killed=False, error="")

    def remove(self, container: str) -> None:
        with self._lock:
            self.alive.discard(container)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setattr(own_process, "is_own", lambda *_: True)
    return Daemon()


def side_by_side(
    daemon: Daemon,
    measure: Callable[[Option, Supply], T],
    options: tuple[Option, ...] = SOME,
    begun: Progress = silent,
    detail: Progress = silent,
    at_once: int = AT_ONCE,
) -> dict[str, T]:
    def site() -> Site:
        return Site(cast(Engine, daemon), "image", "r")

    return measured(options, measure, site, begun, detail, at_once)


def uses_one(one: Option, supply: Supply) -> T:
    with supply.fresh():
        return one.flag


def test_what_was_found_and_what_is_shown_is_in_the_order_of_the_options(daemon: Daemon) -> None:
    begun: list[str] = []
    last_is_done = threading.Event()

    def measure(one: Option, supply: Supply) -> T:
        if one is SOME[0]:
            assert last_is_done.wait(PATIENCE_S)
        elif one is SOME[-1]:
            last_is_done.set()
        return uses_one(one, supply)

    found = side_by_side(daemon, measure, begun=begun.append)
    assert list(found.items()) == [(one.name, one.flag) for one in SOME]
    assert begun == [one.flag for one in SOME]
    assert daemon.alive == set()


def test_nothing_is_measured_where_there_are_no_options(daemon: Daemon) -> None:
    assert side_by_side(daemon, uses_one, ()) == {}


def test_so_many_are_measured_at_a_time_and_no_more(daemon: Daemon) -> None:
    together = threading.Barrier(AT_ONCE)
    under_way: set[str] = set()
    most: list[int] = []

    def measure(one: Option, supply: Supply) -> T:
        under_way.add(one.name)
        if one in SOME[:AT_ONCE]:
            together.wait(PATIENCE_S)
        most.append(len(under_way))
        under_way.discard(one.name)
        return uses_one(one, supply)

    side_by_side(daemon, measure)
    assert max(most) == AT_ONCE
    # In use, on its way, started ahead, and not removed yet.
    assert daemon.most <= 4 * AT_ONCE


def test_one_after_the_other_where_only_one_is_wanted_at_once(daemon: Daemon) -> None:
    """Met in the lab: asked for nine containers at a time, a daemon did not answer for 45 s."""
    now: list[Option] = []
    most = []

    def measure(one: Option, supply: Supply) -> T:
        now.append(one)
        most.append(len(now))
        found = uses_one(one, supply)
        now.remove(one)
        return found

    assert list(side_by_side(daemon, measure, at_once=1)) == [one.name for one in SOME]
    assert max(most) == 1


def test_options_that_share_what_the_kernel_has_are_measured_one_after_the_other(
    daemon: Daemon,
) -> None:
    under_way: set[str] = set()
    begun: list[str] = []

    def measure(one: Option, supply: Supply) -> T:
        under_way.add(one.name)
        uses_one(one, supply)
        with_it = len([each for each in under_way if "-rt-" in each])
        under_way.discard(one.name)
        return with_it

    found = side_by_side(daemon, measure, tuple(OPTIONS.values()), begun.append)
    assert list(found) == list(OPTIONS)
    assert (found["cpu-rt-period"], found["cpu-rt-runtime"]) == (1, 1)
    assert "--cpu-rt-period, --cpu-rt-runtime" in begun


def test_every_try_is_shown_with_what_else_is_under_way(daemon: Daemon) -> None:
    shown: list[str] = []
    both_run = threading.Barrier(2)

    def measure(one: Option, supply: Supply) -> T:
        both_run.wait(PATIENCE_S)
        supply.progress(f"{one.flag} by run")
        both_run.wait(PATIENCE_S)
        return one.flag

    side_by_side(daemon, measure, SOME[:2], detail=shown.append)
    assert sorted(shown) == ["--cpus by run (beside --memory)", "--memory by run (beside --cpus)"]
    shown.clear()
    both_run = threading.Barrier(1)
    side_by_side(daemon, measure, SOME[:1], detail=shown.append)
    assert shown == ["--cpus by run"]


@pytest.mark.parametrize("error", [EngineError("no"), RuntimeError("a surprise"), Interrupted()])
@pytest.mark.parametrize("failing", range(len(SOME)))
def test_a_failure_of_any_of_them_stops_the_others_and_leaves_no_container(
    daemon: Daemon, error: BaseException, failing: int
) -> None:
    failed = threading.Event()

    def measure(one: Option, supply: Supply) -> T:
        supply.take()
        if one is SOME[failing]:
            failed.set()
            raise error
        if SOME.index(one) > failing or failing < AT_ONCE:
            assert failed.wait(PATIENCE_S)
            # Others go on until they need a container.
            for _ in range(10_000):
                uses_one(one, supply)
            pytest.fail("nobody stopped it")
        return one.flag

    with pytest.raises(type(error)) as raised:
        side_by_side(daemon, measure)
    assert raised.value is error
    assert daemon.alive == set()


def test_of_several_failures_that_of_the_first_option_is_raised_and_an_interrupt_before_all(
    daemon: Daemon,
) -> None:
    all_run = threading.Barrier(3)

    def fails(one: Option, _supply: Supply) -> T:
        all_run.wait(PATIENCE_S)
        raise EngineError(one.flag)

    def is_interrupted(one: Option, supply: Supply) -> T:
        if one is SOME[2]:
            all_run.wait(PATIENCE_S)
            raise Interrupted
        return fails(one, supply)

    with pytest.raises(EngineError, match=SOME[0].flag):
        side_by_side(daemon, fails, SOME[:3])
    with pytest.raises(Interrupted):
        side_by_side(daemon, is_interrupted, SOME[:3])
    assert daemon.alive == set()


def test_an_interrupt_stops_all_and_leaves_no_container(daemon: Daemon) -> None:
    pressed = threading.Event()

    def measure(one: Option, supply: Supply) -> T:
        if one is SOME[1]:
            pressed.set()
            signal.raise_signal(signal.SIGINT)
        assert pressed.wait(PATIENCE_S)
        while True:
            uses_one(one, supply)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side(daemon, measure)
    finally:
        signal.signal(signal.SIGINT, before)
    assert daemon.alive == set()


def test_a_display_that_fails_stops_all_and_leaves_no_container(daemon: Daemon) -> None:
    def broken(flags: str) -> None:
        if flags == SOME[2].flag:
            raise BrokenPipeError

    def measure(one: Option, supply: Supply) -> T:
        while True:
            uses_one(one, supply)

    with pytest.raises(BrokenPipeError):
        side_by_side(daemon, measure, begun=broken)
    assert daemon.alive == set()
