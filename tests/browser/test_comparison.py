"""The page of comparisons in a real Chromium: it draws, fits, unfolds and filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgbench.reporting import render
from tests.browser.visit import THEMES, WIDTHS, Visit, Window
from tests.made import sides

pytestmark = pytest.mark.browser

METRICS = len(sides.STEADY)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    many = [sides.mixed(), sides.forbidden(), sides.mixed(paired=True)]
    return render.write_comparisons(many, tmp_path_factory.mktemp("comparison") / "page.html")


@pytest.fixture(scope="module", params=list(zip(WIDTHS, THEMES, strict=True)),
                ids=lambda param: f"{param[0]}px {param[1]}")  # fmt: skip
def screen(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def visit(window: Window, file: Path, screen: tuple[int, str]) -> Visit:
    """Return a page opened once in each width and theme: once unfolded, plots stay drawn."""
    return window.show(file, *screen)


def test_it_draws_without_a_complaint_or_a_request(visit: Visit) -> None:
    charts = {chart["id"]: chart for chart in visit.charts()}
    assert len(charts) == 2 * (1 + METRICS)
    assert sum(charts["comparison-1-changes"]["points"]) == METRICS
    assert charts["comparison-1-trials-1"]["points"] == [2, 10, 2, 10]
    assert charts["comparison-1-trials-2"]["points"] == [], "what is folded is not drawn"
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_a_link_unfolds_and_draws_a_metrics_trials(visit: Visit) -> None:
    visit.page.locator('a[href="#comparison-1-finding-3"]').click()
    chart = visit.page.locator("#comparison-1-trials-3")
    chart.locator("path.point").first.wait_for()
    assert chart.locator("path.point").count() == 20


def test_nothing_reaches_beyond_the_window(visit: Visit) -> None:
    visit.page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    widths = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert all(chart["width"] <= widths[1] for chart in visit.charts())


def test_badges_say_what_the_json_says(visit: Visit) -> None:
    told = visit.page.evaluate(
        """() => {
            const stored = JSON.parse(document.getElementById("cgbench-comparisons").textContent);
            const badges = [...document.querySelectorAll(".verdicts .badge")].map(
                (badge) => badge.lastChild.textContent.trim());
            return [stored.flatMap((one) => one.findings.map((each) => each.judgement)).sort(),
                    badges.sort()];
        }"""
    )
    assert told[0] == told[1]
    assert len(told[0]) == 2 * METRICS


def test_a_filter_leaves_only_its_judgement_and_only_there(visit: Visit) -> None:
    first, third = (
        visit.page.locator(f"#comparison-{number} .verdicts tbody:visible") for number in (1, 3)
    )
    visit.page.locator("#comparison-1 .filter").get_by_text("Regressed").click()
    assert first.count() == 1
    assert third.count() == METRICS
    visit.page.locator("#comparison-1 .filter").get_by_text("All").click()
    assert first.count() == METRICS
