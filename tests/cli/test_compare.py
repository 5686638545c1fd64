"""`cgbench compare`, `gate` and `ab`: statuses, outputs, and what is refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cgbench.records import baseline
from tests.made.command import anew, cgbench
from tests.made.plain_sides import around, side
from tests.made.run_builder import MadeUp, build


def _kept(results: Path, name: str, middle: float, **host: str) -> None:
    baseline.write(side({"cpus_used": around(middle)}, name, **host), results)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    _kept(tmp_path, "before", 0.5)
    _kept(tmp_path, "same", 0.5)
    _kept(tmp_path, "slower", 0.45)
    _kept(tmp_path, "elsewhere", 0.5, hostname="another")
    baseline.write(side({"cpus_used": around(0.5, 30)}, "noisy"), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("candidate", "status", "words"),
    [
        ("same", 0, "1 unchanged"),
        ("slower", 1, "regressed"),
        ("noisy", 3, "inconclusive"),
        ("elsewhere", 3, "hostname was made-up, is another"),
    ],
)
def test_the_exit_status_is_the_verdict(
    results: Path, candidate: str, status: int, words: str
) -> None:
    done = cgbench("compare", "before", candidate, "--results", str(results))
    assert done.returncode == status, done.stderr
    assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 500


def test_a_terminal_that_knows_few_characters_changes_no_verdict(results: Path) -> None:
    done = anew(
        "compare", "before", "slower", "--results", results, "--metric", "cpus_used",
        environment={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "regressed" in done.stdout
    assert "\\u2717" in done.stdout, "the sign of a regression"


def test_a_regression_names_option_step_size_and_confidence(results: Path) -> None:
    done = cgbench("compare", "before", "slower", "--results", str(results))
    for words in ("--cpu-quota 50000", "cpus_used", "-10.0 %", "at 95 %", "p = "):
        assert words in done.stdout


def test_what_may_differ_is_compared(results: Path) -> None:
    done = cgbench(
        "compare", "before", "elsewhere", "--allow", "hostname", "--results", str(results)
    )
    assert done.returncode == 0
    assert "hostname differs, as allowed" in done.stdout


def test_every_form_is_written(results: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what others wrote\n")
    files = {name: tmp_path / f"out.{name}" for name in ("json", "junit", "markdown", "html")}
    done = cgbench(
        "compare", "before", "slower", "--results", str(results), "--json", str(files["json"]),
        "--junit", str(files["junit"]), "--markdown", str(files["markdown"]), "-o",
        str(files["html"]), environment={"GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert done.returncode == 1
    (found,) = json.loads(files["json"].read_text())
    assert found["overall"] == "regressed"
    assert ET.fromstring(files["junit"].read_text()).find(".//failure") is not None
    assert files["markdown"].read_text().strip() in summary.read_text()
    assert summary.read_text().startswith("what others wrote\n")
    assert "<html" in files["html"].read_text()


@pytest.mark.parametrize("form", ["--json", "--junit", "--markdown"])
def test_one_form_is_printed_alone_and_makes_no_file(
    results: Path, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    done = cgbench("compare", "before", "slower", "--results", results, form, "-", "-o", "x.html")
    assert done.returncode == 1, done.stderr
    assert [one.name for one in place.iterdir()] == ["x.html"]
    begins = {"--json": "[", "--junit": "<?xml", "--markdown": "### "}[form]
    assert done.stdout.startswith(begins)
    assert "page:" not in done.stdout
    if form == "--junit":
        assert ET.fromstring(done.stdout).find(".//failure") is not None


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "before", "same"),
        ("gate", "cpu-quota-sweep", "--baseline", "before"),
        ("ab", "cpu-quota-sweep", "--a", "true", "--b", "true"),
        ("run", "cpu-quota-sweep"),
        ("verify", "memory"),
        ("doctor",),
        ("why", "nobody"),
        ("history", "cpus_used"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_before_anything_is_measured(
    results: Path, command: tuple[str, ...], tmp_path: Path
) -> None:
    rest = () if command[0] in ("doctor", "why") else ("--results", results)
    file = tmp_path / "absent" / "x"
    done = cgbench(*command, *rest, "--json", file)
    assert done.returncode == 2
    assert f"there is no folder {tmp_path}/absent" in done.stderr
    assert not file.parent.exists()
    if command[0] in ("compare", "gate", "ab"):
        done = cgbench(*command, *rest, "--junit", "-", "--markdown", "-")
        assert done.returncode == 2
        assert "only one of --json, --junit and --markdown can be printed" in done.stderr
        done = cgbench(*command, *rest, environment={"GITHUB_STEP_SUMMARY": str(file)})
        assert done.returncode == 2
        assert str(file.parent) in done.stderr


@pytest.mark.parametrize(
    ("before", "message"),
    [("absent", "no run called absent"), ("damaged", "not JSON"), ("newer", "schema version 9")],
)
def test_a_baseline_that_cannot_be_read_is_never_a_pass(
    results: Path, before: str, message: str
) -> None:
    (results / "baselines" / "damaged.json").write_text("{")
    text = (results / "baselines" / "before.json").read_text()
    newer = text.replace('"schema_version": 2', '"schema_version": 9')
    (results / "baselines" / "newer.json").write_text(newer)
    done = cgbench("compare", before, "same", "--results", str(results))
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("named", [(), ("--baseline", "gone")])
def test_a_gate_without_a_baseline_yet_is_undecided(results: Path, named: tuple[str, ...]) -> None:
    done = cgbench("gate", "cpu-quota-sweep", *named, "--results", str(results))
    assert done.returncode == 3
    assert "no baseline called" in done.stderr
    assert "baseline set" in done.stderr


def test_a_run_of_another_schedule_is_incomparable(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=3))
    other = build(tmp_path / "other", MadeUp(trials=3, hold_ns=3_000_000_000))
    done = cgbench("compare", str(directory.path), str(other.path))
    assert done.returncode == 3
    assert "schedule was" in done.stdout


def test_a_run_whose_trials_failed_is_never_a_pass(results: Path, tmp_path: Path) -> None:
    failed = build(tmp_path / "failed", MadeUp(trials=2, failed={1: "killed", 2: "killed"}))
    done = cgbench("compare", "before", str(failed.path), "--results", str(results))
    assert done.returncode == 2
    assert "every trial failed: killed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gate", "cpu-quota-swep"), "Did you mean cpu-quota-sweep?"),
        (("gate", "cpu-quota-sweep", "--baseline", "before", "--budget", "soon"), "soon"),
        (("ab", "cpu-quota-sweep", "--a", "true"), "--b"),
        (("ab", "cpu-quota-sweep", "--a", "true", "--b", "true", "--metric", "speed"), "speed"),
        (("compare", "before", "same", "--metric", "cpus_usd"), "Did you mean cpus_used?"),
        (("baseline", "set", "gone", "--metric", "speed"), "unknown metric: speed"),
        (("compare", "before", "same", "--allow", "colour"), "no such key"),
        (("compare", "gone", "gone too", "--allow", "colour"), "--allow colour: no such key"),
        # Neither the experiment nor the baseline is looked for before that.
        (("gate", "cpu-quota-swep", "--allow", "colour"), "--allow colour: no such key"),
        (("gate", "cpu-quota-sweep", "--allow", "kernel", "--allow", "cgbench"), "--allow cgbench"),
        (("compare", "before", "same", "--effect", "0"), "effect"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_measured(
    results: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = cgbench(*arguments, "--results", str(results), environment={"NO_COLOR": "1"})
    assert done.returncode == 2
    assert message in done.stderr
