"""Plots over time: time to effect, one trial, a step at a millisecond's scale, docker stats, work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cgbench.changes import Direction, Kind
from cgbench.plot import (
    DECLARED,
    FIRST,
    INK,
    MUTED,
    SECOND,
    SHOWN,
    THIRD,
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
from cgbench.record import TrialRecord
from cgbench.series import REPETITIONS_SHOWN, Repetition, StepResponse, Timeline
from cgbench.units import NS_PER_S
from cgbench.wording import count, milliseconds, percent_bound

_ARROWS = {Direction.RAISED: "↑", Direction.LOWERED: "↓", Direction.SET: "="}
_STAGES: tuple[tuple[str, str, str, Mark], ...] = (
    ("answer_ms", "Docker answered", FIRST, "circle"),
    ("file_ms", "file shows it", THIRD, "diamond"),
    ("settle_ms", "workload settled", SECOND, "square"),
)
# More labels than this do not fit beside each other.
_LABELS = 16
_DRIFT_PCT = 10.0

Rows = Sequence[Mapping[str, Any]]
Kinds = Mapping[int, Mapping[int, Kind]]
"""The kind of each change, by trial and phase."""


def effect(rows: Rows, kinds: Kinds) -> Plot | None:
    """Plot when Docker answered, the file showed it and the workload settled, for each change."""
    times: dict[Kind, dict[str, list[float]]] = {}
    for row in rows:
        if row["metric"].endswith("_ms") and row["value"] is not None:
            kind = kinds.get(row["trial"], {}).get(row["phase"])
            if kind is not None and kind.role == row["role"]:
                times.setdefault(kind, {}).setdefault(row["metric"], []).append(row["value"])
    times = {kind: found for kind, found in times.items() if "answer_ms" in found}
    if not times:
        return None
    labels = {kind: f"{_ARROWS[kind.direction]} {kind.short}" for kind in times}
    data = [_reach(times, labels)]
    for metric, label, colour, mark in _STAGES:
        known = [(labels[kind], found[metric]) for kind, found in times.items() if metric in found]
        singles = [(text, value) for text, values in known if len(values) > 1 for value in values]
        data.append(
            dots([value for _, value in singles], [text for text, _ in singles], colour, "ring",
                 hovertemplate=f"{label}: %{{x:.3g}} ms<extra>%{{y}}</extra>")
        )  # fmt: skip
        data.append(
            dots([float(np.median(values)) for _, values in known], [text for text, _ in known],
                 colour, mark, hovertemplate=f"{label}: %{{x:.3g}} ms<extra>%{{y}}</extra>")
        )  # fmt: skip
    settle = [value for found in times.values() for value in found.get("settle_ms", [])]
    return Plot(
        name="effect",
        title=_effect_title(settle),
        reading="Zero is the request. ↑ raises the value, ↓ lowers it; large marks are medians of "
        "the repetitions, rings single ones. Settled is when the running time per period stays in "
        "the band of the steady state: 0 means that it never left it.",
        summary="; ".join(
            f"{label} " + ", ".join(
                f"{stage} {milliseconds(float(np.median(times[kind][metric])))}"
                for metric, stage, _, _ in _STAGES if metric in times[kind]
            )
            for kind, label in labels.items()
        ),
        keys=tuple(Key(label, colour, mark) for _, label, colour, mark in _STAGES),
        data=data,
        layout={
            "xaxis": {"title": {"text": "ms since the request"}, "rangemode": "tozero"},
            "yaxis": {
                "type": "category", "categoryorder": "array",
                "categoryarray": list(reversed(labels.values())),
            },
        },
        height=110 + 30 * len(labels),
        wide=True,
    )  # fmt: skip


def _reach(times: Mapping[Kind, Mapping[str, list[float]]], labels: Mapping[Kind, str]) -> Trace:
    """Return a thin line from each request to the median of its last stage."""
    x: list[float | None] = []
    y: list[str | None] = []
    for kind, found in times.items():
        x += [0, max(float(np.median(values)) for metric, values in found.items()
                     if metric in {stage for stage, *_ in _STAGES}), None]  # fmt: skip
        y += [labels[kind], labels[kind], None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": MUTED, "width": 1}}  # fmt: skip


def _effect_title(settle: Sequence[float]) -> str:
    if not settle:
        return "Docker's answer and the interface file; no workload was seen to settle"
    return (
        f"The workload follows {milliseconds(float(np.median(settle)))} after the request, "
        f"at the latest {milliseconds(max(settle))} after it"
    )


# One trial


def timeline(one: Timeline | None) -> Plot | None:
    """Plot CPUs used against the declared limit over one trial, with its changes marked."""
    if one is None:
        return None
    data: list[Trace] = []
    for usage, colour in zip(one.usages, (USED, SECOND, THIRD), strict=False):
        where = f" by {usage.role}" if len(one.usages) > 1 else ""
        data.append(line(usage.used.x, usage.used.y, colour, width=1.25,
                         hovertemplate=f"used{where}: %{{y:.3f}} CPUs<extra></extra>"))  # fmt: skip
        data.append(line(usage.declared.x, usage.declared.y, DECLARED, shape="hv", width=1.75,
                         hovertemplate=f"declared{where}: %{{y}} CPUs<extra></extra>"))  # fmt: skip
    words = ", ".join(f"{kind.after} at {t:.1f} s" for t, kind in one.changes)
    return Plot(
        name="timeline",
        title=f"Trial {one.trial}: {count(len(one.changes), 'change')} in {one.seconds:.0f} s, "
        "and what the container used",
        reading="Dotted lines are the changes. CPUs used are the slope of the kernel's usage "
        "counter over the last period (at least 100 ms), so each step is as steep as a period.",
        summary=f"Changes: {words}.",
        keys=(Key("CPUs used", USED, "line"), Key("declared", DECLARED, "line")),
        data=data,
        layout={
            "xaxis": {"title": {"text": "s since the first sample"}, "range": [0, one.seconds]},
            "yaxis": {"title": {"text": "CPUs"}, "rangemode": "tozero"},
            "shapes": [vertical(round(t, 3), MUTED) for t, _ in one.changes],
            "annotations": _change_labels(one),
        },
        height=360,
        wide=True,
    )


def _change_labels(one: Timeline) -> list[dict[str, Any]]:
    if len(one.changes) > _LABELS:
        return []
    return [
        {
            "x": round(t, 3), "xanchor": "left", "xshift": 1, "y": 1, "yref": "paper",
            "yanchor": "bottom", "text": kind.after.partition(" of a CPU")[0], "showarrow": False,
            "font": {"color": MUTED, "size": 11},
        }
        for t, kind in one.changes
    ]  # fmt: skip


def docker_stats(one: Timeline | None) -> Plot | None:
    """Plot what `docker stats` showed against the usage counter, over the same trial."""
    if one is None or not any(usage.shown.x.size for usage in one.usages):
        return None
    data: list[Trace] = []
    messages = sum(int(usage.shown.x.size) for usage in one.usages)
    for usage in one.usages:
        data.append(line(usage.used.x, usage.used.y, USED, width=1, opacity=0.6, hoverinfo="skip"))
        data.append(line(usage.shown.x, usage.shown.y, SHOWN, shape="hv", width=1.5,
                         hoverinfo="skip"))  # fmt: skip
        data.append(dots(usage.shown.x, usage.shown.y, SHOWN, "diamond", size=7,
                         hovertemplate="docker stats: %{y:.3f} CPUs<extra></extra>"))  # fmt: skip
    return Plot(
        name="docker-stats",
        title=f"`docker stats` saw this trial as {count(messages, 'message')}",
        reading="Each message is the mean since the one before and stands until the next, so a "
        "change shows up to two seconds late and whatever is shorter than a second does not show.",
        summary=f"{count(messages, 'message')} of docker stats over {one.seconds:.0f} s.",
        keys=(Key("docker stats", SHOWN, "diamond"), Key("CPUs used", USED, "line")),
        data=data,
        layout={
            "xaxis": {"title": {"text": "s since the first sample"}, "range": [0, one.seconds]},
            "yaxis": {"title": {"text": "CPUs"}, "rangemode": "tozero"},
        },
        height=300,
        wide=True,
    )


# The step response


def step(one: StepResponse, name: str) -> Plot:
    """Plot work per millisecond around one change, a strip for each repetition."""
    strips = one.repetitions
    data: list[Trace] = []
    layout: dict[str, Any] = {"shapes": [], "annotations": []}
    gap = 0.06 if len(strips) > 1 else 0.0
    share = (1 - gap * (len(strips) - 1)) / len(strips)
    for index, strip in enumerate(strips):
        number = "" if index == 0 else str(index + 1)
        top = 1 - index * (share + gap)
        data.append(
            line(strip.work.x, strip.work.y, USED, width=1, shape="hv", fill="tozeroy",
                 fillcolor="@used-soft", yaxis=f"y{number}",
                 hovertemplate="%{x:.0f} ms: %{y:.0f} units<extra></extra>")
        )  # fmt: skip
        layout[f"yaxis{number}"] = {
            "domain": [round(max(0.0, top - share), 4), round(top, 4)], "rangemode": "tozero",
            "nticks": 3, "title": {"text": f"trial {strip.trial}"},
        }  # fmt: skip
        layout["shapes"] += _stage_lines(strip, f"y{number} domain")
    layout["xaxis"] = {
        "title": {"text": "ms since the request"}, "anchor": f"y{'' if len(strips) == 1 else len(strips)}",
    }  # fmt: skip
    settled = [strip.settle_ms for strip in strips if strip.settle_ms is not None]
    when = f": settled after {milliseconds(float(np.median(settled)))}" if settled else ""
    verb = {Direction.RAISED: "Raised", Direction.LOWERED: "Lowered", Direction.SET: "Set"}
    shown = (
        f" {len(strips)} of {one.total} repetitions are shown." if one.total > len(strips) else ""
    )
    return Plot(
        name=name,
        title=f"{verb[one.kind.direction]}, {one.kind.words}{when}",
        reading="Units of work the probe finished in each millisecond, all workers together; gaps "
        f"are throttling. A strip is one repetition.{shown}",
        summary="; ".join(
            f"trial {strip.trial}: answer {milliseconds(strip.answer_ms)}, settled "
            + ("never" if strip.settle_ms is None else milliseconds(strip.settle_ms))
            for strip in strips
        ),
        keys=(
            Key("work per ms", USED, "line"),
            Key("request", INK, "line"),
            *(Key(label, colour, "dash") for _, label, colour, _ in _STAGES),
        ),
        data=data,
        layout=layout,
        height=120 + 110 * min(len(strips), REPETITIONS_SHOWN),
    )


def _stage_lines(strip: Repetition, yref: str) -> list[dict[str, Any]]:
    lines = [vertical(0, INK, "solid", yref)]
    for metric, _, colour, _ in _STAGES:
        value = getattr(strip, metric)
        if value is not None:
            lines.append(vertical(round(value, 2), colour, "dash", yref))
    return [one | {"layer": "above"} for one in lines]


# The host


def work(rows: Rows, trials: Sequence[TrialRecord]) -> Plot | None:
    """Plot work per CPU-second over each trial, in percent of the run's median."""
    found = [row for row in rows if row["metric"] == "work_per_cpu_s" and row["value"]]
    if not found:
        return None
    middle = float(np.median([row["value"] for row in found]))
    times = {
        (trial.number, phase.number): (
            (phase.change.t_answer_ns + phase.t_end_ns) / 2 - trial.t_begin_ns
        ) / NS_PER_S
        for trial in trials
        for phase in trial.phases
    }  # fmt: skip
    data: list[Trace] = []
    for trial in trials:
        mine = [row for row in found if row["trial"] == trial.number]
        x = [times[row["trial"], row["phase"]] for row in mine]
        y = [100 * row["value"] / middle for row in mine]
        data.append(
            line(x, y, USED, width=1, mode="lines+markers",
                 marker={"size": 5, "color": USED}, customdata=[row["requested"] for row in mine],
                 hovertemplate=f"trial {trial.number}: %{{y:.1f}} % at %{{customdata}}"
                 "<extra></extra>")
        )  # fmt: skip
    values = [100 * row["value"] / middle for row in found]
    spread = max(values) - min(values)
    steady = spread <= _DRIFT_PCT
    return Plot(
        name="work",
        title=f"The host {'kept its speed' if steady else 'changed its speed'}: work per CPU-second "
        f"{'stays within' if steady else 'ranges over'} {percent_bound(spread)}",
        reading="The same loop should do the same work in every second of CPU time. Where it does "
        "not, clock frequency or neighbours on shared cores changed; limits are judged by CPU time "
        "and stalls, which this does not touch. 100 % is the run's median.",
        summary=f"From {min(values):.0f} % to {max(values):.0f} % of the median of "
        f"{middle:.4g} units per CPU-second.",
        keys=(Key("a trial, phase by phase", USED, "circle"),
              Key(f"±{_DRIFT_PCT / 2:g} %", "@held", "band")),
        data=data,
        layout={
            "xaxis": {"title": {"text": "s since the trial began"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "work per CPU-second, %"},
                      "range": [min(80.0, min(values) - 5), max(120.0, max(values) + 5)]},
            "shapes": [horizontal(100 - _DRIFT_PCT / 2, 100 + _DRIFT_PCT / 2, "@held")],
        },
        height=280,
        wide=True,
    )  # fmt: skip


