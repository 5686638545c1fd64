"""A run of which one file is damaged, missing, newer or older: each command answers in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cgbench.records.versions import RUN, TABLE
from tests.made import parquet
from tests.made.command import cgbench

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"
EXPERIMENT = "golden-quota"
SAMPLES = "samples/trial-0001.parquet"

Damage = Callable[[Path], object]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (found,) = (GOLDEN / EXPERIMENT).iterdir()
    path = tmp_path / EXPERIMENT / found.name
    return Path(shutil.copytree(found, path))


def newer_document(path: Path) -> None:
    document = json.loads(path.read_text()) | {"schema_version": RUN.written + 1}
    path.write_text(json.dumps(document))


def newer_table(path: Path) -> None:
    version = {b"cgbench.schema_version": str(TABLE.written + 1).encode()}
    pq.write_table(parquet.read(path).replace_schema_metadata(version), path)


def no_utf8(path: Path) -> None:
    """Damage the name of a column, of which both copies lie in the file's footer."""
    content = path.read_bytes()
    assert b"late_ns" in content
    path.write_bytes(content.replace(b"late_ns", b"late_\xff\xfe"))


DAMAGED: dict[str, tuple[str, Damage, str]] = {
    "run.json damaged": ("run.json", lambda path: path.write_text("{"), "run.json: not JSON"),
    "run.json newer": (
        "run.json", newer_document,
        f"run.json: written by a newer cgbench (schema version {RUN.written + 1}; this one reads "
        f"up to {RUN.written})",
    ),
    "trials.jsonl damaged": (
        "trials.jsonl", lambda path: path.write_text("{\n"), "trials.jsonl: line 1: ",
    ),
    "trials.jsonl missing": ("trials.jsonl", Path.unlink, "trials.jsonl is missing"),
    "samples damaged": (SAMPLES, lambda path: path.write_text("PAR1"), f"{SAMPLES}: "),
    "samples of no UTF-8": (SAMPLES, no_utf8, f"{SAMPLES}: "),
    "samples missing": (SAMPLES, Path.unlink, f"{SAMPLES} is missing"),
    "samples newer": (SAMPLES, newer_table, f"{SAMPLES}: written by a newer cgbench"),
    "rows damaged": (
        "phases.parquet", lambda path: path.write_text("PAR1"), "phases.parquet: ",
    ),
    "rows newer": ("phases.parquet", newer_table, "phases.parquet: written by a newer cgbench"),
}  # fmt: skip


FEW = ("run.json damaged", "trials.jsonl missing", "samples missing", "rows newer")
COMMANDS = {
    "report": tuple(DAMAGED),
    "show": FEW,
    "compare": FEW,
    "baseline set": FEW,
}


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command, names in COMMANDS.items() for name in names]
)
def test_a_command_names_the_file_in_one_line(command: str, name: str, run: Path) -> None:
    file, harm, words = DAMAGED[name]
    harm(run / file)
    names = [run, run] if command == "compare" else [run]
    done = cgbench(*command.split(), *names, "--results", run.parent.parent)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "unexpected error" not in done.stderr


@pytest.mark.parametrize("name", ["run.json damaged", "run.json newer", "trials.jsonl damaged"])
def test_a_list_names_the_run_and_goes_on(name: str, run: Path) -> None:
    file, harm, words = DAMAGED[name]
    shutil.copytree(run, run.with_name("20270101T000000Z-0000"))
    harm(run / file)
    done = cgbench("list", "--results", str(run.parent.parent))
    assert done.returncode == 0, done.stderr
    assert f"{run.name}  cannot be read: " in done.stdout
    assert words in done.stdout
    assert "2/2 trials" in done.stdout


@pytest.mark.parametrize("name", FEW)
def test_a_history_names_the_run_and_goes_on(name: str, run: Path) -> None:
    file, harm, words = DAMAGED[name]
    harm(run / file)
    done = cgbench("history", "cpus_used", "--results", str(run.parent.parent))
    assert done.returncode == 2
    assert words in done.stderr
    assert "unexpected error" not in done.stderr


@pytest.mark.parametrize(
    "name", ["run.json damaged", "run.json newer", "trials.jsonl damaged", "trials.jsonl missing"]
)
def test_a_run_to_resume_is_named_before_anything_is_asked_of_the_host(
    name: str, run: Path
) -> None:
    file, harm, words = DAMAGED[name]
    harm(run / file)
    done = cgbench("run", "--resume", str(run), environment={"DOCKER_HOST": "unix:///nowhere"})
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_rows_of_an_older_format_are_computed_anew(run: Path) -> None:
    stored = cgbench("show", str(run), "--json", "-")
    (run / "phases.parquet").unlink()
    computed = cgbench("show", str(run), "--json", "-")
    assert stored.returncode == 0
    assert stored.stdout == computed.stdout
