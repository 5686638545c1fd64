"""Rows are read from where somebody says, bad ones named and left out; new ones judged first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.commands import atlas as making
from cgbench.commands.atlas import Addition
from cgbench.errors import StoreError
from cgbench.records import atlas
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows

GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.IGNORED}


def truth(tmp_path: Path, table: TruthTable | None = None) -> str:
    """Write a truth table as `verify` does, and return its path."""
    path = tmp_path / "truth.json"
    path.write_text(json.dumps((table or atlas_rows.table(GOOD)).to_json(), indent=1))
    return str(path)


def wrong(table: TruthTable) -> TruthTable:
    """Return a table whose first verdict does not follow."""
    first, *others = table.rows
    verdict = first.verdict.model_copy(update={"verdict": Outcome.WRONG})
    return table.model_copy(
        update={"rows": (first.model_copy(update={"verdict": verdict}), *others)}
    )


def test_rows_below_the_results_go_before_those_that_were_shipped(tmp_path: Path) -> None:
    assert making.directory_of(None, tmp_path) == atlas.shipped()
    atlas_rows.written(tmp_path / "atlas", atlas_rows.row("a", GOOD))
    assert making.directory_of(None, tmp_path) == tmp_path / "atlas"
    assert making.directory_of(tmp_path, tmp_path) == tmp_path
    with pytest.raises(StoreError, match=r"--rows .*nowhere: no such directory"):
        making.directory_of(tmp_path / "nowhere", tmp_path)


def test_every_row_that_is_shipped_is_whole_and_follows_by_todays_rules() -> None:
    found = making.gathered(atlas.shipped())
    assert found.rows
    assert found.left_out == ()


def test_a_bad_row_is_left_out_and_hides_no_other(tmp_path: Path) -> None:
    atlas_rows.written(tmp_path, atlas_rows.row("good", GOOD))
    (tmp_path / "damaged.json").write_text("{")
    row = atlas_rows.row("astray", GOOD)
    table = wrong(row.table)
    astray = {"table": table, "digest": atlas.digest(table.to_json())}
    atlas.write(row.model_copy(update=astray), tmp_path)
    found = making.gathered(tmp_path)
    assert [row.name for row in found.rows] == ["good"]
    reasons = {one.path.name: one.reason for one in found.left_out}
    assert reasons["damaged.json"].startswith("not JSON")
    assert reasons["astray.json"].startswith("a verdict does not follow: --cpus: ")


def test_a_row_of_other_rules_is_kept_and_named(tmp_path: Path) -> None:
    row = atlas_rows.row("older", GOOD).model_copy(update={"rules": "0123456789abcdef"})
    atlas_rows.written(tmp_path, row)
    found = making.gathered(tmp_path)
    assert [one.name for one in found.rows] == list(found.other_rules) == ["older"]
    assert found.to_json()["rows"][0]["todays_rules"] is False


def test_the_json_has_keys_verdicts_and_neighbours(tmp_path: Path) -> None:
    atlas_rows.written(tmp_path, atlas_rows.row("a", GOOD))
    other = GOOD | {"cpu-quota": Outcome.EFFECTIVE}
    atlas_rows.written(tmp_path, atlas_rows.row("b", other, runc="1.4.3"))
    document = making.gathered(tmp_path).to_json()
    assert document["rows"][0]["key"]["runtime"] == "runc 1.1.5"
    assert document["rows"][0]["verdicts"]["cpu-quota"] == {"verdict": "ignored", "fails": True}
    (pair,) = document["neighbours"]
    assert (pair["part"], pair["from"], pair["to"]) == ("runtime", "runc 1.1.5", "runc 1.4.3")
    assert [one["option"] for one in pair["differences"]] == ["cpu-quota"]


def test_a_table_becomes_a_row_and_again_on_the_same_host(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    path = making.add(truth(tmp_path), Addition("mine", "My host"), rows, tmp_path)
    assert atlas.read(path).title == "My host"
    making.add(truth(tmp_path), Addition("mine"), rows, tmp_path)
    assert making.gathered(rows).left_out == ()


def test_another_hosts_row_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    making.add(truth(tmp_path), Addition("mine"), rows, tmp_path)
    other = truth(tmp_path, atlas_rows.table(GOOD, cgroup="v2"))
    with pytest.raises(StoreError, match=r"is the row of another host: kernel 6\.1, cgroup v1"):
        making.add(other, Addition("mine"), rows, tmp_path)
    path = making.add(other, Addition("mine", replace=True), rows, tmp_path)
    assert atlas.read(path).key.layout == "v2"


def test_a_damaged_row_is_not_written_over_unasked(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(StoreError, match=r"mine\.json is there and cannot be read"):
        making.add(truth(tmp_path), Addition("mine"), tmp_path, tmp_path)


def test_a_table_whose_verdicts_do_not_follow_becomes_no_row(tmp_path: Path) -> None:
    bad = truth(tmp_path, wrong(atlas_rows.table(GOOD)))
    with pytest.raises(StoreError, match=r"does not follow by today's rules: --cpus"):
        making.add(bad, Addition("mine"), tmp_path / "rows", tmp_path)
    assert not (tmp_path / "rows").exists()


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no truth table is called nothing"):
        making.hosts(["nothing"], tmp_path)


@pytest.mark.parametrize("text", ["runc\t1.1.5+ds1\n", "# all\nrunc = 1.1.5+ds1\n\n"])
def test_packages_are_read_as_dpkg_prints_them(text: str, tmp_path: Path) -> None:
    path = tmp_path / "packages.txt"
    path.write_text(text)
    assert making.read_packages(path) == {"runc": "1.1.5+ds1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runc 1\ncrun\n", "line 2: 'crun' has no version"),
        ("a 1\na 2\n", "line 2: 'a 2' is there twice"),
    ],
)
def test_a_line_that_is_no_package_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "packages.txt"
    path.write_text(text)
    with pytest.raises(StoreError, match=said):
        making.read_packages(path)


def test_a_row_of_other_rules_is_made_anew_from_its_own_table(tmp_path: Path) -> None:
    packages = {"runc": "1.1.5"}
    update = {"rules": "0123", "title": "Some host", "packages": packages}
    row = atlas_rows.row("mine", GOOD).model_copy(update=update)
    path = atlas_rows.written(tmp_path, row)
    making.add(str(path), Addition("mine"), tmp_path, tmp_path)
    found = making.gathered(tmp_path)
    assert found.other_rules == ()
    assert (found.rows[0].title, found.rows[0].packages) == ("Some host", packages)
