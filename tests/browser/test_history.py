"""The page of a history in a real Chromium: it draws, fits both widths, and needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging import history
from cgbench.judging.history import Wanted
from cgbench.reporting import render
from tests.browser.visit import OPENED, Visit, Window
from tests.made.histories import Night, keep, steady

pytestmark = pytest.mark.browser

NIGHTS = 24


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("history")
    after = [Night(one.values, {"kernel": "6.18.0"}) for one in steady(0.45, NIGHTS // 2, seed=1)]
    keep(results, [*steady(0.5, NIGHTS // 2), *after])
    found = history.read(results, Wanted("cpus_used"))
    return render.write_history(found, results / "page.html")


def test_it_draws_every_run_without_a_complaint_or_a_request(visit: Visit) -> None:
    (chart,) = visit.charts()
    assert chart["points"][1] == NIGHTS
    assert chart["drawn"] > 0
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_nothing_reaches_beyond_the_window(visit: Visit) -> None:
    widths = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert all(chart["width"] <= widths[1] for chart in visit.charts())


def test_the_change_and_what_lay_beneath_are_to_be_seen(visit: Visit) -> None:
    assert visit.page.get_by_text("changed in 1 of 1 series").is_visible()
    notes = visit.page.evaluate(
        """() => [...document.querySelectorAll(".chart .annotation-text")]
            .map((one) => one.textContent)"""
    )
    assert notes == ["−10 % kernel"]


def test_paper_is_white_even_if_the_screen_is_dark(window: Window, file: Path) -> None:
    visit = window.show(file, theme="dark", first=OPENED[-1][0])
    dark = visit.charts()[0]["ink"]
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = visit.charts()[0]["ink"]
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert printed != dark
    assert visit.charts()[0]["ink"] == dark
