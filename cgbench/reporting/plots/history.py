"""The plot of a trend: every run, the levels between change points, and what else changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cgbench.judging.trend import Trend
from cgbench.reporting.plots.plot import (
    DECLARED,
    INK,
    MUTED,
    SHOWN,
    USED,
    Key,
    Plot,
    Trace,
    bars,
    dots,
    vertical,
)
from cgbench.reporting.words.history import shifted
from cgbench.units import format_size
from cgbench.wording import count, quantity, signed_percent

# More dates than this run into each other.
_MOST_DATES = 4
_FEW_SHIFTS = 6


def trend(one: Trend, name: str) -> Plot:
    """Plot a series of runs, equally far apart whatever time lies between them."""
    has_changes, has_shifts = bool(one.changes), bool(one.shifts)
    keys = [Key("a run: median of its trials, with interval", USED, "circle"),
            Key("level between change points", DECLARED, "line")]  # fmt: skip
    if any(entry.doubt is not None for entry in one.entries):
        keys.append(Key("a doubtful run: the host was disturbed", USED, "ring"))
    if has_changes:
        keys.append(Key("change point", SHOWN, "dash"))
    if has_shifts:
        keys.append(Key("kernel, Docker, runc or other shifted", MUTED, "dot"))
    return Plot(
        name=name,
        title=f"`--{one.key.option}` {one.key.label}, {one.key.container}: {_found(one)}",
        reading=_reading(one),
        summary="; ".join(
            f"run {first + 1} to {end}: {quantity(mean, one.unit)}"
            for first, end, mean in one.levels()
        ),
        keys=tuple(keys),
        data=[_levels(one), _runs(one)],
        layout={
            "xaxis": _dates(one),
            "yaxis": {"title": {"text": _unit(one)}} | ({} if one.unit != "bytes" else _sizes(one)),
            "shapes": [vertical(at - 0.5, MUTED) for at in sorted({s.index for s in one.shifts})]
            + [vertical(change.index - 0.5, SHOWN, "dash") for change in one.changes],
            "annotations": _annotations(one),
        },
        height=300,
    )


def _found(one: Trend) -> str:
    if one.too_short:
        return f"{count(len(one.entries), 'run')}, too few to judge"
    if not one.changes:
        return f"no change in {count(len(one.entries), 'run')}"
    return ", ".join(
        "changed from 0" if change.change_pct is None else signed_percent(change.change_pct)
        for change in one.changes
    )


def _reading(one: Trend) -> str:
    if not one.shifts:
        return "One point a run, oldest first; nothing else changed between them."
    return "One point a run, oldest first. What else changed: " + "; ".join(
        f"{one.entries[shift.index].started:%Y-%m-%d} {shifted(shift)}" for shift in one.shifts
    ) + "."  # fmt: skip


def _unit(one: Trend) -> str:
    return "" if one.unit == "bytes" else one.unit


def _sizes(one: Trend) -> dict[str, Any]:
    """Return ticks of an axis of bytes, in the units that people use for them."""
    low, high = min(entry.low for entry in one.entries), max(entry.high for entry in one.entries)
    ticks = [low, (low + high) / 2, high] if high > low else [low]
    return {"tickvals": ticks, "ticktext": [format_size(tick) for tick in ticks]}


def _runs(one: Trend) -> Trace:
    entries = one.entries
    values = [entry.value for entry in entries]
    drawn = dots(
        list(range(len(entries))), values, USED, size=7,
        error_y=bars([entry.low for entry in entries], values, [entry.high for entry in entries]),
        customdata=[
            f"{entry.run}, {entry.started:%Y-%m-%d %H:%M}, {count(entry.trials, 'trial')}: "
            f"{quantity(entry.value, one.unit)}"
            + ("" if entry.doubt is None else f"; doubtful: {entry.doubt}")
            for entry in entries
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    if any(entry.doubt is not None for entry in entries):
        symbols = ["circle" if entry.doubt is None else "circle-open" for entry in entries]
        drawn["marker"] = {**drawn["marker"], "symbol": symbols}
    return drawn


def _levels(one: Trend) -> Trace:
    x: list[float | None] = []
    y: list[float | None] = []
    for first, end, mean in one.levels():
        x += [first - 0.5, end - 0.5, None]
        y += [mean, mean, None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": DECLARED, "width": 2.5}}  # fmt: skip


def _dates(one: Trend) -> dict[str, Any]:
    """Return an axis of runs with a few dates along it."""
    last = len(one.entries) - 1
    shown = sorted({round(last * part / (_MOST_DATES - 1)) for part in range(_MOST_DATES)})
    form, of_all = _form([entry.started for entry in one.entries], [
        one.entries[at].started for at in shown
    ])  # fmt: skip
    return {
        "title": {"text": f"runs, {of_all}" if of_all else "runs"},
        "range": [-0.7, last + 0.7],
        "tickvals": shown,
        "ticktext": [one.entries[at].started.strftime(form) for at in shown],
        "tickangle": 0,
    }


def _form(every: Sequence[datetime], shown: Sequence[datetime]) -> tuple[str, str]:
    """Return how dates are written along the axis, and what all of them have in common.

    Two that are shown must not look alike, and one day's have their times.
    """
    if len({one.date() for one in every}) == 1:
        return "%H:%M", f"{every[0]:%Y-%m-%d}"
    forms: tuple[str, ...] = ("%m-%d", "%m-%d %H:%M")
    common = f"{every[0]:%Y}"
    if len({one.year for one in every}) > 1:
        forms, common = ("%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M"), ""
    apart = [form for form in forms if len({one.strftime(form) for one in shown}) == len(shown)]
    return (apart or forms[-1:])[0], common


def _annotations(one: Trend) -> list[dict[str, Any]]:
    """Return words above the lines of change points, and names of what shifted, if few."""
    words = {
        change.index: "" if change.change_pct is None else signed_percent(change.change_pct)
        for change in one.changes
    }
    colours = dict.fromkeys(words, INK)
    places = {shift.index for shift in one.shifts}
    if len(places) <= _FEW_SHIFTS:
        for at in sorted(places):
            names = ", ".join(shift.what for shift in one.shifts if shift.index == at)
            words[at] = f"{words.get(at, '')} {names}".strip()
            colours.setdefault(at, MUTED)
    return [
        {"x": at - 0.5, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom", "text": text,
         "showarrow": False, "font": {"color": colours[at], "size": 11}}
        for at, text in words.items() if text
    ]  # fmt: skip
