"""One `cgbench run` that goes on: the processes, containers and files of it that faults strike."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cgbench.errors import StoreError
from cgbench.records.results import runs
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import TrialRecord
from tests.bench import world

_Found = TypeVar("_Found")

_SCRATCH = Path("/dev/shm/cgbench")


class TooLate(Exception):
    """The command had ended before the fault could strike."""


class Measurement:
    """A command that was started; `said` is the file that its standard error goes to."""

    def __init__(self, process: subprocess.Popen[bytes], results: Path, said: Path) -> None:
        self.process = process
        self.results = results
        self.said = said

    @property
    def pid(self) -> int:
        """The process of cgbench."""
        return self.process.pid

    @property
    def words(self) -> str:
        """What it has printed to standard error by now."""
        return self.said.read_text(errors="replace")

    @property
    def run(self) -> RunDirectory | None:
        """The run that it has begun."""
        return next(iter(runs(self.results)), None)

    def trials(self) -> list[TrialRecord]:
        """Return the trials that are on disk by now."""
        if self.run is None:
            return []
        try:
            return self.run.trials()
        except StoreError:
            return []

    def awaited(self, find: Callable[[], _Found | None], limit_s: float = 60.0) -> _Found:
        """Return what `find` finds as soon as it does. Raises TooLate once the command ended."""
        limit = time.monotonic() + limit_s
        while (found := find()) is None:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise TooLate(f"nothing to strike; exit status {self.process.returncode}")
            time.sleep(0.01)
        return found

    def sampler(self) -> int | None:
        """Return the sampler's process, None while there is none."""
        for pid in children(self.pid):
            with contextlib.suppress(OSError):
                if b"sampler_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    def spool(self) -> Path | None:
        """Return the file that the sampler writes to, None while there is none."""
        return next(_SCRATCH.glob("*/spool"), None)

    def container(self) -> str | None:
        """Return the name of a container that runs, None while none does."""
        return next(iter(world.running()), None)

    def sampled(self, trial: int) -> Callable[[], int | None]:
        """Return what finds the sampler of a trial, once those before are on disk."""
        return lambda: (
            self.sampler() if len(self.trials()) >= trial - 1 and self.spool() else None
        )  # fmt: skip


class Notice:
    """When something was first printed (CLOCK_MONOTONIC), None while it was not."""

    def __init__(self) -> None:
        self.t_s: float | None = None


@contextmanager
def notice(measurement: Measurement, pattern: str) -> Iterator[Notice]:
    """Look out meanwhile for a pattern on standard error."""
    seen, over = Notice(), threading.Event()

    def look() -> None:
        while seen.t_s is None and not over.wait(0.05):
            if re.search(pattern, measurement.words):
                seen.t_s = time.monotonic()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started and that live."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(after[1]) == pid:
                yield int(path.parent.name)


def descendants(pid: int) -> list[int]:
    """Return a process and all that came of it."""
    found = [pid]
    for child in children(pid):
        found += descendants(child)
    return found


def first_process(container: str) -> int:
    """Return the first process of a container, as Docker names it."""
    done = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", container],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return int(done.stdout)
