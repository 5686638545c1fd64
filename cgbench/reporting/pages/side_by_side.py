"""One experiment on several hosts: its values side by side, and the curves in one plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging.estimates import Point
from cgbench.judging.excuse import explained
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.judging.verdict import judge
from cgbench.records.agreement import Identity, identity
from cgbench.reporting.pages.side import Side, judged_by, side_of
from cgbench.reporting.pages.side_by_side_plots import figures
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words.truth_cells import listed
from cgbench.wording import capitalised, count, milliseconds, percent_bound

# These are summarised by their errors in percent; other metrics by their verdicts.
_SHARES_OF_CPU = ("cpus_used", "cpu_share_pct")


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
        if len(latest) < 2:
            continue
        sides = [
            side for key, run in latest.items()
            if (side := side_of(run, names[key])) is not None
        ]  # fmt: skip
        if len(sides) > 1:
            found.append(_comparison(f"compared-{number}", sides, len(some) - len(latest)))
    return found


def _comparison(anchor: str, sides: Sequence[Side], left_out: int) -> SideBySide:
    first = sides[0].experiment
    metric = judged_by(sides)
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
        figures=tuple(figures(sides)),
        caveats=tuple(f"{side.name}: {side.caveat}" for side in sides if side.caveat),
        left_out=left_out,
    )


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
    one = point.estimate(metric)
    known_cause = None if held or one is None else explained(side.run, point.key, metric, one)
    return _Worst(side.name, error, point, held, known_cause)


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
