"""What the prober says to a service, and how it reads what comes back.

Only Python's standard library is needed: it runs inside the container.
"""

from __future__ import annotations

import socket

from probe import Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Answer: TypeAlias = "HttpAnswer | LineAnswer"

LONGEST_HEAD = 65_536
"""How many bytes the head of an answer may have, or a line of its body's chunks."""

_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27} | {
    char: ord(char) for char in "\\\"'"
}
_HEX, _OCTAL = frozenset("0123456789abcdefABCDEF"), frozenset("01234567")
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
FORMS = "http://HOST:PORT/PATH or tcp://HOST:PORT"


class Malformed(Exception):
    """What came is no answer by the protocol."""


def unescaped(text: str) -> bytes:
    r"""Return the bytes that a text with C's escapes stands for; others stand for themselves.

    Known are \a \b \e \f \n \r \t \v \\ \" \', up to three octal digits and \xHH. Raises Misuse.
    """
    found, at = bytearray(), 0
    while at < len(text):
        char = text[at]
        at += 1
        if char != "\\":
            found += char.encode("utf-8", "surrogateescape")
            continue
        kind = text[at : at + 1]
        digits, most, base = "", 0, 8
        if kind == "x":
            at, most, base, known = at + 1, 2, 16, _HEX
        elif kind in _OCTAL:
            most, known = 3, _OCTAL
        elif kind in _ESCAPES:
            found.append(_ESCAPES[kind])
            at += 1
            continue
        while len(digits) < most and text[at : at + 1] in known:
            digits += text[at]
            at += 1
        if not digits or int(digits, base) > 255:
            raise Misuse(f"the payload {text!r} has the unknown escape \\{kind}{digits}")
        found.append(int(digits, base))
    return bytes(found)


class Target:
    """What is asked: `request` are the bytes of one request; none if only a connection counts."""

    def __init__(self, url: str, payload: str | None = None) -> None:
        scheme, _, rest = url.partition("://")
        place, slash, path = rest.partition("/")
        host, _, port = place.rpartition(":")
        bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
        if scheme not in ("http", "tcp") or (scheme == "tcp" and slash):
            raise Misuse(f"{url!r} is not of the form {FORMS}")
        if not bare or not set(bare) <= (_HOST if bare is host else _HEX | {":", "."}):
            raise Misuse(f"{url!r} has no valid host: the form is {FORMS}")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise Misuse(f"{url!r} has no valid port: the form is {FORMS}")
        if not (path.isascii() and path.isprintable()) or set(path) & {" ", "#"}:
            raise Misuse(f"{url!r} has a path with characters that no request may have")
        if scheme == "http" and payload:
            raise Misuse("a payload is for tcp:// only")
        self.host, self.port, self.http = bare, int(port), scheme == "http"
        self.request = unescaped(payload or "")
        if self.http:
            head = f"GET /{path} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: cgbench\r\nAccept: */*"
            self.request = f"{head}\r\n\r\n".encode()
        self.family: int = socket.AF_INET
        self.address: Any = None

    def addresses(self) -> list[tuple[int, Any]]:
        """Return its addresses, each with its family. Raises Misuse where its name has none."""
        try:
            # As bytes, since a text would bring in the rules of international names.
            found = socket.getaddrinfo(self.host.encode(), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Misuse(f"cannot resolve {self.host}: {error.strerror}") from error
        return [(int(one[0]), one[4]) for one in found]

    def answer(self) -> Answer:
        """Return what takes the pieces of one answer."""
        return HttpAnswer() if self.http else LineAnswer()


class LineAnswer:
    """An answer of one line, taken in pieces; `keep` says whether its connection may go on."""

    __slots__ = ("fault", "keep")

    def __init__(self) -> None:
        self.keep, self.fault = True, 0

    def feed(self, data: bytes) -> bool:
        """Take a piece; say whether the answer is whole."""
        end = data.find(b"\n")
        self.keep = end in (-1, len(data) - 1)
        return end >= 0

    def ended(self) -> bool:
        """Say whether the answer is whole now that no more will come."""
        return False


_HEAD, _SIZE, _GAP, _TRAILER, _BODY, _CHUNK, _REST, _WHOLE = range(8)


class HttpAnswer:
    """An answer by HTTP/1.1 or 1.0, taken in pieces; its body is counted and not kept.

    Once it is whole, `fault` is minus its status unless that is 2xx or 3xx, and `keep` says whether
    its connection may go on. What raises Malformed does so wherever the pieces are cut.
    """

    __slots__ = ("_left", "_rest", "_stage", "fault", "keep")

    def __init__(self) -> None:
        self.keep, self.fault = True, 0
        self._stage, self._left, self._rest = _HEAD, 0, b""

    def feed(self, data: bytes) -> bool:
        """Take a piece; say whether the answer is whole. Raises Malformed."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while self._stage != _WHOLE:
            if self._stage in (_BODY, _CHUNK):
                taken = min(self._left, len(data) - at)
                at += taken
                self._left -= taken
                if self._left:
                    return False
                self._stage = _WHOLE if self._stage == _BODY else _GAP
                continue
            if self._stage == _REST:
                return False
            mark = b"\r\n\r\n" if self._stage == _HEAD else b"\r\n"
            if self._stage == _HEAD and not b"HTTP/1.".startswith(data[at : at + 7]):
                raise Malformed
            end = data.find(mark, at)
            if (len(data) - len(mark) + 1 if end < 0 else end) - at > LONGEST_HEAD:
                raise Malformed
            if end < 0:
                self._rest = data[at:]
                return False
            self._take(data[at:end])
            at = end + len(mark)
        self.keep = self.keep and at == len(data)
        return True

    def ended(self) -> bool:
        """Say whether the answer is whole now that no more will come."""
        return self._stage == _REST

    def _take(self, text: bytes) -> None:
        """Take a head, or a line of a body that comes in chunks."""
        if self._stage == _HEAD:
            self._take_head(text.split(b"\r\n"))
        elif self._stage == _GAP:
            if text:
                raise Malformed
            self._stage = _SIZE
        elif self._stage == _TRAILER:
            self._stage = _TRAILER if text else _WHOLE
        else:
            size = text.partition(b";")[0].strip()
            if not 0 < len(size) <= 16 or not set(size.decode("latin-1")) <= _HEX:
                raise Malformed
            self._left = int(size, 16)
            self._stage = _CHUNK if self._left else _TRAILER

    def _take_head(self, lines: list[bytes]) -> None:
        first, status = lines[0], lines[0][9:12]
        if not (first[8:9] == b" " and len(status) == 3 and status.isdigit()):
            raise Malformed
        if first[12:13] not in (b"", b" "):
            raise Malformed
        length, encoded, connection = None, b"", b""
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                value = value.strip()
                if not value.isdigit() or length not in (None, int(value)):
                    raise Malformed
                length = int(value)
            elif name == b"transfer-encoding":
                encoded = value.strip().lower()
            elif name == b"connection":
                connection = value.lower()
        code = int(status)
        if code < 200:
            # More is to come, or another protocol that nobody asked for: then nothing fits.
            return
        self.fault = 0 if code < 400 else -code
        self.keep = b"close" not in connection
        if first[:8] == b"HTTP/1.0":
            self.keep = b"keep-alive" in connection
        if code in (204, 304):
            self._stage = _WHOLE
        elif encoded.endswith(b"chunked"):
            self._stage = _SIZE
        elif encoded or length is None:
            self._stage, self.keep = _REST, False
        else:
            self._stage, self._left = _BODY, length
