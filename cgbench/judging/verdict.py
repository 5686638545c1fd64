"""Per option: does the kernel hold what Docker declared, and does the workload show the effect?

Judged from a run's files alone. Nothing here knows how an option behaves on any host: the
experiment declares what should happen and the band around it, the rows show what did happen.
"""

from __future__ import annotations

from collections.abc import Sequence

from cgbench.judging.evidence import Evidence, gather
from cgbench.judging.run import Run
from cgbench.records.verdict import Declared, Outcome, Point, TimeToEffect, Verdict
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import CPU_WEIGHT
from cgbench.spec.options import option
from cgbench.units import format_size
from cgbench.wording import count, quantity

RESPONSE_WANTED = 0.25
"""A metric that moves by less than this part of the expected change shows no effect."""


def judge(run: Run, option: str) -> Verdict:
    """Return the verdict on one option of the run's experiment.

    An option is inconclusive where nothing was measured, or where what was measured lies outside
    the band while the host was disturbed.
    """
    evidence = gather(run, option)
    experiment, points = run.record.experiment, evidence.points()
    outcome, reason = _decide(evidence, points)
    if converted := evidence.conversion():
        reason += f"; {CPU_WEIGHT} shows which conversion of shares the runtime has: {converted}"
    return Verdict(
        option=option,
        verdict=outcome,
        reason=reason,
        advice=None if outcome is Outcome.EFFECTIVE else _advice(experiment, outcome),
        declared=evidence.declared(),
        enforced=evidence.enforced(),
        experienced=points,
        control=evidence.control(),
        time_to_effect_ms=evidence.time_to_effect(),
        evidence=(run.record.run,),
    )


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


def _decide(evidence: Evidence, points: Sequence[Point]) -> tuple[Outcome, str]:
    if not evidence.updates:
        return Outcome.INCONCLUSIVE, "no trial reached this option"
    refusals = [phase.change.error for phase in evidence.updates if phase.change.error is not None]
    if not evidence.accepted:
        return Outcome.REJECTED, f"{count(len(refusals), 'update')} refused: {refusals[0]}"
    without_effect = _nowhere(evidence, points) or _never_in_force(evidence)
    if without_effect is not None:
        return without_effect
    reverted = _reverted(evidence)
    if reverted is not None:
        return Outcome.REVERTED, reverted
    judged = [point for point in points if point.within is not None]
    if not judged:
        return _by_files(evidence)
    return _by_workload(evidence, judged)


def _nowhere(evidence: Evidence, points: Sequence[Point]) -> tuple[Outcome, str] | None:
    """Say that the kernel has no interface file for an accepted value, None if it has one.

    Options that no kernel has a file for are Docker's to obey: only a workload can show them.
    """
    one = option(evidence.option)
    judged = any(point.within is not None for point in points)
    if judged or not one.in_kernel or any(phase.change.files for phase in evidence.accepted):
        return None
    warned = sorted({text for phase in evidence.accepted for text in phase.change.warnings})
    nowhere = "this kernel has no interface file for the option"
    if warned:
        return Outcome.DISCARDED, f"accepted with the warning {warned[0]!r}; {nowhere}"
    return Outcome.IGNORED, f"{count(len(evidence.accepted), 'update')} answered ok; {nowhere}"


def _never_in_force(evidence: Evidence) -> tuple[Outcome, str] | None:
    """Say that no accepted update reached the kernel, None if at least one did."""
    files = [
        (phase, file)
        for phase in evidence.accepted
        for file in phase.change.files
        if file.expected is not None
    ]
    due = [(phase, file) for phase, file in files if file.before != file.expected]
    if not files or not due or any(file.after != file.before for _phase, file in due):
        return None
    phase, file = due[-1]
    what = f"{file.file} stayed {file.after} where {phase.label} should give {file.expected}"
    warned = sorted({text for phase in evidence.accepted for text in phase.change.warnings})
    if warned:
        return Outcome.DISCARDED, f"accepted with the warning {warned[0]!r}; {what}"
    answered = count(len(evidence.accepted), "update")
    return Outcome.IGNORED, f"{answered} answered ok; {what}"


