"""Runs on disk: JSON and Parquet under `results/`; the home of pyarrow.

Files appear whole: they are written beside their place, synced and renamed. A trial exists once
its line in trials.jsonl does, which is written last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records import output_folder, rules
from cgbench.records.files import (
    MOST_ROWS,
    end_of_last_line,
    first_complaint,
    read_bytes,
    read_table,
    read_versioned,
    readable,
    stated,
    write_table,
)
from cgbench.records.row_table import row_table, rows_of
from cgbench.records.run import Row, RunRecord
from cgbench.records.samples import TrialData, probe_table, samples_table, stalls_table, stats_table
from cgbench.records.trial import TrialRecord
from cgbench.records.trial_tables import TrialTables
from cgbench.records.versions import DAMAGED, RUN
from cgbench.records.writing import appending, explained, whole
from cgbench.units import format_size

if TYPE_CHECKING:
    import pyarrow as pa

MINIMUM_FREE = 64 * 2**20
"""Bytes that must be free before a run begins."""


class RunDirectory:
    """One run: a directory that can be copied, moved or merged by copying it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # Writing

    @classmethod
    def create(cls, results: Path, experiment: str, name: str) -> RunDirectory:
        """Make the directory of a new run.

        Raises StoreError when `results` is not writable or its disk is full.
        """
        path = results / experiment / name
        with explained(path):
            with output_folder.opened(path.parent, make=True) as folder:
                os.mkdir(name, dir_fd=folder)
            with output_folder.opened(path / "samples", make=True):
                pass
            free = shutil.disk_usage(path).free
        if free < MINIMUM_FREE:
            shutil.rmtree(path)
            raise StoreError(
                f"{results} has only {format_size(free)} free of the "
                f"{format_size(MINIMUM_FREE)} needed",
                "Free some space, or choose another place with --results.",
            )
        return cls(path)

    def write_run(self, record: RunRecord) -> None:
        """Write run.json."""
        # A resumed run of an older cgbench goes on in today's format.
        current = record.model_copy(update={"schema_version": RUN.written})
        self._write("run.json", current.model_dump_json(indent=1).encode())

    def write_trial(self, record: TrialRecord, data: TrialData) -> None:
        """Write a trial's Parquet files, then its line in trials.jsonl."""
        stem = f"samples/trial-{record.number:04}"
        self._write_table(f"{stem}.parquet", samples_table(data.samples))
        self._write_table(f"{stem}.probe.parquet", probe_table(data.probes))
        self._write_table(f"{stem}.stalls.parquet", stalls_table(data.probes))
        self._write_table(f"{stem}.docker-stats.parquet", stats_table(data.stats))
        self.append_trial(record)

    def append_trial(self, record: TrialRecord) -> None:
        """Append a trial's line to trials.jsonl and sync it."""
        path = self.path / "trials.jsonl"
        rest = record.model_dump_json().encode() + b"\n"
        with appending(path) as descriptor:
            before = end_of_last_line(path)
            try:
                # A torn line would hide every later one, be it left by a crash or by this call.
                os.truncate(descriptor, before)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            except OSError:
                os.truncate(descriptor, before)
                raise

    def write_phases(self, rows: Sequence[Row]) -> None:
        """Write phases.parquet, and by which rules its rows were computed."""
        table = row_table(rows)
        write_table(self.path / "phases.parquet", table, rules=rules.digest())

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the run, and return its path."""
        self._write(name, text.encode())
        return self.path / name

    def _write_table(self, name: str, table: pa.Table) -> None:
        write_table(self.path / name, table)

    def _write(self, name: str, content: bytes) -> None:
        with whole(self.path / name) as file:
            file.write(content)

    # Reading

    def run(self) -> RunRecord:
        """Read run.json. Raises StoreError when it is missing, malformed or too new."""
        path = self.path / "run.json"
        document = read_versioned(path, RUN, "Is this the directory of a run?")
        try:
            return RunRecord.model_validate(document)
        except ValidationError as error:
            raise StoreError(f"{path}: {first_complaint(error)}", DAMAGED) from None

    def trials(self) -> list[TrialRecord]:
        """Read all finished trials in the order they ended; a torn last line is left out."""
        path = self.path / "trials.jsonl"
        if not path.exists() and not path.is_symlink():
            return []
        lines = read_bytes(path, DAMAGED).split(b"\n")
        records = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                records.append(TrialRecord.model_validate_json(line))
            except ValidationError as error:
                raise StoreError(
                    f"{path}: line {number}: {first_complaint(error)}", DAMAGED
                ) from None
        return records

    def tables(self, trial: int, most_rows: int = MOST_ROWS) -> TrialTables:
        """Return what was measured in one trial, to be used as a context.

        A table with more than `most_rows` is taken for damaged.
        """
        return TrialTables(self.path / "samples", trial, most_rows)

    def phases(self) -> list[Row] | None:
        """Return the rows of phases.parquet, None where there are none by today's rules.

        Raises StoreError when the file is damaged or too new.
        """
        path = self.path / "phases.parquet"
        if not path.exists() and not path.is_symlink():
            return None
        with readable(path):
            table = read_table(path)
            if stated(table, "rules") != rules.digest():
                # The first format stated none.
                return None
            return rows_of(table)
