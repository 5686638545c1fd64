"""Plots against the requested values: declared and experienced, error, throttling, stalls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgbench.headline import TOLERANCE_PCT
from cgbench.plot import (
    DECLARED,
    FIRST,
    GROUPS,
    INK,
    SECOND,
    THIRD,
    USED,
    Axis,
    Key,
    Mark,
    Plot,
    Trace,
    bars,
    dots,
    horizontal,
    line,
    rounded,
)
from cgbench.points import Point, judged
from cgbench.series import Curve
from cgbench.wording import milliseconds, percent_bound, signed_percent, significant

# Beyond this ratio of largest to smallest value, equal steps on paper are factors.
_LOG_RATIO = 20
_PER_MEDIAN = "Large dots are medians across trials, bars their interval, rings single phases."

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """The points and rows of a run, with the place of each point on a common x axis."""

    points: Sequence[Point]
    rows: Rows
    places: Mapping[tuple[str, str, str, str], float | str]
    axis: Axis

    def groups(self) -> list[tuple[str, list[Point]]]:
        """Return the points by container and by how values were set, in order along the axis."""
        by: dict[tuple[str, str], list[Point]] = {}
        for point in self.points:
            by.setdefault((point.role, point.via), []).append(point)
        roles, vias = {role for role, _ in by}, {via for _, via in by}
        return [
            (
                " ".join(text for text, told in ((role, len(roles) > 1), (via, len(vias) > 1)) if told),
                self.ordered(some),
            )
            for (role, via), some in by.items()
        ]  # fmt: skip

    def ordered(self, some: Sequence[Point]) -> list[Point]:
        """Return points in the order in which they stand along the axis."""
        if any(isinstance(self.places[point.key], str) for point in some):
            return list(some)
        return sorted(some, key=lambda point: float(self.places[point.key]))

    def place(self, some: Sequence[Point]) -> list[float | str]:
        """Return where points stand on the x axis."""
        return [self.places[point.key] for point in some]

    def having(self, some: Sequence[Point], metric: str) -> list[Point]:
        """Return the points at which a metric was measured."""
        return [point for point in some if metric in point.estimates]

    def singles(self, some: Sequence[Point], metric: str) -> tuple[list[float | str], list[float]]:
        """Return place and value of a metric in every single phase."""
        keys = {point.key for point in some}
        found = [
            (self.places[key], row["value"])
            for row in self.rows
            if row["metric"] == metric and row["value"] is not None
            and (key := (row["role"], row["option"], row["via"], row["requested"])) in keys
        ]  # fmt: skip
        return [place for place, _ in found], [value for _, value in found]


def found(points: Sequence[Point], rows: Rows) -> Found:
    """Lay a run's points out along one axis."""
    option = points[0].option
    percent = option in ("cpu-quota", "cpus")
    numbers = [_number(point, percent) for point in points]
    title = {"cpu-period": "period"}.get(option, f"--{option}, as % of a CPU" if percent else f"--{option}")
    if any(number is None or number <= 0 for number in numbers):
        places: list[float | str] = [point.short for point in points]
        return Found(points, rows, _keyed(points, places), Axis(title, {"type": "category"}))
    known = [number for number in numbers if number is not None]
    settings: dict[str, Any] = {
        "tickvals": list(dict.fromkeys(rounded(known))),
        "ticktext": list(dict.fromkeys(point.short for point in points)),
    }
    if max(known) / min(known) > _LOG_RATIO and not percent:
        settings["type"] = "log"
    elif percent:
        settings["range"] = [0, 1.06 * max(known)]
    return Found(points, rows, _keyed(points, list(known)), Axis(title, settings))


def _number(point: Point, percent: bool) -> float | None:
    if not percent:
        return point.number
    # A quota that was lifted stands where all CPUs are.
    cpus = point.number
    if cpus is None and "cpus_used" in point.estimates:
        cpus = point.estimates["cpus_used"].expected
    return None if cpus is None else 100 * cpus


def _keyed(
    points: Sequence[Point], places: Sequence[float | str]
) -> dict[tuple[str, str, str, str], float | str]:
    return {point.key: place for point, place in zip(points, places, strict=True)}


# Declared, experienced, error


