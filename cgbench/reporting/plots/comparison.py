"""Plots of a comparison: every change with its interval, and both sides of one metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import median
from typing import Any

from cgbench.records.comparison import Finding, Judgement
from cgbench.reporting.plots.plot import (
    DECLARED,
    HELD,
    INK,
    MUTED,
    USED,
    Key,
    Mark,
    Plot,
    Trace,
    bars,
    dots,
    horizontal,
    line,
    rounded,
    vertical,
)
from cgbench.wording import amount, count, signed_percent

BAD, GOOD, GRID = "@bad", "@good", "@grid"
MARKS: Mapping[Judgement, tuple[str, Mark]] = {
    Judgement.REGRESSED: (BAD, "square"),
    Judgement.INCOMPARABLE: (MUTED, "triangle-up"),
    Judgement.INCONCLUSIVE: (MUTED, "triangle-up"),
    Judgement.IMPROVED: (USED, "diamond"),
    Judgement.UNCHANGED: (GOOD, "circle"),
}
"""Colour and symbol of each judgement."""

Labelled = Sequence[tuple[str, Finding]]
"""Findings from top to bottom, each with what its row is called."""

# A change of 300 % would squeeze all others to a line: what lies farther stands at the edge.
_FARTHEST_PCT = 30.0
_ROW = 46
_MIB = 2**20
_TICKS = 5


def forest(labelled: Labelled) -> Plot | None:
    """Plot every change with its interval against the smallest one that matters.

    Returns None when no finding has a ratio.
    """
    known = [(label, one) for label, one in labelled if one.change_pct is not None]
    if not known:
        return None
    reach = _reach([one for _, one in known])
    lacking = len(labelled) - len(known)
    present = [judged for judged in MARKS if any(one.judgement is judged for _, one in known)]
    return Plot(
        name="changes",
        title=_forest_title(known),
        reading="Candidate against baseline with the interval; the green band of a row is the "
        "smallest change that matters there." + _left_out(known, lacking, reach),
        summary="; ".join(f"{label}: {_in_words(one)}" for label, one in known),
        keys=(*(Key(one.value, *MARKS[one]) for one in present),
              Key("too small to matter", HELD, "band")),
        data=[_changes(known, judged, reach) for judged in present],
        layout=_forest_layout(known, reach),
        height=70 + _ROW * len(known),
        wide=True,
    )  # fmt: skip


def _change(one: Finding) -> float:
    assert one.change_pct is not None
    return one.change_pct


def _ends(one: Finding) -> tuple[float, float, float]:
    """Return the low end, the change and the high end; an end that is not known is the change."""
    middle = _change(one)
    return (
        middle if one.low_pct is None else one.low_pct,
        middle,
        middle if one.high_pct is None else one.high_pct,
    )


def _reach(known: Sequence[Finding]) -> float:
    """Return how far the axis goes to either side, in percent."""
    farthest = max(abs(end) for one in known for end in _ends(one))
    smallest = min(one.effect_pct for one in known)
    widest = max(_FARTHEST_PCT, 10 * smallest)
    # Up to twice that range all changes can still be distinguished, so none is cut off.
    return 1.12 * max(1.5 * smallest, farthest if farthest <= 2 * widest else widest)


def _in_words(one: Finding) -> str:
    low, middle, high = _ends(one)
    return (
        f"{one.judgement.value}, {signed_percent(middle)} "
        f"({signed_percent(low)} to {signed_percent(high)})"
    )


def _forest_title(known: Labelled) -> str:
    worst = [each for each in known if each[1].judgement is Judgement.REGRESSED]
    label, most = max(worst or known, key=lambda item: abs(_change(item[1])))
    if _change(most) == 0:
        return "Nothing changed at all"
    what = "regression" if worst else "change"
    return f"The largest {what} is {signed_percent(_change(most))}: {_coded(label)}"


def _coded(label: str) -> str:
    # A single word is not broken at its dashes.
    flag, _, rest = label.partition(" ")
    return f"`{flag}` {rest}".rstrip()


def _left_out(known: Labelled, lacking: int, reach: float) -> str:
    text = ""
    if any(abs(_change(one)) > reach for _, one in known):
        text += f" Arrows at the edge stand for changes of more than {reach:.0f} %."
    if lacking:
        verb = "has" if lacking == 1 else "have"
        text += f" {count(lacking, 'metric')} of the table {verb} no ratio, and so no row here."
    return text


def _changes(known: Labelled, judged: Judgement, reach: float) -> Trace:
    rows = [(row, one) for row, (_, one) in enumerate(known) if one.judgement is judged]
    shown = [max(-reach, min(reach, _change(one))) for _, one in rows]
    off = [abs(_change(one)) > reach for _, one in rows]
    colour, mark = MARKS[judged]
    trace = dots(
        rounded(shown), [row for row, _ in rows], colour, mark, size=10, cliponaxis=False,
        error_x=bars([_ends(one)[0] for _, one in rows], shown, [_ends(one)[2] for _, one in rows]),
        customdata=[f"{known[row][0]}<br>{_in_words(one)}" for row, one in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    for end in ("array", "arrayminus"):
        # The mark stands at the edge, not at the change: an interval around it would mislead.
        trace["error_x"][end] = [
            0 if out else value for out, value in zip(off, trace["error_x"][end], strict=True)
        ]
    if any(off):
        trace["marker"]["symbol"] = [
            mark if not out else "triangle-right" if place > 0 else "triangle-left"
            for out, place in zip(off, shown, strict=True)
        ]
        trace["mode"] = "markers+text"
        trace["text"] = [
            signed_percent(_change(one)) if out else ""
            for out, (_, one) in zip(off, rows, strict=True)
        ]
        trace["textposition"] = [
            "middle left" if place > 0 else "middle right" for place in shown
        ]  # fmt: skip
    return trace


def _forest_layout(known: Labelled, reach: float) -> dict[str, Any]:
    rows = list(range(len(known)))
    return {
        "xaxis": {"title": {"text": "change, %"}, "range": rounded([-reach, reach]),
                  "zeroline": True, "zerolinewidth": 1.5},
        "yaxis": {"tickvals": rows, "ticktext": [_two_lines(label) for label, _ in known],
                  "range": [len(known) - 0.4, -0.6], "zeroline": False, "showgrid": False,
                  "fixedrange": True},
        "shapes": [*(_matters(row, one) for row, (_, one) in enumerate(known)),
                   *(_rule(row - 0.5) for row in rows[1:])],
        # Names beside the rows would leave no place for the rows.
        "meta": {"narrow": {
            "yaxis": {"showticklabels": False, "ticks": ""}, "margin": {"l": 8},
            "annotations": [_named_inside(row, label) for row, (label, _) in enumerate(known)],
        }},
    }  # fmt: skip


def _named_inside(row: int, label: str) -> dict[str, Any]:
    """Return a row's name as two lines at its left end, the marks in between."""
    return {
        "text": _two_lines(label).replace("<br>", "<br><br>"), "x": 0, "xref": "paper",
        "xanchor": "left", "y": row, "align": "left", "showarrow": False,
        "font": {"size": 10, "color": INK},
    }  # fmt: skip


def _two_lines(label: str) -> str:
    first, _, rest = label.partition(" · ")
    return f"<b>{first}</b><br>{rest}" if rest else first


def _rule(y: float) -> dict[str, Any]:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below",
        "line": {"width": 1, "color": GRID},
    }  # fmt: skip


def _matters(row: int, one: Finding) -> dict[str, Any]:
    share = 1 + one.effect_pct / 100
    return {
        "type": "rect", "x0": round(100 * (1 / share - 1), 4), "x1": round(one.effect_pct, 4),
        "y0": row - 0.5, "y1": row + 0.5, "layer": "below", "fillcolor": HELD,
        "line": {"width": 0},
    }  # fmt: skip


# Both sides of one metric


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
    middle = median(values)
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
