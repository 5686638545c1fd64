"""Files that are read with one clear error; the home of pyarrow's tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records.versions import DAMAGED, TABLE, Versions
from cgbench.records.writing import whole
from cgbench.spec import regular_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MOST_BYTES = 256 * 2**20
MOST_DOCUMENT_BYTES = 32 * 2**20
MOST_TABLE_BYTES = 16 * 2**30
"""The largest list of trials, documents and tables that are read.

Damage may make a file look larger, and a document takes ten times its size in memory.
"""

MOST_ROWS = 200_000_000
"""The most rows of a table: a day's samples at the highest rate, and a little more."""

_MOST_COLUMNS = 50_000
# What a byte of a file can stand for. Times and counters that were measured take more than a byte
# each; equal values, of which a few bytes hold millions, are nothing that was measured.
_ROWS_PER_BYTE = 16
_BYTES_PER_BYTE = 64
# A small table may be all equal values.
_ROWS_FOR_NOTHING = 100_000
_BYTES_FOR_NOTHING = 64 * 2**20

# To read fewer with several threads takes longer than with one.
_ROWS_FOR_THREADS = 100_000

_VERSION = b"cgbench.schema_version"

WHOLE = "Copy the run's directory whole."


def read_bytes(path: Path, advice: str | None = None, most: int = MOST_BYTES) -> bytes:
    """Return what is in a file of at most `most` bytes.

    Raises StoreError, with `advice`, when there is none, or it is no regular file.
    """
    try:
        return regular_file.content(path, most)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", advice) from None


def read_versioned(path: Path, versions: Versions, advice: str) -> dict[str, Any]:
    """Return the JSON object in `path`, whose key schema_version must be one of `versions`.

    That key is returned as the version written today, whose models then make up for the rest.
    Raises StoreError, with `advice` where there is no such file.
    """
    content = read_bytes(path, advice, MOST_DOCUMENT_BYTES)
    try:
        document = json.loads(content, parse_constant=_refused)
    except UnicodeDecodeError as error:
        raise StoreError(
            f"{path}: not JSON: not UTF-8 at byte {error.start + 1}", DAMAGED
        ) from None
    except ValueError as error:
        # Python's own words for a whole number of thousands of digits are of its limits.
        said = "a number has thousands of digits" if "int_max_str" in str(error) else str(error)
        raise StoreError(f"{path}: not JSON: {said}", DAMAGED) from None
    except RecursionError:
        raise StoreError(f"{path}: not JSON: nested too deeply", DAMAGED) from None
    if not isinstance(document, dict):
        raise StoreError(f"{path}: not a JSON object", DAMAGED)
    if b"\\ud" in content.lower() and not _encodable(document):
        raise StoreError(f"{path}: not JSON: half a character in a text", DAMAGED)
    versions.check(path, document.get("schema_version"))
    return document | {"schema_version": versions.written}


def _encodable(document: object) -> bool:
    """Say whether no text has half of a pair of surrogates, which JSON's escapes can write."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def first_complaint(error: ValidationError) -> str:
    """Return what a model finds wrong first, behind the key.

    A key that it does not know is most often another one misspelt, and that one is then missing.
    """
    found = error.errors(include_url=False, include_input=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    key = ".".join(map(str, first["loc"]))
    said, _, _advice = first["msg"].removeprefix("Value error, ").partition("\n")
    said = "there is no such key" if first["type"] == "extra_forbidden" else said
    return f"{key}: {said}" if key else said


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def end_of_last_line(path: Path) -> int:
    """Return the offset behind the last whole line of a file."""
    return path.read_bytes().rfind(b"\n") + 1


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of reading the table `path` into a StoreError that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path} is missing", WHOLE) from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}", DAMAGED) from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        # A damaged name of a column is found when its text is made.
        raise StoreError(f"{path}: {error}", DAMAGED) from error


def open_table(path: Path) -> pq.ParquetFile:
    """Open a Parquet file, whose version must be one that is read; use it as a context.

    Texts are read as dictionaries, so that a long one that stands in every row is in memory once.
    Raises what `readable` translates, and StoreError for a file of a newer cgbench.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # pyarrow would wait for a pipe.
    with (
        regular_file.opened(path, MOST_TABLE_BYTES) as (same, size),
        pq.ParquetFile(same) as first,
    ):
        _require_room(first.metadata, size)
        texts = [one.name for one in first.schema_arrow if pa.types.is_string(one.type)]
        file = pq.ParquetFile(same, metadata=first.metadata, read_dictionary=texts)
    try:
        schema = file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise pa.ArrowInvalid("two of its columns have the same name")
        stated = (schema.metadata or {}).get(_VERSION, b"1")
        TABLE.check(path, int(stated) if stated.isdigit() and len(stated) < 10 else None)
    except BaseException:
        file.close()
        raise
    return file


def _require_room(about: pq.FileMetaData, size: int) -> None:
    """Raise ArrowInvalid where a file of `size` bytes says that it holds more than it can."""
    import pyarrow as pa

    most_rows = min(MOST_ROWS, _ROWS_PER_BYTE * size + _ROWS_FOR_NOTHING)
    if about.num_rows > most_rows:
        raise pa.ArrowInvalid(f"it has more than {most_rows} rows")
    if about.num_columns > _MOST_COLUMNS:
        raise pa.ArrowInvalid(f"it has more than {_MOST_COLUMNS} columns")
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    if sum(group.num_rows for group in groups) != about.num_rows:
        raise pa.ArrowInvalid("it does not have as many rows as it says")
    if sum(group.total_byte_size for group in groups) > _BYTES_PER_BYTE * size + _BYTES_FOR_NOTHING:
        raise pa.ArrowInvalid("it is packed more tightly than anything that was measured")


def require_texts(schema: pa.Schema, name: str) -> None:
    """Raise ArrowInvalid unless a column has texts."""
    import pyarrow as pa

    if name not in schema.names:
        raise pa.ArrowInvalid(f"it has no column {name}")
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not pa.types.is_string(kind):
        raise pa.ArrowInvalid(f"column {name} holds something other than texts")


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file, or some of its columns. Raises what `open_table` does."""
    import pyarrow as pa

    # Not pq.read_table(), whose data sets import pandas. This one passes over missing columns.
    with open_table(path) as file:
        lacking = set(columns or ()) - set(file.schema_arrow.names)
        if lacking:
            raise pa.ArrowInvalid(f"it has no column {min(lacking)}")
        return file.read(columns=columns, use_threads=file.metadata.num_rows > _ROWS_FOR_THREADS)


def write_table(path: Path, table: pa.Table, **stated: str) -> None:
    """Write a Parquet file with its version, and what else is `stated`, in its metadata."""
    import pyarrow.parquet as pq

    metadata = {_VERSION: str(TABLE.written).encode()}
    metadata |= {f"cgbench.{key}".encode(): text.encode() for key, text in stated.items()}
    with whole(path) as file:
        pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


def stated(table: pa.Table, key: str) -> str | None:
    """Return what was stated under `key` when a table was written, None if nothing was."""
    text = (table.schema.metadata or {}).get(f"cgbench.{key}".encode())
    return None if text is None else text.decode(errors="replace")
