"""Signals that whoever started this process had ignored, as `nohup` and a shell's `&` do."""

from __future__ import annotations

import signal


def heed() -> None:
    """Let Ctrl-C and SIGHUP end what this process starts: that inherits what is ignored."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
