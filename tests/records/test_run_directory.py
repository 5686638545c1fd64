"""Runs on disk: what is written comes back whole, and every damage is named."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import StoreError
from cgbench.records import rules, run_directory
from cgbench.records.results import find_run, new_run_name, runs
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import Column, ProbeLog, Samples, StatsPoint, TrialData
from cgbench.records.trial import TrialRecord
from cgbench.records.trial_tables import Columns
from cgbench.records.versions import RUN, TABLE
from tests.made import parquet
from tests.made.records import run, trial

relaxed = settings(deadline=None)

NOTHING = TrialData((), (), ())
fresh = count(1)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path, "sweep", "20261124T101530Z-3f9c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def new_run(results: Path) -> RunDirectory:
    return RunDirectory.create(results, "sweep", f"run-{next(fresh)}")


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def integers(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def probe_log(role: str, worker: int, stalls: Sequence[tuple[int, int]]) -> ProbeLog:
    return ProbeLog(
        role,
        worker,
        integers([0, 1_000_000]),
        integers([10 * worker, 20]),
        integers([begin for begin, _ in stalls]),
        integers([length for _, length in stalls]),
    )


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Make every write beyond `size` fail, as on a full disk: the first part of it is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Names


def test_a_run_is_named_by_its_time_in_utc() -> None:
    now = datetime(2026, 11, 24, 11, 15, 30, tzinfo=UTC) + timedelta(0)
    assert new_run_name(now).startswith("20261124T111530Z-")


moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(moments, moments)
@relaxed
def test_names_of_runs_sort_by_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one.replace(microsecond=0), other.replace(microsecond=0)))
    if earlier != later:
        assert new_run_name(earlier) < new_run_name(later)


def test_two_runs_of_one_second_have_different_names() -> None:
    now = datetime.now(UTC)
    assert len({new_run_name(now) for _ in range(20)}) > 15


# Records


def test_a_run_comes_back_as_it_was_written(directory: RunDirectory) -> None:
    directory.write_run(run())
    assert directory.run() == run()
    directory.write_run(run().model_copy(update={"status": "finished", "elapsed_s": 3.5}))
    assert directory.run().status == "finished"
    assert everything_below(directory.path) == {"run.json"}


def test_trials_come_back_in_the_order_they_ended(directory: RunDirectory) -> None:
    written = [trial(number) for number in (3, 1, 2)]
    for one in written:
        directory.append_trial(one)
    assert directory.trials() == written


def test_a_run_without_a_finished_trial_has_none(directory: RunDirectory) -> None:
    assert directory.trials() == []


def test_a_trial_leaves_its_line_and_four_tables(directory: RunDirectory) -> None:
    directory.write_trial(trial(), NOTHING)
    assert everything_below(directory.path) == {
        "trials.jsonl",
        "samples/trial-0001.parquet",
        "samples/trial-0001.probe.parquet",
        "samples/trial-0001.stalls.parquet",
        "samples/trial-0001.docker-stats.parquet",
    }


def test_a_text_file_is_written_beside_the_records(directory: RunDirectory) -> None:
    path = directory.write_text("report.html", "<h1>µs</h1>")
    assert path == directory.path / "report.html"
    assert path.read_text(encoding="utf-8") == "<h1>µs</h1>"


def test_a_run_can_be_moved_as_a_directory(directory: RunDirectory, tmp_path: Path) -> None:
    directory.write_run(run())
    directory.write_trial(trial(), NOTHING)
    moved = RunDirectory(Path(shutil.move(directory.path, tmp_path / "elsewhere")))
    assert (moved.run(), moved.trials()) == (run(), [trial()])
    assert len(samples(moved, "worker", [])["t_ns"]) == 0


# Samples


@st.composite
def part(draw: st.DrawFn, role: str) -> Samples:
    size = draw(st.integers(1, 30))
    kinds: dict[str, st.SearchStrategy[int | str]] = {
        "cpuacct.usage": st.integers(0, 2**62),
        "cpu.max": st.sampled_from(["max 100000", "50000 100000", ""]),
    }
    columns = []
    for name in draw(st.sets(st.sampled_from(sorted(kinds)))):
        values = draw(st.lists(st.one_of(st.none(), kinds[name]), min_size=1, max_size=5))
        index = draw(st.lists(st.integers(-1, len(values) - 1), min_size=size, max_size=size))
        columns.append(Column(name, np.array(index, dtype=np.int32), tuple(values)))
    times = sorted(draw(st.lists(st.integers(0, 2**62), min_size=size, max_size=size)))
    return Samples(role, integers(times), integers([time % 97 for time in times]), columns)


def expanded(samples: Samples, name: str) -> list[int | str | None]:
    for column in samples.columns:
        if column.name == name:
            return [None if i < 0 else column.values[i] for i in column.index]
    return [None] * len(samples.t_ns)


@given(worker=part("worker"), neighbour=part("neighbour"))
@settings(deadline=None, max_examples=40)
def test_samples_come_back_container_by_container(
    results: Path, worker: Samples, neighbour: Samples
) -> None:
    directory = new_run(results)
    directory.write_trial(trial(), TrialData((worker, neighbour), (), ()))
    names = {column.name for part in (worker, neighbour) for column in part.columns}
    for part in (worker, neighbour):
        back = samples(
            directory, part.role, ["late_ns", "cpuacct.usage", "cpu.max", "memory.current"]
        )
        assert back["t_ns"].tolist() == part.t_ns.tolist()
        assert back["late_ns"].tolist() == part.late_ns.tolist()
        assert set(back) == {"t_ns", "late_ns", *names}
        if "cpu.max" in names:
            assert back["cpu.max"].tolist() == expanded(part, "cpu.max")
        if "cpuacct.usage" in names:
            wanted = [np.nan if n is None else n for n in expanded(part, "cpuacct.usage")]
            np.testing.assert_array_equal(
                back["cpuacct.usage"].astype(float), np.array(wanted, float)
            )


def test_numbers_without_a_gap_stay_whole(directory: RunDirectory) -> None:
    usage = Column("cpuacct.usage", np.array([0, 1], np.int32), (2**61 + 1, 2**61 + 3))
    written = Samples("worker", integers([1, 2]), integers([0, 0]), [usage])
    directory.write_trial(trial(), TrialData([written], (), ()))
    back = samples(directory, "worker", ["cpuacct.usage"])["cpuacct.usage"]
    assert back.dtype == np.int64
    assert back.tolist() == [2**61 + 1, 2**61 + 3]


def test_what_was_never_recorded_is_absent_and_not_zero(directory: RunDirectory) -> None:
    written = Samples("worker", integers([1]), integers([0]), [])
    directory.write_trial(trial(), TrialData([written], (), ()))
    assert set(samples(directory, "worker", ["cpu.stat:nr_periods"])) == {"t_ns"}


def test_a_container_that_is_not_there_has_no_samples(directory: RunDirectory) -> None:
    written = Samples("worker", integers([1]), integers([0]), [])
    directory.write_trial(trial(), TrialData([written], (), ()))
    assert len(samples(directory, "nobody", [])["t_ns"]) == 0


# Probes, stalls, docker stats and phases


def test_what_the_probes_wrote_comes_back_by_container_and_worker(directory: RunDirectory) -> None:
    logs = [
        probe_log("worker", 0, [(5, 300_000)]),
        probe_log("worker", 1, []),
        probe_log("neighbour", 0, [(7, 400_000), (9, 500_000)]),
    ]
    directory.write_trial(trial(), TrialData((), logs, ()))
    logs_back = probe(directory, "worker")
    assert logs_back["worker"].tolist() == [0, 0, 1, 1]
    assert logs_back["t_ns"].tolist() == [0, 1_000_000] * 2
    assert logs_back["units"].tolist() == [0, 20, 10, 20]
    assert stalls(directory, "worker")["length_ns"].tolist() == [300_000]
    seen = stalls(directory, "neighbour")
    assert seen["begin_ns"].tolist() == [7, 9]
    assert seen["worker"].tolist() == [0, 0]


def test_a_trial_without_probes_has_empty_tables(directory: RunDirectory) -> None:
    directory.write_trial(trial(), NOTHING)
    assert probe(directory, "worker")["units"].tolist() == []
    assert stalls(directory, "worker")["begin_ns"].tolist() == []
    assert docker_stats(directory, "worker")["cpus"].tolist() == []


def test_docker_stats_keep_what_a_message_did_not_tell_absent(directory: RunDirectory) -> None:
    points = [StatsPoint("worker", 1, 0.5, 4096), StatsPoint("worker", 2, None, None)]
    directory.write_trial(trial(), TrialData((), (), points))
    back = docker_stats(directory, "worker")
    assert back["t_ns"].tolist() == [1, 2]
    np.testing.assert_array_equal(back["cpus"], [0.5, np.nan])
    np.testing.assert_array_equal(back["memory_bytes"], [4096, np.nan])


ROW = Row(
    experiment="sweep", trial=1, phase=2, role="worker", option="cpu-quota", via="update",
    requested="50000", note=None, effective="50000", metric="cpus_used", unit="CPUs", expected=None,
    value=0.5, error_pct=None, n_samples=100,
)  # fmt: skip


def test_rows_come_back_as_they_were_written(directory: RunDirectory) -> None:
    rows = [ROW, ROW._replace(effective=None, expected=0.25), ROW._replace(note="again", trial=2)]
    assert directory.phases() is None
    directory.write_phases(rows)
    assert directory.phases() == rows
    directory.write_phases([])
    assert directory.phases() == []


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write a table anew with a change, its metadata kept unless that is what changes."""
    table = change(parquet.read(path))
    pq.write_table(table, path)


