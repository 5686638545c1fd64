"""The Parquet files of one trial, each opened once and read column by column, part by part.

A trial may hold ten million samples: no column is in memory that nobody asked for, and none twice.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cgbench.records import arrow
from cgbench.records.files import open_table, readable

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow.parquet as pq

Columns: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Columns by name, as numpy has them: with gaps as floats with NaN, texts as objects with None."""


class TrialTables:
    """What was measured in one trial, by container; a context, in which files stay open."""

    def __init__(self, folder: Path, trial: int) -> None:
        self._stem = folder / f"trial-{trial:04}"
        self._open: dict[str, _Table] = {}

    def __enter__(self) -> TrialTables:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for table in self._open.values():
            table.close()
        self._open.clear()

    def samples(self, role: str, columns: Iterable[str]) -> Columns:
        """Return `t_ns` and the given columns of one container's samples.

        A column that was never recorded is absent. A `*` in a name stands for anything.
        """
        return self._read("", role, ("t_ns",), columns)

    def probe(self, role: str) -> Columns:
        """Return worker, t_ns and units of every bucket of one container's probe."""
        return self._read(".probe", role, ("worker", "t_ns", "units"))

    def stalls(self, role: str) -> Columns:
        """Return worker, begin_ns and length_ns of every stall of one container's probe."""
        return self._read(".stalls", role, ("worker", "begin_ns", "length_ns"))

    def docker_stats(self, role: str) -> Columns:
        """Return t_ns, cpus and memory_bytes of the `docker stats` messages of one container."""
        return self._read(".docker-stats", role, ("t_ns", "cpus", "memory_bytes"))

    def _read(
        self, kind: str, role: str, needed: tuple[str, ...], patterns: Iterable[str] = ()
    ) -> Columns:
        path = self._stem.with_name(f"{self._stem.name}{kind}.parquet")
        with readable(path):
            if kind not in self._open:
                self._open[kind] = _Table(path)
            table = self._open[kind]
            wanted = [*needed, *(name for pattern in patterns for name in table.like(pattern))]
            return {name: table.column(role, name) for name in dict.fromkeys(wanted)}


class _Table:
    """One Parquet file whose column `role` names the container of each row."""

    def __init__(self, path: Path) -> None:
        self._file: pq.ParquetFile = open_table(path)
        self._rows: dict[str, list[npt.NDArray[np.bool_] | None]] = {}

    def close(self) -> None:
        self._file.close()

    def like(self, pattern: str) -> list[str]:
        """Return the names of the columns that a pattern fits."""
        return [name for name in self._file.schema_arrow.names
                if fnmatch.fnmatchcase(name, pattern)]  # fmt: skip

    def column(self, role: str, name: str) -> npt.NDArray[Any]:
        """Return one container's part of a column."""
        found: npt.NDArray[Any] | None = None
        filled = 0
        places = self._places(role)
        total = sum(self._count(group, mask) for group, mask in enumerate(places))
        for group, mask in enumerate(places):
            if not self._count(group, mask):
                continue
            part = arrow.numpy(self._group(group, name))
            part = part if mask is None else part[mask]
            if found is None:
                found = np.empty(total, part.dtype)
            elif found.dtype != part.dtype:
                # The first gap in a column of whole numbers: from here on they are floats.
                kind = np.result_type(found.dtype, part.dtype)
                found = found.astype(kind)
            found[filled : filled + len(part)] = part
            filled += len(part)
        return self._nothing(name) if found is None else found

    def _nothing(self, name: str) -> npt.NDArray[Any]:
        return arrow.numpy(self._column(self._file.schema_arrow.empty_table(), name))

    def _group(self, group: int, name: str) -> Any:
        return self._column(self._file.read_row_group(group, columns=[name]), name)

    @staticmethod
    def _column(table: Any, name: str) -> Any:
        import pyarrow as pa

        # pyarrow passes over columns that are not there.
        if name not in table.column_names:
            raise pa.ArrowInvalid(f"it has no column {name}")
        return table.column(name)

    def _count(self, group: int, mask: npt.NDArray[np.bool_] | None) -> int:
        if mask is None:
            return int(self._file.metadata.row_group(group).num_rows)
        return int(np.count_nonzero(mask))

    def _places(self, role: str) -> list[npt.NDArray[np.bool_] | None]:
        """Return which rows of each row group are a container's, None where all are."""
        if role not in self._rows:
            masks = [
                arrow.equal(self._group(group, "role"), role)
                for group in range(self._file.num_row_groups)
            ]
            self._rows[role] = [None if mask.all() else mask for mask in masks]
        return self._rows[role]
