"""The report in a real Chromium: it draws, fits, changes with the theme and needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging.run import load
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting import render
from cgbench.units import NS_PER_S
from tests.browser.visit import OPENED, Visit, Window
from tests.made.run_builder import MadeUp, build

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    results = tmp_path_factory.mktemp("results")
    quotas = MadeUp(failed={2: "the container of worker was removed from outside"})
    periods = MadeUp(name="cpu-period-sweep", trials=2, hold_ns=4 * NS_PER_S)
    return [build(results, quotas), build(results, periods)]


@pytest.fixture(scope="module")
def one(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render.write([load(runs[0])], tmp_path_factory.mktemp("one") / "report.html")


@pytest.fixture(scope="module")
def both(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render.write(
        [load(run) for run in runs], tmp_path_factory.mktemp("both") / "report.html"
    )


@pytest.fixture(scope="module")
def file(both: Path) -> Path:
    return both


def test_it_draws_every_plot_without_a_complaint_or_a_request(visit: Visit) -> None:
    charts = visit.charts()
    assert len(charts) > 20
    for chart in charts:
        assert max(chart["points"]) >= 2, chart["id"]
        assert chart["drawn"] > 0, chart["id"]
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("file:")] == []
    assert len(visit.requests) == 1


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


def test_the_index_leads_to_each_run(window: Window, both: Path) -> None:
    visit = window.show(both, first=OPENED[-1][0])
    visit.page.get_by_role("link", name="cpu-period-sweep").click()
    top = visit.page.evaluate("document.getElementById('run-2').getBoundingClientRect().top")
    assert abs(top) < 900


def test_the_table_shows_the_stored_numbers(
    window: Window, one: Path, runs: list[RunDirectory]
) -> None:
    visit = window.show(one)
    shown = visit.page.evaluate(
        """() => [...document.querySelectorAll("tr[data-requested]")].map((row) => [
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


def test_the_answer_is_on_the_first_screen(window: Window, one: Path) -> None:
    visit = window.show(one)
    for text in ("of 3 trials failed", "held within", "A change took hold", "Stalls reach"):
        box = visit.page.get_by_text(text).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


def test_a_change_of_theme_repaints_the_plots(window: Window, one: Path) -> None:
    visit = window.show(one)
    light = {chart["ink"] for chart in visit.charts()}
    visit.change(1400, "dark")
    dark = {chart["ink"] for chart in visit.charts()}
    assert len(light) == len(dark) == 1
    assert light != dark
    assert visit.complaints == []


def test_paper_is_white_even_if_the_screen_is_dark(window: Window, one: Path) -> None:
    visit = window.show(one, theme="dark", first=(1400, "light"))
    dark = visit.charts()[0]["ink"]
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = visit.charts()[0]["ink"]
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert printed != dark
    assert visit.charts()[0]["ink"] == dark


def test_a_page_that_would_be_too_large_unpacks_its_library(
    window: Window,
    runs: list[RunDirectory],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(render, "MAXIMUM_BYTES", 3_000_000)
    visit = window.open(render.write([load(runs[0])], tmp_path / "packed.html"))
    visit.page.wait_for_function(
        "[...document.querySelectorAll('.chart')].every((chart) => chart.calcdata)"
    )
    assert all(chart["drawn"] > 0 for chart in visit.charts())
    assert visit.complaints == []
