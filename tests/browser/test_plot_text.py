"""Names with tags or roles, as Chromium draws them: the text as it is, no element of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plotly.offline import get_plotlyjs

import cgbench.reporting
from cgbench.reporting.plots.plotly_text import drawable, in_template, tagged
from tests.browser.visit import Window

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NAME = "<b>x</b> <a href='http://x'>&amp;</a> %{y}"
ROLES = {
    "data": [{"type": "scatter", "mode": "markers+text", "x": ["@used", "@bad"], "y": [1, 2],
              "text": ["@good", "@grid"], "marker": {"color": ["@ink", "red"]}}],
    "layout": {"annotations": [{"text": "@muted", "x": "@bad", "y": 1}]},
}  # fmt: skip


@pytest.fixture
def page(window: Window, file: Path) -> Page:
    """Return a page that draws the texts like roles itself, and has a place for another plot."""
    return window.show(file).page


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = (Path(cgbench.reporting.__file__).parent / "templates" / "report.js").read_text()
    file = tmp_path_factory.mktemp("texts") / "page.html"
    file.write_text(
        f'<!doctype html>\n<meta charset="utf-8">\n'
        f"<style>:root {{ --ink: rgb(1, 2, 3); --used: blue; --muted: gray; }}</style>\n"
        f'<div class="chart" id="roles" style="height: 500px"></div>\n<div id="names"></div>\n'
        f'<script type="application/json" id="cgbench-plots">{json.dumps({"roles": ROLES})}'
        f"</script>\n<script>{get_plotlyjs()}</script>\n<script>{script}</script>\n"
    )
    return file


def test_plotly_draws_a_name_with_tags_as_it_is(page: Page) -> None:
    plot = drawable(
        {
            "data": [{"type": "scatter", "mode": "markers+text", "x": [1], "y": [1],
                      "text": [f"{NAME} text"],
                      "hovertemplate": f"{in_template(NAME)} hover %{{x}}<extra></extra>"}],
            "layout": {
                "width": 900, "height": 500,
                "xaxis": {"title": {"text": f"{NAME} title"}},
                "yaxis": {"tickvals": [1], "ticktext": [tagged("<b>{}</b>", f"{NAME} tick")]},
                "annotations": [{"text": f"{NAME} note", "x": 1, "y": 1}],
            },
        }
    )  # fmt: skip
    page.evaluate(
        f"""async () => {{
            const plot = {json.dumps(plot)};
            await Plotly.newPlot("names", plot.data, plot.layout);
            Plotly.Fx.hover("names", [{{curveNumber: 0, pointNumber: 0}}]);
        }}"""
    )
    drawn = texts(page, "names")
    for what in ("text", "title", "tick", "note", "hover 1"):
        assert f"{NAME} {what}" in drawn
    assert page.evaluate("() => document.querySelectorAll('#names svg a').length") == 0


def test_a_text_that_begins_like_the_role_of_a_colour_stays_a_text(page: Page) -> None:
    assert {"@used", "@bad", "@good", "@grid", "@muted"} <= set(texts(page, "roles"))
    first = page.evaluate(
        "() => getComputedStyle(document.querySelector('#roles path.point')).fill"
    )
    assert first == "rgb(1, 2, 3)"


def texts(page: Page, place: str) -> list[str]:
    """Return every text of the plot there, as it is drawn."""
    found: list[str] = page.evaluate(
        f"() => [...document.querySelectorAll('#{place} text')].map((one) => one.textContent)"
    )
    return found
