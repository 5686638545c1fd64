"""Kept baselines: which runs may be one, what is replaced, and a damaged one hides no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.commands.baseline import keep
from cgbench.errors import BaselineError
from cgbench.records import baseline
from cgbench.records.run import Purpose
from cgbench.records.run_directory import RunDirectory
from tests.made.command import cgbench
from tests.made.plain_sides import around, side
from tests.made.run_builder import MadeUp, build


def test_one_damaged_baseline_hides_no_other(tmp_path: Path) -> None:
    baseline.write(side({"cpus_used": around(0.5)}, "good"), tmp_path)
    (tmp_path / "baselines" / "bad.json").write_text("{")
    done = cgbench("baseline", "list", "--results", tmp_path)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("bad ")
    assert "cannot be read: " in first
    assert second.startswith("good ")
    damaged, good = json.loads(
        cgbench("baseline", "list", "--json", "-", "--results", tmp_path).stdout
    )
    assert (damaged["name"], good["name"]) == ("bad", "good")
    assert "bad.json" in damaged["damaged"]
    assert good["trials"] == len(around(0.5))


def measured_by(purpose: Purpose | None, results: Path, started: str) -> RunDirectory:
    directory = build(results, MadeUp(trials=3))
    directory.write_run(directory.run().model_copy(update={"purpose": purpose, "started": started}))
    return directory


@pytest.mark.parametrize(
    ("purpose", "words"),
    [
        ("verify", "was measured by `cgbench verify`"),
        ("gate", "was measured by `cgbench gate`"),
        ("B of ab", "was measured by `cgbench ab` (its side B)"),
    ],
)
def test_what_answers_another_question_is_no_baseline(
    purpose: Purpose, words: str, tmp_path: Path
) -> None:
    """Met by a new user: it would take a red gate's run, or arm B."""
    one = measured_by(purpose, tmp_path, "2026-01-01T00:00:00+00:00")
    with pytest.raises(BaselineError) as refused:
        keep(str(one.path), None, [], tmp_path)
    assert words in refused.value.message
    assert not baseline.names(tmp_path)


def test_of_an_experiment_the_latest_run_that_may_be_one_is_kept(tmp_path: Path) -> None:
    """Met by a new user: a gate's run replaced a baseline, since it was the latest."""
    measured_by("run", tmp_path / "a", "2026-01-01T00:00:00+00:00")
    wanted = measured_by(None, tmp_path / "b", "2026-01-02T00:00:00+00:00")
    measured_by("gate", tmp_path / "c", "2026-01-03T00:00:00+00:00")
    results = tmp_path / "results"
    for number, name in enumerate("abc"):
        (source,) = (tmp_path / name).glob("*/*")
        target = results / source.parent.name / f"{source.name[:-4]}000{number}"
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    kept = keep("cpu-quota-sweep", "kept", [], results).baseline
    assert kept.started == "2026-01-02T00:00:00+00:00"
    assert wanted.path.name == kept.run


def test_a_baseline_is_replaced_only_when_that_is_asked_for_and_told(tmp_path: Path) -> None:
    one = measured_by("run", tmp_path, "2026-01-01T00:00:00+00:00")
    keep(str(one.path), "kept", [], tmp_path)
    again = cgbench("baseline", "set", one.path, "--name", "kept", "--results", tmp_path)
    assert again.returncode == 2
    assert f"there is a baseline kept: 3 trials of run {one.path.name}, 2026-01-01" in again.stderr
    assert "--replace" in again.stderr
    forced = cgbench(
        "baseline", "set", one.path, "--name", "kept", "--replace", "--results", tmp_path
    )
    assert forced.stdout.startswith(f"replaced: 3 trials of run {one.path.name}, 2026-01-01\n")
