"""The host's side of the probe: make its shared-memory file, and read what it wrote.

The layout is described in workloads/probe.py, which runs inside the container. The file belongs to
the container's user, who may write anything to it or cut it off, so it is never mapped here.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import get_args

import numpy as np

from cgbench.errors import ProbeError, ProbeSilent
from cgbench.measuring import probe_checks
from cgbench.measuring.answers import reason, settled
from cgbench.measuring.probe_checks import SHORTEST_PACE_NS, Integers, Requests, Scale, Words
from cgbench.spec.workload import ProbeKind
from cgbench.units import NS_PER_MS, NS_PER_S, format_duration

# Part of the layout, and not the size of this kernel's pages.
PAGE = 4096
MAGIC = 0x6367_6265_6E63_6831
LAYOUT = 6
KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)
BUCKET_NS = 1_000_000
THRESHOLD_NS = 200_000
# A unit must stay well under the threshold, also on a CPU twenty times slower than today's.
ITERATIONS_PER_UNIT = 200
STALLS_PER_SECOND = 4000
SHORTEST_REQUEST_NS = 20_000
"""No worker can ask more often: one request takes it about as long."""

_HEADER = struct.Struct("<18q")
# The words that are written after the file was made.
_T0, _STOP, _UNTIL, _WAITS = 8, 9, 14, 16
_WORDS = struct.Struct("<14q")
_ABSENT = 0


@dataclass(frozen=True)
class Task:
    """What every worker of one probe is to do; workloads/probe.py says what each kind makes of it.

    `size` is in bytes; a `pace_ns` of None is the kind's own. With `spread`, each worker of spin
    keeps to one CPU; with `waits`, the pace of `end` begins when the host releases it. Of request,
    `count` is how many connections a worker may have open, `pace_ns` the time between two of its
    requests, and `timeout_ns` how long after it was due one counts as failed. Raises ProbeError for
    a task that cannot be done.
    """

    kind: ProbeKind = "spin"
    size: int = 0
    count: int = 0
    pace_ns: int | None = None
    spread: bool = False
    waits: bool = False
    timeout_ns: int = NS_PER_S

    def __post_init__(self) -> None:
        if self.size < 0 or self.count < 0 or self.pace < 0:
            raise ProbeError(f"a probe's size, count and pace cannot be negative: {self}")
        if self.kind == "memory" and self.size == 0:
            raise ProbeError("a probe of kind memory needs a size", "Give its container a size.")
        shortest = {"wake": SHORTEST_PACE_NS, "request": SHORTEST_REQUEST_NS}.get(self.kind, 0)
        if self.pace < shortest:
            raise ProbeError(
                f"a probe of kind {self.kind} cannot keep a pace of {format_duration(self.pace)}",
                f"Give its container a pace of at least {format_duration(shortest)}.",
            )
        if self.kind == "request" and not (self.count and self.timeout_ns > 0):
            raise ProbeError(
                "a probe of kind request needs connections, and time for an answer",
                "Give it at least one connection, and a timeout of more than 0.",
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
        return NS_PER_MS if self.kind in ("wake", "fork", "request") else 0

    @property
    def connections(self) -> int:
        """How many connections each worker of request may have open: its count."""
        return self.count

    @property
    def keeps_deadlines(self) -> bool:
        """Say whether its workers sleep from deadline to deadline, at least at first."""
        return self.kind in ("wake", "memory", "fork") and self.pace > 0

    @property
    def stalls_per_second(self) -> int:
        """How many stalls there must be room for."""
        if self.kind in ("wake", "request"):
            return -(-NS_PER_S // self.pace) + 1
        return STALLS_PER_SECOND


@dataclass(frozen=True)
class Tally:
    """What a worker reports of itself; None where its kind has no such figure.

    `starts` is more than one when its container was started again. `bytes_held` were filled and
    not given back, at most `bytes_held_most` at any time. `children` were alive when it was read;
    `last_refusal` is the kernel's name of an error, such as EAGAIN. `deadlines_skipped` passed
    while the worker slept or was held up. Of the requests, `failed` did, the last one for the
    reason `last_failure`; `unanswered` had waited for less than their timeout when it was read, or
    stopped; `late` were noticed over 1 ms after they were due, which is the prober's own fault.
    """

    starts: int = 1
    bytes_held: int | None = None
    bytes_held_most: int | None = None
    children: int | None = None
    refusals: int | None = None
    last_refusal: str | None = None
    deadlines_skipped: int | None = None
    failed: int | None = None
    last_failure: str | None = None
    unanswered: int | None = None
    late: int | None = None


@dataclass(frozen=True)
class WorkerLog:
    """What one worker wrote: `units` per bucket, shape (buckets,), and its stalls.

    `stall_begin_ns` and `stall_length_ns` have one entry per stall kept; `stalls_lost` counts
    those that found no room. `longest_unit_ns` bounds how much a stall's length is too long.
    Units and stalls mean what the kind of the probe makes of them. A request that was unanswered
    has the time it had waited for a length, one that failed 0.
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

    What it reads raises ProbeError where the file was cut off, or holds what no probe can have
    written; the message is the reason why its trial failed.
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
        self._made_ns = time.monotonic_ns()
        self._stopped = self._released = False
        self._header = (
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
            0,
            int(self.task.spread),
            int(self.task.waits),
            self.task.timeout_ns,
        )
        self._descriptor = self._make(PAGE + workers * self._stride, owner)

    def _make(self, size: int, owner: int) -> int:
        """Make the file and return its descriptor, open for reading and writing."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ProbeError(f"cannot make {self.path}: {error.strerror}") from error
        try:
            # Allocated here, so that the pages are charged to the host and not to the container.
            os.posix_fallocate(descriptor, 0, size)
            os.pwrite(descriptor, _HEADER.pack(*self._header), 0)
            os.fchown(descriptor, owner, -1)
        except OSError as error:
            os.close(descriptor)
            self.path.unlink(missing_ok=True)
            raise ProbeError(
                f"cannot make {self.path} of {size} bytes: {error.strerror}",
                "Free some space in /dev/shm, or shorten the schedule.",
            ) from error
        return descriptor

    def __enter__(self) -> ProbeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def running(self) -> bool:
        """Say whether every worker has begun to work."""
        return all(self._words(number).state != _ABSENT for number in range(self._workers))

    def finished(self) -> bool:
        """Say whether every worker has come to its end."""
        return all(self._words(number).finished for number in range(self._workers))

    def why_not_running(self) -> str | None:
        """Say why a worker has not begun to ask, such as `connection refused`; None if unknown."""
        if self.task.kind != "request":
            return None
        waiting = (self._words(number) for number in range(self._workers))
        return next((reason(one.last_errno) for one in waiting if one.state == _ABSENT), None)

    def stop(self) -> None:
        """Ask the workers to finish; they look once per bucket, or when they wake up.

        Raises ProbeError where something else asked them before.
        """
        (before,) = struct.unpack("<q", self._bytes(8 * _STOP, 8))
        if before and not self._stopped:
            raise self._refused("its workers were asked to stop too early")
        try:
            os.pwrite(self._descriptor, struct.pack("<q", 1), 8 * _STOP)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        self._stopped = True

    def release(self) -> None:
        """Let the pace of what waits for it begin, if anything does.

        Raises ProbeError where the file cannot be written.
        """
        if not self.task.waits or self._released:
            return
        self._released = True
        try:
            os.pwrite(self._descriptor, struct.pack("<q", 0), 8 * _WAITS)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error

    def read(self) -> tuple[WorkerLog, ...]:
        """Return what each worker wrote so far. Raises ProbeSilent if one never began."""
        header = _HEADER.unpack(self._bytes(0, _HEADER.size))
        for index, (found, written) in enumerate(zip(header, self._header, strict=True)):
            should = 0 if index == _WAITS and self._released else written
            if index not in (_T0, _STOP, _UNTIL) and found != should:
                raise self._refused(f"word {index} of its header is {found}, not {should}")
        return tuple(self._read(number, header[_T0]) for number in range(self._workers))

    def _read(self, number: int, t0: int) -> WorkerLog:
        words = self._words(number)
        if words.state == _ABSENT:
            why = self.why_not_running()
            raise ProbeSilent(
                f"worker {number} of the probe never began to work{f': {why}' if why else ''}"
            )
        scale = self._scale()
        self._require(number, probe_checks.of_start(t0, self._made_ns, scale))
        self._require(number, probe_checks.of_words(words, t0, scale))
        base = PAGE + number * self._stride + PAGE
        kept = min(words.stalls_seen, self._stalls)
        stalls = np.frombuffer(
            self._bytes(base + _align(4 * self._buckets), 16 * kept), np.int64
        )  # fmt: skip
        begin, length, waiting = stalls[::2], stalls[1::2], 0
        if scale.requests is None:
            self._require(number, probe_checks.of_stalls(begin, length, t0, scale))
        else:
            # Answers that came meanwhile stand among them.
            scale = self._scale()
            self._require(number, probe_checks.of_requests(begin, length, words, t0, scale))
            length, waiting = settled(begin, length, scale.now_ns, self.task.timeout_ns)
        content = self._bytes(base, 4 * self._buckets)
        units = np.frombuffer(content, np.uint32).astype(np.int64)
        later = self._words(number)
        self._require(number, probe_checks.of_units(units, words, later, t0, self._scale()))
        return WorkerLog(
            number,
            t0,
            units,
            begin,
            length,
            words.stalls_seen - kept,
            words.longest_unit_ns,
            self.task.kind,
            self._tally(words, length, waiting),
        )

    def _scale(self) -> Scale:
        """Return what bounds everything that was read by now."""
        kind = self.task.kind
        return Scale(
            bucket_ns=BUCKET_NS,
            threshold_ns=THRESHOLD_NS,
            # A gap counts from the threshold on; lateness and lives of any length, refusals none.
            shortest_stall_ns=THRESHOLD_NS + 1 if kind in ("spin", "memory", "cache") else 0,
            longest_stall_ns=0 if kind == "fork" else None,
            most_held=_align(self.task.size) if kind == "memory" else 0,
            most_children=self.task.count if kind == "fork" else 0,
            now_ns=time.monotonic_ns(),
            requests=Requests(self.task.pace, self.task.timeout_ns) if kind == "request" else None,
        )

    def _tally(self, words: Words, length_ns: Integers, waiting: int) -> Tally:
        kind = self.task.kind
        memory, fork, request = kind == "memory", kind == "fork", kind == "request"
        return Tally(
            starts=words.starts,
            bytes_held=words.held if memory else None,
            bytes_held_most=max(words.held, words.held_most) if memory else None,
            children=words.children if fork else None,
            refusals=words.refusals if fork else None,
            last_refusal=errno.errorcode.get(words.last_errno) if fork else None,
            deadlines_skipped=words.skipped if self.task.keeps_deadlines else None,
            failed=int(np.count_nonzero(length_ns == 0)) if request else None,
            last_failure=reason(words.last_errno) if request else None,
            unanswered=words.censored + waiting if request else None,
            late=words.late if request else None,
        )

    def _words(self, number: int) -> Words:
        return Words(*_WORDS.unpack(self._bytes(PAGE + number * self._stride, _WORDS.size)))

    def _bytes(self, offset: int, size: int) -> bytes:
        """Return a part of the file. Raises ProbeError where the file does not reach so far."""
        content = os.pread(self._descriptor, size, offset)
        if len(content) < size:
            raise self._refused("it was cut off")
        return content

    def _require(self, number: int, complaints: Iterable[str]) -> None:
        complaint = next(iter(complaints), None)
        if complaint is not None:
            raise self._refused(f"worker {number}: {complaint}")

    def _refused(self, why: str) -> ProbeError:
        return ProbeError(
            f"the probe file of {self.path.name} was damaged by its container: {why}",
            "Check what else runs in that container, or as its user on this host.",
        )


def file_bytes(workers: int, seconds: float, task: Task) -> int:
    """Return the size of the file that a ProbeFile of the same arguments makes."""
    buckets = int(seconds * 1e9) // BUCKET_NS + 1
    stalls = max(1024, int(seconds * task.stalls_per_second))
    return PAGE + workers * (PAGE + _align(4 * buckets) + _align(16 * stalls))


def _align(size: int) -> int:
    return -(-size // PAGE) * PAGE
