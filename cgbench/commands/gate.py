"""Measure a candidate against a baseline, trial by trial, until a verdict can be defended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cgbench.commands.session import Session
from cgbench.errors import BaselineError
from cgbench.host import preconditions
from cgbench.judging import comparison
from cgbench.judging import sides as baselines
from cgbench.judging.comparison import (
    ALPHA,
    EFFECT,
    Comparison,
    Disturbance,
    Finding,
    Judgement,
    Key,
)
from cgbench.judging.run import load
from cgbench.measuring import run
from cgbench.measuring.progress import Silent
from cgbench.measuring.site import Progress
from cgbench.records import baseline
from cgbench.records.agreement import conditions
from cgbench.records.baseline import Baseline, Noise
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment

LOOKS = (5, 8, 12, 18, 25)
"""After so many good trials the comparison is looked at; each look has its part of alpha."""
SUSPECT = 0.05
"""How often all looks together may suspect a regression where there is none."""
CONFIRM = 0.05
"""How often fresh trials may seem to confirm one where there is none: both are needed to alarm."""
FRESH = 4
"""Fresh trials that must show a regression by themselves: so many, or half the look's if more."""
MOST = 60
"""Repetitions of one gate, disturbed and failed ones included."""
BUDGET_S = 300.0

# A trial is disturbed when more CPU than in the baseline's trials went elsewhere, by so much.
_STEAL_CPUS = 0.02
_OTHER_CPUS = 0.1
# So many disturbed in a row are no disturbance any more: it is how this host is now.
_PERSISTENT = 3


@dataclass(frozen=True)
class Terms:
    """What a gate is held to: `budget_s` seconds at most, `effect` the smallest share to tell."""

    baseline: Baseline
    allow: tuple[str, ...] = ()
    budget_s: float = BUDGET_S
    effect: float = EFFECT
    looks: tuple[int, ...] = LOOKS
    fresh: int = FRESH


class Growing(Protocol):
    """A candidate that grows by one repetition at a time; `good` are those that count."""

    good: list[int]
    disturbances: list[Disturbance]
    longest_s: float
    persistent: bool

    @property
    def exhausted(self) -> bool:
        """Whether no repetition is left."""

    def measure(self) -> None:
        """Measure one more repetition and note whether it counts."""

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        """Return the good repetitions as one side of a comparison, or some of them."""


@dataclass
class Candidate:
    """A run that grows by repetitions: which of them count, and what disturbed the others."""

    directory: RunDirectory
    session: Session
    metrics: tuple[str, ...]
    calm: Noise
    good: list[int] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    repetition: int = 0
    longest_s: float = 0.0
    persistent: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether no repetition is left."""
        return self.repetition >= MOST

    def measure(self) -> None:
        """Measure one more repetition and note whether it counts."""
        self.repetition += 1
        begin = time.monotonic()
        run.execute(
            self.directory, self.directory.run(), self.session.engine, Silent(),
            self.repetition,
        )  # fmt: skip
        self.longest_s = max(self.longest_s, time.monotonic() - begin)
        reason = self._doubt()
        if reason is None:
            self.good.append(self.repetition)
            return
        self.disturbances.append(
            Disturbance(repetition=self.repetition, reason=reason, kept=self.persistent)
        )
        self.session.progress(f"trial {self.repetition}: {reason}")
        if self.persistent:
            self.good.append(self.repetition)
        elif self._all_disturbed():
            self._keep()

    def _doubt(self) -> str | None:
        """Return why the last repetition is no good, None if it is."""
        trials = [one for one in self.directory.trials() if one.repetition == self.repetition]
        failed = [one for one in trials if one.status == "failed"]
        if failed:
            return f"failed: {failed[-1].reason}"
        noise = [baselines.noise(one) for one in trials]
        steal = _beyond([one.steal_cpus for one in noise], self.calm.steal_cpus)
        other = _beyond([one.other_cpus for one in noise], self.calm.other_cpus)
        if steal is None or other is None:
            return "how much CPU time others took is not known"
        if steal > _STEAL_CPUS:
            return f"the hypervisor took {steal:.2f} CPUs more than in the baseline's trials"
        if other > _OTHER_CPUS:
            return f"other processes used {other:.2f} CPUs more than in the baseline's trials"
        hot = sum(one.thermal_throttles for one in noise if one.thermal_throttles is not None)
        return f"heat slowed a core {hot} times" if hot else None

    def _all_disturbed(self) -> bool:
        last = self.disturbances[-_PERSISTENT:]
        return len(last) == _PERSISTENT and all(
            one.repetition == self.repetition - _PERSISTENT + 1 + index
            and not one.reason.startswith("failed")
            for index, one in enumerate(last)
        )

    def _keep(self) -> None:
        """Take the last disturbed repetitions in: what lasts belongs to the host's state."""
        self.persistent = True
        kept = [one.model_copy(update={"kept": True}) for one in self.disturbances[-_PERSISTENT:]]
        self.disturbances[-_PERSISTENT:] = kept
        self.good += [one.repetition for one in kept]

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        """Return the good repetitions as one side of a comparison, or some of them."""
        kept = set(self.good if repetitions is None else repetitions)
        without = set(range(1, self.repetition + 1)) - kept
        return baselines.of_run(load(self.directory), names=self.metrics, without=without)


