"""Verdict, headline, table, plot, terminal and gate say the same of the same value.

A run of every built-in experiment is made whose values all lie just inside their bands, or just
outside on one side. Its rows are as they would be stored: what is tested is how they are judged.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cgbench.judging import verdict
from cgbench.judging.comparison import compare
from cgbench.judging.estimates import Point, judged, points
from cgbench.judging.run import Run
from cgbench.judging.sides import of_run
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Judgement
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Change, ContainerRecord, Ending, FileChange, Phase, TrialRecord
from cgbench.records.verdict import Outcome
from cgbench.reporting import render
from cgbench.reporting.pages import run as run_pages
from cgbench.reporting.plots import value_axis, values
from cgbench.reporting.plots.curves import Curves
from cgbench.reporting.plots.plot import Trace
from cgbench.reporting.words import headline
from cgbench.spec import experiment_file
from cgbench.spec.band import Conditions
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import band, candidates
from cgbench.spec.metric import Metric, tolerance
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import option
from cgbench.spec.schedule import PlannedStep, TrialPlan, planned
from cgbench.units import NS_PER_MS
from tests.made import records

pytestmark = pytest.mark.usefixtures("no_library", "no_curves")

SAMPLES = 2001
EXPECTED = {
    "CPUs": 0.1, "%": 10.0, "bytes": 2.0**26, "bytes/s": 2.0**22, "tasks": 12.0, "restarts": 1.0,
    "ms": 0.0,
}  # fmt: skip
"""What is expected of the first value by unit; of each further one as much more."""


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing over time: runs here have rows, and no samples."""
    nothing = Curves(timeline=None, levels=(), steps=(), stalls={})
    monkeypatch.setattr(run_pages, "curves", lambda run, points: nothing)


loaded_once = functools.cache(experiment_file.load)


@dataclass(frozen=True)
class Case:
    """One metric of one experiment: `off` is where values lie, in widths of the band.

    `short` says that other load took CPU time away, or that growth was not ended by the kernel.
    """

    experiment: str
    metric: str
    off: float
    short: bool

    @property
    def within(self) -> bool | None:
        """What must be said of every value."""
        shows = METRICS[self.metric].shows
        if abs(self.off) <= 1:
            return True
        if self.off > 1:
            return shows == "floor"
        return None if shows == "ceiling" and self.short else False

    @property
    def excused(self) -> bool:
        """Whether something other than the limit may have moved values: down, and never up."""
        return self.short and METRICS[self.metric].taken_away and self.off < 0


def cases() -> Iterator[Case]:
    """Yield every case of every built-in experiment."""
    for name in experiment_file.builtin_names():
        loaded = loaded_once(name)
        for metric in candidates(loaded, loaded.option):
            exactly = METRICS[metric].band == type(METRICS[metric].band)()
            # No CPU time off a set can be missing.
            for off in (0.0, 1.01) if EXPECTED[METRICS[metric].unit] == 0 else OFFS:
                if abs(off) == 0.99 if exactly else off == 0:
                    continue
                matters = METRICS[metric].taken_away or METRICS[metric].shows == "ceiling"
                for short in (False, True) if matters else (False,):
                    yield Case(name, metric, off, short)


OFFS = (-1.01, -0.99, 0.0, 0.99, 1.01)


def named(case: Case) -> str:
    """Return what pytest calls a case."""
    return f"{case.experiment}-{case.metric}-{case.off:g}{'-short' * case.short}"


def build(case: Case, trials: int = 2) -> Run:
    """Make a run whose updated containers show the metric that far from what is expected."""
    loaded = loaded_once(case.experiment)
    shaped = loaded.model_copy(update={"trials": trials})
    walks = planned(shaped, records.HOST.cpus, 7)
    record = records.run(experiment=shaped, trials_planned=len(walks))
    walked = tuple(_trial(plan, shaped, case) for plan in walks)
    made = Run(RunDirectory(Path("in-memory", records.RUN)), record, walked)
    vars(made)["every_row"] = tuple(row for trial in walked for row in _rows(trial, shaped, case))
    return made


