"""Parquet files as tests look at them and change them: plain, without what cgbench checks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read(path: Path) -> pa.Table:
    """Return a whole file. Not pq.read_table(), whose data sets import pandas, in a second."""
    with pq.ParquetFile(path) as file:
        return file.read()
