"""Read a cgroup's files on deadlines, in a process of its own, and say how late each reading was.

The process is cgbench/deadline_loop.py; this is the side that starts it, stops it and turns its
spool of raw bytes into columns. Parsing happens only after the trial.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cgbench.errors import SamplerError
from cgbench.host import interface_files
from cgbench.records.samples import Column, Samples
from cgbench.records.trial import SamplerFigures
from cgbench.spec.experiment import Sampling
from cgbench.units import NS_PER_S, NS_PER_US

PRIORITY = 50
"""SCHED_FIFO priority: above every ordinary task, below the kernel's own threads at 99."""

_HEADER = struct.Struct("<IHH")
_TICK = struct.Struct("<qqq")
_TICK_FILE = 0xFFFF
_GONE = 0xFFFF
_STOP_TIMEOUT_S = 10.0

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Target:
    """One file to read: which container it belongs to, how often, and whether it is text."""

    role: str
    path: Path
    slow: bool = False
    text: bool = False


@dataclass(frozen=True)
class Series:
    """The readings of one file as columns.

    `rows` are the indices of the ticks it was read at. `changes` are the positions in `rows` at
    which `values` begin to hold, ascending and starting with 0; None stands for no reading.
    """

    target: Target
    rows: Integers
    changes: Integers
    values: tuple[Mapping[str, interface_files.Reading] | None, ...]


@dataclass(frozen=True)
class Readings:
    """All that one sampler read: the ticks' times in CLOCK_MONOTONIC ns, and the series."""

    deadline_ns: Integers
    begin_ns: Integers
    end_ns: Integers
    series: tuple[Series, ...]

    def samples(self, role: str) -> Samples:
        """Return one container's readings as columns, one row per tick."""
        columns = []
        for series in self.series:
            if series.target.role == role:
                columns += _columns(series, len(self.begin_ns))
        return Samples(role, self.begin_ns, self.begin_ns - self.deadline_ns, columns)

    def first_change(self, path: Path, after_ns: int, before_ns: int) -> int | None:
        """Return when the first reading of `path` after `after_ns` that differs from the one
        before it began, None if there is none until `before_ns`.
        """
        for series in self.series:
            if series.target.path == path:
                times = self.begin_ns[series.rows[series.changes[1:]]]
                inside = times[(times >= after_ns) & (times < before_ns)]
                return int(inside[0]) if inside.size else None
        return None


