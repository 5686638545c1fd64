"""Plotly takes a part of HTML in every text for markup: names are shown as they are."""

from __future__ import annotations

import html
from typing import Any

import pytest

from cgbench.reporting.plots.plotly_text import drawable, in_template, tagged
from tests.fuzz import hostile

NAMES = ["<b>x</b>", "a<br>b", "<extra>x</extra>", "x & y", "&lt;b&gt;", "%{y}", "<a href='x'>"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_tags_is_shown_as_it_is_in_every_text_of_a_plot(name: str) -> None:
    plot: dict[str, Any] = {
        "data": [{"customdata": [name], "text": (name,), "y": [1.5, None], "x": [name]}],
        "layout": {"yaxis": {"title": {"text": name}, "ticktext": [name]},
                   "annotations": [{"text": name}]},
    }  # fmt: skip
    shown = drawable(plot)
    (trace,) = shown["data"]
    texts = [
        trace["customdata"][0], trace["text"][0], trace["x"][0],
        shown["layout"]["yaxis"]["title"]["text"], shown["layout"]["yaxis"]["ticktext"][0],
        shown["layout"]["annotations"][0]["text"],
    ]  # fmt: skip
    assert trace["y"] == [1.5, None]
    assert {"<" in text for text in texts} == {False}
    assert {html.unescape(text) for text in texts} == {name}


def test_tags_and_fields_of_ours_stay_and_what_stands_in_them_is_escaped() -> None:
    label = tagged("<b>{}</b><br>{}", "<i>x</i>", "y")
    assert drawable([label]) == ["<b>&lt;i&gt;x&lt;/i&gt;</b><br>y"]
    template = f"{in_template('<b>%{y}')}: %{{x:.3f}} s<extra></extra>"
    assert drawable({"hovertemplate": template}) == {
        "hovertemplate": "&lt;b&gt;%&#123;y}: %{x:.3f} s<extra></extra>"
    }


@pytest.mark.parametrize("text", [one for one in hostile.TEXTS if len(one) < 500])
def test_a_hostile_text_steers_neither_plotly_nor_the_reader(text: str) -> None:
    for shown in (drawable(text), drawable(tagged("{}", text)), in_template(text)):
        assert "<" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "%{" not in in_template(text)
