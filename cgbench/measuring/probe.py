"""The host's side of the probe: make its shared-memory file, and read what it wrote.

The layout is described in workloads/probe.py, which runs inside the container.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import get_args

import numpy as np
import numpy.typing as npt

from cgbench.errors import ProbeError
from cgbench.spec.workload import ProbeKind
from cgbench.units import NS_PER_MS, NS_PER_S, format_duration

# Part of the layout, and not the size of this kernel's pages.
PAGE = 4096
MAGIC = 0x6367_6265_6E63_6831
LAYOUT = 3
KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)
BUCKET_NS = 1_000_000
THRESHOLD_NS = 200_000
# A unit must stay well under the threshold, also on a CPU twenty times slower than today's.
ITERATIONS_PER_UNIT = 200
STALLS_PER_SECOND = 4000
# Shorter sleeps would measure the probe's own loop.
SHORTEST_PACE_NS = 10_000
_HEADER = 14
_WORDS = 12
_ABSENT, _FINISHED = 0, 2

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """What every worker of one probe is to do; workloads/probe.py says what each kind makes of it.

    `size` is in bytes; a `pace_ns` of None is the kind's own. Raises ProbeError for a task that
    cannot be done.
    """

    kind: ProbeKind = "spin"
    size: int = 0
    count: int = 0
    pace_ns: int | None = None

    def __post_init__(self) -> None:
        if self.size < 0 or self.count < 0 or self.pace < 0:
            raise ProbeError(f"a probe's size, count and pace cannot be negative: {self}")
        if self.kind == "memory" and self.size == 0:
            raise ProbeError("a probe of kind memory needs a size", "Give its container a size.")
        if self.kind == "wake" and self.pace < SHORTEST_PACE_NS:
            raise ProbeError(
                f"a probe of kind wake cannot keep a pace of {format_duration(self.pace)}",
                f"Give its container a pace of at least {format_duration(SHORTEST_PACE_NS)}.",
            )
        if self.kind == "end" and self.count > 255:
            raise ProbeError(
                f"no process can end with the status {self.count}",
                "Give its container a count between 0 and 255.",
            )

    @property
    def pace(self) -> int:
        """The pace in ns: the one given, else 1 ms where the kind wakes up or forks, else none."""
        if self.pace_ns is not None:
            return self.pace_ns
        return NS_PER_MS if self.kind in ("wake", "fork") else 0

    @property
    def keeps_deadlines(self) -> bool:
        """Say whether its workers sleep from deadline to deadline, at least at first."""
        return self.kind in ("wake", "memory", "fork") and self.pace > 0

    @property
    def stalls_per_second(self) -> int:
        """How many stalls there must be room for."""
        if self.kind == "wake":
            return -(-NS_PER_S // self.pace) + 1
        return STALLS_PER_SECOND


@dataclass(frozen=True)
class Tally:
    """What a worker reports of itself; None where its kind has no such figure.

    `starts` is more than one when its container was started again. `bytes_held` were filled and
    not given back, at most `bytes_held_most` at any time. `children` were alive when it was read;
    `last_refusal` is the kernel's name of an error, such as EAGAIN. `deadlines_skipped` passed
    while the worker slept or was held up.
    """

    starts: int = 1
    bytes_held: int | None = None
    bytes_held_most: int | None = None
    children: int | None = None
    refusals: int | None = None
    last_refusal: str | None = None
    deadlines_skipped: int | None = None


@dataclass(frozen=True)
class WorkerLog:
    """What one worker wrote: `units` per bucket, shape (buckets,), and its stalls.

    `stall_begin_ns` and `stall_length_ns` have one entry per stall kept; `stalls_lost` counts
    those that found no room. `longest_unit_ns` bounds how much a stall's length is too long.
    Units and stalls mean what the kind of the probe makes of them.
    """

    worker: int
    t0_ns: int
    units: Integers
    stall_begin_ns: Integers
    stall_length_ns: Integers
    stalls_lost: int
    longest_unit_ns: int
    kind: ProbeKind = "spin"
    tally: Tally = Tally()


class ProbeFile:
    """A shared-memory file that one container's probe writes and the host reads.

    A context manager; the file is removed on exit. `seconds` is the longest the probe may run.
    """

    def __init__(
        self, path: Path, workers: int, seconds: float, owner: int, task: Task | None = None
    ) -> None:
        self.path = path
        self.task = task or Task()
        self._workers = workers
        self._buckets = int(seconds * 1e9) // BUCKET_NS + 1
        self._stalls = max(1024, int(seconds * self.task.stalls_per_second))
        self._stride = PAGE + _align(4 * self._buckets) + _align(16 * self._stalls)
        size = PAGE + workers * self._stride
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ProbeError(f"cannot make {path}: {error.strerror}") from error
        try:
            # Allocated here, so that the pages are charged to the host and not to the container.
            os.posix_fallocate(descriptor, 0, size)
            os.fchown(descriptor, owner, -1)
            self._memory = mmap.mmap(descriptor, size)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise ProbeError(
                f"cannot make {path} of {size} bytes: {error.strerror}",
                "Free some space in /dev/shm, or shorten the schedule.",
            ) from error
        finally:
            os.close(descriptor)
        header = self._words(0, _HEADER)
        header[:] = (
            MAGIC,
            LAYOUT,
            workers,
            self._buckets,
            self._stalls,
            BUCKET_NS,
            THRESHOLD_NS,
            ITERATIONS_PER_UNIT,
            0,
            0,
            KINDS.index(self.task.kind),
            self.task.size,
            self.task.count,
            self.task.pace,
        )

    def __enter__(self) -> ProbeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.path.unlink(missing_ok=True)

    def running(self) -> bool:
        """Say whether every worker has begun to work."""
        return all(self._worker(number)[0] != _ABSENT for number in range(self._workers))

    def stop(self) -> None:
        """Ask the workers to finish; they look once per bucket, or when they wake up."""
        self._words(0, _HEADER)[9] = 1

    def read(self) -> tuple[WorkerLog, ...]:
        """Return what each worker wrote so far. Raises ProbeError if a worker never began."""
        t0 = int(self._words(0, _HEADER)[8])
        return tuple(self._read(number, t0) for number in range(self._workers))

    def _read(self, number: int, t0: int) -> WorkerLog:
        state, _pid, seen, _units, longest, *reported = (int(word) for word in self._worker(number))
        if state == _ABSENT:
            raise ProbeError(f"worker {number} of the probe never began to work")
        base = PAGE + number * self._stride + PAGE
        units = np.frombuffer(self._memory, np.uint32, self._buckets, base).astype(np.int64)
        kept = min(seen, self._stalls)
        stalls = np.frombuffer(
            self._memory, np.int64, 2 * kept, base + _align(4 * self._buckets)
        ).copy()
        return WorkerLog(
            number,
            t0,
            units,
            stalls[::2],
            stalls[1::2],
            seen - kept,
            longest,
            self.task.kind,
            self._tally(reported),
        )

    def _tally(self, reported: Sequence[int]) -> Tally:
        starts, held, most, children, refusals, last_errno, skipped = reported
        kind = self.task.kind
        memory, fork = kind == "memory", kind == "fork"
        return Tally(
            starts=starts,
            bytes_held=held if memory else None,
            bytes_held_most=most if memory else None,
            children=children if fork else None,
            refusals=refusals if fork else None,
            last_refusal=errno.errorcode.get(last_errno) if fork else None,
            deadlines_skipped=skipped if self.task.keeps_deadlines else None,
        )

    def _words(self, offset: int, count: int) -> Integers:
        return np.frombuffer(self._memory, np.int64, count, offset)

    def _worker(self, number: int) -> Integers:
        return self._words(PAGE + number * self._stride, _WORDS)


def file_bytes(workers: int, seconds: float, task: Task) -> int:
    """Return the size of the file that a ProbeFile of the same arguments makes."""
    buckets = int(seconds * 1e9) // BUCKET_NS + 1
    stalls = max(1024, int(seconds * task.stalls_per_second))
    return PAGE + workers * (PAGE + _align(4 * buckets) + _align(16 * stalls))


def _align(size: int) -> int:
    return -(-size // PAGE) * PAGE
