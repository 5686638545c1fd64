"""Names with tags or roles, as Chromium draws them: the text as it is, no element of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

import cgbench.reporting
from cgbench.reporting.plots.plotly_text import drawable, in_template, tagged
from tests.browser.visit import Window

pytestmark = pytest.mark.browser

NAME = "<b>x</b> <a href='http://x'>&amp;</a> %{y}"


def test_plotly_draws_a_name_with_tags_as_it_is(window: Window, tmp_path: Path) -> None:
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
    file = tmp_path / "page.html"
    file.write_text(
        f'<!doctype html>\n<meta charset="utf-8">\n<div id="chart"></div>\n'
        f"<script>{get_plotlyjs()}</script>\n"
    )
    page = window.open(file).page
    page.evaluate(
        f"""async () => {{
            const plot = {json.dumps(plot)};
            await Plotly.newPlot("chart", plot.data, plot.layout);
            Plotly.Fx.hover("chart", [{{curveNumber: 0, pointNumber: 0}}]);
        }}"""
    )
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('#chart text')].map((one) => one.textContent)"
    )
    for what in ("text", "title", "tick", "note", "hover 1"):
        assert f"{NAME} {what}" in drawn
    assert page.evaluate("() => document.querySelectorAll('#chart svg a').length") == 0


def test_a_text_that_begins_like_the_role_of_a_colour_stays_a_text(
    window: Window, tmp_path: Path
) -> None:
    plot = {
        "data": [{"type": "scatter", "mode": "markers+text", "x": ["@used", "@bad"], "y": [1, 2],
                  "text": ["@good", "@grid"], "marker": {"color": ["@ink", "red"]}}],
        "layout": {"annotations": [{"text": "@muted", "x": "@bad", "y": 1}]},
    }  # fmt: skip
    script = (Path(cgbench.reporting.__file__).parent / "templates" / "report.js").read_text()
    file = tmp_path / "page.html"
    file.write_text(
        f'<!doctype html>\n<meta charset="utf-8">\n'
        f"<style>:root {{ --ink: rgb(1, 2, 3); --used: blue; --muted: gray; }}</style>\n"
        f'<div class="chart" id="one" style="height: 500px"></div>\n'
        f'<script type="application/json" id="cgbench-plots">{json.dumps({"one": plot})}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{script}</script>\n"
    )
    page = window.open(file).page
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('#one text')].map((one) => one.textContent)"
    )
    assert {"@used", "@bad", "@good", "@grid", "@muted"} <= set(drawn)
    first = page.evaluate("() => getComputedStyle(document.querySelector('#one path.point')).fill")
    assert first == "rgb(1, 2, 3)"
