"""One experiment on several hosts: its values side by side, and the curves in one plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from cgbench.judging.checks import doubt
from cgbench.judging.estimates import Point, judged, points
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.judging.verdict import judge
from cgbench.records.agreement import Identity, identity
from cgbench.records.run import PointKey, Row
from cgbench.reporting.plots import value_axis
from cgbench.reporting.plots import values as value_plots
from cgbench.reporting.plots.host_times import STAGES, Lane, host_times
from cgbench.reporting.plots.plot import GROUPS, Plot, Trace
from cgbench.reporting.plots.step_response import effect_times
from cgbench.reporting.plots.value_axis import Layout
from cgbench.reporting.words import truth_cells
from cgbench.reporting.words.changes import kinds
from cgbench.reporting.words.hosts import caveat, described
from cgbench.reporting.words.truth_cells import listed
from cgbench.spec.experiment import Experiment
from cgbench.wording import capitalised, count, milliseconds, percent_bound, quantity

# Of the marks of the first, second, ... host.
_SIZES = (13, 9, 6, 4)
# These are summarised by their errors in percent; other metrics by their verdicts.
_SHARES_OF_CPU = ("cpus_used", "cpu_share_pct")
_METRICS = ("answer_ms", "file_ms", "settle_ms")


@dataclass(frozen=True)
class Side:
    """One host's run of the experiment: `name` is the host's on this page.

    `points` are those of the container whose option was changed.
    """

    name: str
    words: str
    caveat: str | None
    run: Run
    points: tuple[Point, ...]
    lane: Lane

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was run there."""
        return self.run.record.experiment

    @property
    def updated(self) -> list[Point]:
        """The points that were set by updates, which alone are judged; all if there are none."""
        return [point for point in self.points if point.via == "update"] or list(self.points)

    def values(self, metric: str) -> list[float]:
        """Return a metric in every phase in which it was measured."""
        return [row.value for row in self.run.rows if row.metric == metric]


@dataclass(frozen=True)
class Line:
    """One requested value: an estimate of the judged metric per side, None where there is none.

    `differs` says that it was held on some hosts and not on others.
    """

    words: str
    raw: str
    estimates: tuple[Estimate | None, ...]
    differs: bool


@dataclass(frozen=True)
class SideBySide:
    """Everything that the page says of one experiment on several hosts."""

    anchor: str
    experiment: str
    question: str
    headline: str
    findings: tuple[str, ...]
    sides: tuple[Side, ...]
    lines: tuple[Line, ...]
    unit: str
    figures: tuple[Plot, ...]
    caveats: tuple[str, ...]
    left_out: int

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {f"{self.anchor}-{plot.name}": plot for plot in self.figures}


def on_several_hosts(runs: Sequence[Run], names: Mapping[Identity, str]) -> list[SideBySide]:
    """Return a comparison for each experiment that several hosts have run.

    `names` are those of the hosts by `agreement.identity`. Of several runs on one host the last
    is taken.
    """
    by: dict[str, list[Run]] = {}
    for run in runs:
        by.setdefault(run.record.experiment.name, []).append(run)
    found = []
    for number, some in enumerate(by.values(), 1):
        latest = {identity(run.record.host): run for run in some}
        sides = [
            side for key, run in latest.items()
            if (side := _side(run, names[key])) is not None
        ]  # fmt: skip
        if len(sides) > 1:
            found.append(_comparison(f"compared-{number}", sides, len(some) - len(latest)))
    return found


def _side(run: Run, name: str) -> Side | None:
    record = run.record
    many = [point for point in points(run) if point.changed]
    if not many:
        return None
    by_trial = {trial.number: kinds(trial, record.experiment) for trial in run.finished}
    words = described(name, record.host)
    times = effect_times(run.rows, by_trial)
    several = len({kind.role for kind in times}) > 1
    stages = {metric: words for metric, (words, _) in zip(_METRICS, STAGES, strict=True)}
    lane = {
        f"{kind.role} {kind.short}" if several else kind.short:
            {stages[metric]: values for metric, values in found.items()}
        for kind, found in times.items()
    }  # fmt: skip
    return Side(name, words, caveat(record.host), run, tuple(many), Lane(words, lane))


