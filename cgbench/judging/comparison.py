"""Baseline against candidate: per metric a judgement, with the numbers it rests on."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cgbench.judging.contrast import Contrast, Family, Floats, contrasts
from cgbench.records.agreement import COMPARED, apart, differing, require_known
from cgbench.records.baseline import Baseline, Series
from cgbench.records.comparison import Comparison, Difference, Finding, Judgement, Key
from cgbench.spec.metrics import METRICS
from cgbench.wording import count

ALPHA = 0.01
"""How often, at most, all metrics together give one false alarm."""
EFFECT = 0.02
"""The smallest share that matters, where the metric's own resolution is no coarser."""
LEVEL = 0.95
HOPELESS = 200
"""If deciding one metric takes more trials than this, more trials are not suggested."""
MARGIN = 0.9
"""How much of half the interval a change of two sessions must lie beyond what matters."""
DRIFT_P = 0.01
"""Trials drift if the p-value of their autocorrelation is at most this."""
FEWEST = 3
"""Trials a side needs before a metric is judged."""

# From this many times what was asked for on, what matters is said to be coarse.
_COARSE = 10.0
# What a quota does to a container: less of it where the quota is not used up.
_OF_A_USED_UP_QUOTA = frozenset({
    "throttled_periods_pct", "throttled_time_pct", "stall_time_pct", "stalls_per_s",
    "stall_p50_ms", "stall_p99_ms", "stall_max_ms",
})  # fmt: skip
# A drift explains no change of more than this many standard deviations of a trial.
_STRAYS = 3.0


def differences(
    baseline: Baseline, candidate: Baseline, allow: Collection[str]
) -> list[Difference]:
    """Return the keys that differ. Raises BaselineError when `allow` names an unknown one."""
    require_known(allow)
    found = []
    for one in differing(baseline, candidate, COMPARED):
        texts = one.text(baseline), one.text(candidate)
        if one.name == "schedule":
            texts = apart(baseline.described, candidate.described) or texts
        found.append(
            Difference(
                key=one.name, baseline=texts[0], candidate=texts[1], allowed=one.name in allow
            )
        )
    return found


def compare(
    baseline: Baseline,
    candidate: Baseline,
    *,
    allow: Collection[str] = (),
    alpha: float = ALPHA,
    effect: float = EFFECT,
    only: Collection[Key] | None = None,
    paired: bool = False,
    margin: float = MARGIN,
) -> Comparison:
    """Compare two sides; `alpha` is shared by all metrics, `only` picks some.

    Two sessions differ by themselves, so a change must exceed what matters by `margin` of half its
    interval; pairs need no margin.

    Sides that may not be compared have differences and no findings.
    """
    apart = differences(baseline, candidate, allow)
    head = Comparison(
        experiment=candidate.experiment, baseline=baseline.name, candidate=candidate.name,
        differences=tuple(apart), paired=paired, alpha=alpha,
        level=LEVEL,
    )  # fmt: skip
    if any(not one.allowed for one in apart):
        return head
    pairs = _pairs(baseline, candidate, only)
    gone = [one for one in _unmatched(baseline, candidate) if only is None or one.key in only]
    resolutions = [
        METRICS[before.metric].known_to(candidate.host.page_bytes) for before, _after in pairs
    ]
    effects = [
        _effect(before, after, effect, resolution)
        for (before, after), resolution in zip(pairs, resolutions, strict=True)
    ]
    family = Family(
        baseline=_matrix([before for before, _after in pairs]),
        candidate=_matrix([after for _before, after in pairs]),
        worse=[METRICS[before.metric].worse for before, _after in pairs],
        effect=effects,
        resolution=resolutions,
        paired=paired,
    )
    found = contrasts(family) if pairs else []
    findings = [
        _finding(
            before, after, one, Bar(alpha, 0.0 if paired else margin, matters, effect, resolution)
        )
        for (before, after), matters, resolution, one in zip(
            pairs, effects, resolutions, found, strict=True
        )
    ]
    findings = [*_with_what_follows(findings)]
    return head.model_copy(update={"findings": (*findings, *(_unjudged(one, ()) for one in gone))})


