"""Comparisons are written where they were asked for, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from cgbench.commands.outputs import Outputs, write
from tests.made import sides


def test_nothing_is_written_that_was_not_asked_for(tmp_path: Path) -> None:
    write([sides.mixed()], Outputs())
    assert not list(tmp_path.iterdir())


def test_each_form_goes_to_its_file(tmp_path: Path) -> None:
    outputs = Outputs(*(tmp_path / name for name in ("junit", "markdown", "page", "summary")))
    write([sides.mixed()], outputs)
    assert (tmp_path / "junit").read_text().startswith("<?xml")
    assert (tmp_path / "markdown").read_text() == (tmp_path / "summary").read_text()
    assert "<html" in (tmp_path / "page").read_text()
