"""A small service on the loopback interface, which answers, fails or stalls as it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

ANSWERS = {
    "good": OK,
    "closes": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
    "old": b"HTTP/1.0 200 OK\r\n\r\nall until the end",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;quoted\r\nok\n\r\n1A\r\n" + bytes(26) + b"\r\n0\r\nSum: 1\r\n\r\n",
    "moved": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "broken": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\noops\n",
    "garbage": b"220 mail.example.org ESMTP\r\n",
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nok\n",
    "line": b"+PONG\r\n",
}
"""What it answers by its mood; after `closes`, `old` and `short` it closes the connection."""

_CLOSES = ("closes", "old", "short")


@dataclass
class Service:
    """A service: its mood decides about each request, and can be changed while it runs.

    It is a key of ANSWERS, `silent` for no answer at all, or `dead` for a closed connection.
    """

    listener: socket.socket
    mood: str = "good"
    wait: Callable[[], None] = lambda: None
    asked: list[bytes] = field(default_factory=list)
    accepted: list[socket.socket] = field(default_factory=list)
    accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def listen(self) -> None:
        """Accept connections from now on, each in a thread of its own."""
        self.listener.listen(128)
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def refuse(self) -> None:
        """Let no new connection in, and close those that there are."""
        # It wakes the thread that accepts; to close it would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        if self.accepting is not None:
            # Else a connection that it has just accepted would be answered on and on.
            self.accepting.join()
        self.listener.close()
        for one in self.accepted:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.listener.accept()
                self.accepted.append(one)
                threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := one.recv(65_536):
                self.asked.append(request)
                self.wait()
                if self.mood == "dead":
                    return
                if self.mood != "silent":
                    one.sendall(ANSWERS[self.mood])
                if self.mood in _CLOSES:
                    return


def bound() -> socket.socket:
    """Return a socket that has a port and does not listen, so that connections are refused."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@contextmanager
def serving(mood: str = "good", wait: Callable[[], None] = lambda: None) -> Iterator[Service]:
    """Run a service; `wait` is called before each answer."""
    service = Service(bound(), mood, wait)
    service.listen()
    try:
        yield service
    finally:
        with contextlib.suppress(OSError):
            service.refuse()


@dataclass(frozen=True)
class Stalls:
    """Times at which a service stands still: `length_ns` long, once every `period_ns`."""

    begin_ns: int
    period_ns: int
    length_ns: int

    def over_ns(self, now_ns: int) -> int:
        """Return when what is asked at a time can be answered: at once, or after the stall."""
        into = (now_ns - self.begin_ns) % self.period_ns
        return now_ns + max(0, self.length_ns - into)

    def wait(self) -> None:
        """Stand still as long as there is a stall."""
        time.sleep((self.over_ns(now := time.monotonic_ns()) - now) / 1e9)
