"""`cgbench baseline`: what it keeps is listed, shown and compared with."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.made.command import cgbench
from tests.made.run_builder import MadeUp, build


def test_a_run_is_set_listed_shown_and_compared(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=6))
    at = ("--results", str(tmp_path))
    done = cgbench("baseline", "set", str(directory.path), "--name", "kept", *at)
    assert done.returncode == 0, done.stderr
    assert "6 trials, 24 series" in done.stdout
    assert "kept" in cgbench("baseline", "list", *at).stdout
    (listed,) = json.loads(cgbench("baseline", "list", "--json", "-", *at).stdout)
    assert listed["trials"] == 6
    shown = cgbench("baseline", "show", "kept", *at).stdout
    assert "cpus_used" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert cgbench("compare", "kept", str(directory.path), *at).returncode == 0


def test_a_first_baseline_is_shown_in_every_form_and_is_no_verdict(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=6))
    at = ("--results", tmp_path)
    assert cgbench("baseline", "set", directory.path, "--name", "kept", *at).returncode == 0
    junit, markdown = tmp_path / "x.xml", tmp_path / "x.md"
    done = cgbench("baseline", "show", "kept", *at, "--junit", junit, "--markdown", markdown)
    assert done.returncode == 0, done.stderr
    suites = ET.fromstring(junit.read_text())
    cases = suites.findall(".//testcase")
    assert len(cases) == len(suites.findall(".//skipped")) == 24
    assert "nothing to compare with yet" in junit.read_text()
    assert "| `--cpu-quota 50000 · worker · cpus_used` | 0.500 CPUs | " in markdown.read_text()
    done = cgbench("baseline", "show", "kept", *at, "--markdown", "-")
    assert done.stdout == markdown.read_text()
