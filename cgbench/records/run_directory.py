"""Runs on disk: JSON and Parquet under `results/`; the home of pyarrow.

Files appear whole: they are written beside their place, synced and renamed. A trial exists once
its line in trials.jsonl does, which is written last.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records import arrow
from cgbench.records.run import SCHEMA_VERSION, RunRecord, TrialRecord
from cgbench.units import format_size

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_ELSEWHERE = "Choose another place with --results."

MINIMUM_FREE = 64 * 2**20
"""Bytes that must be free before a run begins."""


@dataclass(frozen=True)
class Column:
    """One column of samples, as runs of equal values.

    `index` has one entry per sample: a position in `values`, or -1 where nothing was read.
    """

    name: str
    index: npt.NDArray[np.int32]
    values: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Samples:
    """All samples of one container in one trial; times are CLOCK_MONOTONIC ns."""

    role: str
    t_ns: npt.NDArray[np.int64]
    late_ns: npt.NDArray[np.int64]
    columns: Sequence[Column]


@dataclass(frozen=True)
class ProbeLog:
    """What one worker of a probe wrote: units per bucket that began at `t_ns`, and its stalls."""

    role: str
    worker: int
    t_ns: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    stall_begin_ns: npt.NDArray[np.int64]
    stall_length_ns: npt.NDArray[np.int64]


@dataclass(frozen=True)
class StatsPoint:
    """One message of `docker stats`, as a user would have seen it."""

    role: str
    t_ns: int
    cpus: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class TrialData:
    """Everything measured in one trial beside its record."""

    samples: Sequence[Samples]
    probes: Sequence[ProbeLog]
    stats: Sequence[StatsPoint]


TRUTH = "truth.json"
"""The file of a truth table."""


def new_run_name(now: datetime | None = None) -> str:
    """Return a name that sorts by time and is unique: `20261124T101530Z-3f9c`."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{secrets.token_hex(2)}"


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
        with _explained(path):
            (path / "samples").mkdir(parents=True)
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
        self._write("run.json", record.model_dump_json(indent=1).encode())

    def write_trial(self, record: TrialRecord, data: TrialData) -> None:
        """Write a trial's Parquet files, then its line in trials.jsonl."""
        stem = f"samples/trial-{record.number:04}"
        self._write_table(f"{stem}.parquet", _samples_table(data.samples))
        self._write_table(f"{stem}.probe.parquet", _probe_table(data.probes))
        self._write_table(f"{stem}.stalls.parquet", _stalls_table(data.probes))
        self._write_table(f"{stem}.docker-stats.parquet", _stats_table(data.stats))
        self.append_trial(record)

    def append_trial(self, record: TrialRecord) -> None:
        """Append a trial's line to trials.jsonl and sync it."""
        path = self.path / "trials.jsonl"
        rest = record.model_dump_json().encode() + b"\n"
        # Unbuffered: a buffer would be written once more on closing, after the truncation.
        with _explained(path), path.open("ab", buffering=0) as file:
            before = _end_of_last_line(path)
            try:
                # A torn line would hide every later one, be it left by a crash or by this call.
                file.truncate(before)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def write_phases(self, columns: Mapping[str, Sequence[object]]) -> None:
        """Write phases.parquet from its columns."""
        import pyarrow as pa

        self._write_table(
            "phases.parquet", pa.table({k: arrow.listed(v) for k, v in columns.items()})
        )

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the run, and return its path."""
        self._write(name, text.encode())
        return self.path / name

    def _write_table(self, name: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        with whole(self.path / name) as partial:
            pq.write_table(table, partial, compression="zstd")

    def _write(self, name: str, content: bytes) -> None:
        with whole(self.path / name) as partial:
            partial.write_bytes(content)

    # Reading

    def run(self) -> RunRecord:
        """Read run.json. Raises StoreError when it is missing, malformed or too new."""
        path = self.path / "run.json"
        document = read_versioned(path, SCHEMA_VERSION, "Is this the directory of a run?")
        try:
            return RunRecord.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise StoreError(f"{path}: {key}: {first['msg']}") from None

    def trials(self) -> list[TrialRecord]:
        """Read all finished trials in the order they ended; a torn last line is left out."""
        path = self.path / "trials.jsonl"
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
        records = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                records.append(TrialRecord.model_validate_json(line))
            except ValidationError as error:
                raise StoreError(
                    f"{path}: line {number}: {error.errors()[0]['msg']}", "The file is damaged."
                ) from None
        return records

    def samples(self, trial: int, role: str, columns: Iterable[str]) -> dict[str, Any]:
        """Return `t_ns`, `late_ns` and the given columns of one container as numpy arrays.

        Columns with gaps come as floats with NaN, text columns as objects with None; a column
        that was never recorded is absent. A `*` in a name stands for anything.
        """
        import pyarrow.parquet as pq

        path = self._table(trial, "")
        with _readable(path):
            present = pq.read_schema(path).names
            wanted = ["t_ns", "late_ns"]
            for pattern in columns:
                wanted += [name for name in present if fnmatch.fnmatchcase(name, pattern)]
            wanted = list(dict.fromkeys(wanted))
            table = _read_table(path, [*wanted, "role"])
        table = arrow.where(table, "role", role)
        return {name: arrow.numpy(table.column(name)) for name in wanted}

    def probe(self, trial: int, role: str) -> dict[str, Any]:
        """Return worker, t_ns and units of every bucket of one container's probe."""
        return self._columns(trial, ".probe", role, ("worker", "t_ns", "units"))

    def stalls(self, trial: int, role: str) -> dict[str, Any]:
        """Return worker, begin_ns and length_ns of every stall of one container's probe."""
        return self._columns(trial, ".stalls", role, ("worker", "begin_ns", "length_ns"))

    def docker_stats(self, trial: int, role: str) -> dict[str, Any]:
        """Return t_ns, cpus and memory_bytes of the `docker stats` messages of one container."""
        return self._columns(trial, ".docker-stats", role, ("t_ns", "cpus", "memory_bytes"))

    def phases(self) -> dict[str, list[Any]] | None:
        """Return the columns of phases.parquet, None where it was not written yet."""

        path = self.path / "phases.parquet"
        if not path.exists():
            return None
        with _readable(path):
            columns: dict[str, list[Any]] = _read_table(path).to_pydict()
        return columns

    def _table(self, trial: int, kind: str) -> Path:
        return self.path / "samples" / f"trial-{trial:04}{kind}.parquet"

    def _columns(self, trial: int, kind: str, role: str, names: Sequence[str]) -> dict[str, Any]:

        path = self._table(trial, kind)
        with _readable(path):
            table = _read_table(path, [*names, "role"])
        table = arrow.where(table, "role", role)
        return {name: arrow.numpy(table.column(name)) for name in names}


