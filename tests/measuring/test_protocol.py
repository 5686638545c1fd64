"""What the prober sends and how it reads answers: whatever the pieces, the result is the same."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made.inside import inside
from tests.made.service import ANSWERS

protocol = inside("protocol")
Misuse = inside("probe").Misuse

# The payload


def _escaped(byte: int, how: int) -> str:
    """Write a byte in one of the ways in which it can be written."""
    named = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 27: r"\e",
             34: r"\"", 39: r"\'", 92: r"\\"}  # fmt: skip
    if how == 0 and byte in named:
        return named[byte]
    if how == 1 and 32 <= byte < 127 and byte != 92:
        return chr(byte)
    return f"\\x{byte:02x}" if how == 2 else f"\\{byte:03o}"


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 3))))
def test_every_way_to_write_a_byte_stands_for_it(written: list[tuple[int, int]]) -> None:
    text = "".join(_escaped(*one) for one in written)
    assert protocol.unescaped(text) == bytes(byte for byte, _ in written)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_text_without_escapes_is_sent_as_it_is(text: str) -> None:
    assert protocol.unescaped(text) == text.encode()


def test_what_is_no_text_on_the_command_line_is_sent_as_its_bytes() -> None:
    assert protocol.unescaped("\udcff\\r") == b"\xff\r"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"PING\r\n", b"PING\r\n"),
        (r"\0", b"\0"),
        (r"\1234", b"S4"),
        (r"\x4", b"\x04"),
        (r"\x414", b"A4"),
        ("", b""),
    ],
)
def test_escapes_end_where_those_of_c_end(text: str, found: bytes) -> None:
    assert protocol.unescaped(text) == found


@pytest.mark.parametrize("text", ["\\", r"a\q", r"\x", r"\xg", r"\8", r"\400", r"\u0041"])
def test_an_unknown_escape_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(Misuse, match="has the unknown escape") as caught:
        protocol.unescaped(text)
    assert repr(text) in str(caught.value)


# The URL

_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_paths = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"))


@given(_names | st.just("[::1]"), st.integers(1, 65_535), st.none() | _paths)
def test_a_url_is_taken_apart_as_it_was_put_together(
    host: str, port: int, path: str | None
) -> None:
    target = protocol.Target(f"http://{host}:{port}" + ("" if path is None else f"/{path}"))
    assert (target.host, target.port) == (host.strip("[]"), port)
    first, second, *_ = target.request.decode().split("\r\n")
    assert first == f"GET /{path or ''} HTTP/1.1"
    assert second == f"Host: {host}:{port}"
    assert target.request.endswith(b"\r\n\r\n")
    assert target.request.count(b"\r\n\r\n") == 1


@given(_names, st.integers(1, 65_535))
def test_a_place_and_a_payload_make_a_target_of_tcp(host: str, port: int) -> None:
    target = protocol.Target(f"tcp://{host}:{port}", r"PING\r\n")
    assert (target.host, target.port, target.request) == (host, port, b"PING\r\n")
    assert protocol.Target(f"tcp://{host}:{port}").request == b""


@given(st.text())
def test_whatever_a_url_is_nothing_but_a_complaint_comes_of_it(url: str) -> None:
    try:
        target = protocol.Target(url)
    except Misuse as caught:
        refused: str | None = str(caught)
    else:
        refused = None
        assert url.startswith(("http://", "tcp://"))
        assert 0 < target.port < 65_536
    assert "\n" not in (refused or "")


@pytest.mark.parametrize(
    ("url", "payload", "complaint"),
    [
        ("https://a:1/", None, "is not of the form http://HOST:PORT/PATH or tcp://HOST:PORT"),
        ("a:1/", None, "is not of the form"),
        ("tcp://a:1/", "PING", "is not of the form"),
        ("http://a/", None, "has no valid host"),
        ("http://:80/", None, "has no valid host"),
        ("http://user@a:80/", None, "has no valid host"),
        ("http://::1:80/", None, "has no valid host"),
        ("http://[a]x:80/", None, "has no valid host"),
        ("http://a:/", None, "has no valid port"),
        ("http://a:0/", None, "has no valid port"),
        ("http://a:65536/", None, "has no valid port"),
        ("http://a:٣/", None, "has no valid port"),
        ("http://a:80?b", None, "has no valid port"),
        ("http://a:80/b c", None, "has a path with characters"),
        ("http://a:80/b\r\nX: y", None, "has a path with characters"),
        ("http://a:80/#b", None, "has a path with characters"),
        ("http://a:80/", "PING", "a payload is for tcp:// only"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(
    url: str, payload: str | None, complaint: str
) -> None:
    with pytest.raises(Misuse) as caught:
        protocol.Target(url, payload)
    assert complaint in str(caught.value)


def test_an_empty_payload_beside_http_is_none() -> None:
    assert protocol.Target("http://a:80/", "").request.startswith(b"GET / ")


def test_a_name_has_addresses_and_one_without_is_said() -> None:
    found = protocol.Target("http://127.0.0.1:81/").addresses()
    assert (socket.AF_INET, ("127.0.0.1", 81)) in found
    with pytest.raises(Misuse, match=r"cannot resolve no-such-name\.invalid: "):
        protocol.Target("http://no-such-name.invalid:80/").addresses()


# Answers

Outcome = tuple[str, int, bool]


def fed(pieces: Sequence[bytes], answer: Any) -> Outcome:
    """Return what comes of an answer in pieces: what it is, its fault, whether it may go on."""
    for number, piece in enumerate(pieces):
        try:
            whole = answer.feed(piece)
        except protocol.Malformed:
            return ("malformed", 0, False)
        if whole:
            rest = any(pieces[number + 1 :])
            return ("whole", answer.fault, answer.keep and not rest)
    return ("whole at its end" if answer.ended() else "incomplete", 0, False)


@st.composite
def cut(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """Draw a content, and pieces that make it up."""
    content = draw(contents)
    places = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    ends = [*places, len(content)]
    return content, [content[a:b] for a, b in zip([0, *places], ends, strict=True)]


_BODIES = st.binary(max_size=300)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, bool]:
    """Draw a whole answer by HTTP, its status, and whether its connection may go on."""
    status = draw(st.sampled_from([200, 201, 299, 302, 399, 400, 404, 500, 503]))
    old, says = draw(st.booleans()), draw(st.sampled_from([b"", b"close", b"Keep-Alive"]))
    body, chunked = draw(_BODIES), draw(st.booleans())
    lines = [b"HTTP/1.%d %d %s" % (0 if old else 1, status, draw(st.sampled_from([b"", b"Why"])))]
    lines += draw(st.lists(st.sampled_from([b"Server: x", b"X-Empty:", b"Date: a:b"]), max_size=3))
    if says:
        lines.append(b"connection: " + says)
    lines.append(b"Transfer-Encoding: chunked" if chunked else b"CONTENT-LENGTH:  %d" % len(body))
    if chunked:
        size = draw(st.integers(1, 100))
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    early = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    keep = says == b"Keep-Alive" if old else says != b"close"
    return early + b"\r\n".join([*lines, b"", b""]) + body, status, keep


@given(st.data(), answers())
def test_an_answer_is_whole_with_its_last_byte_wherever_it_is_cut(
    data: st.DataObject, made: tuple[bytes, int, bool]
) -> None:
    content, status, keep = made
    _, pieces = data.draw(cut(st.just(content)))
    right = ("whole", 0 if status < 400 else -status, keep)
    assert fed([content], protocol.HttpAnswer()) == right
    assert fed(pieces, protocol.HttpAnswer()) == right
    assert fed([content[:-1]], protocol.HttpAnswer())[0] == "incomplete"
    assert fed([content, b"more"], protocol.HttpAnswer()) == (*right[:2], False)


_PARTS = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.0 503 No", b"HTTP/1.1 204 No", b"HTTP/2 200", b"HTTP/1.1 1 x",
    b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"Content-Length: 3", b"Content-Length: 4",
    b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b":",
    b"Connection: close", b"3", b"0", b"abc", b"FFFFFFFFFFFFFFFFF", b"x;y", b" ", b"",
])  # fmt: skip


@given(cut(st.lists(_PARTS, max_size=14).map(b"".join) | st.binary(max_size=60)))
def test_whatever_comes_means_the_same_in_any_pieces(made: tuple[bytes, list[bytes]]) -> None:
    content, pieces = made
    assert fed(pieces, protocol.HttpAnswer()) == fed([content], protocol.HttpAnswer())


@given(cut(st.lists(st.sampled_from([b"a", b"\r", b"\n", b""]), max_size=6).map(b"".join)))
def test_a_line_means_the_same_in_any_pieces(made: tuple[bytes, list[bytes]]) -> None:
    content, pieces = made
    one = fed([content], protocol.LineAnswer())
    assert fed(pieces, protocol.LineAnswer()) == one
    assert (one[0] == "whole") == (b"\n" in content)
    assert one[2] == (content.find(b"\n") == len(content) - 1 and content != b"")


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        ("good", ("whole", 0, True)),
        ("closes", ("whole", 0, False)),
        ("old", ("whole at its end", 0, False)),
        ("chunked", ("whole", 0, True)),
        ("moved", ("whole", 0, True)),
        ("nothing", ("whole", 0, True)),
        ("broken", ("whole", -500, True)),
        ("garbage", ("malformed", 0, False)),
        ("short", ("incomplete", 0, False)),
    ],
)
def test_the_answers_of_the_service_of_these_tests_are_what_they_are_called(
    mood: str, outcome: Outcome
) -> None:
    assert fed([ANSWERS[mood]], protocol.HttpAnswer()) == outcome


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_is_no_longer_than_allowed_in_any_pieces(more: int) -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
    head = first + b"x" * (protocol.LONGEST_HEAD - len(first) + more)
    right = "malformed" if more else "whole"
    for pieces in ([head + b"\r\n\r\n"], [head, b"\r\n\r\n"], [head + b"\r\n\r", b"\n"]):
        assert fed(pieces, protocol.HttpAnswer())[0] == right


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1200 OK", b"HTTP/1.1 abc OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3", b"HTTP/1.1 200 OK\r\nContent-Length:",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_malformed(head: bytes) -> None:
    assert fed([head + b"\r\n\r\n"], protocol.HttpAnswer())[0] == "malformed"
