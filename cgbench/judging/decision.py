"""An option's verdict from what became of each of its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cgbench.judging.value import Judged, described, distance
from cgbench.records.verdict import Outcome
from cgbench.spec.metrics import METRICS
from cgbench.wording import quantity

RESPONSE_WANTED = 0.25
"""A metric that moves by less than this part of the expected change shows no effect."""

RESPONSE_WANTED_OF_FLOOR = 0.5
"""The same of a metric with a floor, which must also come to this part of each value.

What lies above a floor moves by itself, and so does all of it where nothing holds it up.
"""

_NOT_CHANGED = (Outcome.IGNORED, Outcome.DISCARDED)
# What decides where values differ, the worst first.
_DECIDING = (
    Outcome.WRONG, Outcome.REVERTED, Outcome.INCONCLUSIVE, Outcome.PARTIAL, Outcome.IMPRECISE,
)  # fmt: skip
# The order in which a reason counts values.
_COUNTED = (
    "held", "imprecise", "not judged by a workload", "refused", "partly refused", "wrong",
    "reverted", "discarded", "ignored", "disturbed", "not reached", "without a reading",
    "never measured",
)  # fmt: skip
_VERBS = {"held": ("held", "held"), "without a reading": ("had no reading", "had no reading")}


def decide(
    values: Sequence[Judged], unmet: Sequence[str], *, births: bool = False
) -> tuple[Outcome, str]:
    """Return the verdict and its reason; `unmet` are preconditions that a workload would need.

    With `births`, other containers were started with values of the option: those are not among
    `values`, and the reason says that it counts none of them.
    """
    if not any(one.tried.phases for one in values):
        return Outcome.INCONCLUSIVE, "no trial reached this option"
    outcome, detail = decided(values, unmet)
    return outcome, f"{_counted(values, births=births)}: {detail}"


def decided(values: Sequence[Judged], unmet: Sequence[str]) -> tuple[Outcome, str]:
    """Return the verdict on values of which at least one was tried, and what decided on it."""
    alike = _alike(values)
    if alike is not None:
        return alike.outcome, alike.reason
    deaf = _deaf(values)
    if deaf is not None:
        return Outcome.INEFFECTIVE, deaf
    by = {outcome: [one for one in values if one.outcome is outcome] for outcome in Outcome}
    # One that is seen only now and then before it is undone was not ignored either.
    only_undone = bool(by[Outcome.REVERTED]) and all(
        one.outcome in (*_NOT_CHANGED, Outcome.REVERTED) for one in values
    )
    if any(by[one] for one in _NOT_CHANGED) and not only_undone:
        by[Outcome.WRONG] += [one for kind in _NOT_CHANGED for one in by[kind]]
    by[Outcome.PARTIAL] += by[Outcome.REJECTED]
    shown = [one for one in values if one.shown]
    for outcome in _DECIDING:
        # That others hold is not known where no workload shows it.
        if by[outcome] and (shown or outcome is not Outcome.PARTIAL):
            return outcome, max(by[outcome], key=_weight).reason
    if not shown:
        return _by_files(unmet)
    return Outcome.EFFECTIVE, f"the worst: {described(max(shown, key=_weight).tried)}"


def _weight(one: Judged) -> tuple[bool, bool, float]:
    """Order values: what the kernel does not hold, then what it holds though it was refused."""
    return one.departed, one.yet_changed is not None, distance(one.tried)


def _alike(values: Sequence[Judged]) -> Judged | None:
    """Return one value where the same became of all, as far as anything can be said of them.

    What Docker refused says nothing of what it accepts, and a value that the file held before it
    was asked for does not show whether updates arrive.
    """
    unknown = (Outcome.INCONCLUSIVE, Outcome.REJECTED)
    known = [one for one in values if one.due and one.outcome not in unknown]
    # A value that a disturbed host leaves open, and whose file holds it, has arrived.
    arrived = any(one.due and one.outcome is Outcome.INCONCLUSIVE and one.held for one in values)
    if known and not arrived and all(one.outcome in _NOT_CHANGED for one in known):
        warned = [one for one in known if one.outcome is Outcome.DISCARDED]
        return (warned or known)[-1]
    if known and all(one.outcome is Outcome.REVERTED for one in known):
        return known[0]
    if all(one.outcome is Outcome.REJECTED for one in values):
        return max(values, key=_weight)
    return None


def _deaf(values: Sequence[Judged]) -> str | None:
    """Say that the workload does not change with values that the kernel holds, None if it does.

    What may be explained otherwise does not say that it is deaf.
    """
    held = [
        one
        for one in values
        if one.shown and not one.departed and one.outcome is not Outcome.INCONCLUSIVE
    ]
    wrong = any(one.outcome is Outcome.WRONG for one in held)
    if len({one.tried.metric for one in held}) > 1:
        # Figures of several metrics do not follow one another.
        return None
    if not wrong or any(one.departed for one in values) or _follows(held):
        return None
    felt = [one.tried.felt for one in held if one.tried.felt is not None]
    medians = [one.median for one in felt]
    above = next((f": {one.tried.above}" for one in held if one.tried.above is not None), "")
    return (
        f"the file was set each time, and {held[0].tried.metric} stayed between "
        f"{quantity(min(medians), felt[0].unit)} and {quantity(max(medians), felt[0].unit)}{above}"
    )


def _follows(values: Sequence[Judged]) -> bool:
    """Say whether values of one metric move with what was asked for."""
    metric = METRICS.get(values[0].tried.metric or "")
    if metric is None or metric.shows != "floor":
        return _response(values) >= RESPONSE_WANTED
    return min([_response(values), *_parts(values)]) >= RESPONSE_WANTED_OF_FLOOR


def _parts(values: Sequence[Judged]) -> list[float]:
    """Return which part of what was expected each came to; a single value shows no response."""
    felt = [one.tried.felt for one in values if one.tried.felt is not None]
    several = len({one.expected for one in felt}) > 1
    return [one.median / one.expected for one in felt if one.expected and several]


def _response(values: Sequence[Judged]) -> float:
    """Return the metric's movement as a share of the expected one; 1 if none was expected."""
    felt = [one.tried.felt for one in values if one.tried.felt is not None]
    pairs = [(one.expected, one.median) for one in felt if one.expected is not None]
    low, high = min(pairs, key=lambda pair: pair[0]), max(pairs, key=lambda pair: pair[0])
    span = high[0] - low[0]
    return 1.0 if span <= 0 else (high[1] - low[1]) / span


def _by_files(unmet: Sequence[str]) -> tuple[Outcome, str]:
    """Judge by the interface files alone, where no workload can show the effect."""
    if unmet:
        return (
            Outcome.UNSUPPORTED,
            "the file holds the requested value, but no workload can show the effect: "
            f"this host lacks {unmet[0]}",
        )
    return (
        Outcome.INCONCLUSIVE,
        "the file holds the requested value, but no workload could show the effect",
    )


def _counted(values: Sequence[Judged], *, births: bool) -> str:
    """Say of how many values the verdict speaks, and what became of them."""
    noun = "updated values" if births else "values"
    by = Counter(one.became for one in values)
    clauses = []
    for became in _COUNTED:
        if by[became]:
            verbs = _VERBS.get(became, (f"was {became}", f"were {became}"))
            clauses.append((by[became], verbs[by[became] > 1]))
    if len(clauses) == 1:
        return f"{len(values)} of {len(values)} {noun} {clauses[0][1]}"
    return f"of {len(values)} {noun} {', '.join(f'{number} {verb}' for number, verb in clauses)}"