def write_file(path: Path, text: str) -> Path:
    """Write a file whole, with its directories, and return its path.

    Raises StoreError when it cannot be written.
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_text(text)
    return path


def append_file(path: Path, text: str) -> None:
    """Append to a file that others write to as well. Raises StoreError when it cannot be."""
    with _explained(path), path.open("a") as file:
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


def find_run(text: str, results: Path) -> RunDirectory:
    """Return the run that `text` names: a path, a run's name, or an experiment's latest run.

    Raises StoreError when there is none, or more than one fits.
    """
    path = Path(text)
    if (path / "run.json").is_file():
        return RunDirectory(path)
    known = runs(results)
    fitting = [run for run in known if run.path.name == text]
    if not fitting:
        fitting = [run for run in known if run.path.parent.name == text][-1:]
    if not fitting:
        fitting = [run for run in known if run.path.name.startswith(text)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(run.path.name for run in fitting[:5])
        raise StoreError(f"{text} fits {len(fitting)} runs: {names}", "Write more of the name.")
    raise StoreError(
        f"no run called {text} under {results}", "`cgbench list` shows the runs there are."
    )


def truth_tables(results: Path) -> list[Path]:
    """Return every truth table under `results`, oldest first."""
    return sorted(results.glob(f"verify/*/{TRUTH}"))


def find_truth(text: str, results: Path) -> Path | None:
    """Return the truth table that `text` names, None if it names none.

    That is a file, its directory, the directory's name, or `verify` for the latest.
    """
    path = Path(text)
    if path.is_file():
        return path
    if (path / TRUTH).is_file():
        return path / TRUTH
    known = truth_tables(results)
    if text == "verify":
        return known[-1] if known else None
    fitting = [one for one in known if one.parent.name.startswith(text)]
    return fitting[0] if len(fitting) == 1 else None


def runs(results: Path) -> list[RunDirectory]:
    """Return every run under `results`, oldest first."""
    return [RunDirectory(path.parent) for path in
            sorted(results.glob("*/*/run.json"), key=lambda path: path.parent.name)]  # fmt: skip


def _end_of_last_line(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1


@contextmanager
def whole(final: Path, advice: str = _ELSEWHERE) -> Iterator[Path]:
    """Yield a path beside `final` to write to; it takes the place of `final` once it is synced.

    Raises StoreError, with `advice`, when it cannot be written.
    """
    partial = final.with_name(f".{final.name}.partial")
    with _explained(final, advice):
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path, advice: str = _ELSEWHERE) -> Iterator[None]:
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
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path} is missing", "Copy the run's directory whole.") from None
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: {error}", "The file is damaged.") from error


def _read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not pq.read_table(), whose data sets import pandas. This one passes over missing columns.
    with pq.ParquetFile(path) as file:
        lacking = set(columns or ()) - set(file.schema_arrow.names)
        if lacking:
            raise pa.ArrowInvalid(f"it has no column {min(lacking)}")
        return file.read(columns=columns)


def _samples_table(samples: Sequence[Samples]) -> pa.Table:
    import pyarrow as pa

    tables = []
    for part in samples:
        columns: dict[str, Any] = {
            "role": arrow.listed([part.role])
            .dictionary_encode()
            .take(arrow.numbers(np.zeros(len(part.t_ns), np.int32))),
            "t_ns": arrow.numbers(part.t_ns),
            "late_ns": arrow.numbers(part.late_ns),
        }
        for column in part.columns:
            index = arrow.numbers(column.index, column.index >= 0)
            values = arrow.listed(column.values)
            if pa.types.is_string(values.type):
                # The same text may stand in it twice, when a limit came back to its old value.
                values = values.dictionary_encode()
            columns[column.name] = values.take(index)
        tables.append(pa.table(columns))
    if not tables:
        none = arrow.listed([], pa.int64())
        return pa.table({"role": arrow.listed([], pa.string()), "t_ns": none, "late_ns": none})
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries()


def _probe_table(probes: Sequence[ProbeLog]) -> pa.Table:
    return _long_table(
        {
            "role": [(probe.role, len(probe.t_ns)) for probe in probes],
            "worker": [(probe.worker, len(probe.t_ns)) for probe in probes],
        },
        {
            "t_ns": [probe.t_ns for probe in probes],
            "units": [probe.units for probe in probes],
        },
    )


def _stalls_table(probes: Sequence[ProbeLog]) -> pa.Table:
    return _long_table(
        {
            "role": [(probe.role, len(probe.stall_begin_ns)) for probe in probes],
            "worker": [(probe.worker, len(probe.stall_begin_ns)) for probe in probes],
        },
        {
            "begin_ns": [probe.stall_begin_ns for probe in probes],
            "length_ns": [probe.stall_length_ns for probe in probes],
        },
    )


def _long_table(
    keys: Mapping[str, Sequence[tuple[object, int]]],
    values: Mapping[str, Sequence[npt.NDArray[np.int64]]],
) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, repeats in keys.items():
        items = [item for item, _ in repeats]
        index = np.repeat(np.arange(len(items)), [count for _, count in repeats])
        kind = pa.string() if name == "role" else pa.int64()
        columns[name] = arrow.listed(items, kind).take(arrow.numbers(index.astype(np.int64)))
    for name, parts in values.items():
        columns[name] = arrow.numbers(np.concatenate(parts) if parts else np.empty(0, np.int64))
    return pa.table(columns)


def _stats_table(points: Sequence[StatsPoint]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "role": arrow.listed([point.role for point in points], pa.string()),
            "t_ns": arrow.listed([point.t_ns for point in points], pa.int64()),
            "cpus": arrow.listed([point.cpus for point in points], pa.float64()),
            "memory_bytes": arrow.listed([point.memory_bytes for point in points], pa.int64()),
        }
    )
