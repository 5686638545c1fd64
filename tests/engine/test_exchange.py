"""Questions over a socket: an answer is understood however it is framed, and no half of one."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.engine.exchange import FAILURES, Exchange, Garbled, Reply

LIMIT_S = 10.0
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Serve = Callable[[socket.socket], None]
_numbers = itertools.count()


@contextmanager
def served(folder: Path, *serves: Serve) -> Iterator[tuple[Exchange, list[bytes]]]:
    """Serve one connection after the other; yield who asks, and what it asked."""
    path = str(folder / f"sock-{next(_numbers)}")
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def accept() -> None:
            for serve in serves:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    # Fewer were needed.
                    return
                # One that is closed with an answer unread is reset.
                with connection, suppress(ConnectionResetError):
                    while request := _request(connection):
                        asked.append(request)
                        serve(connection)
                        if serve not in LASTING:
                            break

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        exchange = Exchange(path, {"X-Token": "abc"})
        try:
            yield exchange, asked
        finally:
            exchange.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(LIMIT_S)


def _request(connection: socket.socket) -> bytes:
    """Return one request with its body, nothing where the other end has closed."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(4096)
        if not part:
            return b""
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    wanted = int(lengths[0].split()[1]) if lengths else 0
    while len(body) < wanted:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def sends(*parts: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        # Who has heard enough may close before the last part, which may be empty.
        with suppress(BrokenPipeError):
            for part in parts:
                connection.sendall(part)

    return serve


def lasting(connection: socket.socket) -> None:
    with suppress(BrokenPipeError):
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")


LASTING = {lasting}


def answered(folder: Path, *parts: bytes) -> Reply:
    with served(folder, sends(*parts)) as (exchange, _asked):
        return exchange.ask("GET", "/x", LIMIT_S)


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    found, at = b"", 0
    for size in (*sizes, len(body)):
        if part := body[at : at + size]:
            found += b"%x\r\n%s\r\n" % (len(part), part)
        at += size
    return found + b"0\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exchange")


@given(
    body=st.binary(max_size=300),
    framing=st.sampled_from(["chunked", "length", "until it closes"]),
    sizes=st.lists(st.integers(1, 50), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=5),
    status=st.sampled_from([200, 404, 500]),
)
@settings(deadline=None, max_examples=60)
def test_a_body_is_the_same_however_it_is_framed_and_cut(
    folder: Path, body: bytes, framing: str, sizes: list[int], cuts: list[int], status: int
) -> None:
    head = b"HTTP/1.1 %d Something\r\nServer: x\r\n" % status
    answer = {
        "chunked": head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes),
        "length": head + b"content-length: %d\r\n\r\n" % len(body) + body,
        "until it closes": head + b"\r\n" + body,
    }[framing]
    places = sorted({0, *cuts, len(answer)})
    parts = [answer[at:to] for at, to in itertools.pairwise(places)]
    assert answered(folder, *parts) == Reply(status, body)


