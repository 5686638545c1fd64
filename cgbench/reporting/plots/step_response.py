"""Plots of changes: time to effect of each, and one of them at the scale of a millisecond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cgbench.records.run import Row
from cgbench.reporting.plots.curves import Repetition, StepResponse
from cgbench.reporting.plots.plot import (
    FIRST,
    INK,
    MUTED,
    SECOND,
    THIRD,
    USED,
    USED_SOFT,
    Key,
    Mark,
    Plot,
    Trace,
    dots,
    line,
    vertical,
)
from cgbench.reporting.words.changes import Direction, Kind
from cgbench.wording import milliseconds

_ARROWS = {Direction.RAISED: "↑", Direction.LOWERED: "↓", Direction.SET: ""}
_VERBS = {Direction.RAISED: "Raised", Direction.LOWERED: "Lowered", Direction.SET: "Set"}
_STAGES: tuple[tuple[str, str, str, Mark], ...] = (
    ("answer_ms", "Docker answered", FIRST, "circle"),
    ("file_ms", "file shows it", THIRD, "diamond"),
    ("settle_ms", "workload settled", SECOND, "square"),
)
# Room between strips, as a share of the plot.
_GAP = 0.06

Times = Mapping[Kind, Mapping[str, list[float]]]
"""For each kind of change, each stage's times in ms since the request."""


def effect_times(rows: Sequence[Row], kinds: Mapping[int, Mapping[int, Kind]]) -> Times:
    """Return the times to effect of all changes; `kinds` are by trial and phase."""
    stages = {metric for metric, *_ in _STAGES}
    times: dict[Kind, dict[str, list[float]]] = {}
    for row in rows:
        kind = kinds.get(row.trial, {}).get(row.phase)
        if kind is not None and kind.role == row.role and row.metric in stages:
            times.setdefault(kind, {}).setdefault(row.metric, []).append(row.value)
    return times


def effect(times: Times) -> Plot | None:
    """Plot when Docker answered, the file showed it and the workload settled, for each change."""
    if not times:
        return None
    several = len({kind.role for kind in times}) > 1
    labels = {
        kind: " ".join(
            part for part in (kind.role * several, _ARROWS[kind.direction], kind.short) if part
        )
        for kind in times
    }
    data = [_reach(times, labels)]
    for stage in _STAGES:
        data += _stage_marks(times, labels, stage)
    longest = max(value for found in times.values() for values in found.values()
                  for value in values)  # fmt: skip
    return Plot(
        name="effect",
        title=_effect_title(times),
        reading="Zero is the request; ↑ raises the value, ↓ lowers it. Large marks are medians of "
        "the repetitions, rings single ones. Settled is when the running time per period stays in "
        "the band of the steady state; 0 means that it never left it.",
        summary="; ".join(
            f"{label}: " + ", ".join(
                f"{stage} {milliseconds(float(np.median(times[kind][metric])))}"
                for metric, stage, _, _ in _STAGES if metric in times[kind]
            )
            for kind, label in labels.items()
        ),
        keys=tuple(Key(label, colour, mark) for _, label, colour, mark in _STAGES),
        data=data,
        layout={
            "xaxis": {"title": {"text": "ms since the request"}, "zeroline": True,
                      "range": [-0.015 * longest, 1.04 * longest]},
            "yaxis": {"type": "category", "categoryorder": "array",
                      "categoryarray": list(reversed(labels.values()))},
        },
        height=110 + 30 * len(labels),
        wide=True,
    )  # fmt: skip


def _stage_marks(
    times: Times, labels: Mapping[Kind, str], stage: tuple[str, str, str, Mark]
) -> list[Trace]:
    metric, label, colour, mark = stage
    known = [(labels[kind], found[metric]) for kind, found in times.items() if metric in found]
    repeated = [(text, value) for text, values in known if len(values) > 1 for value in values]
    hover = f"{label}: %{{x:.3g}} ms<extra>%{{y}}</extra>"
    return [
        dots([value for _, value in repeated], [text for text, _ in repeated], colour, "ring",
             hovertemplate=hover),
        dots([float(np.median(values)) for _, values in known], [text for text, _ in known],
             colour, mark, cliponaxis=False, hovertemplate=hover),
    ]  # fmt: skip


