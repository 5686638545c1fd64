"""Plots over a trial: its changes and CPUs used, `docker stats` beside them, the host's speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cgbench.judging.estimates import OF_A_CPU
from cgbench.records.run import Row
from cgbench.records.trial import TrialRecord
from cgbench.reporting.plots.curve import thinned
from cgbench.reporting.plots.curves import Timeline
from cgbench.reporting.plots.plot import (
    DECLARED,
    HELD,
    MUTED,
    SECOND,
    SHOWN,
    THIRD,
    USED,
    Key,
    Plot,
    Trace,
    dots,
    horizontal,
    line,
    vertical,
)
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.units import NS_PER_S
from cgbench.wording import count, percent_bound

# More labels than this do not fit beside each other.
_LABELS = 16
# Work per CPU-second that varies by less counts as steady, in percent.
_STEADY_PCT = 10.0
_COLOURS = (USED, SECOND, THIRD)


def timeline(one: Timeline | None) -> Plot | None:
    """Plot CPUs used against the declared limit over one trial, with its changes marked."""
    if one is None:
        return None
    data: list[Trace] = []
    declared: tuple[Key, ...] = ()
    keys = []
    for usage, colour in zip(one.usages, _COLOURS, strict=False):
        whose = f" by {usage.role}" if len(one.usages) > 1 else ""
        data.append(
            line(usage.used.x, usage.used.y, colour, width=1.25,
                 hovertemplate="%{x:.3f} s: %{y:.3f} CPUs used"
                 f"{in_template(whose)}<extra></extra>")
        )  # fmt: skip
        keys.append(Key(f"CPUs used{whose}", colour, "line"))
        if not np.isnan(usage.declared.y).all():
            declared = (Key("declared", DECLARED, "line"),)
            data.append(
                line(usage.declared.x, usage.declared.y, DECLARED, shape="hv", width=1.75,
                     hovertemplate=f"%{{y}} CPUs declared{in_template(whose)}<extra></extra>")
            )  # fmt: skip
    changes = ", ".join(f"{kind.after} at {t:.1f} s" for t, kind in one.changes)
    return Plot(
        name="timeline",
        title=f"Trial {one.trial}: {count(len(one.changes), 'change')} in {one.seconds:.0f} s, "
        f"and what {'each' if len(one.usages) > 1 else 'the'} container used",
        reading="Dotted lines are the changes. CPUs used are the slope of the kernel's usage "
        "counter over the last period (at least 100 ms), so a step takes a period to show whole.",
        summary=f"Changes: {changes}.",
        keys=(*keys, *declared),
        data=data,
        layout=_over_time(one)
        | {
            "shapes": [vertical(round(t, 3), MUTED) for t, _ in one.changes],
            "annotations": _change_labels(one),
        },
        height=360,
        wide=True,
    )


def _over_time(one: Timeline) -> dict[str, Any]:
    return {
        "xaxis": {
            "title": {"text": "s since the first sample"}, "range": [0, round(one.seconds, 3)],
        },
        "yaxis": {"title": {"text": "CPUs"}, "rangemode": "tozero"},
    }  # fmt: skip


def _change_labels(one: Timeline) -> list[dict[str, Any]]:
    if len(one.changes) > _LABELS:
        return []
    return [
        {
            "x": round(t, 3), "xanchor": "left", "xshift": 1, "y": 1, "yref": "paper",
            "yanchor": "bottom", "text": kind.after.replace(OF_A_CPU, ""), "showarrow": False,
            "font": {"color": MUTED, "size": 11},
        }
        for t, kind in one.changes
    ]  # fmt: skip


def docker_stats(one: Timeline | None) -> Plot | None:
    """Plot what `docker stats` showed against the usage counter, over the same trial."""
    messages = sum(int(usage.shown.x.size) for usage in one.usages) if one else 0
    if one is None or not messages:
        return None
    seen = count(messages, "message")
    if any(usage.shown_broke for usage in one.usages):
        seen += ", and some are missing since its stream broke"
    data: list[Trace] = []
    for usage in one.usages:
        used = thinned(usage.used, len(usage.used.x) // 2)
        data += [
            line(used.x, used.y, USED, width=1, opacity=0.6, hoverinfo="skip"),
            line(usage.shown.x, usage.shown.y, SHOWN, shape="hv", width=1.5, hoverinfo="skip"),
            dots(usage.shown.x, usage.shown.y, SHOWN, "diamond", size=7,
                 hovertemplate="%{x:.1f} s: docker stats says %{y:.3f} CPUs<extra></extra>"),
        ]  # fmt: skip
    return Plot(
        name="docker-stats",
        title=f"`docker stats` saw this trial as {seen}",
        reading="Each message is the mean since the one before and stands until the next: a "
        "change shows up to two seconds late, and anything shorter than a second not at all.",
        summary=f"docker stats in {one.seconds:.0f} s: {seen}.",
        keys=(Key("docker stats", SHOWN, "diamond"), Key("CPUs used", USED, "line")),
        data=data,
        layout=_over_time(one),
        height=300,
        wide=True,
    )


def work(rows: Sequence[Row], trials: Sequence[TrialRecord]) -> Plot | None:
    """Plot work per CPU-second over each trial, in percent of the run's median."""
    found = [row for row in rows if row.metric == "work_per_cpu_s" and row.value]
    if not found:
        return None
    middle = float(np.median([row.value for row in found]))
    shares = [100 * row.value / middle for row in found]
    low, high = min(shares), max(shares)
    steady = high - low <= _STEADY_PCT
    return Plot(
        name="work",
        title=f"The host {'kept its speed' if steady else 'changed its speed'}: work per "
        f"CPU-second {'stays within' if steady else 'ranges over'} {percent_bound(high - low)}",
        reading="The same loop should do the same work in every second of CPU time. Where it does "
        "not, clock frequency or neighbours on shared cores changed; limits are judged by CPU time "
        "and stalls, which this does not touch. 100 % is the run's median.",
        summary=f"From {low:.0f} % to {high:.0f} % of {middle:.4g} units per CPU-second.",
        keys=(
            Key("a trial, phase by phase", USED, "circle"),
            Key(f"±{_STEADY_PCT / 2:g} %", HELD, "band"),
        ),
        data=[_speed(found, middle, trial) for trial in trials],
        layout={
            "xaxis": {"title": {"text": "s since the trial began"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "work per CPU-second, %"},
                      "range": [min(80.0, low - 5), max(120.0, high + 5)]},
            "shapes": [horizontal(100 - _STEADY_PCT / 2, 100 + _STEADY_PCT / 2, HELD)],
        },
        height=280,
        wide=True,
    )  # fmt: skip


def _speed(rows: Sequence[Row], middle: float, trial: TrialRecord) -> Trace:
    """Return a trial's work per CPU-second in percent of `middle`, at the middle of each phase."""
    middles = {
        phase.number: (phase.change.t_answer_ns + phase.t_end_ns) / 2 for phase in trial.phases
    }
    mine = [row for row in rows if row.trial == trial.number]
    seconds = [(middles[row.phase] - trial.t_begin_ns) / NS_PER_S for row in mine]
    return line(
        seconds, [100 * row.value / middle for row in mine], USED, width=1,
        mode="lines+markers", marker={"size": 5, "color": USED},
        customdata=[row.key.label for row in mine],
        hovertemplate=f"trial {trial.number}: %{{y:.1f}} % at %{{customdata}}<extra></extra>",
    )  # fmt: skip
