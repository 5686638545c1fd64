"""HTTP as it comes over a socket: heads, bodies and their framing, relayed as they are."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

_LONGEST_LINE = 2**16
_PART = 2**16


@dataclass(frozen=True)
class Head:
    """The first line and the fields of a message, as they came and apart."""

    raw: bytes
    first: tuple[str, ...]
    fields: Mapping[str, str]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first[1])

    @property
    def chunked(self) -> bool:
        """Whether its body comes in chunks."""
        return self.fields.get("transfer-encoding", "").lower() == "chunked"

    @property
    def length(self) -> int | None:
        """How many bytes its body has, None where that is not said."""
        return int(self.fields["content-length"]) if "content-length" in self.fields else None

    @property
    def raw_stream(self) -> bool:
        """Whether what follows an answer is no HTTP any more."""
        kind = self.fields.get("content-type", "")
        return self.status == 101 or kind.startswith("application/vnd.docker.raw-stream")


class Wire:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = cast(BinaryIO, connection.makefile("rb"))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def head(self) -> Head | None:
        """Return the head of the next message, None where the other end closed before one."""
        lines = [self._file.readline(_LONGEST_LINE)]
        while lines[-1] not in (b"\r\n", b""):
            lines.append(self._file.readline(_LONGEST_LINE))
        if lines[-1] == b"":
            return None
        first, *rest = (line.decode("latin-1").rstrip("\r\n") for line in lines[:-1])
        pairs = (line.partition(":") for line in rest)
        fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Head(b"".join(lines), tuple(first.split(" ", 2)), fields)

    def body(self, head: Head) -> bytes:
        """Return the whole body of a request or of an answer that has an end."""
        if not head.chunked:
            return self._file.read(head.length or 0)
        return b"".join(iter(self.chunk, b""))

    def chunk(self) -> bytes:
        """Return what is in the next chunk, nothing at the end. Raises ConnectionError without."""
        line = self._file.readline(_LONGEST_LINE)
        if not line:
            raise ConnectionError("the other end closed within a body")
        size = int(line.split(b";")[0], 16)
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("the other end closed within a chunk")
        self._file.readline(_LONGEST_LINE)
        return data

    def send(self, data: bytes) -> None:
        """Send bytes to the other end."""
        self.connection.sendall(data)

    def pass_body(self, head: Head, to: Wire, keep: Callable[[bytes], bytes] = bytes) -> None:
        """Pass a body on as it comes; of each chunk what is to be kept of it."""
        if head.chunked:
            self._pass_chunks(to, keep)
        else:
            self._pass(to, head.length or 0)

    def pass_rest(self, to: Wire) -> None:
        """Pass on whatever comes until an end closes."""
        # One that is gone has no more to say, and wants to hear no more.
        with contextlib.suppress(OSError):
            while part := self._file.read1(_PART):  # type: ignore[attr-defined]
                to.send(part)
        with contextlib.suppress(OSError):
            to.connection.shutdown(socket.SHUT_WR)

    def pass_both_ways(self, other: Wire) -> None:
        """Pass on whatever either end says until both have closed."""
        back = threading.Thread(target=other.pass_rest, args=(self,), daemon=True)
        back.start()
        self.pass_rest(other)
        back.join()

    def _pass(self, to: Wire, left: int) -> None:
        while left:
            part = self._file.read(min(left, _PART))
            if not part:
                raise ConnectionError("the other end closed within a body")
            to.send(part)
            left -= len(part)

    def _pass_chunks(self, to: Wire, keep: Callable[[bytes], bytes]) -> None:
        for data in iter(self.chunk, b""):
            if kept := keep(data):
                to.send(b"%x\r\n%s\r\n" % (len(kept), kept))
        to.send(b"0\r\n\r\n")


def connected(path: str) -> socket.socket:
    """Return a connection to a socket of this host."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection
