"""The rows of phases.parquet as a table, and back, checked column by column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from cgbench.foreign import storable
from cgbench.records import arrow
from cgbench.records.run import PHASE_COLUMNS, Row
from cgbench.spec.fields import Via
from cgbench.spec.metrics import METRICS
from cgbench.units import NS_PER_MS

if TYPE_CHECKING:
    import pyarrow as pa

# What a name in a row may be: those of roles, options and metrics, and ways of setting.
_NAMED = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_NAMES = ("experiment", "role", "option", "via", "metric")
_NUMBERS = ("expected", "value", "error_pct")
_WHOLE = ("trial", "phase", "n_samples")
_MAY_LACK = ("note", "effective", "expected", "error_pct")
_TIMES = frozenset(metric.name for metric in METRICS.values() if metric.unit == "ms")
_LONGEST_MS = 2**63 / NS_PER_MS


def row_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(PHASE_COLUMNS)
    return pa.table(dict(zip(PHASE_COLUMNS, map(arrow.listed, columns), strict=True)))


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of a table. Raises ArrowInvalid, which names the column that is none's."""
    import pyarrow as pa

    for name in PHASE_COLUMNS:
        if name not in table.column_names:
            raise pa.ArrowInvalid(f"it has no column {name}")
        column = table.column(name)
        if not _fits(name, column.type) or (column.null_count and name not in _MAY_LACK):
            raise pa.ArrowInvalid(f"column {name} holds something else than it should")
        if name in _NUMBERS and not _finite(column):
            raise pa.ArrowInvalid(f"column {name} holds a value that is no number")
    columns = [_values(table.column(name)) for name in PHASE_COLUMNS]
    for name, values in zip(PHASE_COLUMNS, columns, strict=True):
        if name in _NAMES and not all(map(_NAMED.fullmatch, set(values))):
            raise pa.ArrowInvalid(f"column {name} holds something that is no name")
    if not set(columns[PHASE_COLUMNS.index("via")]) <= set(get_args(Via)):
        raise pa.ArrowInvalid("column via holds something that is no way of setting a value")
    unknown = set(columns[PHASE_COLUMNS.index("metric")]) - set(METRICS)
    if unknown:
        raise pa.ArrowInvalid(f"column metric names the unknown {min(unknown)}")
    rows = list(map(Row._make, zip(*columns, strict=True)))
    for row in rows:
        if row.metric in _TIMES and not 0 <= row.value < _LONGEST_MS:
            raise pa.ArrowInvalid(f"column value holds a time that no clock shows: {row.metric}")
    return rows


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python's values, of which equal texts are one and the same."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        values: list[Any] = column.to_pylist()
        return values
    found = arrow.numpy(column)
    kept = {text: None if text is None else storable(text) for text in set(found)}
    return [kept[text] for text in found]


def _fits(name: str, kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_null(kind):
        # Without a row, or with none that has it.
        return True
    if name in _NUMBERS:
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) if name in _WHOLE else pa.types.is_string(kind))


def _finite(column: pa.ChunkedArray) -> bool:
    present = column.drop_null()
    if not len(present):
        return True
    return bool(np.isfinite(arrow.numpy(present).astype(float)).all())
