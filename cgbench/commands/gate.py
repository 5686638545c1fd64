"""Measure a candidate against a baseline, trial by trial, until a verdict can be defended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.commands import lack
from cgbench.commands.candidate import Candidate, Growing, calmness, ended, open_candidate
from cgbench.commands.lack import Lack
from cgbench.commands.session import Session
from cgbench.errors import BaselineError
from cgbench.judging import checks, comparison
from cgbench.judging.comparison import ALPHA, EFFECT
from cgbench.judging.run import load
from cgbench.measuring.site import Progress
from cgbench.records import baseline
from cgbench.records.agreement import conditions
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Comparison, Finding, Judgement, Key
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.wording import count

LOOKS = (5, 8, 12, 18, 25)
"""After so many good trials the comparison is looked at; each look has its part of alpha."""
SUSPECT = 0.05
"""How often all looks together may suspect a regression where there is none."""
CONFIRM = 0.05
"""How often fresh trials may seem to confirm one where there is none: both are needed to alarm."""
FRESH = 4
"""Fresh trials that must show a regression by themselves: so many, or half the look's if more."""
BUDGET_S = 300.0

_NOT_SHOWN = "but fresh trials did not confirm it"
_NOT_TRIED = "but too few fresh trials were had to confirm it"


@dataclass(frozen=True)
class Terms:
    """What a gate is held to: at most `budget_s` seconds, `effect` as the smallest share."""

    baseline: Baseline
    allow: tuple[str, ...] = ()
    budget_s: float = BUDGET_S
    effect: float = EFFECT
    looks: tuple[int, ...] = LOOKS
    fresh: int = FRESH
    quick: bool = False


def wanted(
    names: Sequence[str], against: str | None, results: Path, *, quick: bool
) -> list[tuple[Experiment, Baseline]]:
    """Read experiments and the baselines of the same names, or the one that `against` names.

    Raises NoBaseline when one of them is not there, before anything is measured.
    """
    loaded = [experiment_file.load(name) for name in names]
    kept = [baseline.find(against or one.name, results) for one in loaded]
    return [
        (one.shortened() if quick else one, before)
        for one, before in zip(loaded, kept, strict=True)
    ]


def gate(experiment: Experiment, terms: Terms, session: Session) -> Comparison:
    """Measure `experiment` until every metric is decided or the budget is spent, and judge it.

    Raises BaselineError when not one trial can be used.
    """
    names = tuple(dict.fromkeys(one.metric for one in terms.baseline.series))
    candidate = open_candidate(
        experiment, names, calmness(terms.baseline), session, "gate", quick=terms.quick
    )  # fmt: skip
    with ended(candidate):
        apart = _before_measuring(candidate, terms)
        found = decide(candidate, terms, session.progress) if apart is None else apart
    if candidate.persistent:
        record = candidate.directory.run()
        lasted = {"beside": candidate.disturbances[-1].reason}
        candidate.directory.write_run(record.model_copy(update=lasted))
    if apart is not None or found.overall is Judgement.UNCHANGED:
        return found
    beside = checks.disturbances(load(candidate.directory))
    return found.model_copy(update={"notes": (*found.notes, *beside)})


