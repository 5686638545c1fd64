"""Plots of stalls: how long against the requested value, and how often for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cgbench.judging.estimates import Point, same_throughput
from cgbench.records.run import PointKey
from cgbench.reporting.plots.curve import Curve
from cgbench.reporting.plots.plot import (
    DECLARED,
    FIRST,
    SECOND,
    THIRD,
    USED,
    Key,
    Mark,
    Plot,
    Trace,
    decades,
    line,
)
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.reporting.plots.stall_rates import THRESHOLD_MS
from cgbench.reporting.plots.value_axis import Layout, medians
from cgbench.wording import milliseconds

_QUANTILES: tuple[tuple[str, str, str, Mark], ...] = (
    ("stall_max_ms", "longest", FIRST, "triangle-up"),
    ("stall_p99_ms", "99th percentile", SECOND, "diamond"),
    ("stall_p50_ms", "median", THIRD, "circle"),
)
_DASHES: tuple[Mark, ...] = ("line", "dash", "dot", "dashdot")
_HEIGHT = 380
_HEIGHT_WITH_THROUGHPUT = 480


def stall_quantiles(one: Layout) -> Plot | None:
    """Plot median, 99th percentile and longest stall against the requested value."""
    points = [point for point in one.having(one.ordered(one.points), "stall_p99_ms")
              if point.changed]  # fmt: skip
    if not points:
        return None
    data = _ideal(one, points)
    ideal = bool(data)
    keys = [Key(label, colour, mark) for _, label, colour, mark in _QUANTILES]
    keys += [Key("period less a worker's share of the quota", DECLARED, "dash")] if data else []
    for metric, _, colour, mark in _QUANTILES:
        for _label, some in _curves(one, points):
            values = [point.median(metric) for point in some]
            data.append(line(one.place(some), values, colour, width=1.5, hoverinfo="skip"))
        data.append(medians(one, points, metric, colour, mark))
    logarithmic = one.axis.settings.get("type") == "log"
    stalls: dict[str, Any] = {"title": {"text": "stall, ms"}} | (
        decades(*_reach(data)) if logarithmic else {"rangemode": "tozero"}
    )
    axes: dict[str, Any] = {"xaxis": one.axis.to_json(), "yaxis": stalls}
    flat = _throughput(one, points)
    if flat:
        data += flat
        keys.append(Key("CPUs used", USED, "circle"))
        stalls["domain"] = [0, 0.72]
        axes["xaxis"]["anchor"] = "y"
        axes["yaxis2"] = {
            "title": {"text": "CPUs used"}, "domain": [0.8, 1], "nticks": 3,
            "range": [0, 1.3 * max(point.median("cpus_used") or 0 for point in points)],
        }  # fmt: skip
    return Plot(
        name="stalls",
        title=_quantiles_title(one, points),
        reading="A stall is time in which a worker wanted to run and did not."
        + (
            " The dashed line is the wait when all workers spend their shares of the quota at "
            "once and stand still until the next period."
        )
        * ideal
        + " Both axes are logarithmic: a straight rise is a fixed ratio." * logarithmic
        + " The panel above shows that the CPUs used stay the same." * bool(flat),
        summary="; ".join(
            f"{point.words}: "
            + ", ".join(f"{label} {_ms(point, metric)}" for metric, label, _, _ in _QUANTILES)
            for point in points
        ),
        keys=tuple(keys),
        data=data,
        layout=axes,
        height=_HEIGHT_WITH_THROUGHPUT if flat else _HEIGHT,
        wide=bool(flat),
    )


def _curves(one: Layout, points: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    """Return points by container and way of setting: a line joins no others."""
    keys = {point.key for point in points}
    found = [
        (label, [point for point in some if point.key in keys]) for label, some in one.groups()
    ]
    return [(label, some) for label, some in found if some]


def _throughput(one: Layout, points: Sequence[Point]) -> list[Trace]:
    """Return CPUs used for a panel above, where all values got the same."""
    if not same_throughput(points):
        return []
    used = [point.median("cpus_used") for point in points]
    return [
        line(one.place(points), used, USED, width=1.5, hoverinfo="skip", yaxis="y2"),
        medians(one, points, "cpus_used", USED, "circle") | {"yaxis": "y2"},
    ]


def _ideal(one: Layout, points: Sequence[Point]) -> list[Trace]:
    ideal = [(one.places[point.key], stall) for point in points
             if (stall := point.ideal_stall_ms) is not None]  # fmt: skip
    if len(ideal) < 2:
        return []
    return [line([x for x, _ in ideal], [y for _, y in ideal], DECLARED, dash="dash",
                 hovertemplate="period less share: %{y} ms<extra></extra>")]  # fmt: skip


def _reach(data: Sequence[Trace]) -> tuple[float, float]:
    """Return the range of a logarithmic axis that holds every value."""
    values = [value for trace in data for value in trace["y"] if value]
    return min(values) / 1.2, max(values)


def _quantiles_title(one: Layout, points: Sequence[Point]) -> str:
    label, curve = max(_curves(one, points), key=lambda pair: len(pair[1]))
    first, last = curve[0], curve[-1]
    if len(curve) == 1 or one.axis.settings.get("type") == "category":
        worst = max(points, key=lambda point: point.median("stall_max_ms") or 0.0)
        return f"Stalls are longest at {worst.place}: {_ms(worst, 'stall_max_ms')}"
    rising = (last.median("stall_p99_ms") or 0.0) > (first.median("stall_p99_ms") or 0.0)
    return (
        f"Stalls {'of ' * bool(label)}{label}{' ' * bool(label)}"
        f"{'grow' if rising else 'shrink'} from {_ms(first, 'stall_p99_ms')} at "
        f"{first.short} to {_ms(last, 'stall_p99_ms')} at {last.short} (99th percentile)"
    )


def stall_distribution(
    one: Layout, curves: Mapping[PointKey, Curve], *, wide: bool = False
) -> Plot | None:
    """Plot how many stalls a second last at least so long, one line per requested value."""
    points = [point for point in one.ordered(one.points) if point.key in curves and point.changed]
    if not points:
        return None
    longest = {point.key: float(curves[point.key].x[-1]) for point in points}
    worst = max(points, key=lambda point: longest[point.key])
    labels = {point.key: label for label, some in _curves(one, points) for point in some}
    data, keys = [], []
    for index, point in enumerate(points):
        colour, dash = f"@scale:{index / max(1, len(points) - 1):.3f}", _DASHES[index % 4]
        curve, words = curves[point.key], in_template(point.words)
        data.append(
            line(curve.x, curve.y, colour, dash="solid" if dash == "line" else dash,
                 hovertemplate=f"{words}: %{{y:.3g}} stalls/s of at least %{{x:.3g}} ms"
                 "<extra></extra>")
        )  # fmt: skip
        keys.append(Key(f"{point.short} {labels[point.key]}".rstrip(), colour, dash))
    return Plot(
        name="stall-distribution",
        title=f"How often a worker stalls for how long: at worst "
        f"{milliseconds(longest[worst.key])}, at {worst.place}",
        reading="At x ms a line shows how many stalls a second last at least that long. A plateau "
        "that ends in a cliff is the period: the same wait again and again. A slope on the left "
        "is other work on the host.",
        summary="; ".join(
            f"{point.words}: {curves[point.key].y[0]:.3g} stalls a second, longest "
            f"{milliseconds(longest[point.key])}"
            for point in points
        ),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": {"title": {"text": "stall of at least, ms"}}
            | decades(THRESHOLD_MS, max(longest.values())),
            "yaxis": {"title": {"text": "stalls per second"}, "type": "log", "dtick": 1},
        },
        height=_HEIGHT,
        wide=wide,
    )


def _ms(point: Point, metric: str) -> str:
    value = point.median(metric)
    return "unknown" if value is None else milliseconds(value)
