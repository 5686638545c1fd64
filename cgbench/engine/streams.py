"""What Docker reports by itself: the `docker stats` of a container, and the events of a run.

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
    """Something that happened to a container: `action` is `start`, `die`, `oom`, `pause` or `kill`.

    `t_ns` is CLOCK_MONOTONIC.
    """

    container_id: str
    t_ns: int
    action: str
    exit_code: int | None


class StatsStream:
    """Records the `docker stats` stream of one container in a thread, at Docker's own pace.

    `broken` says why the stream ended before `expect_end`, None while it did not; `errors` are
    those that an interrupted stream raises.
    """

    def __init__(
        self, messages: Iterable[Mapping[str, Any]], errors: tuple[type[Exception], ...] = ()
    ) -> None:
        self.broken: str | None = None
        self._stream = messages
        # Also those of a malformed message.
        self._errors: tuple[type[Exception], ...] = (
            *errors, OSError, ValueError, KeyError, TypeError, AttributeError,
        )  # fmt: skip
        self._ending = False
        self._messages: list[Stats] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        # Ends with the container: the daemon closes the stream when it is removed.
        why = "the daemon closed it"
        try:
            for message in self._stream:
                self._messages.append(stats(message, time.monotonic_ns()))
        except self._errors as error:
            why = str(error) or type(error).__name__
        if not self._ending:
            self.broken = f"the stream of docker stats broke: {why}"

    def expect_end(self) -> None:
        """Take the end of the stream for no break from now on: the container is about to go."""
        self._ending = True

    def finish(self) -> tuple[Stats, ...]:
        """Return what came, once the container is gone."""
        self._thread.join(timeout=5)
        return tuple(self._messages)


class EventStream:
    """Records starts, ends, OOM kills, pauses and signals of a run's containers in a thread.

    `broken` says why the stream ended before `finish`, None while it did not; `errors` are those
    that an interrupted stream raises.
    """

    def __init__(
        self,
        messages: Iterable[Mapping[str, Any]],
        close: Callable[[], None],
        errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self.broken: str | None = None
        self._events: list[Event] = []
        self._stream = messages
        self._close = close
        # Also those of a malformed message.
        self._errors: tuple[type[Exception], ...] = (
            *errors, OSError, ValueError, KeyError, TypeError,
        )  # fmt: skip
        self._closing = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        why = "the daemon closed it"
        try:
            for message in self._stream:
                if message.get("Action") in ("start", "die", "oom", "pause", "kill"):
                    self._events.append(self._event(message))
        except self._errors as error:
            why = str(error) or type(error).__name__
        if not self._closing:
            self.broken = f"the stream of Docker's events broke: {why}"

    def _event(self, message: Mapping[str, Any]) -> Event:
        # The daemon stamps with the wall clock, which may be set while the trial lasts.
        to_monotonic = time.monotonic_ns() - time.time_ns()
        status = message["Actor"]["Attributes"].get("exitCode")
        return Event(
            container_id=message["Actor"]["ID"],
            t_ns=message["timeNano"] + to_monotonic,
            action=message["Action"],
            exit_code=None if status is None else int(status),
        )

    def so_far(self) -> tuple[Event, ...]:
        """Return what has happened by now."""
        return tuple(self._events)

    def finish(self) -> tuple[Event, ...]:
        """Stop, and return what happened."""
        self._closing = True
        self._close()
        self._thread.join(timeout=5)
        return tuple(self._events)


def stats(message: Mapping[str, Any], t_ns: int) -> Stats:
    """Compute what `docker stats` prints (docker/cli: cli/command/container/stats_helpers.go)."""
    memory = message.get("memory_stats", {})
    held = memory.get("usage")
    # The cache that reclaim would take first is left out: total_inactive_file on v1,
    # inactive_file on v2; docker stats leaves out nothing where neither is there.
    details = memory.get("stats", {})
    cache = details.get("total_inactive_file", details.get("inactive_file"))
    if held is not None and cache is not None:
        held -= cache
    return Stats(t_ns, _cpus(message), held)


def _cpus(message: Mapping[str, Any]) -> float | None:
    """Return the CPUs used between two readings, None where one of them is absent."""
    now, before = message.get("cpu_stats", {}), message.get("precpu_stats", {})
    online = now.get("online_cpus")
    readings = [
        (one.get("cpu_usage", {}).get("total_usage"), one.get("system_cpu_usage"))
        for one in (now, before)
    ]
    (used, system), (used_before, system_before) = readings
    if not online or not system_before or None in (used, system, used_before):
        return None
    if system <= system_before or used < used_before:
        return None
    return float((used - used_before) / (system - system_before) * online)