def _reverted(evidence: Evidence) -> str | None:
    for phase in evidence.accepted:
        for file in phase.change.files:
            if file.held is not None and file.held != file.after and file.after == file.expected:
                return (
                    f"{file.file} took {file.after} for {phase.label}, "
                    f"and held {file.held} when the phase ended"
                )
    return None


def _by_files(evidence: Evidence) -> tuple[Outcome, str]:
    """Judge by the interface files alone, where no workload can show the effect."""
    wrong = _wrong_files(evidence)
    if wrong:
        return Outcome.IMPRECISE, wrong[0]
    needs = [name for name, met in evidence.run.record.preconditions.items() if not met]
    if needs:
        return (
            Outcome.UNSUPPORTED,
            "the file holds the requested value, but no workload can show the effect: "
            f"this host lacks {needs[0]}",
        )
    return (
        Outcome.INCONCLUSIVE,
        "the file holds the requested value, but no workload could show the effect",
    )


def _wrong_files(evidence: Evidence) -> list[str]:
    return [
        f"{file.file} held {file.after} where {phase.label} should give {file.expected}"
        for phase in evidence.accepted
        for file in phase.change.files
        if file.expected is not None and file.after != file.expected
    ]


def _by_workload(evidence: Evidence, points: Sequence[Point]) -> tuple[Outcome, str]:
    """Judge by what the workload shows."""
    outside = [point for point in points if not point.within]
    worst = max(outside or points, key=_distance)
    # Other load only takes CPU time away: it may hide an effect, but never adds one.
    short = all(point.value < (point.expected or 0.0) for point in outside)
    starved = bool(outside) and short and evidence.doubt is not None
    if _response(points) < RESPONSE_WANTED and not starved:
        values = [point.value for point in points]
        return (
            Outcome.INEFFECTIVE,
            f"the file was set each time, and {worst.metric} stayed between "
            f"{quantity(min(values), worst.unit)} and {quantity(max(values), worst.unit)}",
        )
    wrong = _wrong_files(evidence)
    described = _described(worst)
    if outside and evidence.doubt is not None:
        return Outcome.INCONCLUSIVE, f"{described}, but {evidence.doubt}"
    if outside:
        return (
            Outcome.IMPRECISE,
            f"{len(outside)} of {len(points)} values lie outside the band; the worst: {described}",
        )
    if wrong:
        return Outcome.IMPRECISE, f"the workload shows the effect, but {wrong[0]}"
    return Outcome.EFFECTIVE, f"{len(points)} of {len(points)} values held; the worst: {described}"


def _described(point: Point) -> str:
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
    """Return the metric's movement as a share of the expected one; 1 if none was expected."""
    expected = [point.expected for point in points if point.expected is not None]
    span = max(expected) - min(expected)
    if span <= 0:
        return 1.0
    low = min(points, key=lambda point: point.expected or 0.0)
    high = max(points, key=lambda point: point.expected or 0.0)
    return (high.value - low.value) / span


def _advice(experiment: Experiment, outcome: Outcome) -> str:
    own = experiment.verify.advice if experiment.verify else None
    if own is not None:
        return own
    return {
        Outcome.IMPRECISE: "Leave a margin, or measure your own value with `cgbench run`.",
        Outcome.INEFFECTIVE: "Do not rely on it here; the file alone proves nothing.",
        Outcome.IGNORED: "Set it with `docker run`, and read the file back.",
        Outcome.DISCARDED: "Do not rely on it: Docker itself warns that it drops the value.",
        Outcome.REJECTED: "Read the daemon's message; set it with `docker run` if that accepts it.",
        Outcome.REVERTED: "Set it again after every other update, and read the file back.",
        Outcome.UNSUPPORTED: "Use a host that meets the precondition.",
        Outcome.INCONCLUSIVE: "Measure again on a quiet host.",
    }.get(outcome, "")
