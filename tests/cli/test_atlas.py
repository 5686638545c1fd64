"""`cgbench atlas`: a page, a row, or a check; what is bad is named, and ends a check with 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.records.verdict import Outcome
from tests.made import atlas_rows
from tests.made.command import cgbench

GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.IGNORED}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(atlas_rows.table(GOOD).to_json()))
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    atlas_rows.written(tmp_path / "rows", atlas_rows.row("some-host", GOOD, cgroup="v2"))
    return tmp_path / "rows"


def test_the_page_is_written_where_somebody_says_and_the_rows_are_named(
    rows: Path, table: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = cgbench("atlas", "--rows", str(rows), "--with", str(table), "-o", str(page))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"rows: 1 of {rows}\npage: {page}\n"
    assert "some-host" in page.read_text()


def test_without_a_name_the_page_is_among_the_results(rows: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    done = cgbench("atlas", "--rows", str(rows), "--results", str(results))
    assert done.returncode == 0, done.stderr
    assert (results / "atlas.html").exists()


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    """Results with a truth table among them."""
    path = tmp_path / "results" / "verify" / "20261127T101530Z-abcd" / "truth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(atlas_rows.table(GOOD, hostname="mine-alone").to_json()))
    return path


def test_the_latest_table_among_the_results_is_shown_unasked(
    rows: Path, verified: Path, tmp_path: Path
) -> None:
    at = ("--rows", str(rows), "--results", str(tmp_path / "results"))
    done = cgbench("atlas", *at)
    assert done.returncode == 0, done.stderr
    assert f"your host: {verified}\n" in done.stdout
    page = tmp_path / "results" / "atlas.html"
    assert "mine-alone" in page.read_text()
    alone = cgbench("atlas", "--rows-only", *at)
    assert "your host" not in alone.stdout
    assert "mine-alone" not in page.read_text()


def test_a_latest_table_that_is_damaged_keeps_no_row_from_the_page(
    rows: Path, verified: Path, tmp_path: Path
) -> None:
    verified.write_text("{")
    done = cgbench("atlas", "--rows", str(rows), "--results", str(tmp_path / "results"))
    assert done.returncode == 0
    assert f"left out: {verified}" in done.stderr
    assert "some-host" in (tmp_path / "results" / "atlas.html").read_text()


def test_a_table_cannot_be_named_and_left_out(rows: Path, table: Path) -> None:
    done = cgbench("atlas", "--rows", str(rows), "--rows-only", "--with", str(table))
    assert done.returncode == 2
    assert "--rows-only leaves out what --with names" in done.stderr


def test_a_row_is_added_found_and_checked(table: Path, tmp_path: Path) -> None:
    at = ("--results", str(tmp_path))
    added = cgbench("atlas", "--add", str(table), "--name", "mine", *at)
    assert added.stdout == f"row: {tmp_path / 'atlas/mine.json'}\n", added.stderr
    checked = cgbench("atlas", "--check", *at)
    assert (checked.returncode, checked.stdout) == (0, f"1 good row of 1 in {tmp_path / 'atlas'}\n")
    document = json.loads(cgbench("atlas", "--json", "-", *at).stdout)
    assert [row["name"] for row in document["rows"]] == ["mine"]


def test_a_bad_row_ends_a_check_with_2_and_a_page_with_0(rows: Path, tmp_path: Path) -> None:
    (rows / "bad.json").write_text("{")
    checked = cgbench("atlas", "--check", "--rows", str(rows))
    assert checked.returncode == 2
    assert f"{rows / 'bad.json'}: not JSON" in checked.stderr
    assert "1 good row of 2" in checked.stdout
    shown = cgbench("atlas", "--rows", str(rows), "-o", str(tmp_path / "page.html"))
    assert shown.returncode == 0
    assert "left out: not JSON" in shown.stderr


def test_a_row_of_other_rules_ends_a_check_with_2(tmp_path: Path) -> None:
    row = atlas_rows.row("older", GOOD).model_copy(update={"rules": "0123"})
    atlas_rows.written(tmp_path, row)
    checked = cgbench("atlas", "--check", "--rows", str(tmp_path))
    assert checked.returncode == 2
    assert "older.json: judged by other rules than today's" in checked.stderr


def test_a_directory_without_rows_is_named(tmp_path: Path) -> None:
    # A truth table among the results would be shown without any row.
    done = cgbench(
        "atlas", "--rows", str(tmp_path), "--results", str(tmp_path), "-o",
        str(tmp_path / "page.html"),
    )  # fmt: skip
    assert done.returncode == 2
    assert f"no row of the atlas can be shown from {tmp_path}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "x"), "--name is of a row to add"),
        (("--add", "t"), "--add needs the row's --name"),
        (("--add", "t", "--check"), "--add writes a row, and no page"),
        (("--check", "-o", "x"), "--check writes no page"),
        (("--add", "t", "--name", "x"), "no truth table is called t"),
    ],
)
def test_options_that_do_not_fit_are_named(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = cgbench("atlas", *arguments, "--results", str(tmp_path))
    assert done.returncode == 2
    assert said in done.stderr
