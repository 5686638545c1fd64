"""The plots of one experiment on several hosts, all hosts on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cgbench.judging.estimates import Point
from cgbench.records.run import PointKey, Row
from cgbench.reporting.pages.side import Side, judged_by
from cgbench.reporting.plots import value_axis
from cgbench.reporting.plots import values as value_plots
from cgbench.reporting.plots.host_times import host_times
from cgbench.reporting.plots.plot import GROUPS, Plot, Trace
from cgbench.reporting.plots.value_axis import Layout
from cgbench.reporting.words import truth_cells
from cgbench.wording import capitalised, quantity

# Of the marks of the first, second, ... host.
_SIZES = (13, 9, 6, 4)


def figures(sides: Sequence[Side]) -> list[Plot]:
    """Return every plot of the comparison, in the order of the page."""
    one, metric = _merged(sides), judged_by(sides)
    drawn: list[Plot | None] = [
        value_plots.declared(one, metric),
        value_plots.error(one, metric) if _has_errors(one, metric) else None,
        value_plots.against_value(
            one, "stall_p99_ms", "ms",
            "A stall is time in which a worker wanted to run and did not.",
        ),
        *value_plots.throttled(one),
    ]  # fmt: skip
    by_name = {"declared": metric or "", "stall_p99_ms": "stall_p99_ms"}
    titled = [
        replace(plot, title=_apart(sides, by_name.get(plot.name, plot.name)) or plot.title)
        for plot in drawn
        if plot is not None
    ]
    titled = [_nested(plot) for plot in titled]
    if len(titled) % 2:
        titled[-1] = replace(titled[-1], wide=True)
    times = host_times([side.lane for side in sides], "effect")
    return titled if times is None else [*titled, times]


def _nested(plot: Plot) -> Plot:
    """Return a plot in which hosts' marks at one place stand within each other, none hidden."""
    sizes = dict(zip((colour for colour, _ in GROUPS), _SIZES, strict=True))

    def sized(trace: Trace) -> Trace:
        marker = trace.get("marker", {})
        if marker.get("symbol") == "circle-open" or marker.get("color") not in sizes:
            return trace
        return trace | {"marker": marker | {"size": sizes[marker["color"]]}}

    return replace(plot, data=[sized(trace) for trace in plot.data])


def _has_errors(one: Layout, metric: str | None) -> bool:
    estimates = [point.estimate(metric) for point in one.points]
    return any(each is not None and each.error_pct is not None for each in estimates)


def _merged(sides: Sequence[Side]) -> Layout:
    """Return all hosts' points on one axis: a host takes the place of the container."""
    many = [
        replace(point, key=point.key._replace(role=side.words))
        for side in sides
        for point in side.updated
    ]
    rows: list[Row] = []
    for side in sides:
        keys = {point.key for point in side.updated}
        rows += [row._replace(role=side.words) for row in side.run.rows if row.key in keys]
    return value_axis.layout(many, rows)


def _apart(sides: Sequence[Side], metric: str) -> str | None:
    """Say where a metric's medians lie farthest apart, as a share of the larger."""
    known: dict[PointKey, list[tuple[Side, Point, float]]] = {}
    for side in sides:
        for point in side.updated:
            if (value := point.median(metric)) is not None:
                known.setdefault(point.key, []).append((side, point, value))
    both = [some for some in known.values() if len(some) == len(sides)]
    if not both:
        return None

    def distance(some: Sequence[tuple[Side, Point, float]]) -> float:
        values = [value for _, _, value in some]
        return (max(values) - min(values)) / (max(values) or 1.0)

    widest = max(both, key=distance)
    point = widest[0][1]
    unit = point.estimates[metric].unit
    values = ", ".join(f"{quantity(value, unit)} on {side.name}" for side, _, value in widest)
    heading = capitalised(truth_cells.metric(metric))
    return f"{heading}, farthest apart at {point.words}: {values}"
