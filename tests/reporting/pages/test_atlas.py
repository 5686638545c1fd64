"""The page of the atlas: options by hosts, what changes between neighbours, and no more texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgbench.records.atlas import AtlasRow
from cgbench.records.verdict import Outcome
from cgbench.reporting.pages.atlas import AtlasPage, atlas_page
from tests.made import atlas_rows

EMULATED = "QEMU TCG CPU version 2.5+"
GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.IGNORED, "memory": Outcome.UNSUPPORTED}


def row(name: str, verdicts: dict[str, Outcome] | None = None, **host: Any) -> AtlasRow:
    return atlas_rows.row(name, verdicts or GOOD, **host)


@pytest.fixture
def page() -> AtlasPage:
    better = GOOD | {"cpu-quota": Outcome.EFFECTIVE}
    own = atlas_rows.table({"cpus": Outcome.WRONG}, hostname="mine", engine=None, systemd=None)
    rows = [row("b", better, cgroup="v2"), row("a"), row("slow", cpu_model=EMULATED)]
    return atlas_page(rows, [own])


def documents(page: AtlasPage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(page.documents()))["atlas"]
    return found


def test_the_readers_host_comes_first_and_is_empty_where_nothing_is_known(page: AtlasPage) -> None:
    assert [column.name for column in page.columns] == ["Your-host", "a", "b", "slow"]
    assert page.columns[0].parts["engine"] == ""
    by_option = {line.option: line for line in page.lines}
    assert by_option["memory"].cells[0] is None
    assert by_option["cpus"].cells[0] is not None


def test_hosts_are_filtered_by_what_differs_between_rows(page: AtlasPage) -> None:
    assert {one.part: one.values for one in page.filters} == {
        "layout": ("v1", "v2"), "emulated": ("real", "emulated"),
    }  # fmt: skip


def test_the_headline_counts_what_depends_on_the_host() -> None:
    better = GOOD | {"cpu-quota": Outcome.EFFECTIVE}
    found = atlas_page([row("a"), row("b", better, cgroup="v2")])
    assert found.headline == (
        "1 of 3 options of `docker update` depends on the host; `--cpus` does what it says "
        "wherever it was measured."
    )


def test_what_was_left_open_on_a_host_depends_on_nothing() -> None:
    other = GOOD | {"cpus": Outcome.INCONCLUSIVE}
    found = atlas_page([row("a"), row("b", other, cgroup="v2")])
    assert found.headline == "0 of 3 options of `docker update` depend on the host."


def test_each_option_says_where_it_does_what(page: AtlasPage) -> None:
    line = next(line for line in page.lines if line.option == "cpu-quota")
    assert [(one.term.word, one.where) for one in line.groups] == [
        ("ignored", "on a and slow"), ("effective", "on b"),
    ]  # fmt: skip
    assert line.instead == ("Leave it out.",)
    assert [one.what for one in line.changes] == ["cgroup v1 → v2"]


def test_neighbours_say_how_many_verdicts_differ(page: AtlasPage) -> None:
    assert [(one.what, one.outcome) for one in page.pairs] == [
        ("cgroup v1 → v2", "1 of 3 verdicts differs; after 1 update a file holds another text."),
        ("CPU real → emulated", "All 3 verdicts are the same."),
    ]
    assert [one.texts for one in page.pairs] == [
        ["--cpu-quota 0.5: cpu.cfs_quota_us -1 → 50000"], []
    ]  # fmt: skip


def test_emulated_hosts_show_no_times_and_no_host_its_container(page: AtlasPage) -> None:
    cells = documents(page)["cells"]
    assert cells["a"]["cpus"]["time_to_effect_ms"]["answer"] == 7.25
    assert "time_to_effect_ms" not in cells["slow"]["cpus"]
    assert "no times are shown" in documents(page)["columns"]["slow"]["remark"]
    assert atlas_rows.CONTAINER not in json.dumps(cells)
    path = cells["a"]["cpus"]["enforced"]["cpu.cfs_quota_us"]["path"]
    assert path == "/sys/fs/cgroup/cpu/docker/CONTAINER/cpu.cfs_quota_us"


def test_a_row_of_other_rules_is_remarked_on() -> None:
    found = atlas_page([row("a")], other_rules=["a"])
    remark = found.columns[0].remark or ""
    assert remark.endswith("It was judged by other rules than this cgbench has.")


def test_a_row_that_was_not_looked_at_as_closely_is_remarked_on() -> None:
    shallow = row("a")
    table = shallow.table.model_copy(update={"interactions": (object(),)})
    deep = shallow.model_copy(update={"name": "b", "table": table})
    found = atlas_page([shallow, deep])
    assert "was not looked for" in (found.columns[0].remark or "")
    assert found.columns[1].remark is None


def test_texts_that_a_reader_would_not_see_are_made_visible() -> None:
    hidden = "a\N{RIGHT-TO-LEFT OVERRIDE}b\x1b"
    one = atlas_rows.table(GOOD)
    verdict = one.rows[0].verdict.model_copy(update={"reason": hidden, "advice": hidden})
    table = one.model_copy(update={"rows": (one.rows[0].model_copy(update={"verdict": verdict}),)})
    text = documents(atlas_page([], [table]))["cells"]["Your-host"]["cpus"]["reason"]
    assert "\x1b" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
