"""Plots against the requested values: declared and experienced, error, throttling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from cgbench.judging.estimates import Point
from cgbench.reporting.plots.plot import (
    DECLARED,
    GROUPS,
    HELD,
    Key,
    Mark,
    Plot,
    Trace,
    bars,
    dots,
    line,
    rescaled,
)
from cgbench.reporting.plots.value_axis import Layout, in_words, medians, named, singles
from cgbench.spec.band import Tolerance
from cgbench.spec.metrics import METRICS
from cgbench.wording import (
    around,
    capitalised,
    count,
    percent_bound,
    quantity,
    signed_percent,
    significant,
)

_MIB = 2**20


def declared(one: Layout, metric: str | None) -> Plot | None:
    """Plot experienced against requested, with the line on which it equals declared.

    None without a `metric` that something is expected of.
    """
    if metric is None:
        return None
    data: list[Trace] = []
    keys = [Key("expected", DECLARED, "dash")]
    for (label, some), (colour, mark) in zip(one.groups(), cycle(GROUPS), strict=False):
        here = one.having(some, metric)
        expected = [point.estimates[metric].expected for point in here]
        data += [
            _declared_line(one, here, expected),
            singles(one, here, metric, colour),
            medians(one, here, metric, colour, mark),
        ]  # fmt: skip
        keys.append(Key(named("experienced", label), colour, mark))
    unit = next((e.unit for p in one.points if (e := p.estimate(metric)) is not None), "")
    if unit == "bytes":
        data = [rescaled(trace, _MIB) for trace in data]
    return Plot(
        name="declared",
        title=_declared_title(one.points, metric),
        reading="On the dashed line the container gets exactly what is expected; above it more, "
        "below it less. Large marks are medians across trials, bars their intervals, rings single "
        "phases.",
        summary=in_words(one, metric),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": one.axis.to_json(),
            "yaxis": {"title": {"text": _axis_title(metric, unit)},
                      "rangemode": "tozero"},
        },
    )  # fmt: skip


def _axis_title(metric: str, unit: str) -> str:
    shown = "MiB" if unit == "bytes" else unit
    label = METRICS[metric].label
    return label if label.startswith(shown) or label.endswith(shown) else f"{label}, {shown}"


def _declared_line(one: Layout, some: Sequence[Point], expected: Sequence[float | None]) -> Trace:
    drawn = line(one.place(some), expected, DECLARED, dash="dash",
                 hovertemplate="expected %{y}<extra></extra>")  # fmt: skip
    if one.axis.settings.get("type") == "category":
        # Neighbours on the axis need not both have an expectation, and then no line joins them.
        stroke = {"symbol": "line-ew", "size": 18, "line": {"width": 2, "color": DECLARED}}
        drawn |= {"mode": "lines+markers", "marker": stroke}
    return drawn


def _declared_title(points: Sequence[Point], metric: str) -> str:
    known = [
        (abs(estimate.error_pct), point.words, estimate)
        for point in points
        if (estimate := point.estimate(metric)) is not None
        and estimate.error_pct is not None and estimate.within is not None
    ]  # fmt: skip
    if not known:
        return "Experienced at each requested value"
    outside = [entry for entry in known if not entry[2].within]
    largest, place, worst = max(outside or known, key=lambda entry: entry[0])
    if outside:
        off = signed_percent(worst.error_pct or 0.0)
        return f"Experienced leaves the expected line by {off} at {place}"
    if METRICS[metric].shows == "floor":
        return "Every point holds the expected value"
    shown = sum(point.estimate(metric) is not None for point in points)
    which = "every point" if len(known) == shown else f"{len(known)} of {shown} points, each"
    return f"Experienced follows what is expected: {which} within {percent_bound(largest)}"


def error(one: Layout, metric: str | None) -> Plot | None:
    """Plot the error in percent of declared at each point, with the band within which it holds.

    None where there is no error in percent.
    """
    judged = [
        point for _label, some in one.groups() for point in some
        if (estimate := point.estimate(metric)) is not None and estimate.error_pct is not None
    ]  # fmt: skip
    if metric is None or not judged:
        return None
    data: list[Trace] = []
    keys = [Key(f"held: {_widths(judged, metric)}", HELD, "band")]
    for (label, some), (colour, mark) in zip(one.groups(), cycle(GROUPS), strict=False):
        known = [p for p in one.having(some, metric) if p.estimates[metric].error_pct is not None]
        data += [singles(one, known, metric, colour, lambda row: row.error_pct),
                 _median_errors(one, known, metric, colour, mark)]  # fmt: skip
        keys.append(Key(named("error of the median", label), colour, mark))
    largest = max((abs(value) for trace in data for value in trace["y"]), default=0.0)
    end = 1.2 * max([largest, *(max(one.below, one.above) for one in _tolerances(judged, metric))])
    return Plot(
        name="error",
        title=_error_title(judged, metric),
        reading="Zero is exact; a large mark inside its band has held. Few periods in a phase or "
        f"a busy host widen the scatter of single phases (rings), here up to "
        f"{percent_bound(largest)}.",
        summary="; ".join(
            f"{point.words}: {signed_percent(error_pct)}"
            for point in one.having(one.points, metric)
            if (error_pct := point.estimates[metric].error_pct) is not None
        ),
        keys=tuple(keys),
        data=[_bands(one, judged, metric, end), *data],
        layout={
            "xaxis": one.axis.to_json(),
            "yaxis": {"title": {"text": "error, % of expected"}, "range": [-end, end],
                      "zeroline": True},
        },
    )  # fmt: skip


def _error_title(judged: Sequence[Point], metric: str) -> str:
    estimates = [point.estimates[metric] for point in judged]
    outside = [one.error_pct for one in estimates if one.within is False and one.error_pct]
    if not outside:
        return f"No value leaves its band: {_widths(judged, metric)} of what is expected"
    worst = signed_percent(max(outside, key=abs))
    return f"{count(len(outside), 'value')} of {len(estimates)} outside the band, up to {worst}"


def _widths(judged: Sequence[Point], metric: str) -> str:
    known = _tolerances(judged, metric)
    if not known:
        return "no band"
    below, above = (
        " to ".join(dict.fromkeys(significant(end, 2) for end in (min(widths), max(widths))))
        for widths in ([one.below for one in known], [one.above for one in known])
    )
    if " to " in below + above:
        return f"{below} % below, {above} % above"
    return f"{around(below, above)} %"


def _tolerances(judged: Sequence[Point], metric: str) -> list[Tolerance]:
    return [
        width for point in judged if (width := point.estimates[metric].tolerance_pct) is not None
    ]


def _bands(one: Layout, judged: Sequence[Point], metric: str, end: float) -> Trace:
    """Return the band of each point as a bar; a floor's has no upper end on the plot."""
    known = [point for point in judged if point.estimates[metric].tolerance_pct is not None]
    widths = _tolerances(known, metric)
    above = [end if METRICS[metric].shows == "floor" else one.above for one in widths]
    zeros = [0.0] * len(widths)
    shown = bars([-one.below for one in widths], zeros, above)
    return dots(
        one.place(known), zeros, HELD, hoverinfo="skip", marker={"color": HELD, "opacity": 0},
        error_y=shown | {"color": HELD, "thickness": 14, "width": 0},
    )  # fmt: skip