def test_rows_of_other_rules_are_taken_for_none(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.write_phases([ROW])
    assert directory.phases() == [ROW]
    monkeypatch.setattr(rules, "digest", lambda: "of another cgbench")
    assert directory.phases() is None


def test_rows_of_the_first_format_are_taken_for_none(directory: RunDirectory) -> None:
    directory.write_phases([ROW])
    rewritten(
        directory.path / "phases.parquet",
        lambda table: table.drop_columns(["note"]).replace_schema_metadata(None),
    )
    assert directory.phases() is None


def column(name: str, values: Sequence[object]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(
        table.column_names.index(name), name, pa.chunked_array([pa.array(values)])
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.drop_columns(["value"]), "it has no column value"),
        (column("value", ["0.5"]), "column value holds something else"),
        (column("value", [None]), "column value holds something else"),
        (column("value", [float("nan")]), "column value holds a value that is no number"),
        (column("expected", [float("inf")]), "column expected holds a value that is no number"),
        (column("trial", [1.0]), "column trial holds something else"),
        (column("role", [1]), "column role holds something else"),
        (column("metric", ["speed"]), "column metric names the unknown speed"),
    ],
)
def test_rows_that_are_none_are_damaged_and_the_column_is_named(
    directory: RunDirectory, change: Callable[[pa.Table], pa.Table], reason: str
) -> None:
    directory.write_phases([ROW])
    rewritten(directory.path / "phases.parquet", change)
    with pytest.raises(StoreError, match=rf"phases\.parquet: {reason}"):
        directory.phases()


