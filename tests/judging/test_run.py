"""A stored run is loaded once, and nothing but its own files is needed for it."""

from __future__ import annotations

import functools
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cgbench.judging.run import load
from cgbench.records.run import PointKey
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting import render
from cgbench.spec import workload
from tests.made.run_builder import MadeUp, build

_counting: list[Counter[str]] = []
"""Counters of the opens, while there are any: an audit hook cannot be taken away again."""


def _count(path: object) -> None:
    for counter in _counting:
        if isinstance(path, str | Path):
            counter[Path(path).name] += 1


@functools.cache
def _watch_opens() -> None:
    """Begin to count, once: from then on every event of Python costs its call, so not sooner."""
    sys.addaudithook(lambda event, arguments: _count(arguments[0]) if event == "open" else None)


@contextmanager
def counted_opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count how often each file is opened, by Python or by Arrow, which opens them by itself."""
    opened: Counter[str] = Counter()
    _watch_opens()

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def counting(path: Any, *arguments: Any, **named: Any) -> Any:
            _count(path)
            return original(path, *arguments, **named)

        return counting

    with monkeypatch.context() as patch:
        for name in ("ParquetFile", "read_table", "read_schema", "read_metadata"):
            patch.setattr(pq, name, counted(getattr(pq, name)))
        _counting.append(opened)
        try:
            yield opened
        finally:
            _counting.remove(opened)


def run(folder: Path, **made: Any) -> RunDirectory:
    return build(folder, MadeUp(**{"trials": 2} | made))


@pytest.mark.parametrize("stored", [True, False], ids=["rows stored", "rows not stored"])
def test_a_page_opens_each_stored_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    directory = run(tmp_path)
    if not stored:
        (directory.path / "phases.parquet").unlink()
    names = {path.name for path in directory.path.rglob("*.*")}
    with counted_opens(monkeypatch) as opened:
        render.write([load(directory)], tmp_path / "report.html")
    of_the_run = {name: opened[name] for name in names}
    assert of_the_run == dict.fromkeys(names, 1)
    assert {"run.json", "trials.jsonl", "trial-0001.parquet", "trial-0002.probe.parquet"} <= names


def test_a_stored_run_needs_no_workload_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = run(tmp_path)
    (directory.path / "phases.parquet").unlink()
    monkeypatch.setattr(workload, "directory", lambda: tmp_path / "absent")
    render.write([load(directory)], tmp_path / "report.html")
    assert {row.metric for row in load(directory).rows} >= {"cpus_used", "probe_cpus"}


def test_notes_that_stood_behind_values_are_those_of_the_points(tmp_path: Path) -> None:
    directory = run(tmp_path, trials=1)
    lines = directory.path / "trials.jsonl"
    # As the first format wrote it: the note behind the value, and no key for it.
    old = lines.read_text().replace('"note":null,', "")
    lines.write_text(old.replace('"requested":"10000"', '"requested":"10000 once more"'))
    (directory.path / "phases.parquet").unlink()
    keys = {row.key for row in load(directory).rows}
    assert PointKey("worker", "cpu-quota", "update", "10000", "once more") in keys
    assert PointKey("worker", "cpu-quota", "update", "25000") in keys


def test_a_run_can_be_loaded_where_it_was_copied_to(tmp_path: Path) -> None:
    directory = run(tmp_path / "here")
    there = RunDirectory(Path(shutil.copytree(directory.path, tmp_path / "there")))
    assert load(there).rows == load(directory).rows
    assert load(there).name == "there"
