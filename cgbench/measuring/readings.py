"""What one sampler read: its spool of raw bytes turned into columns, after the trial."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cgbench.errors import SamplerError
from cgbench.host import interface_files
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.samples import Column, Samples
from cgbench.spec.experiment import Sampling
from cgbench.units import NS_PER_S

_HEADER = struct.Struct("<IHH")
_TICK = struct.Struct("<qqq")
_TICK_FILE = 0xFFFF
_GONE = 0xFFFF

Integers = npt.NDArray[np.int64]
_Value = Mapping[str, interface_files.Reading] | None


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

    def history(self, path: Path, begin_ns: int, end_ns: int) -> FileHistory | None:
        """Return what `path` held in a stretch of time, None where it was not read until its end.

        The first text is the one of the last reading that began before; it counts from `begin_ns`.
        """
        for series in self.series:
            if series.target.path == path:
                times = self.begin_ns[series.rows[series.changes]]
                first = max(0, int(np.searchsorted(times, begin_ns, side="right")) - 1)
                last = int(np.searchsorted(times, end_ns))
                readings = [
                    Stood(t_ns=max(begin_ns, int(times[at])), text=_text(series, at))
                    for at in range(first, last)
                ]
                return FileHistory.of(readings) if readings else None
        return None


def _text(series: Series, at: int) -> str | None:
    values = series.values[at]
    found = None if values is None else values.get(series.target.path.name)
    return None if found is None else str(found)


def read_spool(
    path: Path, targets: Sequence[Target], sampling: Sampling, start_ns: int
) -> Readings:
    """Read a spool back; `start_ns` is when deadline 0 fell. Raises SamplerError if it is not one.

    A torn last record, as a crash leaves it, is dropped with the tick it belongs to.
    """
    ticks: list[tuple[int, int, int]] = []
    found: list[tuple[list[int], list[_Value]]] = [([], []) for _ in targets]
    # Each content is parsed as it comes, so that no more than one is held as bytes.
    for tick, file, content in _records(path, len(targets)):
        if file == _TICK_FILE and content is not None:
            ticks.append(_TICK.unpack(content))
            continue
        target = targets[file]
        found[file][0].append(tick)
        found[file][1].append(
            None
            if content is None
            else interface_files.parse(target.path.name, content, text=target.text)
        )
    table = np.array(ticks, dtype=np.int64).reshape(len(ticks), 3)
    numbers = table[:, 0]
    slow_rows = np.flatnonzero(numbers % (sampling.fast_hz // sampling.slow_hz) == 0)
    all_rows = np.arange(len(numbers))
    return Readings(
        start_ns + numbers * (NS_PER_S // sampling.fast_hz),
        table[:, 1],
        table[:, 2],
        tuple(
            _series(target, slow_rows if target.slow else all_rows, where, values)
            for target, (where, values) in zip(targets, found, strict=True)
        ),
    )


def _records(path: Path, files: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield a spool's records as tick, file and content; the file itself is never held whole."""
    ticks, offset = 0, 0
    try:
        with path.open("rb") as spool:
            while len(header := spool.read(_HEADER.size)) == _HEADER.size:
                tick, file, length = _HEADER.unpack(header)
                well_formed = length == _TICK.size if file == _TICK_FILE else file < files
                if tick != ticks or not well_formed:
                    raise SamplerError(
                        f"{path}: the record at byte {offset} was not written by a sampler"
                    )
                content = None if length == _GONE else spool.read(length)
                if content is not None and len(content) < length:
                    return
                ticks += file == _TICK_FILE
                offset += _HEADER.size + len(content or b"")
                yield tick, file, content
    except OSError as error:
        raise SamplerError(f"{path}: {error.strerror}") from error


def _series(target: Target, rows: Integers, where: list[int], values: list[_Value]) -> Series:
    complete = len(where)
    while complete and (not rows.size or where[complete - 1] > rows[-1]):
        complete -= 1
    return Series(
        target,
        rows,
        np.searchsorted(rows, np.array(where[:complete], dtype=np.int64)),
        tuple(values[:complete]),
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
