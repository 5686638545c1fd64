"""One host's run of an experiment, as a page that compares hosts needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.judging.estimates import Point, judged, points
from cgbench.judging.run import Run
from cgbench.reporting.plots.host_times import STAGES, Lane
from cgbench.reporting.plots.step_response import effect_times
from cgbench.reporting.words.changes import kinds
from cgbench.reporting.words.hosts import caveat, described
from cgbench.spec.experiment import Experiment

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


def side_of(run: Run, name: str) -> Side | None:
    """Return a host's side under a name, None where no value was measured."""
    record = run.record
    many = [point for point in points(run) if point.changed]
    if not many:
        return None
    by_trial = {trial.number: kinds(trial, record.experiment) for trial in run.finished}
    words = described(name, record.host)
    times = effect_times(run.rows, by_trial)
    several = len({kind.role for kind in times}) > 1
    stages = {metric: stage for metric, (stage, _) in zip(_METRICS, STAGES, strict=True)}
    lane = {
        f"{kind.role} {kind.short}" if several else kind.short:
            {stages[metric]: values for metric, values in found.items()}
        for kind, found in times.items()
    }  # fmt: skip
    return Side(name, words, caveat(record.host), run, tuple(many), Lane(words, lane))


def judged_by(sides: Sequence[Side]) -> str | None:
    """Return the metric by which the experiment judges; None where nothing is expected."""
    return judged(sides[0].experiment, [point for side in sides for point in side.points])