def decide(candidate: Growing, terms: Terms, progress: Progress) -> Comparison:
    """Let a candidate grow until every metric is decided or the budget is spent, and judge it.

    It is looked at after each number of trials in `terms.looks`. A regression is reported only when
    fresh trials show it again. Raises BaselineError when not one trial can be used.
    """
    deadline = time.monotonic() + terms.budget_s
    alpha = SUSPECT / len(terms.looks)
    found, looked, lacks = None, 0, Lack()
    for look in terms.looks:
        if not _grow(candidate, look, deadline):
            # What was to be confirmed is what is lacking first.
            lacks = lacks if lacks.what else Lack(look - len(candidate.good), "for the next look")
            break
        found, looked = _look(candidate, terms, alpha), len(candidate.good)
        _show(progress, looked, found)
        lacks = Lack()
        if found.of(Judgement.REGRESSED):
            before, needed = max(candidate.good), looked + max(terms.fresh, looked // 2)
            if not _grow(candidate, needed, deadline):
                lacks = Lack(needed - len(candidate.good), "to confirm what looks regressed")
                continue
            confirmed = _confirm(candidate, terms, found, before, progress)
            if confirmed is not None:
                return _with_remarks(candidate, confirmed)
        elif found.decided:
            return _with_remarks(candidate, found)
    if not candidate.good:
        raise _unusable(candidate)
    if found is None or len(candidate.good) != looked:
        found = _look(candidate, terms, alpha)
    left = lack.told(
        _unconfirmed(found, lacks), lacks, count(len(candidate.good), "good trial"),
        terms.budget_s, candidate.longest_s, exhausted=candidate.exhausted,
    )  # fmt: skip
    return _with_remarks(candidate, left)


def _before_measuring(candidate: Candidate, terms: Terms) -> Comparison | None:
    """Return the comparison if host or schedule forbid one: that needs no measuring."""
    record = candidate.directory.run()
    here = terms.baseline.model_copy(update={"name": record.run, **vars(conditions(record))})
    apart = comparison.differences(terms.baseline, here, terms.allow)
    if all(one.allowed for one in apart):
        return None
    return comparison.compare(terms.baseline, here, allow=terms.allow)


def _grow(candidate: Growing, target: int, deadline: float) -> bool:
    """Measure until `target` repetitions count; return False when time or repetitions ran out."""
    while len(candidate.good) < target:
        if candidate.exhausted or time.monotonic() + candidate.longest_s > deadline:
            return False
        candidate.measure()
    return True


def _look(candidate: Growing, terms: Terms, alpha: float) -> Comparison:
    """Compare what there is; only a regression is suspected as easily as `alpha` says."""
    found = comparison.compare(
        terms.baseline, candidate.side(), allow=terms.allow, alpha=alpha, effect=terms.effect
    )
    strict = ALPHA / len(terms.looks)
    findings = tuple(
        one.model_copy(update={"judgement": Judgement.INCONCLUSIVE})
        if one.judgement is Judgement.IMPROVED and (one.p is None or one.p > strict)
        else one
        for one in found.findings
    )
    return found.model_copy(update={"findings": findings})


def _show(progress: Progress, trials: int, found: Comparison) -> None:
    open_ = len(found.of(Judgement.INCONCLUSIVE))
    suspect = found.of(Judgement.REGRESSED)
    line = f"{trials} trials: {len(found.findings) - open_ - len(suspect)} decided"
    if open_:
        line += f", {open_} open"
    if suspect:
        line += f", {len(suspect)} look regressed: measuring those again"
    progress(line)


def _confirm(
    candidate: Growing, terms: Terms, found: Comparison, before: int, progress: Progress
) -> Comparison | None:
    """Judge what looked regressed by the trials after `before`; return it if they show it too."""
    suspects: set[Key] = {one.key for one in found.of(Judgement.REGRESSED)}
    later = [one for one in candidate.good if one > before]
    fresh = candidate.side(later)
    again = comparison.compare(
        terms.baseline, fresh, allow=terms.allow, effect=terms.effect, only=suspects,
        alpha=CONFIRM, margin=0.0,
    )  # fmt: skip
    held = {one.key for one in again.of(Judgement.REGRESSED)}
    if not held:
        progress("fresh trials did not show it again")
        return None
    pooled = _look(candidate, terms, found.alpha)
    return _with(pooled, held, f"and again in {len(later)} fresh trials")


def _with(pooled: Comparison, held: set[Key], words: str) -> Comparison:
    """Let stand what was confirmed, and leave open what was not."""
    findings = [
        one.model_copy(update={"reason": f"{one.reason}, {words}"})
        if one.key in held and one.judgement is Judgement.REGRESSED
        else _opened(one, _NOT_SHOWN)
        for one in pooled.findings
    ]
    return pooled.model_copy(update={"findings": tuple(findings)})


def _unconfirmed(found: Comparison, lacks: Lack) -> Comparison:
    why = _NOT_TRIED if lacks.what else _NOT_SHOWN
    return found.model_copy(update={"findings": tuple(_opened(one, why) for one in found.findings)})


def _opened(one: Finding, why: str) -> Finding:
    if one.judgement is not Judgement.REGRESSED:
        return one
    return one.model_copy(
        update={
            "judgement": Judgement.INCONCLUSIVE,
            "reason": f"{one.reason}, {why}",
            "more_trials": FRESH,
        }
    )


def _with_remarks(candidate: Growing, found: Comparison) -> Comparison:
    notes = list(found.notes)
    if candidate.persistent:
        notes.append("the disturbance lasted, so it was judged as this host's state")
    return found.model_copy(
        update={"disturbances": tuple(candidate.disturbances), "notes": tuple(notes)}
    )


def _unusable(candidate: Growing) -> BaselineError:
    last = candidate.disturbances[-1].reason if candidate.disturbances else "none was measured"
    return BaselineError(
        f"not one of {len(candidate.disturbances)} trials could be used; the last: {last}",
        "Give it more time (--budget) or a quieter host.",
    )