def test_a_table_of_a_newer_cgbench_is_said_to_be(directory: RunDirectory) -> None:
    directory.write_phases([ROW])
    directory.write_trial(trial(), NOTHING)
    newer = {b"cgbench.schema_version": str(TABLE.written + 1).encode()}
    for name in ("phases.parquet", "samples/trial-0001.parquet"):
        rewritten(directory.path / name, lambda table: table.replace_schema_metadata(newer))
    for read in (directory.phases, lambda: samples(directory, "worker", [])):
        with pytest.raises(StoreError, match="written by a newer cgbench") as caught:
            read()
        assert caught.value.advice == "Update cgbench."


# Writing fails


def test_a_write_that_fails_leaves_the_old_file_and_no_part_of_the_new(
    directory: RunDirectory,
) -> None:
    directory.write_run(run())
    directory.write_phases([ROW])
    with files_no_larger_than(100):
        with pytest.raises(StoreError, match=r"cannot write .*run\.json: File too large"):
            directory.write_run(run().model_copy(update={"seed": 8}))
        with pytest.raises(StoreError, match=r"phases\.parquet"):
            directory.write_phases([ROW._replace(value=value / 7) for value in range(1000)])
    assert directory.run() == run()
    assert directory.phases() == [ROW]
    assert everything_below(directory.path) == {"run.json", "phases.parquet"}


