"""Kept baselines: a damaged one is named, and hides no other."""

from __future__ import annotations

import json
from pathlib import Path

from cgbench.records import baseline
from tests.made.command import cgbench
from tests.made.plain_sides import around, side


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
