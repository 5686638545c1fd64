"""What was ignored from outside ends a process again; what was chosen stays."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.made.heeded_signals import heed


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "handler"),
    [(signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)],
)
def test_a_signal_that_was_ignored_is_heeded(number: signal.Signals, handler: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    heed()
    assert signal.getsignal(number) == handler


def test_a_handler_of_our_own_stays() -> None:
    def mine(*_: object) -> None: ...

    signal.signal(signal.SIGHUP, mine)
    heed()
    assert signal.getsignal(signal.SIGHUP) is mine
