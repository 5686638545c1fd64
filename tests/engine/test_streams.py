"""What Docker says by itself: events until the stream is closed, and stats as it prints them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cgbench.engine.streams import EventStream, Stats, StatsStream, stats
from cgbench.units import NS_PER_S

Message = Mapping[str, Any]


def event(action: str, **attributes: str) -> Message:
    return {"Action": action, "timeNano": 7, "Actor": {"ID": "a", "Attributes": attributes}}


def test_starts_ends_oom_kills_pauses_and_signals_are_kept_and_other_events_are_not() -> None:
    closed = threading.Event()

    def messages() -> Iterator[Message]:
        yield from (event("exec_create"), event("unpause"))
        yield from (
            event("start"),
            event("pause"),
            event("kill"),
            event("oom"),
            event("die", exitCode="137"),
        )
        closed.wait(10)

    stream = EventStream(messages(), closed.set)
    while len(stream._events) < 4:
        pass
    assert [(one.action, one.exit_code) for one in stream.finish()] == [
        ("start", None), ("pause", None), ("kill", None), ("oom", None), ("die", 137)
    ]  # fmt: skip
    assert stream.broken is None, "it was closed by us"


def test_a_clock_that_is_set_meanwhile_moves_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: the difference of both clocks was taken once."""
    wall = {"ns": 1_000 * NS_PER_S}
    monkeypatch.setattr(time, "time_ns", lambda: wall["ns"])
    monkeypatch.setattr(time, "monotonic_ns", lambda: 50 * NS_PER_S)

    def messages() -> Iterator[Message]:
        yield {**event("start"), "timeNano": wall["ns"]}
        wall["ns"] += 3600 * NS_PER_S
        yield {**event("die"), "timeNano": wall["ns"]}

    stream = EventStream(messages(), lambda: None)
    stream._thread.join(10)
    assert [one.t_ns for one in stream.finish()] == [50 * NS_PER_S] * 2


class Broken(Exception):
    """What a client raises."""


@pytest.mark.parametrize(
    ("message", "error", "why"),
    [
        (None, None, "the daemon closed it"),
        (None, Broken("reset by peer"), "reset by peer"),
        (None, ConnectionResetError(104, "reset"), "reset"),
        ({"Action": "die"}, None, "Actor"),
        (event("die", exitCode="many"), None, "invalid literal"),
    ],
)
def test_a_stream_that_ends_too_early_says_why(
    message: Message | None, error: Exception | None, why: str
) -> None:
    def messages() -> Iterator[Message]:
        yield event("start")
        if message is not None:
            yield message
        if error is not None:
            raise error

    stream = EventStream(messages(), lambda: None, (Broken,))
    stream._thread.join(10)
    assert [one.action for one in stream.finish()] == ["start"]
    assert stream.broken is not None
    assert why in stream.broken


BEFORE = {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000}
NOW = {"cpu_usage": {"total_usage": 150}, "system_cpu_usage": 1100, "online_cpus": 2}


def test_cpus_are_those_that_docker_stats_prints() -> None:
    assert stats({"cpu_stats": NOW, "precpu_stats": BEFORE}, 5) == Stats(5, 1.0, None)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (NOW, {}), ({}, BEFORE), ({}, {}), (NOW, {**BEFORE, "system_cpu_usage": 0}),
        ({**NOW, "online_cpus": 0}, BEFORE), ({**NOW, "cpu_usage": {}}, BEFORE),
        (NOW, {**BEFORE, "cpu_usage": {}}), ({**NOW, "system_cpu_usage": 1000}, BEFORE),
        (NOW, {**BEFORE, "cpu_usage": {"total_usage": 151}}),
    ],
)  # fmt: skip
def test_what_one_of_the_two_readings_lacks_is_absent_and_not_zero(
    now: Message, before: Message
) -> None:
    assert stats({"cpu_stats": now, "precpu_stats": before}, 5).cpus is None


@pytest.mark.parametrize(
    ("memory", "held"),
    [
        ({}, None),
        ({"usage": 100}, 100),
        ({"usage": 100, "stats": {"inactive_file": 30}}, 70),
        ({"usage": 100, "stats": {"total_inactive_file": 40, "inactive_file": 30}}, 60),
    ],
)
def test_memory_is_without_the_cache_that_goes_first(memory: Message, held: int | None) -> None:
    assert stats({"memory_stats": memory}, 5).memory_bytes == held


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (None, "the daemon closed it"),
        (Broken("reset by peer"), "reset by peer"),
        (ConnectionResetError(104, "reset"), "reset"),
        ({"cpu_stats": 5}, "'int' object has no attribute 'get'"),
    ],
)
def test_stats_that_end_before_their_container_say_why(
    last: Exception | Message | None, why: str
) -> None:
    """Found by reading: fewer points, with no word in the record."""

    def messages() -> Iterator[Message]:
        yield {}
        if isinstance(last, Exception):
            raise last
        if last is not None:
            yield last

    stream = StatsStream(messages(), (Broken,))
    assert len(stream.finish()) == 1
    assert stream.broken is not None
    assert why in stream.broken


def test_stats_that_end_with_their_container_are_whole() -> None:
    removed = threading.Event()

    def messages() -> Iterator[Message]:
        yield {}
        removed.wait(10)

    stream = StatsStream(messages())
    stream.expect_end()
    removed.set()
    assert len(stream.finish()) == 1
    assert stream.broken is None
