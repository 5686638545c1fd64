"""Measuring rows of the atlas, as far as it goes without booting: what is left, what is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cgbench.records import atlas as records
from cgbench.records.verdict import Outcome
from tests.lab import atlas
from tests.lab.guest_row import Measured
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


def test_rows_that_are_measured_at_once_each_say_whether_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_once: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def apart(name: str, _folder: Path, *, quick: bool) -> subprocess.Popen[bytes]:
        assert quick
        process = subprocess.Popen(["sh", "-c", f"sleep 0.3; exit {int(name == 'bookworm')}"])
        running.append(process)
        at_once.append(sum(one.poll() is None for one in running))
        return process

    monkeypatch.setattr(atlas, "_apart", apart)
    monkeypatch.setattr(atlas, "_LOOK_EVERY_S", 0.05)
    names = ["trixie", "bookworm", "forky"]
    assert atlas.together(names, tmp_path, quick=True, jobs=2) == ["bookworm"]
    assert max(at_once) == 2
    said = capsys.readouterr().out
    assert "bookworm: ended with 1" in said
    assert said.count(": done") == 2


def test_guests_that_are_measured_at_once_end_with_who_measures_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    left = list(started)

    def interrupted(_seconds: float) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(atlas, "_apart", lambda *_, **__: left.pop())
    monkeypatch.setattr("tests.lab.atlas.time.sleep", interrupted)
    with pytest.raises(SystemExit):
        atlas.together(["trixie", "forky"], tmp_path, quick=True, jobs=2)
    assert all(one.poll() is not None for one in started)
