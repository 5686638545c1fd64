"""Comparisons in words: the sentences that all their forms share."""

from __future__ import annotations

from statistics import median

from cgbench.records.baseline import Series
from cgbench.records.comparison import Comparison, Ending, Finding, Judgement
from cgbench.wording import count, quantity, signed


def where(one: Finding | Series) -> str:
    """Return option, value, container and metric of a finding in one text."""
    how = "" if one.via == "update" else f" ({one.via})"
    return f"--{one.option} {one.point.label}{how} · {one.role} · {one.metric}"


def change(one: Finding) -> str:
    """Return the change with its interval, `–` where there is none."""
    if one.change_pct is None or one.low_pct is None or one.high_pct is None:
        return "–"
    return f"{signed(one.change_pct, 1)} % ({signed(one.low_pct, 1)} to {signed(one.high_pct, 1)})"


def headline(found: Comparison) -> str:
    """Return the one sentence that a job's log needs."""
    sides = f"{found.candidate} against {found.baseline}"
    apart = [one for one in found.differences if not one.allowed]
    if apart:
        keys = "; ".join(f"{one.key} was {one.baseline}, is {one.candidate}" for one in apart)
        return f"{found.experiment}: incomparable, {sides}: {keys}"
    counts = ", ".join(f"{len(found.of(one))} {one.value}" for one in Judgement if found.of(one))
    return f"{found.experiment}: {found.overall.value}, {sides}: {counts or 'nothing measured'}"


def advice(found: Comparison) -> str | None:
    """Return the next move, None where there is nothing to do."""
    apart = [one.key for one in found.differences if not one.allowed]
    if "experiment" in apart:
        return "Name two sides of one experiment: others have no value in common."
    if apart:
        flags = " ".join(f"--allow {key}" for key in apart)
        return f"Set a baseline here, or, if that is the change to judge: {flags}"
    if found.overall is Judgement.INCONCLUSIVE:
        more = [one.more_trials for one in found.of(Judgement.INCONCLUSIVE) if one.more_trials]
        if not more:
            return "No more trials would decide it here: quieten the host, or gate other metrics."
        by = {
            None: "a larger --budget of gate or ab, or cgbench run with --trials for either side "
            "of compare",
            Ending.BUDGET: "give it a larger --budget",
            Ending.TRIALS: "cgbench run with --trials for either side, then compare",
        }[found.ended_by]
        return f"More trials may decide it (about {count(max(more), 'more trial')} a side): {by}."
    return None


def levels(one: Finding) -> str:
    """Return the values of both sides between which the change lies: see `middles`."""
    sides = middles(one)
    if sides is None:
        return "–"
    before, after = (quantity(side, one.unit) for side in sides)
    # The unit once where it is the same: a size may have another one.
    number, _, unit = before.partition(" ")
    return f"{number if after.partition(' ')[2] == unit else before} → {after}"


def middles(one: Finding) -> tuple[float, float] | None:
    """Return geometric means of both sides, between which the change lies.

    Medians where there is no ratio; None where one of the sides has no value.
    """
    if one.levels is not None:
        return one.levels
    if not one.baseline or not one.candidate:
        return None
    return median(one.baseline), median(one.candidate)


def regression(one: Finding, level: float) -> str:
    """Return a regression as one sentence: option, step, size and confidence."""
    trials = f"{len(one.baseline)} against {len(one.candidate)} trials"
    p = "" if one.p is None or " p = " in one.reason else f", p = {one.p:.2g}"
    return (
        f"{where(one)}: {levels(one)}, {change(one)} at {100 * level:.0f} %{p}, {trials}; "
        f"{one.reason}"
    )


def ordered(found: Comparison) -> list[Finding]:
    """Return the findings, the worst first."""
    order = list(Judgement)
    return sorted(found.findings, key=lambda one: order.index(one.judgement))


def remarks(found: Comparison) -> list[str]:
    """Return what else a reader must know: disturbed trials, allowed differences, notes."""
    texts = [
        f"{one.key} differs, as allowed: {one.baseline} → {one.candidate}"
        for one in found.differences
        if one.allowed and not found.paired
    ]
    disturbed: dict[tuple[str, bool], list[int]] = {}
    for one in found.disturbances:
        disturbed.setdefault((one.reason, one.kept), []).append(one.repetition)
    texts += [
        f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))} "
        f"{'kept' if kept else 'measured again'}: {reason}"
        for (reason, kept), numbers in disturbed.items()
    ]
    return [*texts, *dict.fromkeys(found.notes)]