def declared(one: Found) -> Plot | None:
    """Plot experienced against requested, with the line on which it equals declared."""
    metric = judged(one.points)
    if metric is None:
        return None
    data: list[Trace] = []
    keys = [Key("declared", DECLARED, "dash")]
    for (label, some), (colour, mark) in zip(one.groups(), GROUPS, strict=False):
        with_metric = one.having(some, metric)
        estimates = [point.estimates[metric] for point in with_metric]
        expected = [estimate.expected for estimate in estimates]
        places = one.place(with_metric)
        data.append(line(places, expected, DECLARED, dash="dash", name="declared",
                         hovertemplate="declared %{y}<extra></extra>"))  # fmt: skip
        data.append(_singles(one, with_metric, metric, colour))
        data.append(_medians(places, with_metric, metric, colour, mark))
        keys.append(Key(_named("experienced", label), colour, mark))
    unit = one.points[0].estimates[metric].unit if metric in one.points[0].estimates else ""
    axis = {"title": {"text": f"{metric}, {unit}"}, "rangemode": "tozero"}
    if metric == "cpus_used":
        axis["title"] = {"text": "CPUs used"}
    return Plot(
        name="declared",
        title=_declared_title(one.points, metric),
        reading="On the dashed line the container gets exactly what is declared; above it more, "
        f"below it less. {_PER_MEDIAN}",
        summary=_told(one, metric),
        keys=tuple(keys),
        data=data,
        layout={"xaxis": one.axis.layout(), "yaxis": axis},
    )


def _declared_title(points: Sequence[Point], metric: str) -> str:
    errors = {
        point.words: error
        for point in points
        if metric in point.estimates and (error := point.estimates[metric].error_pct) is not None
    }
    if not errors:
        return "Experienced at each requested value"
    place = max(errors, key=lambda words: abs(errors[words]))
    if abs(errors[place]) <= TOLERANCE_PCT:
        return f"Experienced follows declared: every point within {percent_bound(errors[place])}"
    return f"Experienced leaves the declared line by {signed_percent(errors[place])} at {place}"


def error(one: Found) -> Plot | None:
    """Plot the error in percent of declared at each point, with the band that counts as held."""
    metric = judged(one.points)
    if metric is None:
        return None
    data: list[Trace] = []
    keys = [Key(f"±{TOLERANCE_PCT:g} %: held", "@held", "band")]
    sizes = [TOLERANCE_PCT]
    for (label, some), (colour, mark) in zip(one.groups(), GROUPS, strict=False):
        known = [
            point for point in one.having(some, metric)
            if point.estimates[metric].error_pct is not None
        ]  # fmt: skip
        errors = [point.estimates[metric].error_pct or 0.0 for point in known]
        bounds = [point.estimates[metric].error_bounds_pct or (None, None) for point in known]
        data.append(_single_errors(one, known, metric, colour))
        data.append(
            dots(one.place(known), errors, colour, mark,
                 error_y=bars([low for low, _ in bounds], errors, [high for _, high in bounds]),
                 customdata=[point.words for point in known],
                 hovertemplate="%{customdata}: %{y:+.2f} %<extra></extra>")
        )  # fmt: skip
        keys.append(Key(_named("error of the median", label), colour, mark))
        sizes += [abs(value) for value in (*errors, *data[-2]["y"])]
    limit = 1.15 * max(sizes)
    yaxis = {"title": {"text": "error, % of declared"}, "range": [-limit, limit], "zeroline": True}
    return Plot(
        name="error",
        title=_error_title(sizes),
        reading="Zero is exact; the band is what counts as held. "
        "A short steady window or a busy host widens the scatter of single phases (rings).",
        summary=_told(one, metric, with_error=True),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": one.axis.layout(),
            "yaxis": yaxis,
            "shapes": [horizontal(-TOLERANCE_PCT, TOLERANCE_PCT, "@held")],
        },
    )


def _error_title(sizes: Sequence[float]) -> str:
    if max(sizes) <= TOLERANCE_PCT:
        return f"No phase strays beyond ±{TOLERANCE_PCT:g} % of declared"
    return f"Single phases stray up to {percent_bound(max(sizes))} from declared"


