"""The plot of a comparison: every change with its interval, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cgbench.records.comparison import Finding, Judgement
from cgbench.reporting.plots.plot import (
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
    rounded,
)
from cgbench.reporting.plots.plotly_text import tagged
from cgbench.wording import count, signed_percent

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
    # What lies farther than is shown must not seem to lie among what is too small to matter.
    among = [one.effect_pct for one in known if abs(_change(one)) > one.effect_pct]
    widest = max(_FARTHEST_PCT, 10 * smallest, 1.3 * max(among, default=0.0))
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
        customdata=[tagged("{}<br>{}", known[row][0], _in_words(one)) for row, one in rows],
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
        "text": _two_lines(label, apart="<br><br>"), "x": 0, "xref": "paper",
        "xanchor": "left", "y": row, "align": "left", "showarrow": False,
        "font": {"size": 10, "color": INK},
    }  # fmt: skip


def _two_lines(label: str, apart: str = "<br>") -> str:
    first, _, rest = label.partition(" · ")
    return tagged("<b>{}</b>" + apart + "{}", first, rest) if rest else first


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
