"""Files that released versions of cgbench wrote: today's reads each, to the same figures.

`tests/golden/vN` holds what the release with format N wrote on a real host: runs, a truth table
and a baseline, and beside them the figures that it computed. No writer of today touches them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cgbench.cli import app
from tests.made import parquet

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"
EXPERIMENTS = ("golden-memory", "golden-quota", "golden-storm")
FIGURES = json.loads((GOLDEN / "figures.json").read_text())
SINCE = (
    "docker_stats_off_pct", "memory_kept_bytes", "skipped_periods_pct", "stood_still_pct",
)  # fmt: skip
"""Metrics that the first format did not know: its samples give them, too."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy, since commands write beside what they read."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "results"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command in this process and return what it printed."""
    app.command()([str(one) for one in arguments], standalone_mode=False)
    return capsys.readouterr().out


def shown(capsys: pytest.CaptureFixture[str], name: str, results: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        printed(capsys, "show", run(name, results), "--json", "-")
    )
    return document


def near(figure: float | None) -> Any:
    return figure if figure is None else pytest.approx(figure, rel=1e-9, abs=1e-9)


def run(experiment: str, results: Path) -> Path:
    (path,) = results.glob(f"{experiment}/*")
    return path


def place(row: dict[str, Any], *keys: str) -> tuple[object, ...]:
    """Return what a row is known by; the first format wrote the note behind the value."""
    requested = " ".join(filter(None, (row["requested"], row.get("note"))))
    return (requested, *(row[key] for key in keys))


def own(was: str | None, point: dict[str, Any]) -> str | None:
    """Return what a container's file held: the first format gave its neighbours that text, too."""
    return was if point["requested_of"] == point["role"] else None


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_of_the_first_format_gives_the_figures_it_gave_then(
    name: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("role", "option", "via", "metric")
    then = {
        place(one, *keys): one
        for one in (dict(zip(FIGURES["columns"], row, strict=True)) for row in FIGURES[name])
    }
    found = shown(capsys, name, results)["summary"]
    now = {place(one, *keys): one for one in found if one["metric"] not in SINCE}
    assert now.keys() == then.keys()
    for key, was in then.items():
        for figure in ("unit", "n_trials"):
            assert now[key][figure] == was[figure], key
        assert now[key]["enforced"] == own(was["enforced"], now[key]), key
        for figure in ("expected", "median", "ci_low", "ci_high", "ci_level", "error_pct"):
            assert now[key][figure] == near(was[figure]), key


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_samples_of_the_first_format_give_the_rows_stored_beside_them(
    name: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = results.glob(f"{name}/*/phases.parquet")
    keys = ("trial", "phase", "role", "option", "via", "metric")
    then = {place(row, *keys): row for row in parquet.read(path).to_pylist()}
    path.unlink()
    document = shown(capsys, name, results)
    found, points = document["rows"], document["summary"]
    of_point = {place(one, *keys[2:]): one for one in points}
    now = {place(row, *keys): row for row in found if row["metric"] not in SINCE}
    # The others are of a quota, which not every run has.
    assert SINCE[0] in {row["metric"] for row in found}
    assert now.keys() == then.keys()
    for key, was in then.items():
        assert (now[key]["effective"], now[key]["unit"], now[key]["n_samples"]) == (
            own(was["effective"], of_point[place(was, *keys[2:])]), was["unit"], was["n_samples"],
        ), key  # fmt: skip
        for figure in ("expected", "value", "error_pct"):
            assert now[key][figure] == near(was[figure]), key


def test_runs_of_the_first_format_are_listed_and_reported(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(printed(capsys, "list", "--json", "-", "--results", results))
    assert [one["experiment"] for one in listed["runs"]] == [
        "golden-quota", "golden-memory", "golden-storm",
    ]  # fmt: skip
    page = results / "page.html"
    printed(capsys, "report", *EXPERIMENTS, "verify", "-o", page, "--results", results)
    text = page.read_text()
    for expected in ("1 of 2 trials failed", "written once", "page cache", "--kernel-memory"):
        assert expected in text, expected


def test_the_notes_and_ways_of_setting_of_the_first_format_tell_points_apart(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = {
        place(one, "via")
        for one in shown(capsys, "golden-storm", results)["summary"]
        if (one["option"], one["role"]) == ("cpu-quota", "worker")
    }
    assert points == {
        ("4000 written once", "update"), ("4000 10/s", "update"), ("4000 10/s", "cgroupfs"),
    }  # fmt: skip


def test_a_baseline_of_the_first_format_is_compared_with_its_own_run(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(
        printed(capsys, "baseline", "show", "golden-quota", "--json", "-", "--results", results)
    )
    assert document["repetitions"] == [1, 2]
    stored = json.loads((GOLDEN / "baselines" / "golden-quota.json").read_text())
    assert [one["values"] for one in document["series"]] == [
        one["values"] for one in stored["series"]
    ]
    kept = results / "comparison.json"
    candidate = run("golden-quota", results)
    printed(capsys, "compare", "golden-quota", candidate, "--json", kept, "--results", results)
    (judged,) = json.loads(kept.read_text())
    # Two trials are too few for more; had the sides not fitted, it would be "incomparable".
    assert judged["overall"] == "inconclusive"


def test_a_truth_table_of_the_first_format_has_the_verdicts_it_had(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = results.glob("verify/*/truth.json")
    stored = {one["option"]: one["verdict"] for one in json.loads(path.read_text())["options"]}
    printed(capsys, "report", path, "-o", results / "page.html", "--results", results)
    text = (results / "page.html").read_text()
    assert set(stored) == {"cpu-quota", "kernel-memory", "pids-limit", "restart"}
    for option, verdict in stored.items():
        assert f"--{option}" in text
        assert verdict in text
