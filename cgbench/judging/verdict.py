"""Per option: does what Docker declared hold in the kernel, and does the workload feel it?

Judged from a run's files alone. Nothing here knows how any option behaves anywhere: the experiment
says what should happen and how far from it is too far, the rows say what did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging import checks
from cgbench.judging.run import Run
from cgbench.judging.summary import Entry
from cgbench.records.run import PointKey, Row, RunRecord
from cgbench.records.trial import Phase
from cgbench.records.verdict import Declared, Enforced, Outcome, Point, TimeToEffect, Verdict
from cgbench.spec.conversions import conversion
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import judged_metric
from cgbench.spec.metrics import METRICS
from cgbench.spec.option import CPU_WEIGHT
from cgbench.spec.options import option
from cgbench.units import format_size
from cgbench.wording import count, quantity

RESPONSE_WANTED = 0.25
"""A workload whose metric moves by less than this part of what it should has not noticed."""

_DISTURBANCES = (*checks.DISTURBANCES, "emulated CPU")


@dataclass(frozen=True)
class _Evidence:
    """What one run says of one option: its phases by way of setting, its figures, its doubts.

    Only updates are judged: what `docker run` leaves is compared with them apart.
    """

    run: RunRecord
    option: str
    phases: Sequence[Phase]
    control: Sequence[Phase]
    rows: Sequence[Row]
    entries: Mapping[tuple[PointKey, str], Entry]
    metric: str | None
    doubt: str | None

    @property
    def accepted(self) -> list[Phase]:
        return [phase for phase in self.phases if phase.change.error is None]


def judge(run: Run, option: str) -> Verdict:
    """Return the verdict on one option of the run's experiment.

    An option is inconclusive where nothing was measured, or where what was measured lies outside
    the band while the host was disturbed.
    """
    evidence = _evidence(run, option)
    experiment = evidence.run.experiment
    points = tuple(_points(evidence))
    outcome, reason = _decide(evidence, points)
    if converted := _conversion(evidence):
        reason += f"; {CPU_WEIGHT} shows which conversion of shares the runtime has: {converted}"
    return Verdict(
        option=option,
        verdict=outcome,
        reason=reason,
        advice=None if outcome is Outcome.EFFECTIVE else _advice(experiment, outcome),
        declared=_declared(evidence),
        enforced=_enforced(evidence),
        experienced=points,
        control=_control(evidence),
        time_to_effect_ms=_time_to_effect(evidence),
        evidence=(evidence.run.run,),
    )


def _conversion(evidence: _Evidence) -> str | None:
    """Say how shares became weights, if they did: a formula that rounds or bends alters ratios."""
    told = {
        conversion(int(phase.settings[evidence.option]), file.after)
        for phase in evidence.accepted
        for file in phase.change.files
        if file.file == CPU_WEIGHT and evidence.option in phase.settings
    }
    return next(iter(sorted(one for one in told if one is not None)), None)


def unsupported(experiment: Experiment, option: str, reason: str) -> Verdict:
    """Return the verdict on an option whose experiment this host cannot run."""
    return Verdict(
        option=option,
        verdict=Outcome.UNSUPPORTED,
        reason=f"{reason}, so nothing was tried",
        advice=_advice(experiment, Outcome.UNSUPPORTED),
        declared=Declared(accepted=0, refused=(), warnings=()),
        enforced={},
        experienced=(),
        control=None,
        time_to_effect_ms=TimeToEffect(answer=None, enforced=None, experienced=None),
        evidence=(),
    )


def _evidence(run: Run, option: str) -> _Evidence:
    phases = [
        phase
        for trial in run.finished
        for phase in trial.phases
        if phase.option == option and not phase.prepares
    ]
    entries = {(one.key, one.metric): one for one in run.summary if one.key.option == option}
    metric = judged_metric(run.record.experiment, option, {name for _key, name in entries})
    return _Evidence(
        run=run.record,
        option=option,
        phases=[phase for phase in phases if phase.change.via == "update"],
        control=[phase for phase in phases if phase.change.via == "cgroupfs"],
        rows=[row for row in run.rows if row.option == option],
        entries=entries,
        metric=metric,
        doubt=None if metric is None else doubt(run, metric),
    )


def _decide(evidence: _Evidence, points: Sequence[Point]) -> tuple[Outcome, str]:
    if not evidence.phases:
        return Outcome.INCONCLUSIVE, "no trial came to this option"
    refusals = [phase.change.error for phase in evidence.phases if phase.change.error is not None]
    if not evidence.accepted:
        return Outcome.REJECTED, f"{count(len(refusals), 'update')} refused: {refusals[0]}"
    without_effect = _nowhere(evidence, points) or _never_in_force(evidence)
    if without_effect is not None:
        return without_effect
    reverted = _reverted(evidence)
    if reverted is not None:
        return Outcome.REVERTED, reverted
    telling = [point for point in points if point.within is not None]
    if not telling:
        return _unfelt(evidence)
    return _felt(evidence, telling)


def _nowhere(evidence: _Evidence, points: Sequence[Point]) -> tuple[Outcome, str] | None:
    """Say that the kernel has no interface file where an accepted value could be, None if it has.

    Options that no kernel has a file for are Docker's own to obey, and felt if at all.
    """
    one = option(evidence.option)
    felt = any(point.within is not None for point in points)
    if felt or not one.in_kernel or any(phase.change.files for phase in evidence.accepted):
        return None
    warned = sorted({text for phase in evidence.accepted for text in phase.change.warnings})
    nowhere = "this kernel has no interface file for it"
    if warned:
        return Outcome.DISCARDED, f"accepted with the warning {warned[0]!r}; {nowhere}"
    return Outcome.IGNORED, f"{count(len(evidence.accepted), 'update')} answered ok; {nowhere}"


def _never_in_force(evidence: _Evidence) -> tuple[Outcome, str] | None:
    """Say that no accepted update ever reached the kernel, None if one did."""
    files = [
        (phase, file)
        for phase in evidence.accepted
        for file in phase.change.files
        if file.expected is not None
    ]
    asked = [(phase, file) for phase, file in files if file.before != file.expected]
    if not files or not asked or any(file.after != file.before for _phase, file in asked):
        return None
    phase, file = asked[-1]
    what = f"{file.file} stayed {file.after} where {phase.label} should give {file.expected}"
    warned = sorted({text for phase in evidence.accepted for text in phase.change.warnings})
    if warned:
        return Outcome.DISCARDED, f"accepted with the warning {warned[0]!r}; {what}"
    answered = count(len(evidence.accepted), "update")
    return Outcome.IGNORED, f"{answered} answered ok; {what}"


def _reverted(evidence: _Evidence) -> str | None:
    for phase in evidence.accepted:
        for file in phase.change.files:
            if file.held is not None and file.held != file.after and file.after == file.expected:
                return (
                    f"{file.file} took {file.after} for {phase.label}, "
                    f"and held {file.held} when the phase ended"
                )
    return None


def _unfelt(evidence: _Evidence) -> tuple[Outcome, str]:
    """Judge by the interface file alone, where the workload can say nothing."""
    wrong = _wrong_files(evidence)
    if wrong:
        return Outcome.IMPRECISE, wrong[0]
    needs = [name for name, met in evidence.run.preconditions.items() if not met]
    if needs:
        return (
            Outcome.UNSUPPORTED,
            f"the file is set as asked, and there is nothing to feel: this host lacks {needs[0]}",
        )
    return Outcome.INCONCLUSIVE, "the file is set as asked, and no workload could tell"


def _wrong_files(evidence: _Evidence) -> list[str]:
    return [
        f"{file.file} held {file.after} where {phase.label} should give {file.expected}"
        for phase in evidence.accepted
        for file in phase.change.files
        if file.expected is not None and file.after != file.expected
    ]


def _felt(evidence: _Evidence, points: Sequence[Point]) -> tuple[Outcome, str]:
    """Judge by what the workload felt."""
    astray = [point for point in points if not point.within]
    worst = max(astray or points, key=_distance)
    if _response(points) < RESPONSE_WANTED:
        values = [point.value for point in points]
        return (
            Outcome.INEFFECTIVE,
            f"the file was set each time, and {worst.metric} stayed between "
            f"{quantity(min(values), worst.unit)} and {quantity(max(values), worst.unit)}",
        )
    wrong = _wrong_files(evidence)
    told = _told(worst)
    if astray and evidence.doubt is not None:
        return Outcome.INCONCLUSIVE, f"{told}, but {evidence.doubt}"
    if astray:
        return (
            Outcome.IMPRECISE,
            f"{len(astray)} of {len(points)} values lie outside the band; the worst: {told}",
        )
    if wrong:
        return Outcome.IMPRECISE, f"the workload felt it, but {wrong[0]}"
    return Outcome.EFFECTIVE, f"{len(points)} of {len(points)} values held; the worst: {told}"


def doubt(run: Run, metric: str) -> str | None:
    """Return what besides the limit may have moved a metric out of its band, None if nothing."""
    if not METRICS[metric].taken_away:
        return None
    found = {
        check.name: check.reason for check in checks.examine(run) if check.name in _DISTURBANCES
    }
    # Time that is taken from an emulator is charged to whatever ran in it, and its ticks come late:
    # with the host beneath at a load of 5, quotas were missed by -50 to +39 %, in quiet by 1 %.
    unseen = found.pop("emulated CPU", None)
    return next(iter(found.values()), unseen)


def _told(point: Point) -> str:
    off = "" if point.error_pct is None else f" ({point.error_pct:+.2f} %)"
    expected = point.expected or 0.0
    if point.unit == "bytes":
        figures = f"{format_size(point.value)} of {format_size(expected)}"
    else:
        figures = f"{point.value:.5g} {point.unit} of {expected:.5g}"
    return f"at {point.label}, {point.metric} was {figures}{off}"


def _distance(point: Point) -> float:
    if point.error_pct is not None:
        return abs(point.error_pct)
    return abs(point.value - (point.expected or 0.0))


def _response(points: Sequence[Point]) -> float:
    """Return how much of the expected movement the metric made; 1 where none was expected."""
    wanted = [point.expected for point in points if point.expected is not None]
    asked = max(wanted) - min(wanted)
    if asked <= 0:
        return 1.0
    low = min(points, key=lambda point: point.expected or 0.0)
    high = max(points, key=lambda point: point.expected or 0.0)
    return (high.value - low.value) / asked


def _points(evidence: _Evidence) -> Iterable[Point]:
    """Yield one point per value of each container: the judged metric's median over trials."""
    updated = {phase.point() for phase in evidence.accepted}
    for (key, name), entry in evidence.entries.items():
        if name != evidence.metric or key not in updated:
            continue
        one = entry.estimate
        yield Point(
            requested=key.requested,
            note=key.note,
            role=key.role,
            metric=name,
            unit=one.unit,
            expected=one.expected,
            value=one.median,
            error_pct=one.error_pct,
            tolerance=one.tolerance,
            within=one.within,
        )


