"""A trial that was disturbed from outside says how, and one that was not says nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from cgbench.engine.streams import Event
from cgbench.measuring import interference
from cgbench.measuring.collect import Harvest
from cgbench.measuring.probe import Tally, WorkerLog
from cgbench.measuring.readings import Readings
from cgbench.records.trial import ContainerRecord, Ending, Phase
from tests.made import records

S = 1_000_000_000
WORKER = ContainerRecord(role="worker", container_id="id-w", workload="spin", workers=1, sources={})


PHASE = records.phase().model_copy(update={"t_end_ns": 5 * S})


def found(
    *,
    read_s: tuple[float, ...] = (),
    events: tuple[Event, ...] = (),
    phases: tuple[Phase, ...] = (),
) -> str | None:
    """Return what disturbed a trial that was sampled at these times, and had these phases."""
    times = np.array([int(one * S) for one in read_s], np.int64)
    readings = Readings(times, times, times, ()) if read_s else None
    progress = Harvest(
        0, containers=[WORKER], readings=readings, events=list(events), phases=list(phases)
    )
    return interference.found(progress, interference.asleep_ns())


def test_an_undisturbed_trial_says_nothing() -> None:
    assert found() is None
    assert found(read_s=(1.0, 2.0, 4.0)) is None
    assert found(events=(Event("id-w", S, "start", None), Event("id-w", S, "die", 137))) is None


def test_a_gap_in_the_samples_is_named_with_its_length() -> None:
    said = found(read_s=(1.0, 1.01, 3.02, 3.03))
    assert said == "nothing was sampled for 2.0 s: the host or the sampler stood still"


def test_a_slow_sampler_that_misses_a_deadline_did_not_stand_still() -> None:
    assert found(read_s=(1.0, 2.0, 3.0, 5.2, 6.0)) is None
    assert found(read_s=(1.0, 2.0, 3.0, 7.5, 8.0)) is not None


def test_a_process_held_up_between_two_clocks_finds_no_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, now = interference.asleep_ns(), time.monotonic_ns
    held_up = iter([0, 2 * S])

    def late() -> int:
        time.sleep(next(held_up, 0) / S)
        return now()

    monkeypatch.setattr(time, "monotonic_ns", late)
    assert abs(interference.asleep_ns() - before) < S / 10


def test_a_container_that_was_paused_is_named_once() -> None:
    said = found(events=(Event("id-w", S, "pause", None), Event("id-w", 2 * S, "pause", None)))
    assert said == "the container of worker was paused from outside"


def test_another_container_that_was_paused_is_no_matter() -> None:
    assert found(events=(Event("id-else", S, "pause", None),)) is None


def test_a_container_that_was_sent_a_signal_while_it_was_measured_is_named() -> None:
    kill = Event("id-w", 4 * S, "kill", None)
    said = found(events=(kill,), phases=(PHASE,))
    assert said == "the container of worker was sent a signal from outside"
    # At its end cgbench kills it itself.
    assert found(events=(replace(kill, t_ns=6 * S),), phases=(PHASE,)) is None


def test_a_container_that_may_be_restarted_and_was_killed_is_named() -> None:
    def died(status: int, at_s: int = 4) -> Event:
        return Event("id-w", at_s * S, "die", status)

    said = found(events=(died(137),), phases=(PHASE,))
    assert said == "the container of worker was killed from outside"
    assert found(events=(died(3), died(0), died(137, 6)), phases=(PHASE,)) is None


def test_an_end_that_is_a_result_is_no_disturbance() -> None:
    ending = Ending(role="worker", t_ns=4 * S, exit_code=137, oom_killed=True, reason="OOM")
    ended = PHASE.model_copy(update={"ending": ending})
    assert found(events=(Event("id-w", 4 * S, "die", 137),), phases=(ended,)) is None


def test_a_host_that_slept_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = interference.asleep_ns()
    monkeypatch.setattr(interference, "asleep_ns", lambda: before + 20 * S)
    assert interference.found(Harvest(0), before) == "the host slept for 20.0 s"
    monkeypatch.setattr(interference, "asleep_ns", lambda: before + S // 100)
    assert interference.found(Harvest(0), before) is None


def heard(*, began: int, starts: int, lost: str | None = None) -> str | None:
    """Return what is said of a container whose probe began so often, with so many events."""
    tally = Tally(starts=began)
    log = cast(WorkerLog, SimpleNamespace(tally=tally))
    events = [Event("id-w", at * S, "start", None) for at in range(starts)]
    events.append(Event("id-else", S, "start", None))
    progress = Harvest(0, containers=[WORKER], events=events, logs={"worker": (log,)}, lost=lost)
    return interference.found(progress, interference.asleep_ns())


def test_a_container_that_began_more_often_than_docker_says_is_named() -> None:
    assert heard(began=3, starts=1) == (
        "the probe of worker began 3 times, and Docker's events show 1 start: they cannot be "
        "relied on"
    )


def test_a_container_that_docker_has_just_started_need_not_have_begun() -> None:
    assert heard(began=3, starts=3) is None
    assert heard(began=3, starts=4) is None


def test_events_that_are_known_to_be_lost_are_not_missed_twice() -> None:
    assert heard(began=3, starts=1, lost="the stream broke") is None
