"""The daemon's events are followed until it ends, and what ended them is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from cgbench.engine.event_feed import EventFeed
from cgbench.records.cause import DockerEvent


def understood(message: object) -> DockerEvent:
    if not isinstance(message, str):
        raise TypeError("odd")
    return DockerEvent(at=1.0, container_id="a", action=message)


def test_events_are_taken_once_and_the_end_is_told() -> None:
    more, end = threading.Event(), threading.Event()

    def messages() -> Iterator[object]:
        yield "start"
        more.set()
        end.wait(10)
        yield "die"

    feed = EventFeed(messages(), end.set, understood)
    assert more.wait(10)
    assert [one.action for one in feed.take()] == ["start"]
    assert feed.take() == []
    assert feed.broken is None
    feed.close()
    assert [one.action for one in feed.take()] == ["die"]
    assert feed.broken == "the stream of Docker's events broke: the daemon closed it"


def test_a_malformed_message_breaks_it_and_no_more() -> None:
    feed = EventFeed(iter(["start", 7]), lambda: None, understood)
    feed.close()
    assert [one.action for one in feed.take()] == ["start"]
    assert feed.broken == "the stream of Docker's events broke: odd"
