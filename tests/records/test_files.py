"""Tables that say they hold more than was ever measured are refused before they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cgbench.errors import StoreError
from cgbench.records import files
from cgbench.records.files import open_table, readable
from cgbench.records.trial_tables import TrialTables
from cgbench.records.versions import RUN

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"


def written(path: Path, **columns: object) -> Path:
    # A dictionary of values that all differ takes long to find out that it is none.
    pq.write_table(pa.table(columns), path, compression="zstd", use_dictionary=False)
    return path


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught, readable(path), open_table(path):
        pass
    return caught.value.message


def test_a_few_bytes_of_equal_values_are_no_million_rows(tmp_path: Path) -> None:
    """Second rank: a few KB of run-length coded zeros became GBs."""
    path = written(tmp_path / "x.parquet", t_ns=np.zeros(300_000, np.int64))
    assert path.stat().st_size < 50_000
    assert "has more than" in refused(path)


def test_a_few_bytes_are_no_gigabyte_of_text(tmp_path: Path) -> None:
    texts = [f"{number:04}" + "x" * 100_000 for number in range(1000)]
    path = written(tmp_path / "x.parquet", role=texts)
    assert path.stat().st_size < 10**6
    assert "packed more tightly" in refused(path)


def test_a_long_text_in_every_row_is_in_memory_once(tmp_path: Path) -> None:
    # Nine gigabytes of text. The file does not say that it was written from a dictionary: byte by
    # byte it is the one that is written from as many texts.
    alike = pa.DictionaryArray.from_arrays(np.zeros(90_000, np.int32), ["x" * 100_000])
    path = tmp_path / "x.parquet"
    columns = {"role": alike, "t_ns": range(90_000)}
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)
    assert pq.read_schema(path).field("role").type == pa.string()
    with readable(path), open_table(path) as file:
        table = file.read()
    assert pa.types.is_dictionary(table.column("role").type)
    assert len(table) == 90_000
    assert table.nbytes < 10**7


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*/**/*.parquet")), ids=lambda one: one.stem)
def test_every_table_that_was_measured_is_far_from_the_bounds(path: Path) -> None:
    about = pq.read_metadata(path)
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    size = path.stat().st_size
    assert about.num_rows < size
    assert sum(group.total_byte_size for group in groups) < files._BYTES_PER_BYTE * size / 4


def test_a_table_has_no_more_rows_than_its_trial_has_time_for(tmp_path: Path) -> None:
    written(tmp_path / "trial-0001.parquet", role=["a"] * 100, t_ns=range(100))
    with TrialTables(tmp_path, 1, most_rows=100) as tables:
        assert len(tables.sample("a", "t_ns")) == 100
    with (
        pytest.raises(StoreError, match="more rows than fit into its trial's time"),
        TrialTables(tmp_path, 1, most_rows=99) as tables,
    ):
        tables.sample("a", "t_ns")


def test_a_document_is_smaller_than_a_list_of_trials(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"schema_version": 1, "x": "x" * (files.MOST_DOCUMENT_BYTES)}))
    with pytest.raises(StoreError, match="larger than 32 MiB"):
        files.read_versioned(path, RUN, "")
