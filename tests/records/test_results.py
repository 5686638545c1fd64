"""The latest run is the one that says it was begun last (second rank, 3): no name decides that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cgbench.records.results import find_run, find_truth, runs

NOW = datetime.now(UTC)
ODD = "zzz"


def keep(results: Path, name: str, begun: datetime | str, experiment: str = "quota") -> None:
    """Keep a run that says it was begun then."""
    folder = results / experiment / name
    folder.mkdir(parents=True)
    text = begun if isinstance(begun, str) else begun.isoformat()
    (folder / "run.json").write_text(json.dumps({"started": text}))


def name_of(begun: datetime, number: int = 0) -> str:
    return f"{begun:%Y%m%dT%H%M%SZ}-{number:04x}"


def test_a_run_that_was_begun_last_is_the_latest_whatever_its_name_says(tmp_path: Path) -> None:
    names = [name_of(NOW - timedelta(hours=hours)) for hours in (1, 2)]
    keep(tmp_path, names[0], NOW - timedelta(hours=2))
    keep(tmp_path, names[1], NOW - timedelta(hours=1))
    assert find_run("quota", tmp_path).path.name == names[1]
    assert [run.path.name for run in runs(tmp_path)] == names


def test_times_of_other_zones_are_compared_as_times(tmp_path: Path) -> None:
    early, late = name_of(NOW, 1), name_of(NOW, 2)
    keep(tmp_path, early, "2026-01-01T10:00:00+09:00")
    keep(tmp_path, late, "2026-01-01T02:00:00+00:00")
    assert find_run("quota", tmp_path).path.name == late


@pytest.mark.parametrize(
    "damage", ["x", "[" * 200_000, "[]", "{}", '{"started": 5}', '{"started": "tomorrow"}']
)
def test_a_folder_with_an_odd_name_or_no_time_is_never_the_latest(
    tmp_path: Path, damage: str
) -> None:
    good = name_of(NOW - timedelta(days=1))
    keep(tmp_path, good, NOW - timedelta(days=1))
    keep(tmp_path, ODD, NOW)
    later = name_of(NOW)
    keep(tmp_path, later, NOW)
    (tmp_path / "quota" / later / "run.json").write_text(damage)
    assert find_run("quota", tmp_path).path.name == good
    assert {run.path.name for run in runs(tmp_path)} == {good, ODD, later}
    assert find_run(ODD, tmp_path).path.name == ODD


def test_after_the_clock_was_set_back_the_new_run_is_the_latest(tmp_path: Path) -> None:
    before, after = (NOW + timedelta(days=300)), NOW - timedelta(seconds=1)
    keep(tmp_path, name_of(before), before)
    keep(tmp_path, name_of(after), after)
    assert find_run("quota", tmp_path).path.name == name_of(after)


def test_the_latest_truth_table_is_found_alike(tmp_path: Path) -> None:
    names = [name_of(NOW - timedelta(hours=hours)) for hours in (1, 2)]
    for name, hours in zip(names, (2, 1), strict=True):
        folder = tmp_path / "verify" / name
        folder.mkdir(parents=True)
        begun = (NOW - timedelta(hours=hours)).isoformat()
        (folder / "truth.json").write_text(json.dumps({"started": begun}))
    found = find_truth("verify", tmp_path)
    assert found is not None
    assert found.parent.name == names[1]
