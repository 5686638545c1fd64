"""`cgbench baseline`: what it keeps is listed, shown and compared with."""

from __future__ import annotations

import json
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
