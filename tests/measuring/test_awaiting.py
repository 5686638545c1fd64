"""A phase is held on for what is judged, within a bound, and it is recorded what became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.engine.streams import Event, EventStream
from cgbench.measuring import awaiting
from cgbench.measuring.awaiting import Patience
from cgbench.measuring.container import Running
from cgbench.measuring.hold import Lookout
from cgbench.measuring.progress import Silent
from cgbench.records.trial import Awaited, Change
from cgbench.spec import experiment_file
from cgbench.spec.option import Settings
from cgbench.spec.schedule import PlannedStep, steps
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made.processes import MadeUpEngine, living

MS = NS_PER_MS
FORKS, ENDS = experiment_file.load("pids-limit-sweep"), experiment_file.load("restart-policy")


class Told:
    """Docker's events, as they came by now."""

    def __init__(self, *events: Event) -> None:
        self.events: Sequence[Event] = events

    def so_far(self) -> tuple[Event, ...]:
        return tuple(self.events)


def told(*lives_ms: tuple[str, int]) -> list[Event]:
    return [Event("id", ms * MS, action, None) for action, ms in lives_ms]


TWICE = (("start", 0), ("die", 800), ("start", 900), ("die", 1700), ("start", 1900), ("die", 2700))


@pytest.mark.parametrize(
    ("events", "comes_to", "now_ms", "state"),
    [
        ((), 0, 60_000, "coming"),
        (TWICE[:1], 0, 60_000, "coming"),
        (TWICE[:2], 0, 1400, "coming"),
        (TWICE[:2], 0, 1500, "came"),
        (TWICE[:2], 2, 60_000, "coming"),
        (TWICE[:5], 2, 2000, "coming"),
        (TWICE, 2, 3500, "coming"),
        (TWICE, 2, 3600, "came"),
        (TWICE, 1, 1950, "came"),
    ],
)
def test_restarts_have_come_once_no_other_one_is_due(
    events: tuple[tuple[str, int], ...], comes_to: float, now_ms: int, state: str
) -> None:
    assert awaiting.restarts(told(*events), comes_to, 0, now_ms * MS) == state


def test_restarts_before_the_change_do_not_count() -> None:
    assert awaiting.restarts(told(*TWICE), 2, 1000 * MS, 60_000 * MS) == "coming"
    assert awaiting.restarts(told(*TWICE), 1, 1000 * MS, 60_000 * MS) == "came"


def planned(option: str, requested: str) -> PlannedStep:
    experiment = ENDS if option == "restart" else FORKS
    return next(
        one for one in steps(experiment, 2) if one.requested == requested and not one.prepares
    )


def hold_on(
    container: Running, step: PlannedStep, events: Told | None = None, error: str | None = None
) -> Awaited | None:
    """Hold a phase on after its change, and return what it was held on for."""
    now = time.monotonic_ns()
    experiment = ENDS if step.option == "restart" else FORKS
    spec = next(one for one in experiment.containers if one.role == step.role)
    container.spec = spec
    container.settings |= step.settings
    change = Change(
        requested=step.requested, settings=step.settings, via="update", t_request_ns=now,
        t_answer_ns=now, error=error,
    )  # fmt: skip
    look = Lookout(cast(Engine, MadeUpEngine()), [container], Silent(), forgiving=True)
    patience = Patience(experiment, cast(EventStream, events or Told()))
    ending, awaited = patience.hold_on(look, container, step, change)
    assert ending is None
    return awaited


@pytest.fixture
def group(tmp_path: Path) -> Path:
    (tmp_path / "pids.current").write_text("10\n")
    return tmp_path


def test_a_phase_in_which_all_has_come_is_not_held_on(group: Path) -> None:
    (group / "pids.current").write_text("24\n")
    with living(cgroup=group) as (container, _process):
        found = hold_on(container, planned("pids-limit", "24"))
    assert found is not None
    assert (found.metric, found.state) == ("tasks_max", "came")
    assert found.held_on_ns < 100 * MS


def test_a_phase_is_held_on_until_the_tasks_are_there(group: Path) -> None:
    timer = threading.Timer(0.3, (group / "pids.current").write_text, ["24\n"])
    with living(cgroup=group) as (container, _process):
        timer.start()
        found = hold_on(container, planned("pids-limit", "24"))
        timer.join()
    assert found is not None
    assert found.state == "came"
    assert found.held_on_ns >= 200 * MS


def test_tasks_that_do_not_grow_any_more_are_not_waited_for(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "STILL_NS", 300 * MS)
    with living(cgroup=group) as (container, _process):
        found = hold_on(container, planned("pids-limit", "24"))
    assert found is not None
    assert found.state == "standing"
    assert 300 * MS <= found.held_on_ns < awaiting.PATIENCE_NS


