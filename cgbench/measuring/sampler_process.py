"""The sampler process: reads files on absolute deadlines and spools what changed.

Run as a script, alone: it imports nothing of cgbench and little of Python, so that it starts in
milliseconds and has no garbage to collect. It gets one JSON object on standard input,

    {"files": [path, ...], "slow": [index, ...], "period_ns": n, "slow_every": n,
     "spool": path, "priority": n, "limit_s": n, "forgiving": bool}

answers with one JSON line when it is ready, samples until it gets SIGTERM, its parent dies or
`limit_s` passes, and answers with a second JSON line of its own figures. A file that is not there
ends it at once, unless it is forgiving: then that file is one that could not be read.

The spool is a sequence of records, each `<u4 tick><u2 file><u2 length>` and `length` bytes:
a file's content, written only where it differs from the reading before, so nothing is lost and
little is kept. Length 0xFFFF means that the file could not be read any more. The pseudo-file
0xFFFF carries one tick: `<i8 deadline number><i8 begin><i8 end>`, in CLOCK_MONOTONIC nanoseconds.
Slow files are read at the deadlines whose number `slow_every` divides.

Real-time scheduling is given up, and the figures say so, where it could starve the host: after
MISSED_TURNS turns in a row that missed a deadline, after a second in which more than MOST_SHARE of
a CPU was used, and by the kernel's own limit RLIMIT_RTTIME.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from struct import Struct

HEADER = Struct("<IHH")
TICK = Struct("<IHHqqq")
TICK_FILE = 0xFFFF
GONE = 0xFFFF
# One write() of this size takes some ten microseconds, little enough for a 1 ms period.
FLUSH_BYTES = 1 << 15
# Slow files may grow while we watch: io.stat gains a line with each new device.
SLOW_BYTES = 1 << 15
# One long hold-up is one turn, however many deadlines pass in it: only a process that cannot keep
# up misses in turn after turn.
MISSED_TURNS = 100
MOST_SHARE = 0.75
# Real-time CPU time in one go, without a single sleep: then the kernel sends SIGXCPU, and SIGKILL
# a second later (setrlimit(2)).
LONGEST_TURN_US = 1_000_000


def _become_exact(priority: int) -> str:
    """Ask for real-time scheduling, else for niceness; return what was granted."""
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_pdeathsig, mcl_current_and_future = 1, 3
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)
    libc.mlockall(mcl_current_and_future)
    # ValueError: a lower limit is in force already, which only root may raise.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_RTTIME, (LONGEST_TURN_US, 2 * LONGEST_TURN_US))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return f"SCHED_FIFO {priority}"
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        return "SCHED_OTHER nice -20"
    return f"SCHED_OTHER nice {os.getpriority(os.PRIO_PROCESS, 0)}"


class Brake:
    """Gives real-time scheduling up, once; `why` says for what, and is empty until then."""

    def __init__(self) -> None:
        self.why = ""

    def step_down(self, why: str) -> None:
        """Go on as an ordinary process."""
        if not self.why:
            self.why = why
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def words(self, scheduling: str) -> str:
        """Return how the process was scheduled, with the reason where that changed."""
        return f"{scheduling}, then SCHED_OTHER: {self.why}" if self.why else scheduling


def _write(spool: int, out: bytearray) -> None:
    """Write all of `out` and empty it; a full file system raises, a short write is gone on with."""
    while out:
        del out[: os.write(spool, out)]


def _open(path: str, forgiving: bool) -> tuple[int, int]:
    """Return a file's descriptor and size; -1, of which nothing is read, for one forgiven."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return descriptor, len(os.pread(descriptor, 4096, 0))
    except OSError:
        if not forgiving:
            raise
        return -1, 0