def _trial(plan: TrialPlan, shaped: Experiment, case: Case) -> TrialRecord:
    other_s = 4.0 if case.short else 0.0
    kept = records.trial(plan.number)
    assert kept.harness is not None
    return kept.model_copy(
        update={
            "repetition": plan.repetition,
            "walk": plan.walk,
            "containers": tuple(
                ContainerRecord(role=one.role, container_id="0" * 64, sources={},
                                workload=one.workload, workers=one.workers)
                for one in shaped.containers
            ),
            "phases": tuple(
                _phase(number, step, case) for number, step in enumerate(plan.steps, 1)
            ),
            "harness": kept.harness.model_copy(update={"other_cpu_s": other_s}),
        }
    )  # fmt: skip


def _phase(number: int, step: PlannedStep, case: Case) -> Phase:
    begin = number * 1_000 * NS_PER_MS
    files = FileChange(file="a.file", before="-1", after=step.requested, expected=step.requested)
    change = Change(requested=step.requested, note=step.note, settings=step.settings, via=step.via,
                    t_request_ns=begin, t_answer_ns=begin, files=(files,))  # fmt: skip
    end = begin + 900 * NS_PER_MS
    ended = Ending(role=step.role, t_ns=end, exit_code=137, oom_killed=True, reason="killed")
    return Phase(
        number=number, role=step.role, option=step.option, change=change, settings=step.settings,
        t_end_ns=end, ending=None if case.short else ended, prepares=step.prepares,
    )  # fmt: skip


def _rows(trial: TrialRecord, shaped: Experiment, case: Case) -> Iterator[Row]:
    """Yield the judged metric of each phase's own container; each value expects something else."""
    metric, places = METRICS[case.metric], _places(shaped.name)
    for phase in trial.phases:
        if phase.prepares or phase.option != shaped.option:
            continue
        expected = EXPECTED[metric.unit] * (1 + places[phase.requested, phase.change.note])
        value = expected + _distance(metric, case, shaped, phase, expected)
        yield Row(
            experiment=shaped.name, trial=trial.number, phase=phase.number, role=phase.role,
            option=phase.option, via=phase.change.via, requested=phase.requested,
            note=phase.change.note, effective=phase.effective, metric=metric.name,
            unit=metric.unit, expected=expected, value=value,
            error_pct=100 * (value / expected - 1) if expected else None, n_samples=SAMPLES,
        )  # fmt: skip


@functools.cache
def _places(name: str) -> dict[tuple[str, str | None], int]:
    """Number the values of an experiment."""
    steps = [
        step for plan in planned(loaded_once(name), records.HOST.cpus, 7) for step in plan.steps
    ]
    return {
        value: number
        for number, value in enumerate(dict.fromkeys((one.requested, one.note) for one in steps))
    }


def _distance(
    metric: Metric, case: Case, shaped: Experiment, phase: Phase, expected: float
) -> float:
    workers = {one.role: one.workers for one in shaped.containers}
    host, sampler = records.HOST, records.trial().sampler
    assert sampler is not None
    under = Conditions(
        workers=workers[phase.role], cpus=host.cpus, timer_hz=host.timer_hz,
        page_bytes=host.page_bytes, window_s=(SAMPLES - 1) / sampler.achieved_hz,
    )  # fmt: skip
    allowed = tolerance(metric, band(shaped, phase.option, metric.name), expected, under)
    assert allowed is not None
    width = allowed.below if case.off < 0 else allowed.above
    # Where a band is exact, the least that can be off is one.
    return case.off * width if width else float(round(case.off))


def updated(many: Sequence[Point]) -> list[Point]:
    """Return the points that a verdict rests on."""
    return [point for point in many if point.via in option(point.option).judged_ways]


@pytest.mark.parametrize("case", list(cases()), ids=named)
def test_all_say_the_same_of_a_value(case: Case, tmp_path: Path) -> None:
    run = build(case)
    experiment, many = run.record.experiment, points(run)
    assert judged(experiment, many) == case.metric

    estimates = [point.estimates[case.metric] for point in many]
    assert {one.within for one in estimates} == {case.within}

    found = verdict.judge(run, experiment.option)
    assert {point.within for point in found.experienced} == {case.within}
    assert [(point.tolerance, point.tolerance_above) for point in found.experienced] == [
        (allowed.below, allowed.above)
        for point in updated(many)
        if (allowed := point.estimates[case.metric].tolerance)
    ]
    assert found.verdict is _outcome(case)

    _headline_agrees(case, run, found.verdict)
    _plots_agree(case, run, many)
    _table_agrees(case, run, many, tmp_path / "page.html")


