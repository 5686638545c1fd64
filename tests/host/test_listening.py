"""Who listens, by the kernel's tables: of a real process, and of texts good and odd."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cgbench.host.listening import Listener, listeners, parsed

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
TCP = HEAD + (
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 1 1\n"
    "   1: 0100007F:1F91 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000  0 0 2 1\n"
)
TCP6 = HEAD + (
    "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0\n"
)


def test_a_real_listener_is_found_and_a_closed_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Listener("127.0.0.1", port) in listeners(os.getpid())
    assert all(one.port != port for one in listeners(os.getpid()))


def test_only_those_who_listen_are_named() -> None:
    assert list(parsed(TCP)) == [Listener("127.0.0.1", 8080)]
    assert list(parsed(TCP6)) == [Listener("::", 80)]
    assert [str(one) for one in (*parsed(TCP), *parsed(TCP6))] == ["127.0.0.1:8080", "[::]:80"]


def test_a_process_that_has_ended_listens_on_nothing(tmp_path: Path) -> None:
    assert listeners(1, tmp_path) == []


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert list(parsed(HEAD + text)) == [] or " 0A" in text


def test_malformed_lines_are_left_out() -> None:
    odd = HEAD + "   0: zz:1F90 0 0A\n   1: 0100007F 0 0A\n   2: 01:1F90 0 0A\n\n"
    assert list(parsed(odd)) == []
