"""Kills and refused forks, told at once and then no more than once a minute of each container.

A container that forks in vain does so many times a second: each told would fill a log in hours.
"""

from __future__ import annotations

from dataclasses import dataclass

from cgbench.commands.watched import Seen, grown
from cgbench.records.cause import What
from cgbench.records.watch import MarkKind
from cgbench.wording import count

AGAIN_S = 60.0
"""So long after one was told the next ones wait, in seconds."""


@dataclass(frozen=True)
class Toll:
    """A counter, the mark that is made when it grows, and which causes explain it."""

    counter: str
    kind: MarkKind
    one: str
    many: str
    explained_by: tuple[What, ...]


EVERY = (
    Toll("oom_kills", "killed", "process killed", "processes killed",
         (What.KILLED, What.CHILD_KILLED)),
    Toll("refused_forks", "refused", "fork refused", "forks refused", (What.FORK_REFUSED,)),
)  # fmt: skip


class Tolls:
    """How many of each kind wait to be told, by container."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, MarkKind], int] = {}
        self._told: dict[tuple[str, MarkKind], tuple[float, str]] = {}

    def take(self, one: Seen, toll: Toll, now: float, clock: str) -> str | None:
        """Return what is to be told of a container now, None where that is nothing, or waits.

        `now` is in seconds, and `clock` the same in words.
        """
        key = (one.listed.container_id, toll.kind)
        waiting = self._waiting.get(key, 0) + (grown(one, toll.counter) or 0)
        self._waiting[key] = waiting
        told = self._told.get(key)
        if not waiting or (told is not None and now - told[0] < AGAIN_S):
            return None
        return self._said(key, toll, now, clock)

    def rest(self, container_id: str, toll: Toll, now: float, clock: str) -> str | None:
        """Return what still waits to be told of a container that ended, None if nothing."""
        key = (container_id, toll.kind)
        said = self._said(key, toll, now, clock) if self._waiting.get(key) else None
        self._waiting.pop(key, None)
        self._told.pop(key, None)
        return said

    def _said(self, key: tuple[str, MarkKind], toll: Toll, now: float, clock: str) -> str:
        told, number = self._told.get(key), self._waiting[key]
        self._waiting[key] = 0
        self._told[key] = (now, clock)
        since = "" if told is None else f" since {told[1]}"
        return f"{count(number, toll.one, toll.many)}{since}"
