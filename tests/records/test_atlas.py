"""A row of the atlas is read as it was written; what is damaged is named with its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cgbench.errors import StoreError
from cgbench.records import atlas
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows

VERDICTS = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.IGNORED}


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    row = atlas_rows.row("some-host", VERDICTS)
    path = atlas_rows.written(tmp_path / "new", row)
    assert atlas.read(path) == row
    assert path.name == "some-host.json"
    assert row.measured.isoformat() == "2026-11-27"
    assert row.title == row.key.line


def test_each_option_has_a_line_of_its_own_for_a_diff(tmp_path: Path) -> None:
    text = atlas_rows.written(tmp_path, atlas_rows.row("a", VERDICTS)).read_text()
    assert sum('"option":"cpu' in line for line in text.splitlines()) == 2
    assert json.loads(text)["truth"]["options"][1]["option"] == "cpu-quota"


def changed(document: dict[str, Any]) -> None:
    document["truth"]["options"][0]["verdict"] = "wrong"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda one: one.pop("truth"), "no truth table in it"),
        (lambda one: one.pop("rules"), "rules: Field required"),
        (lambda one: one.update(surprise=1), "surprise: there is no such key"),
        (lambda one: one.update(schema_version=9), "written by a newer cgbench"),
        (lambda one: one["truth"].update(schema_version=9), "written by a newer cgbench"),
        (lambda one: one["truth"].pop("host"), "no 'host'"),
        (lambda one: one.update(name="other"), "it is the row 'other', whose file is other.json"),
        (changed, "its digest is another"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_file(
    damage: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    path = atlas_rows.written(tmp_path, atlas_rows.row("a", VERDICTS))
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError) as caught:
        atlas.read(path)
    assert caught.value.message.startswith(str(path))
    assert said in caught.value.message
    assert caught.value.advice


def test_a_row_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"schema_version": 1,')
    with pytest.raises(StoreError, match=r"a\.json: not JSON"):
        atlas.read(path)


@pytest.mark.parametrize("name", ["", "Trixie", "../x", "a b", "-a", "a" * 61])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a row"):
        atlas_rows.row(name, VERDICTS)


def test_the_digest_is_of_what_a_table_says_and_not_of_how_it_is_spaced() -> None:
    inside = atlas_rows.table(VERDICTS).to_json()
    assert atlas.digest(dict(reversed(inside.items()))) == atlas.digest(inside)
    assert atlas.digest(inside | {"elapsed_s": 1.0}) != atlas.digest(inside)


def test_rows_are_listed_by_name_and_other_files_are_none(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in atlas.paths(tmp_path)] == ["a.json", "b.json"]
    assert atlas.paths(tmp_path / "nowhere") == []
