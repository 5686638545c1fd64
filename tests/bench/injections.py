"""How each fault strikes a measurement; what it leaves behind itself is put back by its stack."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench import places
from tests.bench.measurement import Measurement, descendants, first_process
from tests.bench.places import Place

LONG_S = 52.0
"""How long a daemon is stopped: longer than cgbench waits for an answer."""
SLEPT_S = 20.0

_LOG = Path("/var/log/dockerd.log")
_SPARE_BYTES = 2**20


@dataclass(frozen=True)
class Strike:
    """What an injection gets: the measurement, where it is, what is drawn, and what is undone."""

    measurement: Measurement
    place: Place
    random: random.Random
    stack: ExitStack


Injection = Callable[[Strike], None]


def sent(number: signal.Signals, times: int = 1) -> Injection:
    """Send a signal to cgbench, one or several times."""

    def inject(strike: Strike) -> None:
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                os.kill(strike.measurement.pid, number)
            time.sleep(0.05)

    return inject


def closed_output(strike: Strike) -> None:
    """Close the end of the pipe that reads what it prints."""
    pipe = strike.measurement.process.stdout
    assert pipe is not None
    pipe.close()


def full(folder: Callable[[Strike], Path]) -> Injection:
    """Fill a small file system until the command has ended, also what becomes free meanwhile."""

    def inject(strike: Strike) -> None:
        full, over = folder(strike), threading.Event()

        def keep_full() -> None:
            while not over.wait(0.02):
                # It is gone with the command where nobody else sees it.
                with contextlib.suppress(OSError):
                    places.fill(full)

        filler = places.fill(full)
        thread = threading.Thread(target=keep_full)
        thread.start()
        strike.stack.callback(lambda: filler.unlink(missing_ok=True))
        strike.stack.callback(thread.join)
        strike.stack.callback(over.set)

    return inject


def full_while_sampling(strike: Strike) -> None:
    """Fill the memory that the sampler writes to until the trial has failed."""
    filler = places.fill(places.SHM)
    strike.stack.callback(lambda: filler.unlink(missing_ok=True))
    trials = len(strike.measurement.trials())
    _wait(strike, lambda: len(strike.measurement.trials()) > trials)
    filler.unlink()


def little_memory(strike: Strike) -> None:
    """Leave the group of cgbench little more memory than it has."""
    group = strike.place.group
    assert group is not None
    v1 = (group / "memory.limit_in_bytes").exists()
    used = int((group / ("memory.usage_in_bytes" if v1 else "memory.current")).read_text())
    limit = group / ("memory.limit_in_bytes" if v1 else "memory.max")
    limit.write_text(str(used + strike.random.randrange(_SPARE_BYTES)))


def little_address_space(strike: Strike) -> None:
    """Leave cgbench little more addresses than it has (RLIMIT_AS)."""
    pages = int(Path(f"/proc/{strike.measurement.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + strike.random.randrange(_SPARE_BYTES)
    resource.prlimit(strike.measurement.pid, resource.RLIMIT_AS, (limit, limit))


def frozen_sampler(strike: Strike) -> None:
    """Stop the sampler for good."""
    os.kill(strike.measurement.awaited(strike.measurement.sampler), signal.SIGSTOP)


def docker(*command: str) -> Injection:
    """Do something to a container from outside, again where it is not there yet."""

    def inject(strike: Strike) -> None:
        def done() -> bool | None:
            container = strike.measurement.container()
            if container is None:
                return None
            return subprocess.run(
                ["docker", *command, container], capture_output=True, check=False, timeout=60
            ).returncode == 0 or None  # fmt: skip

        strike.measurement.awaited(done)

    return inject


def frozen_first_process(strike: Strike) -> None:
    """Stop the first process of a container, and none of its others."""
    container = strike.measurement.awaited(strike.measurement.container)
    os.kill(first_process(container), signal.SIGSTOP)


def frozen_processes(strike: Strike) -> None:
    """Stop every process of a container for good."""
    container = strike.measurement.awaited(strike.measurement.container)
    for pid in descendants(first_process(container)):
        os.kill(pid, signal.SIGSTOP)


def stopped_daemon(strike: Strike) -> None:
    """Stop the daemon for longer than cgbench waits, then let it go on."""
    pid = _daemon()
    os.kill(pid, signal.SIGSTOP)
    try:
        _wait(strike, lambda: False, LONG_S)
    finally:
        os.kill(pid, signal.SIGCONT)


def restarted_daemon(strike: Strike) -> None:
    """Kill the daemon, or end it in order, and start it as .ci/setup does."""
    pid = _daemon()
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    daemon = psutil.Process(pid)
    containerd = daemon.children()
    os.kill(pid, strike.random.choice([signal.SIGKILL, signal.SIGTERM]))
    limit = time.monotonic() + 60
    # One that an earlier strike started is this process's child, and must be waited for. Its
    # containerd ends with it: a dockerd that still meets that waits for it in vain.
    daemon.wait(60)
    psutil.wait_procs(containerd, timeout=30)
    Path("/var/run/docker.pid").unlink(missing_ok=True)
    with _LOG.open("ab") as log:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    while subprocess.run(["docker", "ps"], capture_output=True, check=False).returncode:
        if time.monotonic() > limit:
            raise RuntimeError(f"dockerd does not come back; its log is {_LOG}")
        time.sleep(0.1)


def stepped_clock(strike: Strike) -> None:
    """Set the wall clock of cgbench an hour on, or back."""
    step = strike.random.choice(["3600", "-3600"])
    Path(strike.place.environment[places.STEP]).write_text(f"{step}\n")


def slept(strike: Strike) -> None:
    """Stop cgbench, its sampler and its container at once, as a suspend does, then let them go on.

    Unlike in a suspend, the monotonic clock goes on: a virtual machine that was paused sees this.
    """
    container = strike.measurement.awaited(strike.measurement.container)
    stopped = [*descendants(strike.measurement.pid), *descendants(first_process(container))]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SLEPT_S)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _wait(strike: Strike, over: Callable[[], bool], limit_s: float = 60.0) -> None:
    limit = time.monotonic() + limit_s
    while not over() and time.monotonic() < limit:
        if strike.measurement.process.poll() is not None:
            return
        time.sleep(0.01)


def _daemon() -> int:
    """Return the process of the system's own daemon."""
    (pid,) = _called("dockerd")
    return pid


def _called(name: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == name:
                yield int(path.parent.name)
