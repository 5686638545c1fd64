"""The page of truth tables in a real Chromium: it fits, filters, sorts and needs no network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cgbench.judging.run import load
from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import Samples, TrialData
from cgbench.records.verdict import Outcome
from cgbench.reporting import render
from cgbench.spec.options import OPTIONS
from tests.browser.visit import OPENED, Visit, Window
from tests.made.records import HOST, RUN
from tests.made.run_builder import MadeUp, build
from tests.made.truth_tables import table

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

MIX = (*Outcome, *(Outcome.EFFECTIVE,) * (len(OPTIONS) - len(Outcome)))
PAGES = {
    "two": [table(*MIX), table(*reversed(MIX), hostname="other")],
    "one": [table(*MIX)],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    where = tmp_path_factory.mktemp("truth")
    return {
        name: render.write_truth(tables, where / f"{name}.html") for name, tables in PAGES.items()
    }


@pytest.fixture(
    scope="module",
    params=[(name, opened[0], *seen) for name in PAGES for opened in OPENED for seen in opened],
    ids=lambda param: f"{param[0]} {param[2]}px {param[3]}",
)
def screen(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def visit(
    window: Window, files: dict[str, Path], screen: tuple[str, tuple[int, str], int, str]
) -> Visit:
    name, first, width, theme = screen
    return window.show(files[name], width, theme, first=first)


@pytest.fixture
def wide(window: Window, files: dict[str, Path]) -> Visit:
    """Return the page as the tests of all screens leave it.

    A test that filters or orders it puts it back.
    """
    first, last = OPENED[-1]
    return window.show(files["one"], *last, first=first)


def shown(visit: Visit) -> list[str]:
    """Return the options whose rows are to be seen, from top to bottom."""
    names: list[str] = visit.page.evaluate(
        """() => [...document.querySelectorAll("#verdicts tbody")]
            .filter((body) => body.checkVisibility()).map((body) => body.dataset.option)"""
    )
    return names


def test_it_draws_without_a_complaint_or_a_request(visit: Visit) -> None:
    charts = visit.charts()
    assert charts
    assert all(len(OPTIONS) in chart["points"] for chart in charts)
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_nothing_reaches_beyond_the_window(visit: Visit) -> None:
    visit.page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    widths = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert all(chart["width"] <= widths[1] for chart in visit.charts())


def test_badges_say_what_the_json_says(visit: Visit) -> None:
    told = visit.page.evaluate(
        """() => {
            const tables = JSON.parse(document.getElementById("cgbench-truth").textContent);
            const stored = tables.flatMap((one) => one.options.map(
                ({option, verdict}) => `${option} ${verdict}`));
            const badges = [...document.querySelectorAll("#verdicts .badge")].map((badge) =>
                `${badge.dataset.verdict} ${badge.lastChild.textContent.trim()}`);
            return [stored.sort(), badges.sort()];
        }"""
    )
    assert told[0] == told[1]
    assert len(told[0]) in (len(OPTIONS), 2 * len(OPTIONS))


def test_the_grid_scrolls_inside_its_box(visit: Visit) -> None:
    boxes = visit.page.evaluate(
        """() => [...document.querySelectorAll(".grid")].map((grid) =>
            grid.parentElement.getBoundingClientRect().right)"""
    )
    assert boxes
    assert all(right <= visit.page.evaluate("innerWidth") for right in boxes)


def test_the_first_screen_names_the_fictions(wide: Visit) -> None:
    wide.page.evaluate("scrollTo(0, 0)")
    for text in ("are not what they say", "✗ ignored"):
        box = wide.page.get_by_text(text).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


def test_a_filter_leaves_only_what_is_not_in_force(wide: Visit) -> None:
    assert len(shown(wide)) == len(OPTIONS)
    wide.page.get_by_text("Not in force").click()
    fictions = {row.verdict.option for row in PAGES["one"][0].rows
                if row.verdict.option in PAGES["one"][0].not_in_force}  # fmt: skip
    assert set(shown(wide)) == fictions
    wide.page.locator(".filter").get_by_text("All").click()
    assert len(shown(wide)) == len(OPTIONS)


def test_the_order_goes_to_the_manuals_and_back(wide: Visit) -> None:
    before = shown(wide)
    wide.page.get_by_role("button", name="Order as in Docker's manual").click()
    assert shown(wide) == list(OPTIONS)
    wide.page.get_by_role("button", name="Worst first").click()
    assert shown(wide) == before


def test_a_tap_on_a_pair_tells_its_words(wide: Visit) -> None:
    wide.page.locator(".grid td.disturbed").click()
    told = wide.page.locator(".pair").inner_text()
    assert "disturbed" in told
    assert "alert('&')" in told


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("mixed")
    other = HOST.model_copy(update={"hostname": "other", "kernel": "6.12.0", "cgroup": "v2"})
    runs = [load(build(where / name, MadeUp(trials=1, quotas=(25000, 50000, 150000), host=host)))
            for name, host in (("a", HOST), ("b", other))]  # fmt: skip
    # What was sampled of them would be drawn as on a page without tables, six times more.
    times = np.arange(2, dtype=np.int64)
    bare = RunDirectory.create(where, "bare", RUN)
    bare.write_trial(runs[0].trials[0], TrialData([Samples("worker", times, times, [])], [], []))
    for run in runs:
        shutil.copytree(bare.path / "samples", run.directory.path / "samples", dirs_exist_ok=True)
    tables = [PAGES["two"][0], PAGES["two"][1].model_copy(update={"host": other})]
    return render.write([load(run.directory) for run in runs], where / "report.html", tables)


@pytest.mark.parametrize(
    ("first", "width", "theme"),
    [
        ((1400, "light"), 1400, "light"),
        ((1400, "light"), 1200, "dark"),
        ((400, "dark"), 400, "dark"),
    ],
    ids=lambda part: part if isinstance(part, str | int) else f"opened in {part[0]}px {part[1]}",
)
def test_two_hosts_tables_and_curves_fit_on_one_page(
    window: Window, mixed: Path, first: tuple[int, str], width: int, theme: str
) -> None:
    visit = window.show(mixed, width, theme, first=first)
    widths = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    charts = {chart["id"]: chart for chart in visit.charts()}
    assert all(chart["width"] <= widths[1] for chart in charts.values())
    for name in ("truth-effect", "compared-1-declared", "compared-1-effect"):
        assert charts[name]["drawn"] > 0, name
    assert len(shown(visit)) == len(OPTIONS)
    visit.page.get_by_text("Verdicts differ").first.click()
    differing = {
        one.verdict.option
        for one, two in zip(PAGES["two"][0].rows, PAGES["two"][1].rows, strict=True)
        if one.verdict.verdict is not two.verdict.verdict
    }
    assert set(shown(visit)) == differing
    visit.page.locator(".filter").get_by_text("All").first.click()
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_it_filters_without_scripts(browser: Browser, files: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(files["one"].as_uri())
    assert page.locator("#verdicts tbody:visible").count() == len(OPTIONS)
    assert not page.locator("#order").is_visible()
    page.get_by_text("Not in force").click()
    assert page.locator("#verdicts tbody:visible").count() == len(PAGES["one"][0].not_in_force)
    context.close()