def main() -> int:
    """Sample until asked to stop; return the exit status."""
    spec = json.loads(sys.stdin.readline())
    # A flag, not an exception: an exception could fall between a reading and its record.
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    opened = [_open(path, spec.get("forgiving", False)) for path in spec["files"]]
    spool = os.open(spec["spool"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    slow_set = set(spec["slow"])
    fast = [
        (file, descriptor, 2 * size + 64)
        for file, (descriptor, size) in enumerate(opened)
        if file not in slow_set
    ]
    slow = [(file, opened[file][0], SLOW_BYTES) for file in sorted(slow_set)]
    brake = Brake()
    signal.signal(signal.SIGXCPU, lambda *_: brake.step_down("a turn took 1 s of CPU time"))
    scheduling = _become_exact(spec["priority"])
    gc.collect()
    gc.disable()
    print(json.dumps({"ready": True, "scheduling": scheduling}), flush=True)
    pace = (spec["period_ns"], spec["slow_every"], spec["limit_s"])
    figures = sample(fast, slow, spool, pace, stop, brake.step_down)
    print(json.dumps(figures | {"scheduling": brake.words(scheduling)}), flush=True)
    return 0


def _next_deadline(
    number: int, start: int, period: int, clock: Callable[[], int], sleep: Callable[[float], None]
) -> int:
    """Sleep until the next deadline that is ahead, and return its number.

    Those that have passed are left out, never bunched up.
    """
    number += 1
    ahead = start + number * period - clock()
    if ahead <= 0:
        number += 1 + -ahead // period
        ahead = max(0, start + number * period - clock())
    sleep(ahead * 1e-9)
    return number


def sample(
    fast: list[tuple[int, int, int]],
    slow: list[tuple[int, int, int]],
    spool: int,
    pace: tuple[int, int, float],
    stop: list[int],
    step_down: Callable[[str], None],
) -> dict[str, int]:
    """Read `fast` every period and `slow` every `slow_every`-th time, until `stop` is filled.

    Entries are (file number, descriptor, usual size); `pace` is (period in ns, slow_every, limit
    in s). `step_down` gets the reason when it takes too much of a CPU, or cannot keep up. Returns
    the time deadline 0 fell on, ticks taken, deadlines missed, and CPU and wall time in ns.
    """
    period, slow_every, limit_s = pace
    clock, sleep, pread = time.monotonic_ns, time.sleep, os.pread
    pack, pack_tick = HEADER.pack, TICK.pack
    previous: list[bytes | None] = [None] * (len(fast) + len(slow))
    out = bytearray()
    number = tick = missed_turns = 0
    every = [*fast, *slow]
    cpu_before, start = time.process_time_ns(), clock()
    last_number = int(limit_s * 1e9) // period
    a_second, checked, used = 1_000_000_000 // period, 0, cpu_before
    while number < last_number and not stop:
        before = number
        number = _next_deadline(number, start, period, clock, sleep)
        begin = clock()
        missed_turns = missed_turns + 1 if number > before + 1 else 0
        if missed_turns == MISSED_TURNS:
            step_down(f"it missed a deadline in {MISSED_TURNS} turns in a row")
        if number - checked >= a_second:
            now = time.process_time_ns()
            if now - used > MOST_SHARE * (number - checked) * period:
                step_down(f"it used more than {MOST_SHARE:.0%} of a CPU")
            checked, used = number, now
        for file, descriptor, size in fast if number % slow_every else every:
            try:
                content = pread(descriptor, size, 0)
                if len(content) == size:
                    # It has grown beyond what it was at the beginning, and may be cut off here.
                    content = pread(descriptor, SLOW_BYTES, 0)
            except OSError:
                content = None
            if content != previous[file]:
                previous[file] = content
                out += pack(tick, file, GONE if content is None else len(content))
                out += content or b""
        out += pack_tick(tick, TICK_FILE, 24, number, begin, clock())
        tick += 1
        if len(out) > FLUSH_BYTES:
            _write(spool, out)
    _write(spool, out)
    return {
        "start_ns": start,
        "ticks": tick,
        "missed": number - tick,
        "cpu_ns": time.process_time_ns() - cpu_before,
        "wall_ns": clock() - start,
    }


if __name__ == "__main__":
    sys.exit(main())