def test_a_trial_whose_tables_cannot_be_written_does_not_exist(directory: RunDirectory) -> None:
    logs = [probe_log("worker", 0, [(number, 300_000) for number in range(5000)])]
    with files_no_larger_than(2000), pytest.raises(StoreError, match=r"cannot write .*trial-0001"):
        directory.write_trial(trial(), TrialData((), logs, ()))
    assert directory.trials() == []
    assert not any(name.endswith(".partial") for name in everything_below(directory.path))


def test_a_line_that_could_be_written_only_in_part_is_taken_back(directory: RunDirectory) -> None:
    directory.append_trial(trial(1))
    whole = (directory.path / "trials.jsonl").read_bytes()
    with files_no_larger_than(len(whole) + 50), pytest.raises(StoreError, match="File too large"):
        directory.append_trial(trial(2))
    assert (directory.path / "trials.jsonl").read_bytes() == whole
    directory.append_trial(trial(3))
    assert [one.number for one in directory.trials()] == [1, 3]


def test_a_long_line_that_could_be_written_only_in_part_is_taken_back_too(
    directory: RunDirectory,
) -> None:
    # Longer than any buffer on the way.
    long = trial(2).model_copy(update={"reason": "x" * 200_000})
    directory.append_trial(trial(1))
    whole = (directory.path / "trials.jsonl").read_bytes()
    with files_no_larger_than(100_000), pytest.raises(StoreError):
        directory.append_trial(long)
    assert (directory.path / "trials.jsonl").read_bytes() == whole


def test_a_results_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write .*results/sweep/x: Not a dir") as caught:
        RunDirectory.create(tmp_path / "results", "sweep", "x")
    assert caught.value.advice is not None
    assert "--results" in caught.value.advice


def test_a_results_directory_that_nobody_may_write_is_named() -> None:
    with pytest.raises(StoreError, match=r"cannot write /proc/sys/results/sweep/x: "):
        RunDirectory.create(Path("/proc/sys/results"), "sweep", "x")


def test_a_run_that_exists_is_not_taken_over(directory: RunDirectory) -> None:
    with pytest.raises(StoreError, match="File exists"):
        RunDirectory.create(directory.path.parent.parent, "sweep", directory.path.name)


def test_a_run_does_not_begin_on_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MINIMUM_FREE", 2**62)
    with pytest.raises(StoreError, match=r"has only .* free of the 4194304 TiB needed"):
        RunDirectory.create(tmp_path, "sweep", "x")
    assert not (tmp_path / "sweep" / "x").exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a few small files."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_called_one_and_leaves_what_was_there(tiny_disk: Path) -> None:
    (tiny_disk / "samples").mkdir()
    directory = RunDirectory(tiny_disk)
    directory.write_run(run())
    directory.append_trial(trial(1))
    (tiny_disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(tiny_disk).free - 4096))
    logs = [probe_log("worker", 0, [(number**2, number**3) for number in range(20_000)])]
    long = trial(2).model_copy(update={"reason": "x" * 20_000})
    for write in (
        lambda: directory.write_text("report.html", "x" * 20_000),
        lambda: directory.write_trial(trial(2), TrialData((), logs, ())),
        lambda: directory.append_trial(long),
    ):
        with pytest.raises(StoreError, match="disk full while writing") as caught:
            write()
        assert caught.value.advice is not None
        assert "--resume" in caught.value.advice
    assert directory.run() == run()
    assert directory.trials() == [trial(1)]
    assert not any(name.endswith(".partial") for name in everything_below(tiny_disk))


# Reading what is damaged