def open_candidate(
    experiment: Experiment, terms_metrics: Sequence[str], calm: Noise, session: Session
) -> Candidate:
    """Begin a run that may grow to `MOST` repetitions."""
    shaped = experiment.model_copy(update={"trials": MOST})
    request = run.Request(shaped, session.image, session.results, session.seed)
    directory = run.begin(request, session.engine, preconditions.require(experiment.requires))
    return Candidate(directory, session, tuple(terms_metrics), calm)


def calmness(side: Baseline) -> Noise:
    """Return the most that disturbed any of a baseline's trials, as far as it is known.

    Where nothing is, the candidate's trials must be as calm as on a host without neighbours.
    """
    steal = [one.steal_cpus for one in side.noise if one.steal_cpus is not None]
    other = [one.other_cpus for one in side.noise if one.other_cpus is not None]
    return Noise(
        repetition=0, steal_cpus=max(steal, default=0.0), other_cpus=max(other, default=0.0)
    )


def _beyond(taken: Sequence[float | None], calm: float | None) -> float | None:
    """Return by how many CPUs the most exceeds `calm`, None where that cannot be said."""
    if calm is not None and math.isinf(calm):
        return -calm
    known = [one for one in taken if one is not None]
    if calm is None or not known or len(known) < len(taken):
        return None
    return max(known) - calm


def wanted(
    names: Sequence[str],
    against: str | None,
    results: Path,
    *,
    quick: bool,
    terms: Callable[[Baseline], Terms],
) -> list[tuple[Experiment, Terms]]:
    """Read experiments and the baselines of the same names, or the one that `against` names.

    Raises NoBaseline when one of them is not there, before anything is measured.
    """
    loaded = [experiment_file.load(name) for name in names]
    kept = [baseline.find(against or one.name, results) for one in loaded]
    return [
        (one.shortened() if quick else one, terms(before))
        for one, before in zip(loaded, kept, strict=True)
    ]


def gate(experiment: Experiment, terms: Terms, session: Session) -> Comparison:
    """Measure `experiment` until every metric is decided or the budget is spent, and judge it.

    Raises BaselineError when not one trial can be used.
    """
    names = tuple(dict.fromkeys(one.metric for one in terms.baseline.series))
    candidate = open_candidate(experiment, names, calmness(terms.baseline), session)
    apart = _before_measuring(candidate, terms)
    found = decide(candidate, terms, session.progress) if apart is None else apart
    record = candidate.directory.run()
    candidate.directory.write_run(record.model_copy(update={"status": "finished"}))
    return found


def decide(candidate: Growing, terms: Terms, progress: Progress) -> Comparison:
    """Let a candidate grow until every metric is decided or the budget is spent, and judge it.

    It is looked at after each number of trials in `terms.looks`. A regression is told only when
    fresh trials show it again. Raises BaselineError when not one trial can be used.
    """
    deadline = time.monotonic() + terms.budget_s
    alpha = SUSPECT / len(terms.looks)
    found, looked = None, 0
    for look in terms.looks:
        if not _grow(candidate, look, deadline):
            break
        found, looked = _look(candidate, terms, alpha), len(candidate.good)
        _show(progress, looked, found)
        if found.of(Judgement.REGRESSED):
            confirmed = _confirm(candidate, terms, found, deadline, progress)
            if confirmed is not None:
                return _with_remarks(candidate, confirmed)
        elif found.decided:
            return _with_remarks(candidate, found)
    if not candidate.good:
        raise _unusable(candidate)
    if found is None or len(candidate.good) != looked:
        found = _look(candidate, terms, alpha)
    return _with_remarks(candidate, _unconfirmed(found))


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
    told = f"{trials} trials: {len(found.findings) - open_ - len(suspect)} decided"
    if open_:
        told += f", {open_} open"
    if suspect:
        told += f", {len(suspect)} look regressed: measuring those again"
    progress(told)


def _confirm(
    candidate: Growing, terms: Terms, found: Comparison, deadline: float, progress: Progress
) -> Comparison | None:
    """Measure again by fresh trials alone; return the comparison if they show it too."""
    suspects: set[Key] = {one.key for one in found.of(Judgement.REGRESSED)}
    before = list(candidate.good)
    number = max(terms.fresh, len(before) // 2)
    if not _grow(candidate, len(before) + number, deadline):
        return None
    fresh = candidate.side(candidate.good[len(before) :])
    again = comparison.compare(
        terms.baseline, fresh, allow=terms.allow, effect=terms.effect, only=suspects,
        alpha=CONFIRM, margin=0.0,
    )  # fmt: skip
    held = {one.key for one in again.of(Judgement.REGRESSED)}
    if not held:
        progress("fresh trials did not show it again")
        return None
    pooled = _look(candidate, terms, found.alpha)
    return _with(pooled, held, f"and again in {number} fresh trials")


def _with(pooled: Comparison, held: set[Key], words: str) -> Comparison:
    """Let stand what was confirmed, and leave open what was not."""
    findings = [
        one.model_copy(update={"reason": f"{one.reason}, {words}"})
        if one.key in held and one.judgement is Judgement.REGRESSED
        else _opened(one)
        for one in pooled.findings
    ]
    return pooled.model_copy(update={"findings": tuple(findings)})


def _unconfirmed(found: Comparison) -> Comparison:
    return found.model_copy(update={"findings": tuple(_opened(one) for one in found.findings)})


def _opened(one: Finding) -> Finding:
    if one.judgement is not Judgement.REGRESSED:
        return one
    reason = f"{one.reason}, but fresh trials did not confirm it"
    return one.model_copy(
        update={"judgement": Judgement.INCONCLUSIVE, "reason": reason, "more_trials": FRESH}
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
