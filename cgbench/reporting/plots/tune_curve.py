"""What a search saw: the target's metric, the chance to meet it, and what the kernel did to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgbench.judging.knee import Posterior
from cgbench.records.tune import Observation, Tuned
from cgbench.reporting.plots.plot import (
    DECLARED,
    MUTED,
    THIRD,
    USED,
    USED_SOFT,
    Key,
    Plot,
    Trace,
    decades,
    dots,
    line,
    vertical,
)
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.reporting.words.tune import in_words
from cgbench.spec.metrics import METRICS
from cgbench.wording import capitalised

_MIB = 2**20
_STEPS = 200
_LOGARITHMIC = 10.0
_FELT = {"cpus": "throttled_periods_pct", "memory": "refaults_per_s", "pids": "tasks_max"}


def tune_curves(found: Tuned) -> dict[str, Plot]:
    """Return the plots of a search, by the identities of their elements on the page."""
    plots = [_metric(found), _chance(found)]
    felt = _FELT[found.limit]
    if felt != found.target.metric and any(felt in one.metrics for one in found.observations):
        plots.append(_felt(found, felt))
    return {f"tune-{plot.name}": plot for plot in plots}


def _metric(found: Tuned) -> Plot:
    metric = METRICS[found.target.metric]
    known = [one for one in found.observations if one.value is not None]
    values = [one.value for one in known if one.value is not None]
    spread = values and min(values) > 0 and max(values) / min(values) > _LOGARITHMIC
    low, high = min([found.target.value, *values]), max([found.target.value, *values])
    axis = decades(0.8 * low, 1.1 * high) if spread else {"rangemode": "tozero"}
    shown = _dots(known, [one.value for one in known], _x(found, known), metric.unit, found)
    return Plot(
        name="metric",
        title=f"{capitalised(metric.label)} of {found.program} under each limit",
        reading="Each mark is one phase. The dashed line is the target; the band is where the "
        "knee lies.",
        summary="; ".join(f"{in_words(found, one.limit)}: {one.value:.3g}" for one in known[:20]),
        keys=(*_keys(known), Key("the target", DECLARED, "dash"), *_knee_key(found)),
        data=[
            line(_ends(found), [found.target.value] * 2, DECLARED, dash="dash", hoverinfo="skip"),
            *shown,
        ],
        layout={
            "xaxis": _axis(found),
            "yaxis": {"title": {"text": f"{metric.label}, {metric.unit}"}, **axis},
            "shapes": _shapes(found),
        },
        wide=True,
    )


def _chance(found: Tuned) -> Plot:
    posterior = Posterior(found.low, found.high)
    counted = [one for one in found.observations if one.met is not None]
    for one in counted:
        posterior.learn(one.limit, met=bool(one.met))
    limits = np.geomspace(found.low, found.high, _STEPS)
    chances = [100 * posterior.chance(float(one)) for one in limits]
    tried = sorted({one.limit for one in counted})
    shares = [
        100 * float(np.mean([bool(one.met) for one in counted if one.limit == limit]))
        for limit in tried
    ]
    data: list[Trace] = [
        line([_scaled(found, float(one)) for one in limits], chances, USED,
             hovertemplate="%{y:.0f} % at %{x:.4g}<extra></extra>"),
        dots([_scaled(found, one) for one in tried], shares, MUTED, "ring",
             hovertemplate="%{y:.0f} % of the phases at %{x:.4g}<extra></extra>"),
    ]  # fmt: skip
    return Plot(
        name="chance",
        title="How probable it is that a phase meets the target",
        reading="The line is fitted to all phases that count; rings are the shares that were "
        "counted at each limit, mostly of one phase or a few.",
        summary="; ".join(
            f"{in_words(found, limit)}: {share:.0f} %"
            for limit, share in zip(tried, shares, strict=True)
        ),
        keys=(Key("fitted", USED, "line"), Key("counted", MUTED, "ring"), *_knee_key(found)),
        data=data,
        layout={
            "xaxis": _axis(found),
            "yaxis": {"title": {"text": "phases that meet it, %"}, "range": [-4, 104]},
            "shapes": _shapes(found),
        },
    )


def _felt(found: Tuned, name: str) -> Plot:
    metric = METRICS[name]
    known = [one for one in found.observations if name in one.metrics]
    size = _MIB if metric.unit == "bytes" else 1
    unit = "MiB" if metric.unit == "bytes" else metric.unit
    values = [one.metrics[name] / size for one in known]
    return Plot(
        name="felt",
        title=f"{capitalised(metric.label)} under each limit, by the kernel",
        reading="What the limit did to the program in the same phases.",
        summary="; ".join(
            f"{in_words(found, one.limit)}: {value:.3g}"
            for one, value in list(zip(known, values, strict=True))[:20]
        ),
        keys=(*_keys(known), *_knee_key(found)),
        data=_dots(known, values, _x(found, known), unit, found),
        layout={
            "xaxis": _axis(found),
            "yaxis": {"title": {"text": f"{metric.label}, {unit}"}, "rangemode": "tozero"},
            "shapes": _shapes(found),
        },
    )


def _dots(
    many: Sequence[Observation],
    values: Sequence[float | None],
    x: Sequence[float],
    unit: str,
    found: Tuned,
) -> list[Trace]:
    traces: list[Trace] = []
    for met, colour, mark, word in (
        (True, USED, "circle", "met"),
        (False, THIRD, "diamond", "missed"),
        (None, MUTED, "ring", "does not count"),
    ):
        chosen = [at for at, one in enumerate(many) if one.met is met]
        if chosen:
            traces.append(
                dots(
                    [x[at] for at in chosen],
                    [values[at] for at in chosen],
                    colour,
                    "diamond" if mark == "diamond" else "ring" if mark == "ring" else "circle",
                    hovertemplate=f"%{{y:.4g}} {in_template(unit)} at %{{x:.4g}}: {word}"
                    "<extra></extra>",
                )
            )
    return traces


def _keys(many: Sequence[Observation]) -> tuple[Key, ...]:
    there = {one.met for one in many}
    return tuple(
        key
        for met, key in (
            (True, Key("met the target", USED, "circle")),
            (False, Key("missed it", THIRD, "diamond")),
            (None, Key("does not count", MUTED, "ring")),
        )
        if met in there
    )


def _knee_key(found: Tuned) -> tuple[Key, ...]:
    keys = () if found.knee is None else (Key("where the knee lies", USED_SOFT, "band"),)
    return keys if found.suggested is None else (*keys, Key("suggested", USED, "dot"))


def _shapes(found: Tuned) -> list[dict[str, object]]:
    shapes: list[dict[str, object]] = []
    if found.knee is not None:
        shapes.append({
            "type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
            "x0": _scaled(found, found.knee.low), "x1": _scaled(found, found.knee.high),
            "fillcolor": USED_SOFT, "line": {"width": 0},
        })  # fmt: skip
    if found.suggested is not None:
        shapes.append(vertical(_scaled(found, found.suggested), USED))
    return shapes


def _axis(found: Tuned) -> dict[str, object]:
    unit = "MiB" if found.unit == "bytes" else found.unit
    low, high = _ends(found)
    return {"title": {"text": f"limit, {unit}"}, **decades(low / 1.05, high)}


def _ends(found: Tuned) -> list[float]:
    return [_scaled(found, found.low), _scaled(found, found.high)]


def _x(found: Tuned, many: Sequence[Observation]) -> list[float]:
    return [_scaled(found, one.limit) for one in many]


def _scaled(found: Tuned, limit: float) -> float:
    return limit / _MIB if found.unit == "bytes" else limit
