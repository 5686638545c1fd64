"""Measuring rows of the atlas, as far as it goes without booting: what is left, what is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.records import atlas as records
from cgbench.records.verdict import Outcome
from tests.lab import atlas
from tests.lab.atlas import Measured
from tests.lab.host import LabError
from tests.made import atlas_rows

TABLE = json.dumps(atlas_rows.table({"cpus": Outcome.EFFECTIVE}).to_json())


def measured(name: str, *, quick: bool) -> Measured:
    assert quick
    if name == "bookworm":
        raise LabError("not up in time")
    return Measured(TABLE, "runc\t1.1.15\nsystemd\t257.8-1\n")


def test_each_row_is_a_file_and_one_that_fails_loses_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = atlas.rows(["bookworm", "trixie"], tmp_path, quick=True, measure=measured)
    assert failed == ["bookworm"]
    assert "bookworm: not measured: not up in time" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["trixie.json"]
    row = records.read(tmp_path / "trixie.json")
    assert row.title.startswith("Debian 13 as it is")
    assert row.packages == {"runc": "1.1.15", "systemd": "257.8-1"}


def test_a_row_by_todays_rules_is_not_measured_again_unless_more_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas.rows(["trixie"], tmp_path, quick=True, measure=measured)
    assert atlas.fresh("trixie", tmp_path, quick=True)
    # Its table has the verdicts alone.
    assert not atlas.fresh("trixie", tmp_path, quick=False)
    monkeypatch.setattr("cgbench.records.rules.digest", lambda: "others")
    assert not atlas.fresh("trixie", tmp_path, quick=True)


def test_a_row_that_is_damaged_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "trixie.json").write_text("{")
    assert not atlas.fresh("trixie", tmp_path, quick=True)


def test_a_row_that_a_shell_disagrees_with_is_told_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Measured(TABLE, "", ("--cpus 0.5: effective, and by hand it was not",))
    failed = atlas.rows(["trixie"], tmp_path, quick=True, measure=lambda *_, **__: found)
    assert failed == ["trixie"]
    assert "trixie: a shell disagrees: --cpus 0.5: effective" in capsys.readouterr().err