def test_patience_has_an_end_for_what_does_not_come(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "PATIENCE_NS", 200 * MS)
    monkeypatch.setattr(awaiting, "QUIET_NS", 200 * MS)
    with living(cgroup=group) as (container, _process):
        for step in (planned("pids-limit", "24"), planned("restart", "on-failure:2")):
            found = hold_on(container, step)
            assert found is not None
            assert found.state == "coming"
            assert 200 * MS <= found.held_on_ns < 5 * NS_PER_S


class Living(Told):
    """Of a container that ends and is started again, up to so many times, each `pace_ms` later."""

    def __init__(self, container: Running, times: int, pace_ms: int) -> None:
        super().__init__()
        self._id, self._times, self._pace_ns = container.container_id, times, pace_ms * MS
        self._begun_ns = time.monotonic_ns()

    def so_far(self) -> tuple[Event, ...]:
        passed = (time.monotonic_ns() - self._begun_ns) // self._pace_ns
        return tuple(
            Event(self._id, self._begun_ns + one * self._pace_ns, ("start", "die")[one % 2], None)
            for one in range(min(2 * self._times, passed))
        )


def test_restarts_are_waited_for_while_the_container_goes_on_ending_and_starting(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counted from the begin, patience would end before the last restart is known to be that.
    monkeypatch.setattr(awaiting, "QUIET_NS", 2 * NS_PER_S)
    with living(cgroup=group) as (container, _process):
        found = hold_on(container, planned("restart", "on-failure:2"), Living(container, 3, 400))
    assert found is not None
    assert (found.metric, found.state) == ("restarts", "came")
    assert found.held_on_ns > 2 * NS_PER_S


@pytest.mark.parametrize("bound", ["QUIET_NS", "RESTARTS_PATIENCE_NS"])
def test_restarts_that_stay_away_are_waited_for_up_to_each_bound(
    group: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(awaiting, bound, 600 * MS)
    with living(cgroup=group) as (container, _process):
        found = hold_on(container, planned("restart", "on-failure:2"), Living(container, 2, 50))
    assert found is not None
    assert found.state == "coming"
    assert 600 * MS <= found.held_on_ns < 20 * NS_PER_S


def test_what_came_once_is_not_waited_for_when_the_same_limit_is_set_again(group: Path) -> None:
    (group / "pids.current").write_text("24\n")
    step = planned("pids-limit", "24")
    with living(cgroup=group) as (container, _process):
        container.spec = FORKS.containers[0]
        container.settings |= step.settings
        change = Change(
            requested="24", settings=step.settings, via="update", t_request_ns=0, t_answer_ns=0
        )  # fmt: skip
        look = Lookout(cast(Engine, MadeUpEngine()), [container], Silent(), forgiving=True)
        patience = Patience(FORKS, cast(EventStream, Told()))
        first = patience.hold_on(look, container, step, change)[1]
        assert first is not None
        assert first.state == "came"
        (group / "pids.current").write_text("10\n")
        assert patience.hold_on(look, container, step, change) == (None, None)


def test_a_policy_on_a_container_that_is_not_meant_to_end_is_not_waited_for(group: Path) -> None:
    step = planned("restart", "on-failure:2").model_copy(update={"role": "forker"})
    with living(cgroup=group) as (container, _process):
        container.spec = FORKS.containers[0]
        container.settings |= step.settings
        change = Change(
            requested="on-failure:2", settings=step.settings, via="update", t_request_ns=0,
            t_answer_ns=0,
        )  # fmt: skip
        look = Lookout(cast(Engine, MadeUpEngine()), [container], Silent(), forgiving=True)
        patience = Patience(FORKS, cast(EventStream, Told()))
        assert patience.hold_on(look, container, step, change) == (None, None)


@pytest.mark.parametrize("settings", [{"pids-limit": 100}, {"pids-limit": -1}])
def test_nothing_is_waited_for_where_no_limit_is_reached(group: Path, settings: Settings) -> None:
    step = planned("pids-limit", "24").model_copy(update={"settings": settings})
    with living(cgroup=group) as (container, _process):
        assert hold_on(container, step) is None


def test_nothing_comes_of_a_change_that_was_refused(group: Path) -> None:
    with living(cgroup=group) as (container, _process):
        assert hold_on(container, planned("pids-limit", "24"), error="refused") is None


def test_only_trials_in_which_something_comes_in_time_may_take_longer() -> None:
    assert (awaiting.patience_s(FORKS), awaiting.patience_s(ENDS)) == (20, 90)
    assert awaiting.patience_s(experiment_file.load("cpu-quota-sweep")) == 0


def test_swap_is_added_where_the_kernel_keeps_it_apart() -> None:
    apart = {"memory_bytes": 5, "swap_bytes": 2}
    assert awaiting.reading("memory_swap_max_bytes", apart) == 7
    assert awaiting.reading("memory_swap_max_bytes", apart | {"memory_swap_bytes": 6}) == 6
    assert awaiting.reading("memory_swap_max_bytes", {"memory_bytes": 5}) is None
    assert awaiting.reading("memory_max_bytes", apart) == 5