def _median_errors(
    one: Layout, some: Sequence[Point], metric: str, colour: str, mark: Mark
) -> Trace:
    errors = [point.estimates[metric].error_pct or 0.0 for point in some]
    bounds = [point.estimates[metric].error_bounds_pct or (None, None) for point in some]
    return dots(
        one.place(some), errors, colour, mark,
        error_y=bars([low for low, _ in bounds], errors, [high for _, high in bounds]),
        customdata=[point.words for point in some],
        hovertemplate="%{customdata}: %{y:+.2f} %<extra></extra>",
    )  # fmt: skip


def throttled(one: Layout) -> list[Plot]:
    """Plot throttled periods and throttled time, which are two different numbers."""
    plots = (
        against_value(
            one, "throttled_periods_pct", "% of periods",
            "Of all periods, those in which the group ran out of quota. It says how often, not "
            "for how long.",
        ),
        against_value(
            one, "throttled_time_pct", "% of time",
            "Time that run queues of the group stood still, in percent of the time that passed. "
            "The kernel adds it up over CPUs, so two such queues make 200 %.",
        ),
    )  # fmt: skip
    return [plot for plot in plots if plot is not None]


def against_value(one: Layout, metric: str, unit_words: str, reading: str) -> Plot | None:
    """Plot a metric's medians against the value; None where it was not measured or always 0.

    `unit_words` names what the axis counts, as in `% of periods`.
    """
    measured = one.ordered(one.having(one.points, metric))
    if not any(point.median(metric) for point in measured):
        # Not measured, or nothing was ever throttled.
        return None
    data: list[Trace] = []
    keys = []
    for (label, some), (colour, mark) in zip(one.groups(), cycle(GROUPS), strict=False):
        here = one.having(some, metric)
        if not here:
            continue
        values = [point.median(metric) for point in here]
        data += [
            line(one.place(here), values, colour, width=1.5, hoverinfo="skip"),
            singles(one, here, metric, colour),
            medians(one, here, metric, colour, mark),
        ]
        keys.append(Key(named("median", label), colour, mark))
    own = [point for point in measured if point.changed] or measured
    unit = measured[0].estimates[metric].unit
    said = [quantity(point.median(metric) or 0.0, unit) for point in own]
    ends = [f"{said[at]} at {own[at].short}" for at in (0, -1)]
    distinct = set(said)
    if len(distinct) == 1 < len(own):
        ends = [f"{distinct.pop()} at every value"]
    what = METRICS[metric].label
    return Plot(
        name=metric,
        title=f"{capitalised(what)}: {', '.join(dict.fromkeys(ends))}",
        reading=reading,
        summary=in_words(one, metric),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": one.axis.to_json(),
            "yaxis": {"title": {"text": f"{what}, {unit_words}"}, "rangemode": "tozero"},
        },
    )