class Sampler:
    """A running sampler process; `start` it, `stop` it, then take what it read.

    `limit_s` ends it even if nobody else does; the death of its parent ends it as well. A file
    that is not there keeps it from starting, unless it is `forgiving`: then it reads as gone.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        sampling: Sampling,
        spool: Path,
        limit_s: float,
        *,
        forgiving: bool = False,
    ) -> None:
        self._targets = tuple(targets)
        self._sampling = sampling
        self._spool = spool
        self._limit_s = limit_s
        self._forgiving = forgiving
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start sampling. Raises SamplerError when the process does not get ready."""
        loop = Path(__file__).with_name("sampler_process.py")
        specification = {
            "files": [str(target.path) for target in self._targets],
            "slow": [index for index, target in enumerate(self._targets) if target.slow],
            "period_ns": NS_PER_S // self._sampling.fast_hz,
            "slow_every": self._sampling.fast_hz // self._sampling.slow_hz,
            "spool": str(self._spool),
            "priority": PRIORITY,
            "limit_s": self._limit_s,
            "forgiving": self._forgiving,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(loop)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(specification) + "\n")
            self._process.stdin.flush()
        self._answer("start")

    def stop(self) -> tuple[Readings, SamplerFigures]:
        """Stop sampling and return what was read and what it cost.

        Raises SamplerError when the process died before.
        """
        if self._process is None:
            raise SamplerError("the sampler was never started")
        self._process.terminate()
        figures = self._answer("finish")
        self.close()
        readings = read_spool(self._spool, self._targets, self._sampling, figures["start_ns"])
        return readings, _figures(readings, figures, self._sampling, len(self._targets))

    def close(self) -> None:
        """End the process, whatever it does, and remove its spool's writer."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._process = None

    def _answer(self, purpose: str) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        assert self._process.stderr is not None
        complaint = self._process.stderr.read().strip().splitlines()
        self.close()
        raise SamplerError(
            f"the sampler did not {purpose}: {complaint[-1] if complaint else 'no answer'}",
            "Check that the container still runs and that /dev/shm has room.",
        )


def read_spool(
    path: Path, targets: Sequence[Target], sampling: Sampling, start_ns: int
) -> Readings:
    """Read a spool back; `start_ns` is when deadline 0 fell. Raises SamplerError if it is none.

    A torn last record, as a crash leaves it, is dropped with the tick it belongs to.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SamplerError(f"{path}: {error.strerror}") from error
    ticks: list[tuple[int, int, int]] = []
    found: list[tuple[list[int], list[bytes | None]]] = [([], []) for _ in targets]
    offset, size = 0, len(data)
    while offset + _HEADER.size <= size:
        tick, file, length = _HEADER.unpack_from(data, offset)
        well_formed = length == _TICK.size if file == _TICK_FILE else file < len(targets)
        if tick != len(ticks) or not well_formed:
            raise SamplerError(f"{path}: the record at byte {offset} is none of a sampler")
        offset += _HEADER.size
        kept = 0 if length == _GONE else length
        if offset + kept > size:
            break
        if file == _TICK_FILE:
            ticks.append(_TICK.unpack_from(data, offset))
        else:
            found[file][0].append(tick)
            found[file][1].append(None if length == _GONE else data[offset : offset + kept])
        offset += kept
    table = np.array(ticks, dtype=np.int64).reshape(len(ticks), 3)
    numbers = table[:, 0]
    slow_rows = np.flatnonzero(numbers % (sampling.fast_hz // sampling.slow_hz) == 0)
    all_rows = np.arange(len(numbers))
    return Readings(
        start_ns + numbers * (NS_PER_S // sampling.fast_hz),
        table[:, 1],
        table[:, 2],
        tuple(
            _series(target, slow_rows if target.slow else all_rows, where, contents)
            for target, (where, contents) in zip(targets, found, strict=True)
        ),
    )


def _series(
    target: Target, rows: Integers, where: list[int], contents: list[bytes | None]
) -> Series:
    complete = len(where)
    while complete and (not rows.size or where[complete - 1] > rows[-1]):
        complete -= 1
    return Series(
        target,
        rows,
        np.searchsorted(rows, np.array(where[:complete], dtype=np.int64)),
        tuple(
            None
            if content is None
            else interface_files.parse(target.path.name, content, text=target.text)
            for content in contents[:complete]
        ),
    )


def _columns(series: Series, count: int) -> list[Column]:
    """Turn the runs of one file into columns of `count` rows that share one index."""
    index = np.full(count, -1, dtype=np.int32)
    here = np.arange(len(series.rows))
    index[series.rows] = np.searchsorted(series.changes, here, side="right") - 1
    names = dict.fromkeys(name for values in series.values if values for name in values)
    return [
        Column(name, index, tuple((values or {}).get(name) for values in series.values))
        for name in names
    ]


def _figures(
    readings: Readings, answer: Mapping[str, Any], sampling: Sampling, files: int
) -> SamplerFigures:
    if not readings.begin_ns.size:
        raise SamplerError("the sampler took no sample", "Lengthen the schedule's hold times.")
    late = (readings.begin_ns - readings.deadline_ns) / NS_PER_US
    p50, p99 = np.percentile(late, [50, 99])
    return SamplerFigures(
        requested_hz=sampling.fast_hz,
        achieved_hz=answer["ticks"] * NS_PER_S / answer["wall_ns"],
        ticks=answer["ticks"],
        missed=answer["missed"],
        late_p50_us=p50,
        late_p99_us=p99,
        late_max_us=late.max(),
        reading_p50_us=float(np.median(readings.end_ns - readings.begin_ns)) / NS_PER_US,
        cpu_pct=100 * answer["cpu_ns"] / answer["wall_ns"],
        scheduling=answer["scheduling"],
        files=files,
    )
