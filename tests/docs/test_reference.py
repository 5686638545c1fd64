"""The generated parts of the manual are in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cgbench.cli import exits
from cgbench.engine import image
from cgbench.errors import CgbenchError
from cgbench.host import interrupts
from cgbench.records.verdict import Outcome
from cgbench.spec import experiment_file, workload
from tests.docs import blocks
from tests.docs.reference import atlas, exceptions, metrics
from tests.made import atlas_rows

PAGES = blocks.pages()
TEXTS = {path: path.read_text() for path in PAGES}


def text(name: str) -> str:
    return (blocks.DOCS / "reference" / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(blocks.ROOT).as_posix())
def test_a_page_is_in_step_with_the_code(path: Path) -> None:
    assert TEXTS[path] == blocks.renewed(TEXTS[path]), blocks.RENEW


def test_every_generated_part_is_in_a_page_once() -> None:
    found = [name for page in TEXTS.values() for name in blocks.names(page)]
    assert sorted(found) == sorted(blocks.GENERATORS)


def test_no_mark_of_a_generated_part_is_malformed() -> None:
    for path, page in TEXTS.items():
        bare = re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.DOTALL)
        assert len(re.findall(r"<!--", bare)) == 2 * len(list(blocks.names(page))), path


def test_every_metric_has_a_formula() -> None:
    formulas = text("metrics.md").split("## Formulas")[1].split("## The steady window")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", formulas, re.MULTILINE)
             for name in re.findall(r"`([a-z0-9_]+)`", row)}  # fmt: skip
    # An error is a column of every row, and no metric of its own.
    assert named == set(metrics.names()) | {"error_pct"}


def test_every_experiment_has_what_it_found() -> None:
    found = text("experiments.md").split("## What they found")[1]
    rows = re.findall(r"^\| `([a-z-]+)` \|", found.split("## Preconditions")[0], re.MULTILINE)
    assert sorted(rows) == sorted(experiment_file.builtin_names())


def test_every_workload_has_its_unit_of_work() -> None:
    units = text("workloads.md").split("## What a unit")[1]
    for name in workload.names(workload.directory()):
        assert f"`{name}`" in units


def test_every_example_says_what_it_does_and_what_it_needs() -> None:
    does, needs = text("examples.md").split("## What runtimes print")[0].split("## What they need")
    examples = set(image.names(workload.directory())) - {image.WORKLOAD}
    for part in (does, needs):
        assert set(re.findall(r"^\| `([a-z]+)` \|", part, re.MULTILINE)) == examples


def test_every_exit_status_is_explained() -> None:
    page = text("exit-statuses.md")
    explained = {int(status) for status in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    used = {one.exit_code for one in exceptions.every(CgbenchError)}
    used |= {value for name, value in vars(exits).items() if name.isupper()}
    assert explained == used | {0, interrupts.STATUS}


def test_the_atlas_in_figures_comes_from_rows(tmp_path: Path) -> None:
    good = {"cpus": Outcome.EFFECTIVE, "memory": Outcome.EFFECTIVE}
    assert atlas.hosts(tmp_path) == "No host is measured yet."
    assert atlas.neighbours(tmp_path) == "No two hosts differ in one thing alone yet."
    atlas_rows.written(tmp_path, atlas_rows.row("old", good))
    other = good | {"memory": Outcome.IGNORED}
    atlas_rows.written(tmp_path, atlas_rows.row("new", other, runc="1.4.3"))
    assert "| `old` | 6.1 | v1 | cgroupfs | docker 20.10.24 | runc 1.1.5 |" in atlas.hosts(tmp_path)
    said = atlas.neighbours(tmp_path)
    assert said.startswith(
        "**runc 1.1.5 → runc 1.4.3** (`old` → `new`): 1 of 2 verdicts differs; after 1 update a "
        "file holds another text."
    )
    assert "| `--memory 0.5` | `cpu.cfs_quota_us` | `50000` | `-1` |" in said
    assert "| `--memory` | effective | ignored |" in said


def test_a_bad_row_of_the_atlas_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(AssertionError):
        atlas.hosts(tmp_path)
