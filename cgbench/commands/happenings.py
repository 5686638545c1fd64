"""What Docker told lately, and what of it happened right before a limit was seen to change."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from cgbench.engine.event_feed import EventFeed
from cgbench.host import systemd
from cgbench.records.cause import DockerEvent

_CHANGES = ("update", "start", "restart", "unpause")
# What happened longer ago than this is no likely reason.
_RECENT_S, _RELOADED_S = 3.0, 10.0
# Docker tells of an update a moment after the kernel has it.
_TOLD_S, _LOOK_EVERY_S = 0.15, 0.01


class Happenings:
    """The latest events of a daemon; `wall` is the clock that they are stamped with."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._recent: deque[DockerEvent] = deque(maxlen=1000)
        self._unheeded: list[DockerEvent] = []
        self._back_at: float | None = None

    def hear(self, feed: EventFeed | None) -> None:
        """Take in what the daemon tells."""
        events = [] if feed is None else feed.take()
        self._recent.extend(events)
        self._unheeded.extend(events)

    def fresh(self) -> list[DockerEvent]:
        """Return what was heard since it was last asked."""
        found, self._unheeded = self._unheeded, []
        return found

    def daemon_is_back(self) -> float:
        """Note that the daemon answers again, and return when that is."""
        self._back_at = self._wall()
        return self._back_at

    def just_before(self, feed: EventFeed | None, container_id: str) -> str | None:
        """Return what is known to have happened right before now, the likeliest first."""
        own = self._own_event(feed, container_id)
        if own is not None:
            return own
        now = self._wall()
        if self._back_at is not None and now - self._back_at <= _RELOADED_S:
            return "Docker's daemon was started anew"
        reloaded = systemd.reloaded_s()
        if reloaded is not None and reloaded <= _RELOADED_S:
            return f"systemd read its units anew, {reloaded:.1f} s before"
        for event in reversed(self._recent):
            if now - event.at <= _RECENT_S and event.action in ("update", "start"):
                name = event.attributes.get("name", event.container_id[:12])
                ago = f"{max(0.0, now - event.at):.1f} s before"
                return f"nothing of its own, and docker {event.action} of {name} {ago}"
        return None

    def _own_event(self, feed: EventFeed | None, container_id: str) -> str | None:
        """Return what Docker did to a container just now, which it may tell a moment later."""
        limit = time.monotonic() + (_TOLD_S if container_id and feed is not None else 0)
        while True:
            now = self._wall()
            for event in reversed(self._recent):
                near = now - event.at <= _RECENT_S and event.container_id == container_id
                if near and event.action in _CHANGES:
                    return f"docker {event.action}, {max(0.0, now - event.at):.1f} s before"
            if time.monotonic() > limit:
                return None
            time.sleep(_LOOK_EVERY_S)
            self.hear(feed)
