"""The curves of a fleet: a group of hosts as a band, and each host outside of it by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from cgbench.judging.fleet_points import FleetPoint
from cgbench.reporting.plots.plot import (
    DECLARED,
    GROUPS,
    USED,
    USED_SOFT,
    Key,
    Plot,
    Trace,
    dots,
    line,
    rescaled,
)
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.spec.metrics import METRICS
from cgbench.wording import capitalised, count, quantity

_MIB = 2**20
_MOST_OUTLIERS = 8
_MOST_CURVES = 60


def fleet_curves(points: Sequence[FleetPoint]) -> dict[str, Plot]:
    """Return a plot for each experiment, container, option, metric and group of several hosts."""
    series: dict[tuple[str, ...], list[FleetPoint]] = {}
    for point in points:
        key = point.key
        series.setdefault(
            (point.experiment, point.group, key.role, key.option, key.via, point.metric), []
        ).append(point)
    drawn: dict[str, Plot] = {}
    for number, some in enumerate(series.values(), 1):
        if len(some[0].values) > 1 and len(drawn) < _MOST_CURVES:
            plot = _curve(some)
            drawn[f"fleet-{number}-{plot.name}"] = plot
    return drawn


def _curve(some: Sequence[FleetPoint]) -> Plot:
    first = some[0]
    x = [point.key.label for point in some]
    low, high = ([edge(_usual(point)) for point in some] for edge in (min, max))
    unit = in_template(first.unit)
    data: list[Trace] = [
        line(x, low, USED_SOFT, width=1, hoverinfo="skip"),
        line(x, high, USED_SOFT, width=1, hoverinfo="skip", fill="tonexty", fillcolor=USED_SOFT),
        line(x, [point.middle for point in some], USED,
             hovertemplate=f"median: %{{y:.4g}} {unit}<extra></extra>"),
        line(x, [point.expected for point in some], DECLARED, dash="dash",
             hovertemplate=f"expected: %{{y:.4g}} {unit}<extra></extra>"),
    ]  # fmt: skip
    keys = [
        Key("the group, from lowest to highest", USED_SOFT, "band"),
        Key("its median", USED, "line"),
        Key("expected", DECLARED, "dash"),
    ]
    outside = dict.fromkeys(host for point in some for host in point.outside)
    for host, (colour, mark) in zip(
        list(outside)[:_MOST_OUTLIERS], cycle(GROUPS[1:]), strict=False
    ):
        data.append(dots(
            x, [point.values.get(host) for point in some], colour, mark,
            hovertemplate=f"{in_template(host)}: %{{y:.4g}} {unit}<extra></extra>",
        ))  # fmt: skip
        keys.append(Key(host, colour, mark))
    if first.unit == "bytes":
        data = [rescaled(trace, _MIB) for trace in data]
    label = METRICS[first.metric].label
    shown = "MiB" if first.unit == "bytes" else first.unit
    number = count(max(len(point.values) for point in some), "host")
    who = f"outside of it: {', '.join(outside)}" if outside else "none is outside of it"
    return Plot(
        name="curve",
        title=f"{capitalised(label)} of {first.key.role} on {number}: {who}",
        reading=f"{first.experiment}, --{first.key.option}, on {first.group}. The band is from the "
        "lowest to the highest host, without those that are named.",
        summary="; ".join(
            f"{point.key.label}: {quantity(point.middle, point.unit)}" for point in some
        ),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": {"title": {"text": f"--{first.key.option}"}, "type": "category"},
            "yaxis": {"title": {"text": f"{label}, {shown}"}, "rangemode": "tozero"},
        },
    )  # fmt: skip


def _usual(point: FleetPoint) -> list[float]:
    outside = point.outside
    return [value for host, value in point.values.items() if host not in outside]