def _comparison(anchor: str, sides: Sequence[Side], left_out: int) -> SideBySide:
    first = sides[0].experiment
    metric = _metric(sides)
    lines = _lines(sides, metric)
    unit = next((one.unit for line in lines for one in line.estimates if one is not None), "")
    return SideBySide(
        anchor=anchor,
        experiment=first.name,
        question=f"{first.title}. {first.question}",
        headline=_headline(sides, metric),
        findings=tuple(_finding(side, metric) for side in sides),
        sides=tuple(sides),
        lines=tuple(lines),
        unit=unit,
        figures=tuple(_figures(sides)),
        caveats=tuple(f"{side.name}: {side.caveat}" for side in sides if side.caveat),
        left_out=left_out,
    )


def _metric(sides: Sequence[Side]) -> str | None:
    """Return the metric by which the experiment judges; None where nothing is expected."""
    return judged(sides[0].experiment, [point for side in sides for point in side.points])


def _lines(sides: Sequence[Side], metric: str | None) -> list[Line]:
    several = len({point.role for side in sides for point in side.points}) > 1
    by_side = [{point.key: point for point in side.points} for side in sides]
    lines = []
    for key in dict.fromkeys(key for side in by_side for key in side):
        here = [side.get(key) for side in by_side]
        point = next(one for one in here if one is not None)
        estimates = tuple(None if one is None else one.estimate(metric) for one in here)
        held = {one.within for one in estimates if one is not None and one.within is not None}
        via = "" if point.via == "update" else f" by {point.via}"
        words = f"{point.words}{via}{f', {point.role}' if several else ''}"
        if any(one is not None for one in estimates):
            lines.append(Line(words, point.raw, estimates, len(held) > 1))
    return lines


@dataclass(frozen=True)
class _Worst:
    """The value of one host that is farthest from the declared one, in percent.

    `held` says that all values are inside their bands.
    """

    host: str
    error_pct: float
    point: Point
    held: bool
    doubt: str | None

    @property
    def words(self) -> str:
        """How far the host's values lie from the declared ones."""
        if self.held:
            return f"on {self.host} within {percent_bound(self.error_pct)}"
        found = f"on {self.host} off by {percent_bound(self.error_pct)} at {self.point.place}"
        return found if self.doubt is None else f"{found}, which is inconclusive ({self.doubt})"


def _worst(side: Side, metric: str | None) -> _Worst | None:
    known = [
        (one.within is not False, abs(one.error_pct), point)
        for point in side.updated
        if (one := point.estimate(metric)) is not None and one.error_pct is not None
    ]
    if not known or metric is None:
        return None
    held, error, point = min(known, key=lambda entry: (entry[0], -entry[1]))
    return _Worst(side.name, error, point, held, None if held else doubt(side.run, metric))


def _headline(sides: Sequence[Side], metric: str | None) -> str:
    """Say how well each host meets the declared limits, in percent or by its verdict."""
    name, verify = sides[0].experiment.option, sides[0].experiment.verify
    if verify is not None and metric not in _SHARES_OF_CPU:
        verdicts = [(side.name, judge(side.run, name).verdict.value) for side in sides]
        if len({outcome for _, outcome in verdicts}) == 1:
            return f"`--{name}` is {verdicts[0][1]} on {listed([host for host, _ in verdicts])}."
        return f"`--{name}` is {listed([f'{outcome} on {host}' for host, outcome in verdicts])}."
    worst = [found for side in sides if (found := _worst(side, metric)) is not None]
    if not worst:
        return f"Nothing is expected of the workload, so no figure judges `--{name}`."
    by_host = "; ".join(one.words for one in worst)
    failing = [one for one in worst if not one.held]
    if not failing:
        return f"`--{name}` holds on {count(len(worst), 'host')}: {by_host}."
    if len(failing) == len(worst):
        return f"`--{name}` leaves its band on every host: {by_host}."
    return f"`--{name}` does not hold on every host: {by_host}."


def _finding(side: Side, metric: str | None) -> str:
    """Say how soon a change takes hold on one host, and the reason for its verdict."""
    answered, settled = side.values("answer_ms"), side.values("settle_ms")
    times = [f"Docker answers after {milliseconds(median(answered))}"] if answered else []
    if settled:
        times.append(f"a change takes hold in {milliseconds(median(settled))}")
    clauses = [", ".join(times)] if times else ["no change was answered"]
    verify = side.experiment.verify
    if verify is not None and metric not in _SHARES_OF_CPU:
        clauses.append(judge(side.run, side.experiment.option).reason.rstrip("."))
    return f"{side.words}: {'. '.join(capitalised(clause) for clause in clauses)}."


# Plots


def _figures(sides: Sequence[Side]) -> list[Plot]:
    one, metric = _merged(sides), _metric(sides)
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
