"""Arrow arrays made and read without pandas, against pyarrow's own conversions."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cgbench.records import arrow


@pytest.mark.parametrize(
    "values",
    [
        [], [None, None], [1, 2, 3], [1, None, -(2**62)], [1.5, None, 2], ["a", None, "", "für"],
        [None] * 9 + [7],
    ],
)  # fmt: skip
def test_listed_values_are_what_pyarrow_itself_makes_of_them(values: list[Any]) -> None:
    assert arrow.listed(values).equals(pa.array(values))


def test_an_empty_list_may_have_a_kind() -> None:
    assert arrow.listed([], pa.string()).type == pa.string()


@pytest.mark.parametrize("values", [["a", 1], [b"bytes"], [True, 2]])
def test_a_mixture_has_no_kind(values: list[Any]) -> None:
    with pytest.raises(TypeError, match="one column cannot hold"):
        arrow.listed(values)


@pytest.mark.parametrize("packed", [True, False])
def test_a_text_is_found_in_dictionaries_and_plain_columns(packed: bool) -> None:
    values = pa.array(["a", None, "b", "a"])
    column = pa.chunked_array([values.dictionary_encode() if packed else values])
    assert arrow.equal(column, "a").tolist() == [True, False, False, True]
    assert arrow.equal(column, "c").tolist() == [False] * 4


def test_numbers_that_are_not_present_are_null() -> None:
    made = arrow.numbers(np.arange(4, dtype=np.int32), np.array([True, False, True, True]))
    assert made.equals(pa.array([0, None, 2, 3], pa.int32()))
    assert arrow.numbers(np.arange(6)[::2]).to_pylist() == [0, 2, 4]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [[1, 2], [3]],
        [[1, None], [3]],
        [[1.5, None]],
        [["a", None], ["b"]],
        [[0, None, 1, None, 4, 5]],
    ],
)
# A slice begins inside the first byte of its bitmap, and ends before the last value.
@pytest.mark.parametrize("off", [0, 1])
def test_a_column_comes_back_as_pyarrow_itself_converts_it(
    chunks: list[list[Any]], off: int
) -> None:
    whole = pa.chunked_array(chunks, None if chunks else pa.int64())
    column = whole.slice(off, max(len(whole) - 2 * off, 0))
    mine, theirs = arrow.numpy(column), column.to_numpy()
    assert mine.dtype == theirs.dtype
    np.testing.assert_array_equal(mine, theirs)


def test_texts_stored_once_come_back_with_their_gaps() -> None:
    parts = [pa.array(part).dictionary_encode() for part in (["a", None, "b"], ["c", "a"])]
    assert arrow.numpy(pa.chunked_array(parts)).tolist() == ["a", None, "b", "c", "a"]


def test_rows_are_chosen_by_text_plain_or_stored_once() -> None:
    roles = pa.array(["a", "b", None, "a"])
    for column in (roles, roles.dictionary_encode()):
        chunked = pa.chunked_array([column, column.slice(1)])
        assert arrow.equal(chunked, "a").tolist() == [True, False, False, True, False, False, True]
        assert not arrow.equal(chunked, "c").any()


def test_nothing_of_it_imports_pandas() -> None:
    program = (
        "import sys, pyarrow as pa; from cgbench.records import arrow as arrays\n"
        "table = pa.table({'role': arrays.listed(['a', 'b']).dictionary_encode(),\n"
        "                  'n': arrays.listed([1, None])})\n"
        "arrays.equal(table.column('role'), 'a')\narrays.numpy(table.column('n'))\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
