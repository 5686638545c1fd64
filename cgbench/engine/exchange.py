"""Questions to a daemon at a socket of this host, each answered as a whole: HTTP/1.1, and no more.

Docker's own client asks, too. It takes a tenth of a second to load, and each answer several times
as long as the daemon needs for it, which an audit of hundreds of containers cannot afford.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

_LONGEST_LINE = 2**16
# What is there already is read in it.
_SHORTEST_S = 0.01
_MOST_FIELDS = 256


class Garbled(Exception):
    """What came is no answer in HTTP."""


FAILURES = (OSError, Garbled)
"""All that a question raises that is not answered."""


@dataclass(frozen=True)
class Reply:
    """A daemon's answer: its status and all of its body."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text; what is none is shown as such."""
        return self.body.decode(errors="replace")

    def json(self) -> object:
        """Return what the body says. Raises ValueError where it is no JSON."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Return what the daemon says where it refuses something."""
        try:
            said = self.json()
        except ValueError:
            said = None
        if isinstance(said, Mapping) and "message" in said:
            return str(said["message"]).strip()
        return self.text.strip()[:200] or f"HTTP status {self.status}"


class Exchange:
    """Asks at a socket; several threads may. Connections are kept for the next questions."""

    def __init__(self, path: str, fields: Mapping[str, str]) -> None:
        self._path = path
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._idle: list[_Line] = []

    def open(self, limit_s: float) -> None:
        """Connect once, ahead of the first question. Raises OSError where nobody listens."""
        self._idle.append(_Line(self._path, limit_s))

    def ask(self, method: str, path: str, limit_s: float, body: bytes | None = None) -> Reply:
        """Send a request, with JSON for its body if any, and return the answer.

        The daemon may be silent for `limit_s`. Raises one of FAILURES, TimeoutError among them.
        """
        return self.begin(method, path, limit_s, body).answer(limit_s)

    def begin(self, method: str, path: str, limit_s: float, body: bytes | None = None) -> Question:
        """Send a request as `ask` does; where that fails, so does the waiting for its answer."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{self._fields}"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        if method != "GET":
            head += f"Content-Length: {len(body or b'')}\r\n"
        try:
            line = self._line(limit_s)
            line.send(f"{head}\r\n".encode("latin-1") + (body or b""), limit_s)
        except OSError as error:
            return Question(error, self._idle)
        return Question(line, self._idle)

    def _line(self, limit_s: float) -> _Line:
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:
                # Another thread took it.
                break
            if not line.has_ended():
                return line
            line.close()
        return _Line(self._path, limit_s)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


class Question:
    """A request that was sent over a line, or failed to be: it is answered, or dropped, once."""

    def __init__(self, line: _Line | OSError, idle: list[_Line]) -> None:
        self._line, self._idle = line, idle
        self._sent = time.monotonic()

    def answer(self, limit_s: float) -> Reply:
        """Return the answer. Raises one of FAILURES, as where it does not come in time.

        The time runs from when it was sent: to wait for several takes no longer than for one.
        """
        line = self._line
        if isinstance(line, OSError):
            raise line
        left_s = self._sent + limit_s - time.monotonic()
        try:
            line.connection.settimeout(max(left_s, _SHORTEST_S))
            reply, goes_on = _answer(line.file)
        except BaseException:
            # Interrupted, too: what comes later would be taken for the next one's answer.
            line.close()
            raise
        if goes_on:
            self._idle.append(line)
        else:
            line.close()
        return reply

    def drop(self) -> None:
        """Wait for no answer."""
        if isinstance(self._line, _Line):
            self._line.close()


class _Line:
    """One connection, and what comes over it. Raises OSError where nobody listens."""

    def __init__(self, path: str, limit_s: float) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        try:
            self.connection.settimeout(limit_s)
            self.connection.connect(path)
        except BaseException:
            self.connection.close()
            raise
        self.file = cast(BinaryIO, self.connection.makefile("rb"))

    def send(self, request: bytes, limit_s: float) -> None:
        """Send a request. Raises OSError, and is closed then."""
        try:
            self.connection.settimeout(limit_s)
            self.connection.sendall(request)
        except BaseException:
            self.close()
            raise

    def has_ended(self) -> bool:
        """Say whether the other end closed it, or says what nobody asked."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close it."""
        self.file.close()
        self.connection.close()


def _answer(file: BinaryIO) -> tuple[Reply, bool]:
    """Return the next answer, and whether the connection serves for more."""
    while True:
        version, status = _status(file)
        fields = _head(file)
        # One that only says that the request may go on comes before the answer.
        if status >= 200:
            break
    lasting = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    if status in (204, 304):
        return Reply(status, b""), lasting
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return Reply(status, _chunks(file)), lasting
    if "content-length" in fields:
        return Reply(status, _exactly(file, _number(fields["content-length"], 10))), lasting
    return Reply(status, file.read()), False


def _status(file: BinaryIO) -> tuple[str, int]:
    line = file.readline(_LONGEST_LINE)
    if not line:
        raise ConnectionError("Remote end closed connection without response")
    words = line.decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise Garbled(f"it says {line[:60]!r}, which is no HTTP")
    return words[0], int(words[1])


def _head(file: BinaryIO) -> dict[str, str]:
    """Return the fields behind the first line of an answer, or behind its last chunk."""
    fields: dict[str, str] = {}
    for _ in range(_MOST_FIELDS):
        line = _line_of(file)
        if not line:
            return fields
        name, _colon, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    raise Garbled(f"its answer has more than {_MOST_FIELDS} fields")


def _chunks(file: BinaryIO) -> bytes:
    parts = []
    while size := _number(_line_of(file).partition(";")[0], 16):
        parts.append(_exactly(file, size))
        _line_of(file)
    _head(file)
    return b"".join(parts)


def _line_of(file: BinaryIO) -> str:
    line = file.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionError("the connection was closed in the middle of an answer")
    return line.decode("latin-1").rstrip("\r\n")


def _exactly(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise ConnectionError(f"the connection was closed after {len(found)} of {size} bytes")
    return found


def _number(text: str, base: int) -> int:
    try:
        found = int(text, base)
    except ValueError:
        found = -1
    if found < 0:
        raise Garbled(f"its answer has {text[:60]!r} for a length")
    return found