def test_a_torn_last_line_is_left_out(directory: RunDirectory) -> None:
    directory.append_trial(trial(1))
    directory.append_trial(trial(2))
    path = directory.path / "trials.jsonl"
    whole = path.read_bytes()
    end_of_first = whole.index(b"\n") + 1
    for length in (end_of_first, end_of_first + 1, len(whole) // 2 + 50, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert [one.number for one in directory.trials()] == [1]


def test_a_trial_after_a_torn_line_replaces_it(directory: RunDirectory) -> None:
    path = directory.path / "trials.jsonl"
    for torn in (b'{"number": 1', b""):
        path.write_bytes(trial(1).model_dump_json().encode() + b"\n" + torn)
        directory.append_trial(trial(2))
        assert [one.number for one in directory.trials()] == [1, 2]
        assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("line", [b"nonsense", b"{}", b'{"number": "one"}', b"\xff\xfe", b""])
def test_a_damaged_line_is_named(directory: RunDirectory, line: bytes) -> None:
    directory.append_trial(trial(1))
    with (directory.path / "trials.jsonl").open("ab") as file:
        file.write(line + b"\n")
    directory.append_trial(trial(3))
    with pytest.raises(StoreError, match=r"trials\.jsonl: line 2: ") as caught:
        directory.trials()
    assert "\n" not in caught.value.message


def test_a_line_of_a_newer_cgbench_is_refused_rather_than_half_read(
    directory: RunDirectory,
) -> None:
    document = {**json.loads(trial().model_dump_json()), "mood": "good"}
    (directory.path / "trials.jsonl").write_text(json.dumps(document) + "\n")
    with pytest.raises(StoreError, match="line 1: mood: there is no such key"):
        directory.trials()


def test_trials_that_cannot_be_read_are_named(directory: RunDirectory) -> None:
    (directory.path / "trials.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"trials\.jsonl: Is a directory"):
        directory.trials()


def test_a_directory_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"run\.json: No such file") as caught:
        RunDirectory(tmp_path).run()
    assert caught.value.advice is not None
    assert "directory of a run" in caught.value.advice


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON: nested too deeply"),
        (b'{"seed": NaN}', "not JSON: NaN is not a number"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "not JSON: a number has thousands of digits"),
        (b"[]", "not a JSON object"),
        (b"{}", "no schema version"),
        (b'{"schema_version": true}', "no schema version"),
        (b'{"schema_version": "1"}', "no schema version"),
        (b'{"schema_version": 0}', "no schema version"),
        (b'{"schema_version": 1}', "run: Field required"),
    ],
)
def test_a_damaged_run_is_named(directory: RunDirectory, content: bytes, complaint: str) -> None:
    (directory.path / "run.json").write_bytes(content)
    with pytest.raises(StoreError) as caught:
        directory.run()
    assert caught.value.message.startswith(str(directory.path / "run.json"))
    assert complaint in caught.value.message
    assert "\n" not in caught.value.message


def test_a_run_of_a_newer_schema_is_refused_with_both_versions(directory: RunDirectory) -> None:
    newer = run().model_dump(mode="json") | {"schema_version": RUN.written + 1}
    path = directory.path / "run.json"
    path.write_text(json.dumps(newer))
    with pytest.raises(StoreError) as caught:
        directory.run()
    assert str(caught.value) == (
        f"{path}: written by a newer cgbench (schema version {RUN.written + 1}; this one reads up "
        f"to {RUN.written})\nUpdate cgbench."
    )


def test_a_run_of_an_older_schema_is_read_and_written_anew_in_todays(
    directory: RunDirectory,
) -> None:
    path = directory.path / "run.json"
    path.write_text(json.dumps(run().model_dump(mode="json") | {"schema_version": 1}))
    assert directory.run() == run()
    directory.write_run(directory.run())
    assert json.loads(path.read_text())["schema_version"] == RUN.written


