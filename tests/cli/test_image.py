"""`cgbench image`: its list in 80 columns, and a slip in a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgbench.cli import image
from cgbench.commands import image as images
from cgbench.commands.image import Listed
from tests.made.command import cgbench

LISTED = [
    Listed("workload", "cgbench/workload:0123456789ab", 402_000_000),
    Listed("runtimes", "cgbench/runtimes:0123456789ab", None),
]


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "listed", lambda: LISTED)


def test_the_list_says_what_is_built_and_how_large_it_is(capsys: Any) -> None:
    image.list_all()
    built, missing = capsys.readouterr().out.splitlines()
    assert built.split() == ["workload", "cgbench/workload:0123456789ab", "383.4", "MiB"]
    assert missing.split() == ["runtimes", "cgbench/runtimes:0123456789ab", "not", "built"]
    assert max(len(built), len(missing)) <= 80


def test_the_list_as_json(capsys: Any, tmp_path: Path) -> None:
    image.list_all(Path("-"))
    (built, missing) = json.loads(capsys.readouterr().out)
    assert (built["built"], built["size_bytes"]) == (True, 402_000_000)
    assert (missing["built"], missing["size_bytes"]) == (False, None)
    image.list_all(tmp_path / "list.json")
    assert json.loads((tmp_path / "list.json").read_text()) == [built, missing]
    assert "not built" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("build",), ("save", "x.tar"), ("load", "x.tar")])
def test_a_slip_in_a_name_is_answered_with_the_nearest(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    at = {"DOCKER_HOST": f"unix://{tmp_path}/none"}
    done = cgbench("image", *command, "postgers", environment=at)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cgbench: cgbench has no image postgers\nDid you mean postgres?\n"