def _reach(times: Times, labels: Mapping[Kind, str]) -> Trace:
    """Return a thin line from each request to the median of its last stage."""
    x: list[float | None] = []
    y: list[str | None] = []
    for kind, found in times.items():
        x += [0, max(float(np.median(values)) for values in found.values()), None]
        y += [labels[kind], labels[kind], None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": MUTED, "width": 1}}  # fmt: skip


def _effect_title(times: Times) -> str:
    settle = [value for found in times.values() for value in found.get("settle_ms", [])]
    if not settle:
        return "Docker's answer and the interface file; no workload was seen to settle"
    if not np.median(settle):
        return f"Most changes disturb the workload for no time, one for {milliseconds(max(settle))}"
    return (
        f"The workload follows {milliseconds(float(np.median(settle)))} after the request, "
        f"{milliseconds(max(settle))} at the latest"
    )


def _gaps(name: str) -> str:
    """Say what gaps are, where that is known."""
    return "gaps are throttling." if name in ("cpus", "cpu-quota", "cpu-period") else (
        "gaps are its own pace, or the limit."
    )  # fmt: skip


def step(one: StepResponse, name: str) -> Plot:
    """Plot work per millisecond around one change, a strip for each repetition."""
    strips = one.repetitions
    data: list[Trace] = []
    peak = max(float(strip.work.y.max()) for strip in strips)
    share = (1 - _GAP * (len(strips) - 1)) / len(strips)
    axes: dict[str, Any] = {}
    for index, strip in enumerate(strips):
        axis = f"y{index + 1}" if index else "y"
        top = 1 - index * (share + _GAP)
        axes[f"yaxis{axis[1:]}"] = {
            "domain": [round(max(0.0, top - share), 4), round(top, 4)],
            "range": [0, 1.25 * peak], "nticks": 3,
            "title": {"text": "units per ms" if len(strips) == 1 else f"trial {strip.trial}"},
        }  # fmt: skip
        data += _strip(strip, axis, peak)
    request = vertical(0, INK, "solid") | {"layer": "above"}
    settled = [strip.settle_ms for strip in strips if strip.settle_ms is not None]
    when = f": settled after {milliseconds(float(np.median(settled)))}" if settled else ""
    hidden = f" {len(strips)} of {one.total} repetitions are shown." * (one.total > len(strips))
    return Plot(
        name=name,
        title=f"{_VERBS[one.kind.direction]}, {one.kind.words}{when}",
        reading="Units of work that the probe finished in each millisecond, all workers together; "
        f"{_gaps(one.kind.option)} A strip is one repetition.{hidden}",
        summary="; ".join(
            f"trial {strip.trial}: answer {milliseconds(strip.answer_ms)}, settled "
            + ("never" if strip.settle_ms is None else milliseconds(strip.settle_ms))
            for strip in strips
        ),
        keys=(
            Key("work per ms", USED, "line"),
            Key("request", INK, "line"),
            *(Key(label, colour, mark) for _, label, colour, mark in _STAGES),
        ),
        data=data,
        layout=axes
        | {
            "xaxis": {"title": {"text": "ms since the request"}, "anchor": axis},
            "shapes": [request],
        },
        height=100 + 110 * len(strips),
        wide=True,
    )


def _strip(strip: Repetition, axis: str, peak: float) -> list[Trace]:
    """Return one repetition: its work, and each stage as a mark on a stalk above it."""
    top = 1.12 * peak
    traces = [
        line(strip.work.x, strip.work.y, USED, width=1, shape="hv", fill="tozeroy",
             fillcolor=USED_SOFT, yaxis=axis,
             hovertemplate="%{x:.0f} ms: %{y:.0f} units<extra></extra>")
    ]  # fmt: skip
    for metric, label, colour, mark in _STAGES:
        value = getattr(strip, metric)
        if value is not None:
            traces += [
                line([value, value], [0, top], colour, width=1.25, yaxis=axis, hoverinfo="skip"),
                dots([value], [top], colour, mark, yaxis=axis, cliponaxis=False,
                     hovertemplate=f"{label}: %{{x:.1f}} ms<extra></extra>"),
            ]  # fmt: skip
    return traces
