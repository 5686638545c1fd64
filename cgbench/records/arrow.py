"""Arrow arrays out of numpy's and Python's values and back, without pandas.

pyarrow's own conversions import pandas, to learn whether they were given something of its own: half
a second and 60 MiB, which must not fall between two trials.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa


def numbers(values: npt.NDArray[Any], present: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as an Arrow array; what is not `present` is null."""
    import pyarrow as pa

    kind, data = pa.from_numpy_dtype(values.dtype), pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [_validity(present), data])


def listed(values: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return whole numbers, numbers or texts, None among them, as an Arrow array.

    `kind` is guessed where it is not given. Raises TypeError for a mixture of numbers and texts.
    """
    import pyarrow as pa

    kinds = set(map(type, values))
    kind = _kind(kinds) if kind is None else kind
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    present = None
    if type(None) in kinds:
        present = np.array([value is not None for value in values], bool)
    if not pa.types.is_string(kind):
        filled = values if present is None else [0 if value is None else value for value in values]
        return numbers(np.array(filled, kind.to_pandas_dtype()), present)
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    buffers = [_validity(present), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def equal(column: pa.ChunkedArray, text: str) -> npt.NDArray[np.bool_]:
    """Return for each entry of a column of texts whether it is `text`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            # Not as texts: a long one may stand in many rows.
            known = [one == text for one in chunk.dictionary.to_pylist()]
            places, present = _plain(chunk.indices)
            parts.append(np.array([*known, False])[np.where(present, places, len(known))])
        else:
            parts.append(_plain(pc.index_in(chunk, value_set=listed([text])))[1])
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def numpy(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column as numpy has it: with gaps as floats with NaN, texts as objects with None."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        whole = pa.concat_arrays(column.unify_dictionaries().chunks)
        known = np.array([*whole.dictionary.to_pylist(), None], object)
        places, present = _plain(whole.indices)
        return known[np.where(present, places, len(known) - 1)]
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.array(column.to_pylist(), object)
    if not column.num_chunks:
        return np.empty(0, kind.to_pandas_dtype())
    values, present = _plain(pa.concat_arrays(column.chunks))
    return values if present.all() else np.where(present, values, np.nan)


def _plain(array: pa.Array) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the numbers of an array, anything where there is none, and where there is one."""
    bitmap, data = array.buffers()
    begin, end = array.offset, array.offset + len(array)
    values = np.frombuffer(data or b"", array.type.to_pandas_dtype())[begin:end]
    if bitmap is None:
        return values, np.ones(len(array), bool)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return values, bits[begin:end].astype(bool)


def _kind(types: Set[type]) -> pa.DataType:
    import pyarrow as pa

    kinds = types - {type(None)}
    if kinds <= {str}:
        return pa.string() if kinds else pa.null()
    if kinds <= {int, float}:
        return pa.float64() if float in kinds else pa.int64()
    raise TypeError(f"one column cannot hold {sorted(kind.__name__ for kind in kinds)}")


def _validity(present: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Return Arrow's bitmap of the values that are there, None where all are."""
    import pyarrow as pa

    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little"))
