"""Ctrl-C, SIGTERM and a lost terminal: the first one stops the work, the third ends the process."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

STATUS = 130
"""The exit status after an interrupt."""

_AT_ONCE = 3
_SHOW_CURSOR = "\x1b[?25h"


class Interrupted(BaseException):
    """The work was interrupted; not KeyboardInterrupt, which typer would end with status 1."""


class _Interrupts:
    """Counts the signals that came; knows whether the work was stopped for them, or is over."""

    def __init__(self) -> None:
        self.installed = self.stopping = self.over = False
        self.came = 0

    def note(self, number: int) -> None:
        """Count a signal; the third ends the process, whatever it is doing."""
        # A terminal that goes away sends one signal for each of its deaths, nobody presses it.
        if not self.installed or number == signal.SIGHUP:
            return
        self.came += 1
        if self.came >= _AT_ONCE:
            _say("ended at once; what it left is removed by `cgbench clean`")
            os._exit(STATUS)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Stop the work at the first signal; later ones must not cut the cleaning up short."""
        self.note(number)
        if self.over:
            return
        if not self.stopping:
            self.stopping = True
            raise Interrupted
        _say("cleaning up; interrupt once more to end at once")


_state = _Interrupts()


def install() -> None:
    """Raise Interrupted in the main thread when one of the signals comes.

    A process that was started to outlive its terminal (nohup) goes on when that is closed.
    """
    _state.installed = True
    atexit.register(_ignore)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _state.handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _state.handle)


def work_is_over() -> None:
    """Raise nothing any more: all is done, and who ends Python would show a traceback.

    The third signal still ends the process, should something keep it.
    """
    _state.over = True


def require_none() -> None:
    """Raise Interrupted once more where the work goes on although it was interrupted.

    Code in C may drop what is raised while it imports a module or calls back. To be called while
    work is done, and never while it is taken down.
    """
    if _state.stopping:
        raise Interrupted


def put_off(number: int) -> None:
    """Count a signal that is handled later."""
    _state.note(number)


def handle_now(number: int) -> None:
    """Raise a signal that was put off: it has been counted already."""
    if _state.installed and number != signal.SIGHUP:
        _state.came -= 1
    signal.raise_signal(number)


def _ignore() -> None:
    """Ignore what comes while Python ends: all is done, and its default would change the status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _say(what: str) -> None:
    # A display may have hidden the cursor; nobody is left to show it again.
    cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
    os.write(2, f"{cursor}cgbench: {what}\n".encode())
