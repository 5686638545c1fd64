"""What was measured in one trial beside its record, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cgbench.records import arrow

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column of samples, as runs of equal values.

    `index` has one entry per sample: a position in `values`, or -1 where nothing was read.
    """

    name: str
    index: npt.NDArray[np.int32]
    values: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Samples:
    """All samples of one container in one trial; times are CLOCK_MONOTONIC ns."""

    role: str
    t_ns: npt.NDArray[np.int64]
    late_ns: npt.NDArray[np.int64]
    columns: Sequence[Column]


@dataclass(frozen=True)
class ProbeLog:
    """What one worker of a probe wrote: units per bucket that began at `t_ns`, and its stalls."""

    role: str
    worker: int
    t_ns: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    stall_begin_ns: npt.NDArray[np.int64]
    stall_length_ns: npt.NDArray[np.int64]


@dataclass(frozen=True)
class StatsPoint:
    """One message of `docker stats`, as a user would have seen it."""

    role: str
    t_ns: int
    cpus: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class TrialData:
    """Everything measured in one trial beside its record."""

    samples: Sequence[Samples]
    probes: Sequence[ProbeLog]
    stats: Sequence[StatsPoint]


def samples_table(samples: Sequence[Samples]) -> pa.Table:
    """Return the samples of all containers as one table."""
    import pyarrow as pa

    tables = []
    for part in samples:
        columns: dict[str, Any] = {
            "role": arrow.listed([part.role])
            .dictionary_encode()
            .take(arrow.numbers(np.zeros(len(part.t_ns), np.int32))),
            "t_ns": arrow.numbers(part.t_ns),
            "late_ns": arrow.numbers(part.late_ns),
        }
        for column in part.columns:
            index = arrow.numbers(column.index, column.index >= 0)
            values = arrow.listed(column.values)
            if pa.types.is_string(values.type):
                # The same text may stand in it twice, when a limit came back to its old value.
                values = values.dictionary_encode()
            columns[column.name] = values.take(index)
        tables.append(pa.table(columns))
    if not tables:
        none = arrow.listed([], pa.int64())
        return pa.table({"role": arrow.listed([], pa.string()), "t_ns": none, "late_ns": none})
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries()


def probe_table(probes: Sequence[ProbeLog]) -> pa.Table:
    """Return the units that probes did, by bucket."""
    return _long_table(
        {
            "role": [(probe.role, len(probe.t_ns)) for probe in probes],
            "worker": [(probe.worker, len(probe.t_ns)) for probe in probes],
        },
        {
            "t_ns": [probe.t_ns for probe in probes],
            "units": [probe.units for probe in probes],
        },
    )


def stalls_table(probes: Sequence[ProbeLog]) -> pa.Table:
    """Return the stalls that probes saw."""
    return _long_table(
        {
            "role": [(probe.role, len(probe.stall_begin_ns)) for probe in probes],
            "worker": [(probe.worker, len(probe.stall_begin_ns)) for probe in probes],
        },
        {
            "begin_ns": [probe.stall_begin_ns for probe in probes],
            "length_ns": [probe.stall_length_ns for probe in probes],
        },
    )


def _long_table(
    keys: Mapping[str, Sequence[tuple[object, int]]],
    values: Mapping[str, Sequence[npt.NDArray[np.int64]]],
) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, repeats in keys.items():
        items = [item for item, _ in repeats]
        index = np.repeat(np.arange(len(items)), [count for _, count in repeats])
        kind = pa.string() if name == "role" else pa.int64()
        columns[name] = arrow.listed(items, kind).take(arrow.numbers(index.astype(np.int64)))
    for name, parts in values.items():
        columns[name] = arrow.numbers(np.concatenate(parts) if parts else np.empty(0, np.int64))
    return pa.table(columns)


def stats_table(points: Sequence[StatsPoint]) -> pa.Table:
    """Return the messages of `docker stats`."""
    import pyarrow as pa

    return pa.table(
        {
            "role": arrow.listed([point.role for point in points], pa.string()),
            "t_ns": arrow.listed([point.t_ns for point in points], pa.int64()),
            "cpus": arrow.listed([point.cpus for point in points], pa.float64()),
            "memory_bytes": arrow.listed([point.memory_bytes for point in points], pa.int64()),
        }
    )
