"""The points of a run along one axis, and the traces that every plot draws for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgbench.judging.estimates import Point
from cgbench.records.run import PointKey, Row
from cgbench.reporting.plots.plot import Axis, Mark, Trace, bars, dots, rounded
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.wording import significant

# Beyond this ratio of largest to smallest value, equal steps on paper are factors.
_LOG_RATIO = 20
_QUOTAS = ("cpu-quota", "cpus")

Place = float | str


@dataclass(frozen=True)
class Layout:
    """The points and rows of a run, with the place of each point on a common x axis."""

    points: Sequence[Point]
    rows: Sequence[Row]
    places: Mapping[PointKey, Place]
    axis: Axis

    def groups(self) -> list[tuple[str, list[Point]]]:
        """Return the points by container and by how values were set, in order along the axis.

        A group is named by what distinguishes it from the others: nothing if it is the only one.
        """
        by: dict[tuple[str, str], list[Point]] = {}
        for point in self.points:
            by.setdefault((point.role, point.via), []).append(point)
        several_roles = len({role for role, _ in by}) > 1
        several_vias = len({via for _, via in by}) > 1
        return [
            (
                " ".join([role] * several_roles + [via] * several_vias),
                self.ordered(some),
            )
            for (role, via), some in by.items()
        ]

    def ordered(self, some: Sequence[Point]) -> list[Point]:
        """Return points in the order in which they stand along the axis."""
        if any(isinstance(self.places[point.key], str) for point in some):
            return list(some)
        return sorted(some, key=lambda point: float(self.places[point.key]))

    def place(self, some: Sequence[Point]) -> list[Place]:
        """Return where points stand on the x axis."""
        return [self.places[point.key] for point in some]

    def having(self, some: Sequence[Point], metric: str) -> list[Point]:
        """Return the points at which a metric was measured."""
        return [point for point in some if metric in point.estimates]


def layout(points: Sequence[Point], rows: Sequence[Row]) -> Layout:
    """Lay a run's points out along one axis; `points` must not be empty."""
    name = points[0].option
    percent = name in _QUOTAS
    numbers = [_number(point, percent) for point in points]
    title = _title(name)
    settings: dict[str, Any]
    known = [number for number in numbers if number is not None and number > 0]
    options = {point.option for point in points}
    if len(options) > 1 and not options <= set(_QUOTAS):
        # Bytes of one and requests of another have no common scale.
        return _categories(points, rows, "option and value", several=True)
    if len(known) < len(numbers) or any(point.noted for point in points):
        return _categories(points, rows, title, several=False)
    plain = percent or name == "cpu-period"
    ticks = {number: f"{number:g}" if plain else point.short
             for number, point in zip(known, points, strict=True)}  # fmt: skip
    settings = {
        "tickvals": rounded(list(ticks)), "ticktext": list(ticks.values()), "tickangle": 0,
    }  # fmt: skip
    if percent:
        settings["range"] = [0, 1.06 * max(known)]
    elif max(known) / min(known) > _LOG_RATIO:
        settings["type"] = "log"
    places: dict[PointKey, Place] = {
        point.key: number for point, number in zip(points, known, strict=True)
    }
    return Layout(points, rows, places, Axis(title, settings))


def _categories(
    points: Sequence[Point], rows: Sequence[Row], title: str, *, several: bool
) -> Layout:
    """Lay points out side by side in their order; of `several` options each says which it is of."""
    names = {
        point.key: f"{point.option} {point.short}" if several else point.short for point in points
    }
    order = list(dict.fromkeys(names.values()))
    settings = {"type": "category", "categoryorder": "array", "categoryarray": order}
    return Layout(points, rows, dict(names), Axis(title, settings))


def _title(name: str) -> str:
    if name in _QUOTAS:
        return f"--{name}, % of a CPU"
    return "period, ms" if name == "cpu-period" else f"--{name}"


def _number(point: Point, percent: bool) -> float | None:
    if not percent:
        return point.number
    cpus, estimate = point.number, point.estimate("cpus_used")
    if cpus is None and estimate is not None:
        # A quota that was lifted stands where all CPUs are.
        cpus = estimate.expected
    return None if cpus is None else 100 * cpus


def medians(one: Layout, some: Sequence[Point], metric: str, colour: str, mark: Mark) -> Trace:
    """Return the medians of a metric with their intervals."""
    estimates = [point.estimates[metric] for point in some]
    values = [estimate.median for estimate in estimates]
    unit = in_template(estimates[0].unit) if estimates else ""
    return dots(
        one.place(some), values, colour, mark,
        error_y=bars([each.low for each in estimates], values, [each.high for each in estimates]),
        customdata=[point.words for point in some],
        hovertemplate=f"%{{customdata}}: %{{y:.4g}} {unit}<extra></extra>",
    )  # fmt: skip


def singles(
    one: Layout,
    some: Sequence[Point],
    metric: str,
    colour: str,
    of: Callable[[Row], float | None] = lambda row: row.value,
) -> Trace:
    """Return a metric, or what `of` gives of its rows, in every single phase as rings."""
    keys = {point.key for point in some}
    known = [
        (key, value) for row in one.rows
        if row.metric == metric and (key := row.key) in keys and (value := of(row)) is not None
    ]  # fmt: skip
    return dots(
        [one.places[key] for key, _ in known], [value for _, value in known], colour, "ring",
        hovertemplate="a phase: %{y:.4g}<extra></extra>",
    )  # fmt: skip


def named(what: str, label: str) -> str:
    """Return a legend's text for a group."""
    return f"{what}, {label}" if label else what


def in_words(one: Layout, metric: str) -> str:
    """Return the medians of a metric in words, for readers who do not see the plot."""
    return "; ".join(
        f"{label}{': ' * bool(label)}{point.words}: "
        f"{significant(point.estimates[metric].median, 3)} {point.estimates[metric].unit}"
        for label, some in one.groups()
        for point in one.having(some, metric)
    )
