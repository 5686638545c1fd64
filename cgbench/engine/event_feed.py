"""What happens to all containers of a daemon, as it tells it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from cgbench.errors import EngineError
from cgbench.records.cause import DockerEvent

# A daemon that floods us loses its own oldest events.
_MOST = 10_000


class EventFeed:
    """Follows the daemon's events in a thread; `broken` says why they ended, None while they come.

    `understood` makes an event of a message; `errors` are those that an interrupted stream raises.
    """

    def __init__(
        self,
        messages: Iterable[object],
        close: Callable[[], None],
        understood: Callable[[object], DockerEvent],
        errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self.broken: str | None = None
        self._messages, self._close, self._understood = messages, close, understood
        self._errors: tuple[type[Exception], ...] = (
            *errors, EngineError, OSError, ValueError, KeyError, TypeError, AttributeError,
        )  # fmt: skip
        self._events: deque[DockerEvent] = deque(maxlen=_MOST)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        why = "the daemon closed it"
        try:
            for message in self._messages:
                self._events.append(self._understood(message))
        except self._errors as error:
            why = str(error) or type(error).__name__
        self.broken = f"the stream of Docker's events broke: {why}"

    def take(self) -> list[DockerEvent]:
        """Return what came since it was last asked."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def close(self) -> None:
        """Stop following."""
        # A stream that is broken is as good as closed.
        with suppress(*self._errors):
            self._close()
        self._thread.join(timeout=5)