def _declared(evidence: _Evidence) -> Declared:
    changes = [phase.change for phase in evidence.phases]
    return Declared(
        accepted=len(evidence.accepted),
        refused=tuple(dict.fromkeys(one.error for one in changes if one.error is not None)),
        warnings=tuple(dict.fromkeys(text for one in changes for text in one.warnings)),
    )


def _enforced(evidence: _Evidence) -> dict[str, Enforced]:
    found = {}
    for phase in evidence.accepted:
        for file in phase.change.files:
            found[file.file] = Enforced(
                before=file.before, after=file.after, expected=file.expected
            )
    return found


def _control(evidence: _Evidence) -> str | None:
    """Say what the kernel and the workload did with the last value written past Docker."""
    if not evidence.control:
        return None
    phase = evidence.control[-1]
    if phase.change.error is not None:
        return f"written past Docker: {phase.change.error}"
    metric = evidence.metric
    felt = None if metric is None else evidence.entries.get((phase.point(), metric))
    for file in phase.change.files:
        told = f"written past Docker: {file.file} got {file.expected}"
        if file.after != file.expected:
            return f"{told}, and the kernel held {file.after}"
        if felt is None or felt.estimate.expected is None:
            return f"{told}, and the kernel kept it"
        one = felt.estimate
        return (
            f"{told}, the kernel kept it, and {metric} was {one.median:.4g} {one.unit} "
            f"of {one.expected:.4g}"
        )
    return None


