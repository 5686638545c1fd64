"""A workload works for as long as cgbench lives: a file says until when, again and again."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cgbench.errors import ProbeError
from cgbench.units import NS_PER_S

LIFE_S = 8.0
"""How long the work goes on after the last beat: a host that is busy delays one, not eight."""

_EVERY_S = 1.0
# Word 14 of the header; workloads/probe.py describes the layout.
_OFFSET = 8 * 14


_BESIDE = ("python3", "-I", "-S", "/opt/cgbench/probe.py", "--beside")
_PAGE = 4096


def followed(path: Path, inside: str, argv: Sequence[str]) -> list[str]:
    """Make a file for the beats of a program that is no probe; return what to start for it.

    `inside` is where the container finds the file. Raises ProbeError where it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(_PAGE))
    except OSError as error:
        raise ProbeError(f"cannot make {path}: {error.strerror}") from error
    return [*_BESIDE, inside, *argv]


@contextmanager
def beating(path: Path, every_s: float = _EVERY_S, life_s: float = LIFE_S) -> Iterator[None]:
    """Let the work of a container go on until the end, or until this process dies.

    Raises ProbeError when its file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise ProbeError(f"cannot open {path}: {error.strerror}") from error
    over = threading.Event()

    def beat_now() -> None:
        until = time.monotonic_ns() + int(life_s * NS_PER_S)
        # Where memory is full the work ends itself soon, and with it the trial.
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, struct.pack("<q", until), _OFFSET)

    def beat() -> None:
        while not over.wait(every_s):
            beat_now()

    try:
        beat_now()
        # Not the main thread's: that one waits for Docker, for as long as a minute.
        thread = threading.Thread(target=beat, name="cgbench-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    finally:
        os.close(descriptor)