def _single_errors(one: Found, some: Sequence[Point], metric: str, colour: str) -> Trace:
    expected = {point.key: point.estimates[metric].expected for point in some}
    places, values = [], []
    for row in one.rows:
        key = (row["role"], row["option"], row["via"], row["requested"])
        if row["metric"] == metric and expected.get(key) and row["error_pct"] is not None:
            places.append(one.places[key])
            values.append(row["error_pct"])
    return dots(places, values, colour, "ring", hovertemplate="a phase: %{y:+.2f} %<extra></extra>")


# Throttling


def throttled(one: Found) -> list[Plot]:
    """Plot throttled periods and throttled time, which are two different numbers."""
    return [
        plot
        for plot in (
            _against_value(
                one, "throttled_periods_pct", "Throttled periods", "throttled periods, %",
                "Of all periods, those in which the group ran out of quota. It says how often, not "
                f"for how long. {_PER_MEDIAN}",
            ),
            _against_value(
                one, "throttled_time_pct", "Throttled time", "throttled time, % of time",
                "Time that run queues of the group stood still, in percent of the time that "
                "passed. The kernel adds it up over CPUs, so two idle queues make 200 %. "
                f"{_PER_MEDIAN}",
            ),
        )
        if plot is not None
    ]  # fmt: skip


def _against_value(one: Found, metric: str, what: str, axis: str, reading: str) -> Plot | None:
    with_metric = one.having(one.points, metric)
    if not with_metric:
        return None
    data: list[Trace] = []
    keys = []
    for (label, some), (colour, mark) in zip(one.groups(), GROUPS, strict=False):
        here = one.having(some, metric)
        places = one.place(here)
        medians = [point.median(metric) or 0.0 for point in here]
        data.append(line(places, medians, colour, width=1.5, hoverinfo="skip"))
        data.append(_singles(one, here, metric, colour))
        data.append(_medians(places, here, metric, colour, mark))
        keys.append(Key(_named("median", label), colour, mark))
    ordered = one.ordered(with_metric)
    first, last = ordered[0], ordered[-1]
    return Plot(
        name=metric,
        title=f"{what}: {first.median(metric) or 0:.3g} % at {first.short}, "
        f"{last.median(metric) or 0:.3g} % at {last.short}",
        reading=reading,
        summary=_told(one, metric),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": one.axis.layout(),
            "yaxis": {"title": {"text": axis}, "rangemode": "tozero"},
        },
    )


# Stalls

_QUANTILES: tuple[tuple[str, str, str, Mark], ...] = (
    ("stall_max_ms", "longest", FIRST, "triangle-up"),
    ("stall_p99_ms", "99th percentile", SECOND, "diamond"),
    ("stall_p50_ms", "median", THIRD, "circle"),
)


def stall_quantiles(one: Found) -> Plot | None:
    """Plot median, 99th percentile and longest stall against the requested value."""
    points = one.having(one.ordered(one.points), "stall_p99_ms")
    if not points:
        return None
    places = one.place(points)
    data: list[Trace] = []
    for metric, label, colour, mark in _QUANTILES:
        medians = [point.median(metric) for point in points]
        data.append(line(places, medians, colour, width=1.5, hoverinfo="skip"))
        data.append(_medians(places, points, metric, colour, mark))
    keys = [Key(label, colour, mark) for _, label, colour, mark in _QUANTILES]
    ideal = [(place, stall) for place, point in zip(places, points, strict=True)
             if (stall := point.ideal_stall_ms) is not None]  # fmt: skip
    if len(ideal) > 1:
        data.insert(0, line([x for x, _ in ideal], [y for _, y in ideal], DECLARED, dash="dash",
                            hovertemplate="period less share of quota: %{y} ms<extra></extra>"))  # fmt: skip
        keys.append(Key("period less a worker's share of the quota", DECLARED, "dash"))
    growing = one.axis.settings.get("type") == "log"
    first, last = (end.median("stall_p99_ms") or 0.0 for end in (points[0], points[-1]))
    verb = "grow" if last > first else "shrink"
    return Plot(
        name="stalls",
        title=f"Stalls {verb} from {milliseconds(first)} at {points[0].short} to "
        f"{milliseconds(last)} at {points[-1].short} (99th percentile)",
        reading="A stall is time in which a worker wanted to run and did not. The dashed line is "
        "the wait when every worker spends its share of the quota at once and then stands still "
        "until the next period."
        + (" Both axes are logarithmic: a straight line is a fixed ratio." if growing else ""),
        summary="; ".join(
            f"{point.words}: median {_ms(point, 'stall_p50_ms')}, "
            f"99th percentile {_ms(point, 'stall_p99_ms')}, longest {_ms(point, 'stall_max_ms')}"
            for point in points
        ),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": one.axis.layout(),
            "yaxis": {"title": {"text": "stall, ms"}}
            | ({"type": "log"} if growing else {"rangemode": "tozero"}),
        },
        height=380,
    )