def test_a_request_says_what_is_wanted_and_what_the_user_adds(folder: Path) -> None:
    with served(folder, lasting) as (exchange, asked):
        exchange.ask("GET", "/v1/a?b=c", LIMIT_S)
        exchange.ask("POST", "/v1/a", LIMIT_S, b'{"a": 1}')
        exchange.ask("POST", "/v1/a", LIMIT_S)
        exchange.ask("DELETE", "/v1/a", LIMIT_S)
    get, post, empty, delete = asked
    assert get == b"GET /v1/a?b=c HTTP/1.1\r\nHost: localhost\r\nX-Token: abc\r\n\r\n"
    assert post.startswith(b"POST /v1/a HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 8\r\n" in post
    assert post.endswith(b'\r\n\r\n{"a": 1}')
    assert b"Content-Type" not in empty
    assert b"\r\nContent-Length: 0\r\n" in empty
    assert delete.startswith(b"DELETE /v1/a HTTP/1.1\r\n")


def test_one_connection_serves_many_questions(folder: Path) -> None:
    with served(folder, lasting) as (exchange, asked):
        for _ in range(5):
            assert exchange.ask("GET", "/x", LIMIT_S).json() == {}
    assert len(asked) == 5


@pytest.mark.parametrize(
    "ends",
    [
        sends(OK + b"Content-Length: 2\r\n\r\n{}"),
        sends(OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}"),
        sends(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    ],
    ids=["without a word", "with a word", "as it always does"],
)
def test_a_connection_that_the_daemon_closed_is_not_used_again(folder: Path, ends: Serve) -> None:
    with served(folder, ends, lasting) as (exchange, asked):
        exchange.ask("GET", "/x", LIMIT_S)
        # It closes once it has answered, and a little later this end hears of it.
        limit = time.monotonic() + LIMIT_S
        while not all(line.has_ended() for line in exchange._idle):
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert exchange.ask("GET", "/x", LIMIT_S).status == 200
    assert len(asked) == 2


def test_an_answer_without_a_body_needs_no_length(folder: Path) -> None:
    assert answered(folder, b"HTTP/1.1 204 No Content\r\n\r\n") == Reply(204, b"")


def test_what_only_says_that_a_request_may_go_on_is_no_answer(folder: Path) -> None:
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered(folder, go_on, OK + b"Content-Length: 1\r\n\r\n5") == Reply(200, b"5")


@pytest.mark.parametrize(
    "said",
    [
        b"", b"HTTP/1.1 200 OK", OK, OK + b"Content-Length: 5\r\n",
        OK + b"Content-Length: 5\r\n\r\nab", CHUNKED, CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nab\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_is_no_shorter_answer(folder: Path, said: bytes) -> None:
    with pytest.raises(ConnectionError, match="closed"):
        answered(folder, said)


@pytest.mark.parametrize(
    "said",
    [
        b"what?\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 fine\r\n\r\n", b"HTTP/2 200\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n", OK + b"Content-Length: -1\r\n\r\n",
        CHUNKED + b"lots\r\n", OK + b"A: b\r\n" * 300 + b"\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_is_shown_on_one_line(folder: Path, said: bytes) -> None:
    with pytest.raises(Garbled) as caught:
        answered(folder, said)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FAILURES)


def test_a_daemon_that_is_silent_for_too_long_is_given_up_and_its_late_answer_not_heard(
    folder: Path,
) -> None:
    gate = threading.Event()

    def late(connection: socket.socket) -> None:
        gate.wait(LIMIT_S)
        with suppress(BrokenPipeError):
            connection.sendall(OK + b"Content-Length: 4\r\n\r\nlate")

    with served(folder, late, lasting) as (exchange, _asked):
        with pytest.raises(TimeoutError):
            exchange.ask("GET", "/slow", 0.1)
        gate.set()
        assert exchange.ask("GET", "/next", LIMIT_S) == Reply(200, b"{}")


def test_questions_that_wait_together_are_given_up_together(folder: Path) -> None:
    gate = threading.Event()

    def silent(_connection: socket.socket) -> None:
        gate.wait(LIMIT_S)

    with served(folder, silent) as (exchange, _asked):
        began = time.monotonic()
        # The others wait for the daemon to take their connection.
        questions = [exchange.begin("GET", "/x", 0.3) for _ in range(4)]
        for question in questions:
            with pytest.raises(TimeoutError):
                question.answer(0.3)
        assert 0.3 <= time.monotonic() - began < 0.3 * 3
        gate.set()


def test_a_question_that_is_dropped_is_answered_to_nobody(folder: Path) -> None:
    with served(folder, lasting, lasting) as (exchange, asked):
        exchange.begin("GET", "/dropped", LIMIT_S).drop()
        assert exchange.ask("GET", "/x", LIMIT_S).json() == {}
    assert len(asked) == 2


def test_nobody_who_listens_is_an_error_of_the_system(tmp_path: Path) -> None:
    for path in ("absent", "no socket"):
        (tmp_path / "no socket").touch()
        with pytest.raises(OSError, match=r"No such file|refused"):
            Exchange(str(tmp_path / path), {}).open(LIMIT_S)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": " no space left\\n"}', "no space left"),
        (b'{"cause": "x"}', '{"cause": "x"}'),
        (b"<html>no", "<html>no"),
        (b"[1]", "[1]"),
        (b"", "HTTP status 500"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
        (b"x" * 999, "x" * 200),
    ],
)
def test_what_a_daemon_says_where_it_refuses_is_found(body: bytes, message: str) -> None:
    assert Reply(500, body).message == message


def test_several_threads_ask_at_once(folder: Path) -> None:
    with served(folder, *[lasting] * 4) as (exchange, asked):
        found: list[Reply] = []
        threads = [
            threading.Thread(target=lambda: found.append(exchange.ask("GET", "/x", LIMIT_S)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        # They are served one connection after the other: the rest of the test closes each.
        limit = time.monotonic() + LIMIT_S
        while len(found) < 4 and time.monotonic() < limit:
            exchange.close()
            time.sleep(0.01)
        for thread in threads:
            thread.join()
    assert found == [Reply(200, b"{}")] * 4
    assert len(asked) == 4
