"""The report in a real Chromium: it draws, fits, changes with the theme and needs no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cgbench.reporting
from cgbench.judging.run import load
from cgbench.records.run_directory import RunDirectory
from cgbench.records.verdict import Outcome
from cgbench.reporting import render
from cgbench.units import NS_PER_S
from tests.browser.visit import OPENED, THEMES, Visit, Window
from tests.made.run_builder import MadeUp, build
from tests.made.truth_tables import table

pytestmark = pytest.mark.browser

CSS = Path(cgbench.reporting.__file__).parent / "templates" / "report.css"
INKS = dict(zip(THEMES, re.findall(r"--ink: (#\w+);", CSS.read_text()), strict=True))
assert len(set(INKS.values())) == len(THEMES)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    results = tmp_path_factory.mktemp("results")
    quotas = MadeUp(failed={2: "the container of worker was removed from outside"})
    periods = MadeUp(name="cpu-period-sweep", trials=2, hold_ns=4 * NS_PER_S)
    return [build(results, quotas), build(results, periods)]


@pytest.fixture(scope="module")
def file(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render.write(
        [load(run) for run in runs], tmp_path_factory.mktemp("both") / "report.html"
    )


@pytest.fixture
def wide(window: Window, file: Path) -> Visit:
    """Return the page as the tests of all screens leave it."""
    first, last = OPENED[-1]
    return window.show(file, *last, first=first)


def test_it_draws_every_plot_without_a_complaint_or_a_request(visit: Visit) -> None:
    charts = visit.charts()
    assert len(charts) > 20
    for chart in charts:
        assert max(chart["points"]) >= 2, chart["id"]
        assert chart["drawn"] > 0, chart["id"]
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("file:")] == []
    assert len(visit.requests) == 1


def test_all_plots_are_painted_with_the_ink_of_the_theme_that_is_changed_to(
    visit: Visit, screen: tuple[tuple[int, str], int, str]
) -> None:
    assert {chart["ink"] for chart in visit.charts()} == {INKS[screen[2]]}


def test_nothing_reaches_beyond_the_window(visit: Visit) -> None:
    page = visit.page
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert all(chart["width"] <= widths[1] for chart in visit.charts())


def test_legends_stand_beside_the_plots_and_cover_nothing(visit: Visit) -> None:
    covered = visit.page.evaluate(
        """() => [...document.querySelectorAll(".plot")].filter((plot) =>
            plot.querySelector(".keys").getBoundingClientRect().bottom >
            plot.querySelector(".chart").getBoundingClientRect().top + 1).length"""
    )
    assert covered == 0
    assert visit.page.locator(".legend .traces").count() == 0


def test_the_index_leads_to_each_run(wide: Visit) -> None:
    wide.page.get_by_role("link", name="cpu-period-sweep").click()
    top = wide.page.evaluate("document.getElementById('run-2').getBoundingClientRect().top")
    assert abs(top) < 900


def test_the_table_shows_the_stored_numbers(wide: Visit, runs: list[RunDirectory]) -> None:
    shown = wide.page.evaluate(
        """() => [...document.querySelectorAll("#run-1 tr[data-requested]")].map((row) => [
            row.dataset.requested,
            Number(row.querySelector("[data-figure=median]").dataset.value),
            Number(row.querySelector("[data-figure=median]").textContent),
            Number(row.querySelector("[data-figure=n_trials]").textContent),
        ])"""
    )
    stored = [entry for entry in load(runs[0]).summary if entry.metric == "cpus_used"]
    assert [(requested, exact) for requested, exact, _, _ in shown] == [
        (entry.key.requested, entry.estimate.median) for entry in stored
    ]
    for (_, exact, text, trials), entry in zip(shown, stored, strict=True):
        assert text == pytest.approx(exact, rel=1e-3)
        assert trials == entry.estimate.trials == 2


def test_the_answer_is_on_the_first_screen(wide: Visit) -> None:
    wide.page.evaluate("scrollTo(0, 0)")
    for text in ("of 3 trials failed", "held within", "A change took hold", "Stalls reach"):
        box = wide.page.locator("#run-1").get_by_text(text).first.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < box["y"] + box["height"] < 900


def test_a_page_that_would_be_too_large_unpacks_its_library(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "MAXIMUM_BYTES", 3_000_000)
    tables = [table(Outcome.EFFECTIVE, Outcome.IGNORED)]
    visit = window.open(render.write_truth(tables, tmp_path / "packed.html"))
    visit.page.wait_for_function(
        "[...document.querySelectorAll('.chart')].every((chart) => chart.calcdata)"
    )
    (chart,) = visit.charts()
    assert chart["drawn"] > 0
    assert visit.complaints == []
