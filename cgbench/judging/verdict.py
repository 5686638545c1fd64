"""Per option: does the kernel hold what Docker declared, and does the workload show the effect?

Judged from a run's files alone. Nothing here knows how an option behaves on any host: the
experiment declares what should happen and the band around it, the rows show what did happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgbench.judging import decision, value
from cgbench.judging.evidence import files_around, gather, point
from cgbench.judging.run import Run
from cgbench.judging.value import Judged
from cgbench.records.verdict import Declared, Outcome, Point, TimeToEffect, Value, Verdict
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import CPU_WEIGHT


def judge(run: Run, option: str) -> Verdict:
    """Return the verdict on one option of the run's experiment.

    Each value is judged by itself first. An option is inconclusive where a value was not measured,
    or lies outside the band by no more than a disturbed host can explain.
    """
    evidence = gather(run, option)
    experiment = run.record.experiment
    values = [value.judge(one) for one in evidence.tried()]
    unmet = [name for name, met in run.record.preconditions.items() if not met]
    outcome, reason = decision.decide(values, unmet, births=evidence.births)
    if outcome is Outcome.INCONCLUSIVE and run.failed:
        reason += f"; trial {run.failed[0].number} failed: {run.failed[0].reason}"
    changed = next((one.yet_changed for one in values if one.yet_changed is not None), None)
    if changed is not None and changed not in reason:
        reason += f"; a value was refused, and yet {changed}"
    if converted := evidence.conversion():
        reason += f"; {CPU_WEIGHT} shows which conversion of shares the runtime has: {converted}"
    return Verdict(
        option=option,
        verdict=outcome,
        reason=reason,
        advice=None if outcome is Outcome.EFFECTIVE else _advice(experiment, outcome),
        declared=evidence.declared(),
        enforced=evidence.enforced(),
        experienced=(*evidence.points(), *_otherwise_judged(values, evidence.metric)),
        values=tuple(map(_value, values)),
        refused_yet_changed=changed is not None,
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


def _otherwise_judged(values: Sequence[Judged], metric: str | None) -> Iterator[Point]:
    """Yield what decided on a value by another metric than the option's first."""
    for one in values:
        tried = one.tried
        decided = one.outcome is not Outcome.EFFECTIVE and tried.metric != metric
        if decided and tried.metric is not None and tried.felt is not None:
            yield point(tried.key, tried.metric, tried.felt)


def _value(one: Judged) -> Value:
    key, phases = one.tried.key, one.tried.accepted or one.tried.phases
    return Value(
        requested=key.requested,
        note=key.note,
        role=key.role,
        verdict=one.outcome,
        reason=one.reason,
        files=files_around(phases[-1]) if phases else {},
    )


def _advice(experiment: Experiment, outcome: Outcome) -> str:
    own = experiment.verify.advice if experiment.verify else None
    return advice_on(outcome) if own is None else own


def advice_on(outcome: Outcome) -> str:
    """Return the next move after a verdict, where the experiment names none."""
    return {
        Outcome.IMPRECISE: "Leave a margin, or measure your own value with `cgbench run`.",
        Outcome.PARTIAL: "Read the daemon's message; the other values can be relied on.",
        Outcome.WRONG: "Do not rely on it here: read the file back, and measure your own value.",
        Outcome.INEFFECTIVE: "Do not rely on it here; the file alone proves nothing.",
        Outcome.IGNORED: "Set it with `docker run`, and read the file back.",
        Outcome.DISCARDED: "Do not rely on it: Docker itself warns that it drops the value.",
        Outcome.REJECTED: "Read the daemon's message; set it with `docker run` if that accepts it.",
        Outcome.REVERTED: "Set it again after every other update, and read the file back.",
        Outcome.UNSUPPORTED: "Use a host that meets the precondition.",
        Outcome.INCONCLUSIVE: "Measure again on a quiet host.",
    }.get(outcome, "")
