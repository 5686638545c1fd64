"""A phase is held for its time, and a container that ends meanwhile is noticed and explained."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.errors import EngineError, TrialError
from cgbench.measuring.container import Running
from cgbench.measuring.hold import Lookout
from cgbench.measuring.progress import Silent, Snapshot
from cgbench.records.trial import Ending
from tests.made.processes import ALIVE, MadeUpEngine, ended, living

MS = 1_000_000


class Watching(Silent):
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.shown: list[Sequence[Snapshot]] = []

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        self.shown.append(snapshots)


def hold(
    engine: MadeUpEngine, *containers: Running, ms: int, may_end: bool = False,
    forgiving: bool = False, watcher: Watching | None = None,
) -> tuple[Ending | None, float]:  # fmt: skip
    """Hold for so long, and return how it ended and how many ms that took."""
    look = Lookout(cast(Engine, engine), containers, watcher or Watching(), forgiving=forgiving)
    begin = time.monotonic_ns()
    ending = look.hold_until(begin + ms * MS, may_end=may_end)
    return ending, (time.monotonic_ns() - begin) / MS


def test_a_phase_is_held_to_its_deadline_and_no_shorter() -> None:
    with living() as (container, _process):
        ending, took_ms = hold(MadeUpEngine(), container, ms=120)
    assert ending is None
    assert took_ms >= 120


def test_a_deadline_that_has_passed_is_not_waited_for() -> None:
    with living() as (container, _process):
        assert hold(MadeUpEngine(), container, ms=-5)[0] is None


def test_the_containers_are_shown_twice_a_second(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("4096\n")
    watcher = Watching()
    with living(cgroup=tmp_path) as (container, _process):
        hold(MadeUpEngine(), container, ms=700, watcher=watcher)
    assert [len(one) for one in watcher.shown] == [1, 1]
    assert watcher.shown[0][0].memory_bytes == 4096


def killed(
    state: State | None, said: str = "", *, may_end: bool = False
) -> tuple[Ending | None, float]:
    """Kill the container's process while a phase is held, and return what became of it."""
    with living() as (container, process):
        process.kill()
        return hold(MadeUpEngine([state], said), container, ms=20_000, may_end=may_end)


@pytest.mark.parametrize(
    ("state", "said", "reason"),
    [
        (ended(3), "before\nno room", r"ended by itself \(exit status 3\): no room"),
        (ended(0), "", r"ended by itself \(exit status 0\)$"),
        (ended(137), "", r"was killed, or reached its deadline \(exit status 137\)"),
        (ended(137, oom_killed=True), "x", r"was OOM-killed \(exit status 137\)$"),
        (None, "", r"was removed from outside"),
    ],
)
def test_a_container_that_ends_fails_the_trial_at_once_with_the_reason(
    state: State | None, said: str, reason: str
) -> None:
    begin = time.monotonic()
    with pytest.raises(TrialError, match=f"the container of worker {reason}"):
        killed(state, said)
    assert time.monotonic() - begin < 10


def test_an_end_that_may_be_is_a_result_with_its_status() -> None:
    ending, took_ms = killed(ended(137, oom_killed=True), may_end=True)
    assert ending is not None
    assert (ending.role, ending.exit_code, ending.oom_killed) == ("worker", 137, True)
    assert "OOM-killed" in ending.reason
    assert took_ms < 10_000


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ended(137), "was killed, or reached its deadline"),
        (ended(143), r"ended by itself \(exit status 143\)"),
        (None, "was removed from outside"),
        (ALIVE, "ended, and Docker has not noticed"),
    ],
)
def test_an_end_that_somebody_else_made_is_no_result(state: State | None, reason: str) -> None:
    """A container killed by another looked as if it had met its limit."""
    with pytest.raises(TrialError, match=f"the container of worker {reason}"):
        killed(state, may_end=True)


def test_what_the_kernel_counted_is_an_oom_kill_though_docker_missed_it(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom 1\noom_kill 1\n")
    with living(cgroup=tmp_path) as (container, process):
        process.kill()
        ending, _took = hold(MadeUpEngine([ended(137)]), container, ms=20_000, may_end=True)
    assert ending is not None
    assert (ending.exit_code, ending.oom_killed) == (137, False)


def test_containers_that_are_meant_to_end_and_be_restarted_are_not_looked_after() -> None:
    with living() as (container, process):
        process.kill()
        ending, took_ms = hold(MadeUpEngine(), container, ms=150, forgiving=True)
    assert ending is None
    assert took_ms >= 150


def test_the_one_that_ended_is_named_among_several() -> None:
    with living("small") as (small, _), living("big") as (big, process):
        process.kill()
        ending, _took = hold(MadeUpEngine([ended(1)]), small, big, ms=20_000, may_end=True)
    assert ending is not None
    assert ending.role == "big"


def test_one_that_ended_is_told_once_and_the_hold_goes_on() -> None:
    with living() as (container, process):
        process.kill()
        look = Lookout(cast(Engine, MadeUpEngine([ended(1)])), [container], Watching())
        deadline = time.monotonic_ns() + 300 * MS
        assert look.hold_until(deadline, may_end=True) is not None
        assert look.hold_until(deadline, may_end=True) is None


def test_a_daemon_that_is_gone_when_it_is_asked_is_its_own_error() -> None:
    with living() as (container, process):
        process.kill()
        with pytest.raises(EngineError, match="does not answer"):
            hold(MadeUpEngine(error=EngineError("Docker does not answer")), container, ms=20_000)


def test_a_container_that_somebody_stops_is_noticed_while_its_phase_lasts(tmp_path: Path) -> None:
    with living(cgroup=tmp_path) as (container, process):
        (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TrialError, match="of worker was stopped from outside"):
            hold(MadeUpEngine(), container, ms=20_000)


def test_a_stop_between_two_looks_is_noticed_at_the_end(tmp_path: Path) -> None:
    with living(cgroup=tmp_path) as (container, process):
        (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n")
        look = Lookout(cast(Engine, MadeUpEngine()), [container], Watching())
        look.require_going()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(TrialError, match="stopped"):
            look.require_going()


def test_a_stop_is_no_matter_where_a_container_may_do_as_it_likes(tmp_path: Path) -> None:
    with living(cgroup=tmp_path) as (container, process):
        (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n")
        process.send_signal(signal.SIGSTOP)
        assert hold(MadeUpEngine(), container, ms=100, forgiving=True)[0] is None


def test_a_process_that_has_gone_was_not_stopped(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("4194305\n")
    with living(cgroup=tmp_path) as (container, _process):
        assert hold(MadeUpEngine(), container, ms=100)[0] is None
