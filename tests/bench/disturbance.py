"""Ten percent of made disturbance, by a process of its own that ends with the one that started it.

`hog` uses that much of one CPU, a millisecond at a time. `stops` stops the sampler of a measurement
and lets it go on, as a host does that is slow now and then; a workload that is stopped is
somebody's meddling, which cgbench names as such.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cgbench.host import procfs

SHARE = 0.1
_HOG_EVERY_S, _STOP_S = 0.010, 0.010
_SAMPLER = b"sampler_process.py"


@dataclass
class Made:
    """How much a disturbance really came to: in percent of a CPU, or of the sampler's time."""

    pct: float = float("nan")


@contextlib.contextmanager
def disturbed(kind: str) -> Iterator[Made]:
    """Disturb the measurements of this process meanwhile; then say how much that came to."""
    made = Made()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.disturbance", kind, str(os.getpid())],
        stdout=subprocess.PIPE, text=True, preexec_fn=_end_with_parent,
        # A Ctrl-C is for the one that started it.
        start_new_session=True,
    )  # fmt: skip
    try:
        yield made
    finally:
        process.terminate()
        said, _ = process.communicate()
        found = re.fullmatch(r"([0-9.]+)\n", said)
        made.pct = float(found[1]) if found else made.pct


def _end_with_parent() -> None:
    # 1 is PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def hog(_pid: int) -> Iterator[float]:
    """Use a share of one CPU; yield what it came to so far, in percent."""
    begin, used_s = time.monotonic(), time.process_time()
    deadline = begin
    while True:
        until = time.process_time() + SHARE * _HOG_EVERY_S
        while time.process_time() < until:
            pass
        deadline = max(deadline + _HOG_EVERY_S, time.monotonic() - _HOG_EVERY_S)
        time.sleep(max(0.0, deadline - time.monotonic()))
        yield 100 * (time.process_time() - used_s) / (time.monotonic() - begin)


def stops(pid: int) -> Iterator[float]:
    """Stop the samplers that descend from a process; yield for how much of their time so far."""
    stopped_s = seen_s = 0.0
    while True:
        begin = time.monotonic()
        found = [one for one in procfs.family(pid) if _SAMPLER in _command(one)]
        once_s = _stopped(found)
        stopped_s += once_s
        # A stop lasts longer where the disturber itself has to wait for a CPU.
        time.sleep(max(0.0, begin + max(once_s, _STOP_S) / SHARE - time.monotonic()))
        seen_s += (time.monotonic() - begin) if found else 0.0
        yield 100 * stopped_s / seen_s if seen_s else 0.0


def _stopped(pids: list[int]) -> float:
    """Stop processes for a while, and return for how long."""
    begin = time.monotonic()
    try:
        _send(pids, signal.SIGSTOP)
        time.sleep(_STOP_S)
    finally:
        _send(pids, signal.SIGCONT)
    return time.monotonic() - begin if pids else 0.0


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        # It has ended.
        return b""


KINDS: dict[str, Callable[[int], Iterator[float]]] = {"hog": hog, "stops": stops}


def main() -> None:
    """Disturb until somebody ends it, and print how much it came to."""
    kind, pid = sys.argv[1:]
    pct = 0.0
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(SystemExit):
        for pct in KINDS[kind](int(pid)):  # noqa: B007
            pass
    print(f"{pct:.2f}")


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    main()
