"""The Parquet files of one trial, each opened once and read column by column, part by part.

A trial may hold ten million samples: no column is in memory that nobody asked for, and none twice.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cgbench.records import arrow
from cgbench.records.column_checks import check_counts, check_numbers, check_order
from cgbench.records.files import MOST_ROWS, open_table, readable, require_texts

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    import pyarrow.parquet as pq

Columns: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Columns by name, as numpy has them: with gaps as floats with NaN, texts as objects with None."""

# Whole numbers that mostly are so small that a part of eight bytes holds them.
_SMALL = ("worker", "units")


class TrialTables:
    """What was measured in one trial, by container; a context, in which files stay open."""

    def __init__(self, folder: Path, trial: int, most_rows: int = MOST_ROWS) -> None:
        self._stem = folder / f"trial-{trial:04}"
        self._most_rows = most_rows
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

    def names(self, pattern: str) -> list[str]:
        """Return the columns of the samples that a pattern fits; a `*` stands for anything."""
        with self._table("") as table:
            return [name for name in table.names if fnmatch.fnmatchcase(name, pattern)]

    def sample(self, role: str, name: str, kind: Any = None) -> npt.NDArray[Any]:
        """Return one column of one container's samples, as numbers of a `kind` if one is given."""
        with self._table("") as table:
            values = table.column(role, name, kind)
            if name == "t_ns":
                check_counts(name, values)
                check_order(name, values)
            return values

    def probe(self, role: str) -> Columns:
        """Return worker, t_ns and units of every bucket of one container's probe."""
        return self._read(".probe", role, ("worker", "t_ns", "units"))

    def stalls(self, role: str) -> Columns:
        """Return worker, begin_ns and length_ns of every stall of one container's probe."""
        return self._read(".stalls", role, ("worker", "begin_ns", "length_ns"))

    def docker_stats(self, role: str) -> Columns:
        """Return t_ns, cpus and memory_bytes of the `docker stats` messages of one container."""
        with self._table(".docker-stats") as table:
            found = {name: table.column(role, name) for name in ("t_ns", "cpus", "memory_bytes")}
            for name, values in found.items():
                check_numbers(name, values)
            check_counts("t_ns", found["t_ns"])
            check_order("t_ns", found["t_ns"])
            return found

    def _read(self, kind: str, role: str, names: tuple[str, ...]) -> Columns:
        """Return the columns of a probe: a worker, times and counts."""
        with self._table(kind) as table:
            found = {name: table.column(role, name, table.smallest(name)) for name in names}
            for name, values in found.items():
                check_counts(name, values)
            check_order(names[1], found[names[1]], found["worker"])
            return found

    @contextmanager
    def _table(self, kind: str) -> Iterator[_Table]:
        path = self._stem.with_name(f"{self._stem.name}{kind}.parquet")
        with readable(path):
            if kind not in self._open:
                self._open[kind] = _Table(path, self._most_rows)
            yield self._open[kind]


class _Table:
    """One Parquet file whose column `role` names the container of each row."""

    def __init__(self, path: Path, most_rows: int) -> None:
        import pyarrow as pa

        self._file: pq.ParquetFile = open_table(path)
        try:
            if self._file.metadata.num_rows > most_rows:
                raise pa.ArrowInvalid("it has more rows than fit into its trial's time")
            require_texts(self._file.schema_arrow, "role")
        except BaseException:
            self.close()
            raise
        self.names: list[str] = self._file.schema_arrow.names
        self._rows: dict[str, list[npt.NDArray[np.bool_] | None]] = {}

    def close(self) -> None:
        self._file.close()

    def smallest(self, name: str) -> npt.DTypeLike | None:
        """Return the kind of whole number that holds all of a column in little room, if known."""
        if name not in _SMALL or name not in self.names:
            return None
        ranges = [one for group in self._groups if (one := self._range(group, name)) is not None]
        if len(ranges) < len(self._groups) or not ranges:
            return None
        low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
        return np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))

    def column(self, role: str, name: str, kind: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Return one container's part of a column."""
        parts = [(group, rows) for group in self._groups
                 if (rows := self._places(role)[group]) is None or rows.any()]  # fmt: skip
        if not parts:
            return arrow.numpy(self._found(self._file.schema_arrow.empty_table(), name))
        found: npt.NDArray[Any] | None = None
        filled, total = 0, sum(self._count(*part) for part in parts)
        for group, rows in parts:
            values = arrow.numpy(self._found(self._group(group, name), name))
            if kind is not None:
                check_numbers(name, values)
            values = values if rows is None else values[rows]
            if found is None:
                found = np.empty(total, values.dtype if kind is None else kind)
            elif kind is None and found.dtype != values.dtype:
                # The first gap in a column of whole numbers: from here on they are floats.
                found = found.astype(np.result_type(found.dtype, values.dtype))
            found[filled : filled + len(values)] = values
            filled += len(values)
        assert found is not None
        return found

    @property
    def _groups(self) -> range:
        return range(self._file.num_row_groups)

    def _group(self, group: int, name: str) -> pa.Table:
        import pyarrow as pa

        # One column has nothing that a second thread could do.
        found = self._file.read_row_group(group, columns=[name], use_threads=False)
        if name in found.column_names and found.num_rows != self._count(group, None):
            raise pa.ArrowInvalid(f"column {name} has fewer or more rows than its table")
        return found

    @staticmethod
    def _found(table: pa.Table, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        # pyarrow passes over columns that are not there.
        if name not in table.column_names:
            raise pa.ArrowInvalid(f"it has no column {name}")
        if pa.types.is_nested(table.column(name).type):
            raise pa.ArrowInvalid(f"column {name} holds something other than single values")
        return table.column(name)

    def _count(self, group: int, rows: npt.NDArray[np.bool_] | None) -> int:
        if rows is None:
            return int(self._file.metadata.row_group(group).num_rows)
        return int(np.count_nonzero(rows))

    def _places(self, role: str) -> list[npt.NDArray[np.bool_] | None]:
        """Return which rows of each row group are a container's, None where all are."""
        if role not in self._rows:
            self._rows[role] = [self._place(group, role) for group in self._groups]
        return self._rows[role]

    def _place(self, group: int, role: str) -> npt.NDArray[np.bool_] | None:
        if self._range(group, "role") == (role, role):
            return None
        found = arrow.equal(self._found(self._group(group, "role"), "role"), role)
        return None if found.all() else found

    def _range(self, group: int, name: str) -> tuple[Any, Any] | None:
        """Return the least and the greatest of a column as its file states them, if it does."""
        if name not in self.names:
            return None
        self._begin(group, name)
        column = self._file.metadata.row_group(group).column(self.names.index(name))
        known = column.statistics
        if known is None or not known.has_min_max or known.null_count:
            return None
        return known.min, known.max

    def _begin(self, group: int, name: str) -> None:
        """Begin to read a column, which raises ArrowException or OSError where it is damaged.

        Asked for the statistics of such a column, pyarrow (26.0) ends the process instead.
        """
        begun = self._file.iter_batches(
            batch_size=1, row_groups=[group], columns=[name], use_threads=False
        )
        next(begun, None)