def _outcome(case: Case) -> Outcome:
    if case.within:
        return Outcome.EFFECTIVE
    if case.within is None or case.excused:
        return Outcome.INCONCLUSIVE
    # A restart or a task more, or anything off a set, is not nearly right.
    exactly = case.metric in (
        "restarts", "tasks_max", "off_mask_cpu_ms", "off_mask_pct", "off_nodes_bytes"
    )  # fmt: skip
    return Outcome.WRONG if exactly else Outcome.IMPRECISE


def _headline_agrees(case: Case, run: Run, outcome: Outcome) -> None:
    first = headline.sentences(run)[0]
    if run.record.experiment.verify is None or case.metric in ("cpus_used", "cpu_share_pct"):
        held = bool(re.search(r"` held within|The same throughput", first))
        assert held == (case.within is True), first
        assert ("inconclusive" in first) == (outcome is Outcome.INCONCLUSIVE), first
    else:
        assert f"is {outcome.value}" in first


def _plots_agree(case: Case, run: Run, many: Sequence[Point]) -> None:
    one = value_axis.layout(many, run.rows)
    plot, declared = values.error(one, case.metric), values.declared(one, case.metric)
    assert declared is not None
    assert ("leaves the expected line" in declared.title) == (
        case.within is False and plot is not None
    )
    if plot is None:
        assert all(not point.estimates[case.metric].expected for point in many)
        return
    assert ("outside the band" in plot.title) == (case.within is False)
    bands, *traces = plot.data
    widths = bands["error_y"]
    inside = {
        -low <= error <= high
        for low, high, error in zip(
            widths["arrayminus"], widths["array"], _medians(traces), strict=True
        )
    }
    # A ceiling that was not reached lies below its band, and is not judged.
    assert inside == {case.within is True}


def _medians(traces: Sequence[Trace]) -> list[float]:
    return [
        error for trace in traces if trace["marker"]["symbol"] != "circle-open"
        for error in trace["y"]
    ]  # fmt: skip


def _table_agrees(case: Case, run: Run, many: Sequence[Point], output: Path) -> None:
    page = render.write([run], output).read_text()
    rows = re.findall(r"<tr data-role=.*?</tr>", page, flags=re.DOTALL)
    assert len(rows) == len(many)
    assert {"not held" in row for row in rows} == {case.within is False}


GATED = {
    (case.metric, case.off): case for case in cases() if abs(case.off) != 0.99 and not case.short
}.values()
"""One experiment for each metric: a gate compares numbers, whatever they were measured for."""


@functools.cache
def _exact(experiment: str, metric: str) -> Baseline:
    """Return the side of a run whose values are all as expected."""
    return of_run(build(Case(experiment, metric, 0.0, short=False), 6), "exact", [metric])


@pytest.mark.parametrize("case", list(GATED), ids=named)
def test_the_gate_calls_nothing_better_that_left_its_band_or_worse_that_came_back(
    case: Case,
) -> None:
    before = _exact(case.experiment, case.metric)
    after = of_run(build(case, 6), "other", [case.metric])
    away = {one.judgement for one in compare(before, after).findings}
    back = {one.judgement for one in compare(after, before).findings}
    if case.off == 0:
        assert away == back == {Judgement.UNCHANGED}
    else:
        assert Judgement.IMPROVED not in away
        assert Judgement.REGRESSED not in back


def test_every_option_with_a_metric_of_its_own_is_walked() -> None:
    walked = {loaded_once(case.experiment).option for case in cases()}
    assert {name for name in walked if option(name)} >= {
        "cpus", "cpu-quota", "cpu-period", "cpu-shares", "cpuset-cpus", "memory", "memory-swap",
        "memory-reservation", "blkio-weight", "pids-limit", "restart",
    }  # fmt: skip
