"""What there is: a damaged run is named, and hides no other."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path
from unittest.mock import Mock

import pytest

from cgbench.commands import listing
from cgbench.commands.listing import Damaged, Known
from cgbench.errors import ExperimentError
from cgbench.host import description, marks
from cgbench.spec.schedule import steps
from cgbench.units import NS_PER_S
from tests.made.command import cgbench
from tests.made.run_builder import MadeUp, build


@pytest.mark.parametrize("file", ["run.json", "trials.jsonl"])
def test_one_damaged_run_hides_no_other(tmp_path: Path, file: str) -> None:
    good = build(tmp_path, MadeUp(trials=2))
    damaged = build(tmp_path / "copy", MadeUp(trials=1))
    moved = good.path.parent / "20200101T000000Z-0bad"
    damaged.path.rename(moved)
    (moved / file).write_text("{\n")
    first, second = listing.listing(tmp_path).runs
    assert isinstance(first, Damaged)
    assert first.path == moved
    assert str(moved / file) in first.reason
    assert isinstance(second, Known)
    assert second.measured == 2

    done = cgbench("list", "--results", tmp_path)
    assert done.returncode == 0
    assert "20200101T000000Z-0bad  cannot be read: " in done.stdout
    assert f"{good.path.name}  cpu-quota-sweep" in done.stdout
    document = json.loads(cgbench("list", "--json", "-", "--results", tmp_path).stdout)
    assert [one["path"] for one in document["runs"]] == [str(good.path)]
    assert [one["path"] for one in document["damaged"]] == [str(moved)]


@pytest.mark.parametrize(
    ("hostname", "owner", "status"),
    [
        (platform.node(), f"another-boot - {os.getpid()} 1", "died"),
        (platform.node(), marks.of_this_process(), "running"),
        (platform.node(), None, "running"),
        ("elsewhere", "another-boot - 1 1", "running"),
    ],
    ids=["another boot", "this process", "no owner", "another host"],
)
def test_a_run_whose_cgbench_was_killed_died_and_runs_no_more(
    tmp_path: Path, hostname: str, owner: str | None, status: str
) -> None:
    """Found by reading: after a full disk or a kill -9 it said `running` for ever."""
    directory = build(tmp_path, MadeUp(trials=1))
    record = directory.run()
    host = record.host.model_copy(update={"hostname": hostname})
    update = {"status": "running", "owner": owner, "host": host}
    directory.write_run(record.model_copy(update=update))
    (known,) = listing.listing(tmp_path).runs
    assert isinstance(known, Known)
    assert known.status == status
    assert f" {status} " in cgbench("list", "--results", tmp_path).stdout


def test_each_experiment_says_about_how_long_it_takes_in_full_and_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description, "cpus", lambda: 2)
    (one,) = [
        one for one in listing.listing(tmp_path).experiments
        if one.experiment.name == "cpu-quota-sweep"
    ]  # fmt: skip
    assert one.full_s is not None
    assert one.quick_s is not None
    hold_s = sum(step.hold_ns for step in steps(one.experiment, 2)) / NS_PER_S
    assert one.full_s == pytest.approx(1.1 * hold_s * one.experiment.trials)
    assert one.quick_s < one.full_s / 2
    refused = ExperimentError("it asks for more CPUs")
    monkeypatch.setattr(listing, "lasts_ns", Mock(side_effect=refused))
    few = listing.listing(tmp_path).experiments
    assert {(one.full_s, one.quick_s) for one in few} == {(None, None)}, "each is listed yet"
    document = listing.listing(tmp_path).to_json()
    assert {"name", "title", "full_s", "quick_s"} == set(document["experiments"][0])


def test_the_list_and_the_explanation_show_the_times(tmp_path: Path) -> None:
    lines = cgbench("list", "--results", tmp_path).stdout.splitlines()
    assert lines[1].split() == ["name", "full", "--quick"]
    (line,) = [line for line in lines if line.split()[:1] == ["cpu-quota-sweep"]]
    _, full, quick, *_ = re.split("  +", line.strip())
    said = cgbench("show", "cpu-quota-sweep").stdout
    assert f"It takes about {full}; with --quick" in said
    assert said.rstrip().endswith(f"about {quick}.")
