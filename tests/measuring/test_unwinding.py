"""Taking down is whole: an interrupt neither cuts it short nor gets lost in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from cgbench.errors import EngineError
from cgbench.host.interrupts import Interrupted
from cgbench.measuring.unwinding import UndisturbedExit


@pytest.fixture
def interrupting() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interrupting")
def test_an_interrupt_in_the_taking_down_comes_after_it() -> None:
    done: list[str] = []

    def take_down(name: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append(name)

    def use() -> None:
        with UndisturbedExit() as stack:
            stack.callback(take_down, "first")
            stack.callback(take_down, "second")

    with pytest.raises(Interrupted):
        use()
    assert done == ["second", "first"]


def _refuse() -> None:
    raise EngineError("cannot remove it")


@pytest.mark.parametrize("error", [Interrupted(), KeyboardInterrupt()])
def test_an_interrupt_stays_one_when_something_cannot_be_taken_down(error: BaseException) -> None:
    def use() -> None:
        with UndisturbedExit() as stack:
            stack.callback(_refuse)
            raise error

    with pytest.raises(type(error)) as caught:
        use()
    assert caught.value.__notes__ == ["cannot remove it"]


def test_without_one_the_refusal_is_raised() -> None:
    with pytest.raises(EngineError), UndisturbedExit() as stack:
        stack.callback(_refuse)
