"""What Docker tells by itself: the `docker stats` of a container, and the events of a run.

Both are recorded by a thread from messages that the engine hands over, until these end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stats:
    """One message of the `docker stats` stream, and when it came (CLOCK_MONOTONIC ns).

    `cpus` and `memory_bytes` are computed as `docker stats` prints them; None where it would
    print nothing yet.
    """

    t_ns: int
    cpus: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Event:
    """Something that happened to a container: `start`, `die` or `oom` (CLOCK_MONOTONIC ns)."""

    container_id: str
    t_ns: int
    action: str
    exit_code: int | None


class StatsStream:
    """Records the `docker stats` stream of one container in a thread, at Docker's own pace."""

    def __init__(self, messages: Iterable[Mapping[str, Any]]) -> None:
        self._stream = messages
        self._messages: list[Stats] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        # Ends with the container: the daemon closes the stream when it is removed.
        for message in self._stream:
            self._messages.append(stats(message, time.monotonic_ns()))

    def finish(self) -> tuple[Stats, ...]:
        """Return what came, once the container is gone."""
        self._thread.join(timeout=5)
        return tuple(self._messages)

    @property
    def so_far(self) -> tuple[Stats, ...]:
        """What came until now."""
        return tuple(self._messages)


class EventStream:
    """Records starts, ends and OOM kills of a run's containers in a thread."""

    def __init__(self, messages: Iterable[Mapping[str, Any]], close: Callable[[], None]) -> None:
        self._events: list[Event] = []
        # The daemon stamps with the wall clock; the difference is taken once, at the beginning.
        self._to_monotonic = time.monotonic_ns() - time.time_ns()
        self._stream = messages
        self._close = close
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for message in self._stream:
            if message.get("Action") in ("start", "die", "oom"):
                status = message["Actor"]["Attributes"].get("exitCode")
                self._events.append(
                    Event(
                        container_id=message["Actor"]["ID"],
                        t_ns=message["timeNano"] + self._to_monotonic,
                        action=message["Action"],
                        exit_code=None if status is None else int(status),
                    )
                )

    def finish(self) -> tuple[Event, ...]:
        """Stop, and return what happened."""
        self._close()
        self._thread.join(timeout=5)
        return tuple(self._events)


def stats(message: Mapping[str, Any], t_ns: int) -> Stats:
    """Compute what `docker stats` prints (docker/cli: cli/command/container/stats_helpers.go)."""
    now, before = message.get("cpu_stats", {}), message.get("precpu_stats", {})
    used = now.get("cpu_usage", {}).get("total_usage", 0) - before.get("cpu_usage", {}).get(
        "total_usage", 0
    )
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = None
    if before.get("system_cpu_usage") and system > 0 and used >= 0:
        cpus = used / system * now.get("online_cpus", 0)
    memory = message.get("memory_stats", {})
    held = memory.get("usage")
    if held is not None:
        # The cache that reclaim would take first is left out: total_inactive_file on v1,
        # inactive_file on v2.
        details = memory.get("stats", {})
        held -= details.get("total_inactive_file", details.get("inactive_file", 0))
    return Stats(t_ns, cpus, held)
