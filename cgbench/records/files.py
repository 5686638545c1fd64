"""Files that appear whole, and are read with one clear error; the home of pyarrow's tables."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgbench.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa


_ELSEWHERE = "Choose another place with --results."


def write_file(path: Path, text: str) -> Path:
    """Write a file whole, with its directories, and return its path.

    Raises StoreError when it cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_text(text)
    return path


def append_file(path: Path, text: str) -> None:
    """Append to a file that others write to as well. Raises StoreError when it cannot be."""
    with explained(path), path.open("a") as file:
        file.write(text)


def read_versioned(path: Path, version: int, advice: str) -> dict[str, Any]:
    """Return the JSON object in `path`, whose key schema_version must be `version`.

    Raises StoreError, with `advice` where there is no such file.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", advice) from None
    except ValueError as error:
        raise StoreError(f"{path}: not JSON: {error}", "The file is damaged.") from None
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != version:
        raise StoreError(
            f"{path}: schema version {found}, this cgbench reads {version}",
            "Read it with the cgbench that wrote it, or update cgbench.",
        )
    result: dict[str, Any] = document
    return result


def end_of_last_line(path: Path) -> int:
    """Return the offset behind the last whole line of a file."""
    return path.read_bytes().rfind(b"\n") + 1


@contextmanager
def whole(final: Path, advice: str = _ELSEWHERE) -> Iterator[Path]:
    """Yield a path beside `final` to write to; it takes the place of `final` once it is synced.

    Raises StoreError, with `advice`, when it cannot be written.
    """
    partial = final.with_name(f".{final.name}.partial")
    with explained(final, advice):
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def explained(path: Path, advice: str = _ELSEWHERE) -> Iterator[None]:
    """Turn an error of writing `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"disk full while writing {path}",
                "Free some space; finished trials are kept, go on with --resume.",
            ) from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}", advice) from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of reading the table `path` into a StoreError that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path} is missing", "Copy the run's directory whole.") from None
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: {error}", "The file is damaged.") from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file, or some of its columns. Raises what `readable` translates."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not pq.read_table(), whose data sets import pandas. This one passes over missing columns.
    with pq.ParquetFile(path) as file:
        lacking = set(columns or ()) - set(file.schema_arrow.names)
        if lacking:
            raise pa.ArrowInvalid(f"it has no column {min(lacking)}")
        return file.read(columns=columns)
