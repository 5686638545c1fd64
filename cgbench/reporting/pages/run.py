"""The contents of one run's page, in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.errors import StoreError
from cgbench.judging.checks import Check, examine
from cgbench.judging.estimates import Point, judged, points
from cgbench.judging.own import FIGURES, SPIKE, own_metric
from cgbench.judging.run import Run
from cgbench.judging.summary import Entry
from cgbench.judging.unjudged import Unjudged, unjudged
from cgbench.records.run import PointKey, RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.reporting.plots import level, over_time, stalls, step_response, value_axis, values
from cgbench.reporting.plots.curves import Curves, curves
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words import headline
from cgbench.reporting.words.changes import kinds
from cgbench.reporting.words.run_facts import (
    Again,
    Facts,
    host_facts,
    how_to_run_again,
    measuring_facts,
    table_words,
)
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import judged_metric
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import option


@dataclass(frozen=True)
class Part:
    """A section of plots."""

    name: str
    title: str
    words: str
    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class RunPage:
    """One run's section of a report.

    `metric` is the one that it is judged by, and `shown` that of its table: where nothing is
    expected, what could be judged if something was. `told` are the points of its table, and
    `felt` the changes while a load was asking.
    """

    anchor: str
    record: RunRecord
    when: str
    sentences: tuple[str, ...]
    host: Facts
    checks: tuple[Check, ...]
    points: tuple[Point, ...]
    unjudged: tuple[Unjudged, ...]
    metric: str | None
    shown: str | None
    unit_words: str
    table_words: str
    told: tuple[Point, ...]
    felt: tuple[Point, ...]
    metrics: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    measured: Facts
    failed: tuple[TrialRecord, ...]
    again: Again
    summary: tuple[Entry, ...]

    @property
    def several_roles(self) -> bool:
        """Whether more than one container was measured."""
        return len({key.role for key in self._keys}) > 1

    @property
    def several_vias(self) -> bool:
        """Whether values were set in more than one way."""
        return len({key.via for key in self._keys}) > 1

    @property
    def _keys(self) -> list[PointKey]:
        return [*(one.key for one in self.points), *(one.key for one in self.unjudged)]

    @property
    def warnings(self) -> list[Check]:
        """The checks that are shown at once."""
        return [check for check in self.checks if check.severity == "warning"]

    @property
    def notes(self) -> list[Check]:
        """The checks that are folded."""
        return [check for check in self.checks if check.severity != "warning"]

    def to_json(self) -> dict[str, object]:
        """Return the run's figures as plain data."""
        return {
            "run": self.record.run,
            "experiment": self.record.experiment.name,
            "summary": [one.to_json() for one in self.summary],
        }

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {f"{self.anchor}-{plot.name}": plot for part in self.parts for plot in part.plots}


def run_page(run: Run, anchor: str, curve_points: int) -> RunPage:
    """Gather the section of one run; lines over time get about `curve_points` points."""
    # First, since rows that are not stored are computed on the way.
    drawn = curves(run, curve_points)
    if run.stored is None:
        # The next page need not compute them; a folder that cannot be written to is no error here.
        with contextlib.suppress(StoreError):
            run.keep_rows()
    record, many = run.record, points(run)
    metric = judged(record.experiment, many)
    measured = {name for point in many for name in point.estimates}
    usual = judged_metric(record.experiment, record.experiment.option, measured)
    shown = own_metric(record.experiment, measured) or metric or usual
    units = {name: one.unit for point in many for name, one in point.estimates.items()}
    unit = units.get(shown or "", "")
    return RunPage(
        anchor=anchor,
        record=record,
        when=record.started[:16].replace("T", " ") + " UTC",
        sentences=tuple(headline.sentences(run)),
        host=host_facts(record),
        checks=tuple(examine(run)),
        points=tuple(many),
        told=tuple(_told(record.experiment, many, shown)),
        unjudged=unjudged(run),
        metric=metric,
        shown=shown,
        unit_words=f", {unit}" if unit and unit != "bytes" else "",
        table_words=table_words(many, shown),
        felt=tuple(point for point in many if point.changed and SPIKE in point.estimates),
        metrics=tuple((name, units[name]) for name in METRICS if name in units),
        parts=tuple(_parts(run, many, metric, drawn)),
        measured=measuring_facts(record, run.trials),
        failed=tuple(run.failed),
        again=how_to_run_again(record),
        summary=run.summary,
    )


def _told(experiment: Experiment, many: Sequence[Point], shown: str | None) -> list[Point]:
    """Return the points of the table, without those of loads, of which nothing like it is known."""
    loads = {one.role for one in experiment.containers if one.drives is not None}
    return [point for point in many if point.role not in loads or shown in point.estimates]


# Plots


def _parts(run: Run, many: Sequence[Point], metric: str | None, drawn: Curves) -> list[Part]:
    if not many:
        return []
    record, rows, trials = run.record, run.rows, run.finished
    one = value_axis.layout(many, rows)
    times = step_response.effect_times(
        rows, {trial.number: kinds(trial, record.experiment) for trial in trials}
    )
    name, quantiles = record.experiment.option, stalls.stall_quantiles(one)
    parts: list[tuple[str, str, str, list[Plot | None]]] = [
        ("own", "How programs fare", "", _own(record.experiment, one)),
        ("against", "Expected against experienced", f"`--{name}`: {option(name).summary}.",
         [values.declared(one, metric), values.error(one, metric)]),
        ("throttling", "Throttled periods and throttled time", "", [*values.throttled(one)]),
        ("stalls", "Stalls", "", [quantiles, stalls.stall_distribution(
            one, drawn.stalls, wide=quantiles is not None and quantiles.wide)]),
        ("effect", "Time to effect", "", [step_response.effect(times)]),
        ("trial", "One trial", "", [_level(drawn, name), over_time.timeline(drawn.timeline)]),
        ("step", "One change, millisecond by millisecond", "",
         [step_response.step(step, f"step-{step.kind.direction}") for step in drawn.steps]),
        ("docker-stats", "`docker stats` against the truth", "",
         [over_time.docker_stats(drawn.timeline)]),
        ("work", "The host's speed", "", [over_time.work(rows, trials)]),
    ]  # fmt: skip
    return [
        Part(name, title, words, kept)
        for name, title, words, plots in parts
        if (kept := tuple(plot for plot in plots if plot is not None))
    ]


def _own(experiment: Experiment, one: value_axis.Layout) -> list[Plot | None]:
    """Return the plots of how an experiment's own programs fare."""
    if not experiment.programs:
        return []
    return [
        values.against_value(one, name, METRICS[name].unit, METRICS[name].description)
        for name in FIGURES
    ]


def _level(drawn: Curves, option: str) -> Plot | None:
    one = drawn.timeline
    if one is None:
        return None
    changes = [(t, kind.after) for t, kind in one.changes]
    return level.plot(drawn.levels, option, changes, one.trial)