def test_an_unknown_key_of_a_run_is_named(directory: RunDirectory) -> None:
    document = json.loads(run().model_dump_json())
    document["experiment"]["mood"] = "good"
    (directory.path / "run.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"run\.json: experiment\.mood: there is no such key"):
        directory.run()


@pytest.mark.parametrize("kind", ["", ".probe", ".stalls", ".docker-stats"])
def test_a_missing_table_is_named(directory: RunDirectory, kind: str) -> None:
    directory.write_trial(trial(), NOTHING)
    path = directory.path / "samples" / f"trial-0001{kind}.parquet"
    path.unlink()
    with pytest.raises(StoreError, match=f"{path.name} is missing"):
        read_all(directory)


@pytest.mark.parametrize("kind", ["", ".probe", ".stalls", ".docker-stats"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_table_is_named(
    directory: RunDirectory, kind: str, content: bytes | None
) -> None:
    directory.write_trial(trial(), NOTHING)
    path = directory.path / "samples" / f"trial-0001{kind}.parquet"
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    with pytest.raises(StoreError, match=path.name) as caught:
        read_all(directory)
    assert caught.value.advice == "The file is damaged."


def test_a_table_without_its_columns_is_damaged(directory: RunDirectory) -> None:
    directory.write_phases([ROW])
    (directory.path / "phases.parquet").rename(
        directory.path / "samples" / "trial-0001.probe.parquet"
    )
    with pytest.raises(StoreError, match=r"trial-0001\.probe\.parquet"):
        probe(directory, "worker")


def test_damaged_phases_are_named(directory: RunDirectory) -> None:
    (directory.path / "phases.parquet").write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"phases\.parquet"):
        directory.phases()


def samples(directory: RunDirectory, role: str, columns: Sequence[str]) -> Columns:
    with directory.tables(1) as tables:
        found = ["t_ns", *(name for one in columns for name in tables.names(one))]
        return {name: tables.sample(role, name) for name in found}


def probe(directory: RunDirectory, role: str) -> Columns:
    with directory.tables(1) as tables:
        return tables.probe(role)


def stalls(directory: RunDirectory, role: str) -> Columns:
    with directory.tables(1) as tables:
        return tables.stalls(role)


def docker_stats(directory: RunDirectory, role: str) -> Columns:
    with directory.tables(1) as tables:
        return tables.docker_stats(role)


def read_all(directory: RunDirectory) -> None:
    samples(directory, "worker", [])
    probe(directory, "worker")
    stalls(directory, "worker")
    docker_stats(directory, "worker")


# Finding runs


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for experiment, name in (
        ("quota", "20261124T101530Z-aaaa"),
        ("quota", "20261125T101530Z-bbbb"),
        ("period", "20261124T111530Z-cccc"),
    ):
        RunDirectory.create(tmp_path, experiment, name).write_run(run())
    # Begun, but without a run.json yet.
    RunDirectory.create(tmp_path, "period", "20261126T101530Z-dddd")
    return tmp_path


def test_runs_are_listed_oldest_first_whatever_their_experiment(library: Path) -> None:
    assert [one.path.name[-4:] for one in runs(library)] == ["aaaa", "cccc", "bbbb"]


def test_where_there_are_no_results_there_are_no_runs(tmp_path: Path) -> None:
    assert runs(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("20261124T111530Z-cccc", "20261124T111530Z-cccc"),
        ("20261124T11", "20261124T111530Z-cccc"),
        ("20261125", "20261125T101530Z-bbbb"),
        ("quota", "20261125T101530Z-bbbb"),
        ("period", "20261124T111530Z-cccc"),
    ],
)
def test_a_run_is_found_by_name_by_prefix_and_as_an_experiments_latest(
    library: Path, text: str, name: str
) -> None:
    assert find_run(text, library).path.name == name


def test_a_run_is_found_by_its_path_wherever_it_is(library: Path, tmp_path: Path) -> None:
    path = library / "quota" / "20261124T101530Z-aaaa"
    assert find_run(str(path), tmp_path / "absent").path == path


def test_a_prefix_of_several_runs_is_ambiguous(library: Path) -> None:
    with pytest.raises(StoreError, match=r"20261124 fits 2 runs: .*-aaaa, .*-cccc") as caught:
        find_run("20261124", library)
    assert caught.value.advice == "Write more of the name."


@pytest.mark.parametrize("text", ["nowhere", "20261126", "/absent/path"])
def test_a_run_that_is_not_there_is_named_with_where_to_look(library: Path, text: str) -> None:
    with pytest.raises(StoreError, match=f"no run called {text} under ") as caught:
        find_run(text, library)
    assert caught.value.advice is not None
    assert "cgbench list" in caught.value.advice


def test_one_experiments_name_never_finds_another_whose_name_it_begins(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "quota-sweep", "20261124T101530Z-aaaa").write_run(run())
    with pytest.raises(StoreError, match="no run called quota"):
        find_run("quota", tmp_path)


def test_trial_records_are_what_the_store_gives_back(directory: RunDirectory) -> None:
    directory.append_trial(trial())
    (back,) = directory.trials()
    assert isinstance(back, TrialRecord)
    assert back.phases[0].change.settings == {
        "cpu-quota": 50000,
        "cpus": "0.5",
        "memory": 6291456.0,
    }
