"""The plot of one finding: every trial of both sides, in the order of measuring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from statistics import median
from typing import Any

from cgbench.records.comparison import Finding
from cgbench.reporting.plots.plot import (
    DECLARED,
    HELD,
    MUTED,
    USED,
    Key,
    Mark,
    Plot,
    Trace,
    dots,
    horizontal,
    line,
    rounded,
    vertical,
)
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.wording import amount

_MIB = 2**20
_TICKS = 5


def trials(one: Finding, name: str) -> Plot | None:
    """Plot every trial of both sides in order; None when neither has one."""
    if not one.baseline and not one.candidate:
        return None
    factor, unit = (_MIB, "MiB") if one.unit == "bytes" else (1, one.unit)
    before = [value / factor for value in one.baseline]
    after = [value / factor for value in one.candidate]
    first = len(before) + 2
    band = _band(one, before)
    return Plot(
        name=name,
        title=_medians(one),
        reading=f"{one.reason[:1].upper()}{one.reason[1:]}.",
        summary=f"Baseline: {_listed(one.baseline, one.unit)}. "
        f"Candidate: {_listed(one.candidate, one.unit)}.",
        keys=(Key("a trial of the baseline", DECLARED, "diamond"),
              Key("a trial of the candidate", USED, "circle"), Key("median", MUTED, "line"),
              *(Key("too small to matter", HELD, "band") for _ in band)),
        data=[*_side(before, 1, DECLARED, "diamond", unit),
              *_side(after, first, USED, "circle", unit)],
        layout={
            "xaxis": _order(len(before), len(after)),
            "yaxis": {"title": {"text": unit}, "range": _range([*before, *after, *chain(*band)]),
                      "zeroline": False},
            "shapes": [vertical(first - 1, MUTED), *(horizontal(*ends, HELD) for ends in band)],
            "annotations": [_headed("baseline", (1 + len(before)) / 2),
                            _headed("candidate", first + (len(after) - 1) / 2)],
        },
        height=250,
    )  # fmt: skip


def _medians(one: Finding) -> str:
    sides = [
        f"{figure(median(values), one.unit)} in the {side}"
        for side, values in (("baseline", one.baseline), ("candidate", one.candidate))
        if values
    ]
    return f"{sides[0]}, {sides[1]}" if len(sides) == 2 else f"{sides[0]} alone"


def figure(value: float, unit: str) -> str:
    """Return a value of a metric with its unit, with enough digits to show a small change."""
    text = amount(value, unit)
    return text if unit == "bytes" else f"{text} {unit}".rstrip()


def _listed(values: Sequence[float], unit: str) -> str:
    return ", ".join(figure(value, unit) for value in values) or "none"


def _band(one: Finding, before: Sequence[float]) -> list[tuple[float, float]]:
    """Return the ends of the change around the baseline's median that is too small to matter.

    Around 0, and where nothing was judged, there is none.
    """
    middle = median(before) if before else 0.0
    if not middle or not one.effect_pct:
        return []
    share = 1 + one.effect_pct / 100
    low, high = sorted((middle / share, middle * share))
    return [(low, high)]


def _side(values: Sequence[float], first: int, colour: str, mark: Mark, unit: str) -> list[Trace]:
    if not values:
        return []
    places = list(range(first, first + len(values)))
    middle, unit = median(values), in_template(unit)
    return [
        line([first - 0.4, places[-1] + 0.4], [middle, middle], colour, width=1.5,
             hoverinfo="skip"),
        dots(places, values, colour, mark, size=8,
             customdata=[place - first + 1 for place in places],
             hovertemplate=f"trial %{{customdata}}: %{{y:.5g}} {unit}<extra></extra>"),
    ]  # fmt: skip


def _order(before: int, after: int) -> dict[str, Any]:
    """Return an axis on which each side's trials are numbered from 1."""
    ticks: list[int] = []
    names: list[str] = []
    step = max(1, -(-max(before, after) // _TICKS))
    for offset, number in ((0, before), (before + 1, after)):
        chosen = range(1, number + 1, step)
        ticks += [offset + one for one in chosen]
        names += [str(one) for one in chosen]
    return {
        "title": {"text": "trial, in the order of measuring"}, "tickvals": ticks,
        "ticktext": names, "tickangle": 0, "range": [0.2, before + after + 1.8],
        "showgrid": False, "zeroline": False,
    }  # fmt: skip


def _range(values: Sequence[float]) -> list[float | None]:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.02 * abs(high) or 1.0
    return rounded([low - room, high + room])


def _headed(text: str, x: float) -> dict[str, Any]:
    return {
        "text": text, "x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
        "font": {"color": MUTED},
    }  # fmt: skip