def stall_distribution(
    one: Found, curves: Mapping[tuple[str, str, str, str], Curve]
) -> Plot | None:
    """Plot how many stalls a second last at least so long, one line per requested value."""
    points = [point for point in one.ordered(one.points) if point.key in curves]
    if not points:
        return None
    dashes = ("solid", "dash", "dot", "dashdot")
    data, keys = [], []
    for index, point in enumerate(points):
        colour = f"@scale:{index / max(1, len(points) - 1):.3f}"
        curve = curves[point.key]
        dash = dashes[index % len(dashes)]
        data.append(
            line(curve.x, curve.y, colour, dash=dash, name=point.short, customdata=None,
                 hovertemplate=f"{point.words}: %{{y:.3g}} stalls/s of at least "
                 "%{x:.3g} ms<extra></extra>")
        )  # fmt: skip
        keys.append(Key(point.short, colour, "line" if dash == "solid" else "dash"))
    longest = max(points, key=lambda point: float(curves[point.key].x[-1]))
    return Plot(
        name="stall-distribution",
        title=f"How often a worker stalls for how long: at worst "
        f"{milliseconds(float(curves[longest.key].x[-1]))}, at {longest.words}",
        reading="Read a line at x ms: so many stalls a second are at least that long. A plateau "
        "that ends in a cliff is the period: the same wait, again and again. A long slope on the "
        "left is other work on the host.",
        summary="; ".join(
            f"{point.words}: {curves[point.key].y[0]:.3g} stalls a second, longest "
            f"{milliseconds(float(curves[point.key].x[-1]))}"
            for point in points
        ),
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": {"title": {"text": "stall of at least, ms"}, "type": "log", "dtick": 1},
            "yaxis": {"title": {"text": "stalls per second"}, "type": "log", "dtick": 1},
        },
        height=380,
    )


# Pieces


def _medians(
    places: Sequence[float | str], some: Sequence[Point], metric: str, colour: str, mark: Mark
) -> Trace:
    estimates = [point.estimates[metric] for point in some]
    return dots(
        places, [one.median for one in estimates], colour, mark,
        error_y=bars([one.low for one in estimates], [one.median for one in estimates],
                     [one.high for one in estimates]),
        customdata=[point.words for point in some],
        hovertemplate="%{customdata}: %{y:.4g} " + (estimates[0].unit if estimates else "")
        + "<extra></extra>",
    )  # fmt: skip


def _singles(one: Found, some: Sequence[Point], metric: str, colour: str) -> Trace:
    places, values = one.singles(some, metric)
    return dots(places, values, colour, "ring", hovertemplate="a phase: %{y:.4g}<extra></extra>")


def _named(what: str, label: str) -> str:
    return f"{what}, {label}" if label else what


def _ms(point: Point, metric: str) -> str:
    value = point.median(metric)
    return "unknown" if value is None else milliseconds(value)


def _told(one: Found, metric: str, *, with_error: bool = False) -> str:
    """Return the medians of a metric as words, for those who do not see the plot."""

    def told(point: Point) -> str:
        estimate = point.estimates[metric]
        if with_error:
            error_pct = estimate.error_pct
            return "no error known" if error_pct is None else signed_percent(error_pct)
        return f"{significant(estimate.median, 3)} {estimate.unit}"

    tell: Callable[[Point], str] = told
    return "; ".join(f"{point.words}: {tell(point)}" for point in one.having(one.points, metric))
