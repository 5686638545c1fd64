"""Whether the prober sees what a service does, and what it costs: `python -m tests.bench.prober`.

A service of which the schedule is known stands still for 200 ms every four seconds. What the prober
reports of it is compared with what follows from that schedule, and with a reference written apart
from it. Beside that stands what a closed loop reports, which waits for each answer before it asks
again, and what `wrk` does, which is one and fills in afterwards what it guesses it left out.

The host should have nothing else to do. Exit status 1 if a bar was missed.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from cgbench.host import preconditions
from cgbench.measuring.probe import ProbeFile, Task, WorkerLog
from tests.bench.figure import Figure, at_most
from tests.made.inside import FOLDER
from tests.made.service import OK, Stalls, bound

MS, S = 1_000_000, 1_000_000_000
PERIOD_NS, STALL_NS, SERVICE_NS = 4 * S, 200 * MS, 20 * MS
PACE_NS, SECONDS, CONNECTIONS = 2 * MS, 20.0, 256
CLOSED_CONNECTIONS = 8
FAST_PACE_NS, FAST_SECONDS, FAST_CONNECTIONS = 100_000, 10.0, 32
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Schedule:
    """When a service answers: a while after it was asked, unless it stands still then."""

    stalls: Stalls
    service_ns: int

    def latency_ns(self, due_ns: int) -> int:
        """Return how long the answer takes to what is asked at a time."""
        return self.stalls.over_ns(due_ns + self.service_ns) - due_ns


NONE = Schedule(Stalls(0, S, 0), 0)


def serve(listener: socket.socket, schedule: Schedule) -> None:
    """Answer each request when the schedule says so, for ever."""
    listener.listen(1024)
    listener.setblocking(False)
    epoll, connections = select.epoll(), {listener.fileno(): listener}
    epoll.register(listener.fileno(), select.EPOLLIN)
    waiting: list[tuple[int, int, socket.socket]] = []
    while True:
        left = waiting[0][0] - time.monotonic_ns() if waiting else S
        # epoll's own time is rounded up to milliseconds.
        if left > 0:
            select.select([epoll], (), (), left / S)
        for number, _ in epoll.poll(0):
            if number == listener.fileno():
                one, _ = listener.accept()
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[one.fileno()] = one
                epoll.register(one.fileno(), select.EPOLLIN)
            elif not asked(one := connections[number]):
                connections.pop(number).close()
            elif schedule is NONE:
                one.send(OK)
            else:
                now = time.monotonic_ns()
                heapq.heappush(waiting, (now + schedule.latency_ns(now), now, one))
        while waiting and waiting[0][0] <= time.monotonic_ns():
            # Its client may have gone away meanwhile.
            with contextlib.suppress(OSError):
                heapq.heappop(waiting)[-1].send(OK)


def asked(one: socket.socket) -> bool:
    """Take a request; say whether there is one, and not the end of a connection."""
    try:
        return bool(one.recv(4096))
    except OSError:
        return False


@contextmanager
def service(schedule: Schedule) -> Iterator[int]:
    """Run a service in a process of its own; yield its port."""
    with bound() as listener:
        process = Process(target=serve, args=(listener, schedule), daemon=True)
        process.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.kill()
            process.join()


@dataclass(frozen=True)
class Probed:
    """What the prober wrote, and how many CPUs it used."""

    log: WorkerLog
    cpus: float

    @property
    def late_pct(self) -> float:
        return 100 * (self.log.tally.late or 0) / len(self.log.stall_begin_ns)


def by_prober(port: int, task: Task, seconds: float) -> Probed:
    """Let the prober ask for a while."""
    with tempfile.TemporaryDirectory(dir=preconditions.SCRATCH) as folder:
        path = Path(folder, "probe")
        with ProbeFile(path, 1, seconds + 30, os.getuid(), task) as file:
            url = f"http://127.0.0.1:{port}/"
            command = [sys.executable, "-I", "-S", str(FOLDER / "prober.py"), str(path), url]
            with subprocess.Popen(command) as process:
                while not file.running():
                    time.sleep(0.01)
                (worker,) = psutil.Process(process.pid).children()
                before, begin = sum(worker.cpu_times()[:2]), time.monotonic()
                time.sleep(seconds)
                used = sum(worker.cpu_times()[:2]) - before
                cpus = used / (time.monotonic() - begin)
                file.stop()
                process.wait()
            (log,) = file.read()
    return Probed(log, cpus)


def by_reference(port: int) -> Integers:
    """Ask on the same schedule in the simplest way: a thread for each request there may be."""
    number = round(SECONDS * S / PACE_NS)
    took, begin = np.zeros(number, np.int64), time.monotonic_ns() + S

    def ask(first: int) -> None:
        with connected(port) as one:
            for at in range(first, number, CONNECTIONS):
                due = begin + at * PACE_NS
                time.sleep(max(0, due - time.monotonic_ns()) / S)
                took[at] = ended_ns(one) - due

    at_once(ask, CONNECTIONS)
    return took


def by_closed_loop(port: int) -> list[int]:
    """Ask on a few connections, on each again when the answer has come."""
    took, end = [], time.monotonic_ns() + round(SECONDS * S)

    def ask(_number: int) -> None:
        with connected(port) as one:
            while (begin := time.monotonic_ns()) < end:
                took.append(ended_ns(one) - begin)

    at_once(ask, CLOSED_CONNECTIONS)
    return took


def connected(port: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def ended_ns(one: socket.socket) -> int:
    """Ask once; return when the answer had come."""
    one.sendall(_REQUEST)
    left = len(OK)
    while left:
        left -= len(one.recv(left))
    return time.monotonic_ns()


def at_once(work: Callable[[int], None], number: int) -> None:
    """Do so many works in a thread each, and wait for all."""
    threads = [threading.Thread(target=work, args=(one,)) for one in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_wrk(port: int) -> tuple[float, float] | None:
    """Return the median and the 99th percentile in ms that `wrk` reports, None if there is none."""
    if shutil.which("wrk") is None:
        return None
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CLOSED_CONNECTIONS}", f"-d{SECONDS:.0f}s", "--latency", f"http://127.0.0.1:{port}/"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", done.stdout, re.MULTILINE))
    return _ms(found["50"]), _ms(found["99"])


def _ms(text: str) -> float:
    """Read a time as wrk writes it."""
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def quantiles_ms(took: Integers | Sequence[int]) -> tuple[float, float]:
    """Return the median and the 99th percentile, each of them a value that was measured."""
    p50, p99 = np.percentile(np.asarray(took), [50, 99], method="inverted_cdf") / MS
    return float(p50), float(p99)


def exact() -> list[Figure]:
    """Compare what the prober reports of a service that stalls with what it did."""
    schedule = Schedule(Stalls(time.monotonic_ns(), PERIOD_NS, STALL_NS), SERVICE_NS)
    task = Task("request", count=CONNECTIONS, pace_ns=PACE_NS, timeout_ns=5 * S)
    with service(schedule) as port:
        probed = by_prober(port, task, SECONDS + 1)
        reference = quantiles_ms(by_reference(port))
        closed, wrk = quantiles_ms(by_closed_loop(port)), by_wrk(port)
    number = round(SECONDS * S / PACE_NS)
    due = probed.log.stall_begin_ns[:number]
    known = quantiles_ms([schedule.latency_ns(int(one)) for one in due])
    found = quantiles_ms(probed.log.stall_length_ns[:number])
    figures = []
    for at, name in enumerate(("p50", "p99")):
        off = 100 * abs(found[at] / known[at] - 1)
        figures.append(at_most(f"{name} {found[at]:.2f} ms, by schedule {known[at]:.2f} ms: off", 2,
                               off, " %"))  # fmt: skip
        apart = 100 * abs(found[at] / reference[at] - 1)
        figures.append(at_most(f"  by reference {reference[at]:.2f} ms: off", 2, apart, " %"))
        figures.append(Figure("  by a closed loop", "", f"{closed[at]:.2f} ms", None))
        said = "no wrk here" if wrk is None else f"{wrk[at]:.2f} ms"
        figures.append(Figure("  by wrk", "", said, None))
    return [*figures, *_lateness(probed)]


def fast() -> list[Figure]:
    """Measure what ten thousand requests a second cost."""
    task = Task("request", count=FAST_CONNECTIONS, pace_ns=FAST_PACE_NS)
    with service(NONE) as port:
        probed = by_prober(port, task, FAST_SECONDS)
    log, rate = probed.log, S / FAST_PACE_NS
    p50, p99 = quantiles_ms(log.stall_length_ns)
    return [
        at_most(f"prober at {rate:.0f} requests/s, CPUs", 1.0, probed.cpus),
        at_most("  of its requests, failed", 0, 100 * (log.tally.failed or 0)
                / len(log.stall_begin_ns), " %"),
        Figure("  latency, median and p99", "", f"{p50:.2f}, {p99:.2f} ms", None),
        *_lateness(probed),
    ]  # fmt: skip


def _lateness(probed: Probed) -> list[Figure]:
    # How late a program wakes up is the host's, and that of what else it has to do.
    return [
        Figure("  of its requests, noticed over 1 ms late", "", f"{probed.late_pct:.2f} %", None),
        Figure("  the latest", "", f"{probed.log.longest_unit_ns / MS:.2f} ms", None),
    ]


def main() -> int:
    """Measure, and print the figures."""
    figures = []
    for part in (exact, fast):
        for figure in part():
            figures.append(figure)
            print(figure.line(), flush=True)
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
