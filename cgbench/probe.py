"""The host's side of the probe: make its shared-memory file, and read what it wrote.

The layout is described in workloads/probe.py, which runs inside the container.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from cgbench.errors import ProbeError

# Part of the layout, and not the size of this kernel's pages.
PAGE = 4096
MAGIC = 0x6367_6265_6E63_6831
LAYOUT = 1
BUCKET_NS = 1_000_000
THRESHOLD_NS = 200_000
# A unit must stay well under the threshold, also on a CPU twenty times slower than today's.
ITERATIONS_PER_UNIT = 200
STALLS_PER_SECOND = 4000
_HEADER = 10
_ABSENT, _FINISHED = 0, 2

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WorkerLog:
    """What one worker wrote: `units` per bucket, shape (buckets,), and its stalls.

    `stall_begin_ns` and `stall_length_ns` have one entry per stall kept; `stalls_lost` counts
    those that found no room. `longest_unit_ns` bounds how much a stall's length is too long.
    """

    worker: int
    t0_ns: int
    units: Integers
    stall_begin_ns: Integers
    stall_length_ns: Integers
    stalls_lost: int
    longest_unit_ns: int


class ProbeFile:
    """A shared-memory file that one container's probe writes and the host reads.

    A context manager; the file is removed on exit. `seconds` is the longest the probe may run.
    """

    def __init__(self, path: Path, workers: int, seconds: float, owner: int) -> None:
        self.path = path
        self._workers = workers
        self._buckets = int(seconds * 1e9) // BUCKET_NS + 1
        self._stalls = max(1024, int(seconds * STALLS_PER_SECOND))
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
        """Ask the workers to finish; they look once per bucket."""
        self._words(0, _HEADER)[9] = 1

    def read(self) -> tuple[WorkerLog, ...]:
        """Return what each worker wrote so far. Raises ProbeError if a worker never began."""
        t0 = int(self._words(0, _HEADER)[8])
        return tuple(self._read(number, t0) for number in range(self._workers))

    def _read(self, number: int, t0: int) -> WorkerLog:
        state, _pid, seen, _units, longest = (int(word) for word in self._worker(number))
        if state == _ABSENT:
            raise ProbeError(f"worker {number} of the probe never began to work")
        base = PAGE + number * self._stride + PAGE
        units = np.frombuffer(self._memory, np.uint32, self._buckets, base).astype(np.int64)
        kept = min(seen, self._stalls)
        stalls = np.frombuffer(
            self._memory, np.int64, 2 * kept, base + _align(4 * self._buckets)
        ).copy()
        return WorkerLog(number, t0, units, stalls[::2], stalls[1::2], seen - kept, longest)

    def _words(self, offset: int, count: int) -> Integers:
        return np.frombuffer(self._memory, np.int64, count, offset)

    def _worker(self, number: int) -> Integers:
        return self._words(PAGE + number * self._stride, 5)


def _align(size: int) -> int:
    return -(-size // PAGE) * PAGE