def _with_what_follows(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Say of fewer stalls where they are no gain: a container that gets less CPU time than its
    quota does not use it up, and is throttled less.
    """
    lost = {
        one.point
        for one in findings
        if one.metric == "cpus_used"
        and one.judgement is Judgement.REGRESSED
        and (one.change_pct or 0.0) < 0
    }
    throttled_less = {
        one.point
        for one in findings
        if one.metric.startswith("throttled_") and (one.change_pct or 0.0) < 0
    }
    for one in findings:
        gained = one.judgement is Judgement.IMPROVED and one.metric in _OF_A_USED_UP_QUOTA
        if gained and one.point in lost & throttled_less:
            why = (
                f"{one.reason}; it follows from the CPU time that is lost (cpus_used): a quota "
                "that is not used up throttles less"
            )
            yield one.model_copy(update={"reason": why})
        else:
            yield one


def _pairs(
    baseline: Baseline, candidate: Baseline, only: Collection[Key] | None
) -> list[tuple[Series, Series]]:
    before = {one.key: one for one in baseline.series if one.metric in METRICS}
    return [
        (before[one.key], one)
        for one in candidate.series
        if one.key in before and (only is None or one.key in only)
    ]


def _unmatched(baseline: Baseline, candidate: Baseline) -> list[Series]:
    """Return the baseline's series that the candidate did not measure or this version lacks."""
    present = {one.key for one in candidate.series if one.metric in METRICS}
    return [one for one in baseline.series if one.key not in present]


def _matrix(series: Sequence[Series]) -> Floats:
    columns = [[math.nan if one is None else one for one in each.values] for each in series]
    return np.array(columns, dtype=float).T


def _effect(before: Series, after: Series, effect: float, resolution: float) -> float:
    """Return the smallest share that matters: `effect`, or the resolution if that is coarser."""
    known = [value for value in before.values if value is not None]
    middle = abs(float(np.median(known))) if known else 0.0
    if 0.0 in known or 0.0 in after.values:
        # `contrast` adds the resolution to all values of such a column.
        middle += resolution
    return max(effect, resolution / middle) if middle else effect


def _unjudged(before: Series, after: Sequence[float | None], effect: float = 0.0) -> Finding:
    """Return the finding on one metric before it is judged."""
    known = before.metric in METRICS
    return Finding(
        **before.point._asdict(),
        metric=before.metric,
        unit=before.unit,
        worse=METRICS[before.metric].worse if known else "either",
        judgement=Judgement.INCONCLUSIVE,
        reason="the candidate did not measure it"
        if known
        else "this cgbench does not know the metric",
        baseline=tuple(value for value in before.values if value is not None),
        candidate=tuple(value for value in after if value is not None),
        effect_pct=100 * effect,
    )


@dataclass(frozen=True)
class Bar:
    """What a change must exceed to be reported.

    A p-value, a share of half its interval, the smallest share that matters, the one that was
    asked for, which the resolution may not reach, and that resolution in the metric's unit.
    """

    alpha: float
    margin: float
    effect: float
    asked: float
    resolution: float


def _finding(before: Series, after: Series, found: Contrast, bar: Bar) -> Finding:
    one = _unjudged(before, after.values, bar.effect)
    sides = len(one.baseline), len(one.candidate)
    if min(sides) < FEWEST:
        reason = f"{sides[0]} and {sides[1]} trials; at least {FEWEST} a side are needed"
        return one.model_copy(update={"reason": reason, "more_trials": FEWEST - min(sides)})
    if found.ratio is None or found.low is None or found.high is None:
        return _without_ratio(one, bar.resolution)
    judgement, reason, p = _judged(found, bar, one.worse)
    if judgement is Judgement.UNCHANGED and bar.effect >= _COARSE * bar.asked:
        reason += (
            f"; that is coarse, since the metric is not known better here: a change of "
            f"{100 * bar.asked:.3g} % would not show"
        )
    if judgement in (Judgement.REGRESSED, Judgement.IMPROVED) and (away := _away(before, after)):
        judgement = away
        reason += "; both hold the declared value" * (away is Judgement.UNCHANGED)
    more = None
    if judgement is Judgement.INCONCLUSIVE:
        more = _more_trials(found, bar.effect, min(sides))
        if more > HOPELESS:
            reason += "; too noisy here to be decided by more trials"
            more = None
        else:
            reason += f"; about {count(more, 'more trial')} a side would decide"
    return one.model_copy(
        update={
            "judgement": judgement,
            "reason": reason,
            "p": p,
            "more_trials": more,
            "change_pct": 100 * (found.ratio - 1),
            "low_pct": 100 * (found.low - 1),
            "high_pct": 100 * (found.high - 1),
            "levels": found.levels,
        }
    )


def _without_ratio(one: Finding, resolution: float) -> Finding:
    """Judge values around 0, which have no ratio: every trial must agree."""
    low, high = min(one.baseline), max(one.baseline)
    beyond = [
        value for value in one.candidate if not (low - resolution <= value <= high + resolution)
    ]
    if not beyond:
        reason = "every trial lies within the baseline's range"
        return one.model_copy(update={"judgement": Judgement.UNCHANGED, "reason": reason})
    reason = f"{len(beyond)} of {len(one.candidate)} trials lie outside the baseline's range"
    up = all(value > high for value in one.candidate)
    down = all(value < low for value in one.candidate)
    p = 1 / math.comb(len(one.candidate) + len(one.baseline), len(one.candidate))
    bad = (up and one.worse != "lower") or (down and one.worse != "higher")
    if (up or down) and len(beyond) == len(one.candidate) and p <= ALPHA / 10:
        judgement = Judgement.REGRESSED if bad else Judgement.IMPROVED
        return one.model_copy(update={"judgement": judgement, "reason": reason, "p": p})
    return one.model_copy(update={"reason": reason, "more_trials": FEWEST})


def _judged(found: Contrast, bar: Bar, worse: str) -> tuple[Judgement, str, float | None]:
    """Return the judgement, why, and the p-value of the direction seen."""
    assert found.ratio is not None
    assert found.low is not None
    assert found.high is not None
    change = math.log(found.ratio)
    effect, reach = bar.effect, math.log1p(bar.effect)
    bad = worse == "either" or (change > 0) == (worse == "higher")
    p = found.p_worse if bad else found.p_better
    if max(abs(math.log(found.low)), abs(math.log(found.high))) <= reach:
        return Judgement.UNCHANGED, f"the whole interval lies within ±{100 * effect:.3g} %", p
    beyond = f"beyond ±{100 * effect:.3g} %"
    if abs(change) < reach:
        return Judgement.INCONCLUSIVE, f"the interval reaches {beyond}", p
    if p is None or p > bar.alpha:
        shown = "unknown" if p is None else f"{p:.2g}"
        return Judgement.INCONCLUSIVE, f"{beyond}, but p is {shown}", p
    half = math.log(found.high / found.low) / 2
    if abs(change) < reach + bar.margin * half:
        return Judgement.INCONCLUSIVE, f"{beyond}, but not clearly", p
    if _drifts(found):
        drifting = f"{beyond}, but trials drift by as much (p = {found.p_drift:.2g})"
        return Judgement.INCONCLUSIVE, f"{drifting}: `cgbench ab` measures both sides together", p
    what = Judgement.REGRESSED if bad else Judgement.IMPROVED
    return what, f"{beyond} with p = {p:.2g}", p


def _away(before: Series, after: Series) -> Judgement | None:
    """Judge a change by what is expected of both sides; None where nothing is expected.

    The metric's direction does not matter: a container that exceeds its limit is no improvement.
    Values above a floor do not count.
    """
    expected, shows = after.expected, METRICS[before.metric].shows
    if expected is None or before.expected != expected or shows == "none":
        return None

    def off(side: Series) -> float:
        middle = float(np.median([value for value in side.values if value is not None]))
        return max(0.0, expected - middle) if shows == "floor" else abs(expected - middle)

    if off(after) == off(before):
        return None if shows != "floor" else Judgement.UNCHANGED
    return Judgement.REGRESSED if off(after) > off(before) else Judgement.IMPROVED


def _drifts(found: Contrast) -> bool:
    """Say whether trials are autocorrelated, and vary enough to explain the change.

    Shuffling trials then proves nothing: two sessions on one host differ by themselves.
    """
    if found.p_drift is None or found.spread is None or found.ratio is None:
        return False
    strays = abs(math.log(found.ratio)) < _STRAYS * math.log1p(found.spread)
    return strays and found.p_drift <= DRIFT_P


def _more_trials(found: Contrast, effect: float, trials: int) -> int:
    """Return about how many more trials a side bring the interval clear of the nearer bound."""
    assert found.ratio is not None
    assert found.low is not None
    assert found.high is not None
    half = (math.log(found.high) - math.log(found.low)) / 2
    gap = abs(math.log1p(effect) - abs(math.log(found.ratio)))
    needed = trials * (half / max(gap, half / 10)) ** 2
    return max(1, math.ceil(needed) - trials)