def _time_to_effect(evidence: _Evidence) -> TimeToEffect:
    def middle(metric: str) -> float | None:
        values = [row.value for row in evidence.rows if row.metric == metric]
        return median(values) if values else None

    enforced = middle("file_ms")
    return TimeToEffect(
        answer=middle("answer_ms"),
        enforced=enforced,
        # A file that nobody saw change cannot have been felt.
        experienced=None if enforced is None else middle("settle_ms"),
    )


def _advice(experiment: Experiment, outcome: Outcome) -> str:
    own = experiment.verify.advice if experiment.verify else None
    if own is not None:
        return own
    return {
        Outcome.IMPRECISE: "Leave a margin, or measure your own value with `cgbench run`.",
        Outcome.INEFFECTIVE: "Do not rely on it here; the file alone proves nothing.",
        Outcome.IGNORED: "Set it with `docker run`, and read the file back.",
        Outcome.DISCARDED: "Do not rely on it: Docker says itself that it dropped it.",
        Outcome.REJECTED: "Read the daemon's message; set it with `docker run` if it takes it.",
        Outcome.REVERTED: "Set it again after every other update, and read the file back.",
        Outcome.UNSUPPORTED: "Use a host that meets the precondition.",
        Outcome.INCONCLUSIVE: "Measure again on a quiet host.",
    }.get(outcome, "")
