"""The page of the atlas in a real Chromium: it fits, filters, opens cells and sends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgbench.records.verdict import Outcome
from cgbench.reporting import render
from cgbench.spec.options import OPTIONS
from tests.browser.visit import Visit, Window
from tests.made import atlas_rows

pytestmark = pytest.mark.browser

SOME = (Outcome.EFFECTIVE, Outcome.IGNORED, Outcome.WRONG, Outcome.UNSUPPORTED)
MIX = {name: SOME[at % len(SOME)] for at, name in enumerate(OPTIONS)}
OTHER = MIX | {"cpus": Outcome.WRONG}
EVIL = "<img src=x onerror=document.title='caught'>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kernels = [f"6.{number}.1" for number in range(6, 17)]
    rows = [atlas_rows.row(f"host-{number}", MIX, kernel=one) for number, one in enumerate(kernels)]
    rows.append(atlas_rows.row("other", OTHER, kernel="6.6.1", cgroup="v2"))
    return render.write_atlas(rows, (), tmp_path_factory.mktemp("atlas") / "page.html")


@pytest.fixture
def wide(window: Window, file: Path) -> Visit:
    return window.open(file)


def shown(visit: Visit) -> tuple[int, list[str]]:
    """Return how many hosts and which options are to be seen."""
    found: tuple[int, list[str]] = tuple(visit.page.evaluate(
        """() => [
            [...document.querySelectorAll("#matrix thead th[data-column]")]
                .filter((one) => one.checkVisibility()).length,
            [...document.querySelectorAll("#matrix .options tr")]
                .filter((one) => one.checkVisibility()).map((one) => one.dataset.option)]"""
    ))  # fmt: skip
    return found


def test_it_fits_every_screen_without_a_complaint_or_a_request(visit: Visit) -> None:
    widths = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_twelve_hosts_take_little_room(file: Path) -> None:
    assert file.stat().st_size <= 1_500_000


def test_verdicts_are_told_by_a_word_and_a_sign(visit: Visit) -> None:
    texts = visit.page.evaluate(
        """() => [...document.querySelectorAll("[data-column=host-0] a")].map(
            (one) => one.textContent.trim())"""
    )
    signs = {"effective": "✓", "ignored": "✗", "wrong": "✗", "unsupported": "–"}
    assert texts == [f"{signs[one]} {one}" for one in MIX.values()]


def test_head_and_first_column_stay_where_the_table_scrolls(wide: Visit) -> None:
    wide.page.evaluate("document.querySelector('.matrix-box').scrollTo(200, 200)")
    tops = wide.page.evaluate(
        """() => {
            const box = document.querySelector(".matrix-box").getBoundingClientRect();
            const head = document.querySelector("#matrix thead th").getBoundingClientRect();
            return [head.top - box.top, head.left - box.left];
        }"""
    )
    assert all(0 <= one <= 2 for one in tops)


def test_filters_hide_hosts_and_options_and_go_into_the_address(wide: Visit) -> None:
    everything = (12, list(OPTIONS))
    assert shown(wide) == everything
    wide.page.select_option("select[name=kernel]", "6.6")
    assert shown(wide)[0] == 2
    wide.page.check("input[name=differing]")
    assert shown(wide) == (2, ["cpus"])
    assert wide.page.evaluate("location.hash") == "#kernel=6.6&differing=1"
    wide.page.click("button[type=reset]")
    wide.page.wait_for_function("location.hash === ''")
    assert shown(wide) == everything


def test_a_filter_is_quick(wide: Visit) -> None:
    took = wide.page.evaluate(
        """async () => {
            const filters = document.getElementById("filters"), begin = performance.now();
            filters.elements.differing.checked = true;
            filters.dispatchEvent(new Event("change"));
            document.body.offsetHeight;
            return performance.now() - begin;
        }"""
    )
    assert took < 100


def test_an_address_shows_its_filters_and_opens_its_cell(wide: Visit) -> None:
    wide.page.evaluate("location.hash = '#layout=v2&cell=other/cpus'")
    dialog = wide.page.locator("#cell")
    dialog.wait_for()
    assert shown(wide)[0] == 1
    text = dialog.inner_text()
    cat = "cat /sys/fs/cgroup/cpu/docker/CONTAINER/cpu.cfs_quota_us"
    for expected in ("--cpus on other", "0.9 CPUs of 0.5 CPUs", "✗ outside", "7.25 ms", cat):
        assert expected in text
    wide.page.keyboard.press("Escape")
    wide.page.wait_for_function("location.hash === '#layout=v2'")


def test_a_click_opens_a_cell_and_leads_on_to_its_option(wide: Visit) -> None:
    wide.page.click("td[data-column=host-0] a[href$='/cpus']")
    assert wide.page.evaluate("location.hash") == "#cell=host-0/cpus"
    wide.page.click("#cell .back a")
    wide.page.wait_for_function("location.hash === '#option-cpus'")
    assert wide.page.evaluate("document.getElementById('cell').open") is False


def own(tmp_path: Path, **changes: Any) -> Path:
    """Write a truth table of the reader's own, with the newest words and no known engine."""
    table = atlas_rows.table({"cpus": Outcome.WRONG}, hostname=EVIL, engine=None)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(table.to_json() | changes))
    return path


def test_a_table_of_ones_own_becomes_a_column_and_is_sent_nowhere(
    wide: Visit, tmp_path: Path
) -> None:
    wide.page.set_input_files("#own", own(tmp_path))
    wide.page.wait_for_selector("th[data-column=Dropped]")
    assert shown(wide)[0] == 13
    cells = wide.page.evaluate(
        """() => [...document.querySelectorAll(".options td[data-column=Dropped]")].map(
            (one) => one.textContent.trim())"""
    )
    assert [cells[0], *set(cells[1:])] == ["✗ wrong", ""], "what is unknown stays empty"
    assert EVIL in wide.page.inner_text("th[data-column=Dropped]")
    wide.page.click("td[data-column=Dropped] a")
    assert "0.9 CPUs of 0.5 CPUs" in wide.page.inner_text("#cell")
    assert atlas_rows.CONTAINER not in wide.page.inner_text("#cell")
    assert wide.page.title() != "caught"
    assert len(wide.requests) == 1
    assert wide.complaints == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"options": []}', '{"host": {}, "options": [{"option": "x"}]}']
)
def test_a_file_that_is_no_table_is_named(text: str, wide: Visit, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    wide.page.set_input_files("#own", path)
    wide.page.wait_for_selector("#complaint:not([hidden])")
    assert "other.json cannot be shown" in wide.page.inner_text("#complaint")
    assert shown(wide)[0] == 12
