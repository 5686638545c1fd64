"""The short texts of a truth table's cells, and of their details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from cgbench.records.idle_findings import (
    Attempt,
    BornVsChanged,
    Difference,
    Lifting,
    Stage,
    StageName,
    Survival,
)
from cgbench.records.truth import Row
from cgbench.records.verdict import (
    NOT_IN_FORCE,
    Declared,
    Enforced,
    Outcome,
    Point,
    TimeToEffect,
    Verdict,
)
from cgbench.reporting.words import states
from cgbench.spec.band import Tolerance
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import OPTIONS
from cgbench.units import format_size
from cgbench.wording import around, count, significant

_FEW_DIGITS = 100

# An unlimited counter of cgroup v1 reads as a number near 2^63; no machine has a limit like that.
_BEYOND_ANY_MEMORY = 2**60


def listed(texts: Sequence[str]) -> str:
    """Return texts as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def flags(names: Iterable[str]) -> str:
    """Return the flags of options as a sentence lists them."""
    return listed([f"`--{name}`" for name in names])


def declared(one: Declared) -> str:
    """Return Docker's answers in short words."""
    if one.accepted == 0:
        return "refused" if one.refused else "not tried"
    words = f"{one.accepted} accepted"
    if one.warnings:
        words += ", with a warning"
    return words + (", others refused" if one.refused else "")


def held(option: str, value: str | None) -> str:
    """Return an interface file's text for a reader: bytes as sizes, the rest as it is."""
    if value is None:
        return "absent"
    if OPTIONS[option].unit == "bytes" and value.isdigit():
        size = int(value)
        return "no limit" if size > _BEYOND_ANY_MEMORY else format_size(size)
    return value or "empty"


def file_change(option: str, one: Enforced) -> tuple[str, str, str | None]:
    """Return before, after and expected for a reader; unchanged if sizes would hide an error."""
    texts = (one.before, one.after, one.expected)
    before, after, expected = (held(option, text) for text in texts)
    if one.expected is not None and one.after != one.expected and after == expected:
        before, after, expected = (text or "absent" for text in texts)
    return before, after, None if one.expected is None else expected


def worst_point(one: Verdict) -> Point | None:
    """Return the judged point that is farthest from what it should be, None if none was judged."""
    judged = [point for point in one.experienced if point.within is not None]
    outside = [point for point in judged if not point.within]
    return max(outside or judged, key=_distance, default=None)


def _distance(point: Point) -> float:
    if point.error_pct is not None:
        return abs(point.error_pct)
    return abs(point.value - (point.expected or 0.0))


def value(number: float | None, unit: str) -> str:
    """Return a figure with its unit, a dash where there is none."""
    if number is None:
        return "–"
    if unit == "bytes":
        return format_size(number)
    return f"{_short(number)} {unit}"


def band(point: Point) -> str:
    """Say how far from what is expected a value may lie: `±0.0061 CPUs`, `−512 KiB +256 KiB`."""
    above = point.tolerance if point.tolerance_above is None else point.tolerance_above
    return around(value(point.tolerance, point.unit), value(above, point.unit))


def band_pct(width: Tolerance) -> str:
    """Say the same in percent, without the unit: `±2.4`."""
    return around(significant(width.below, 2), significant(width.above, 2))


def figure(point: Point) -> str:
    """Return what was experienced, without the unit, which the expectation beside it has."""
    return value(point.value, "bytes") if point.unit == "bytes" else _short(point.value)


def _short(number: float) -> str:
    text = significant(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def milliseconds_or_dash(number: float | None) -> str:
    """Return a figure for a column of milliseconds, a dash where there is none."""
    return "–" if number is None else significant(number, 2 if number < _FEW_DIGITS else 3)


def metric(name: str) -> str:
    """Return a metric's label, its name where another version of cgbench measured it."""
    known = METRICS.get(name)
    return name.replace("_", " ") if known is None else known.label


def tried(attempts: Sequence[Attempt]) -> str:
    """Return how many bounds were tried, and with which results."""
    by = Counter(one.outcome for one in attempts)
    answers = [f"{by[kind]} {kind}" for kind in ("accepted", "warned", "rejected") if by[kind]]
    changed = sum(one.outcome == "rejected" and one.changed for one in attempts)
    unchanged = sum(one.outcome != "rejected" and not one.changed for one in attempts)
    return (
        f"{count(len(attempts), 'value')} tried at and beyond the bounds: {', '.join(answers)}"
        + (f"; {changed} refused, and yet something changed" if changed else "")
        + (f"; {unchanged} not refused, and nothing changed" if unchanged else "")
    )


def control(one: Verdict) -> str | None:
    """Return what the kernel does with a value that is written past Docker."""
    if one.control is None:
        return None
    drops = one.verdict in (Outcome.IGNORED, Outcome.DISCARDED)
    return f"{'Docker drops it; ' if drops else ''}{one.control}"


def parted(one: Difference) -> str:
    """Return one difference between a container born with a value and one changed to it."""
    born_with, changed_to = one.before or "nothing", one.after or "nothing"
    return f"{one.where}: born {born_with}, changed {changed_to}"


def born(one: BornVsChanged) -> str:
    """Return one comparison of `docker run` with `docker update` as a sentence."""
    beside = f" beside {one.beside}" if one.beside else ""
    start = "without limits" if one.start == "nothing" else "with another value"
    what = f"Born with `--{one.option} {one.value}`{beside}, or started {start} and updated to it"
    if one.same is None:
        refused = one.born_refusal or one.changed_refusal or "neither came about"
        which = "docker run" if one.born_refusal else "docker update"
        return f"{what}: not to be compared, `{which}` is refused: {refused}"
    if one.same:
        return f"{what}: the same."
    return f"{what}: different."


OCCASIONS: Mapping[StageName, str] = {
    "another update": "an update of another option",
    "another container": "the start and stop of another container",
    "pause": "a pause",
    "restart": "a restart",
    "daemon reload": "a daemon reload",
    "another container after a reload": "the start of another container after a daemon reload",
    "daemon restart": "a daemon restart",
}
"""Each stage as a sentence names it."""


def stage(one: Stage) -> str:
    """Return what happened to a value in one stage."""
    if not one.running:
        return f"the container did not come back: {one.message}"
    if one.survived is None:
        return "took hold only now" if one.took_hold else "nothing was in force to survive"
    return "survived" if one.survived else "lost"


def times(one: Verdict) -> TimeToEffect:
    """Return an option's times; where nothing is in force, no workload can have settled."""
    known = one.time_to_effect_ms
    if one.verdict in (*NOT_IN_FORCE, Outcome.UNSUPPORTED):
        return known.model_copy(update={"experienced": None})
    return known


def _lived_through(one: Stage) -> str | None:
    """Return what in a stage a user would not expect, None if nothing."""
    if not one.running:
        return f"a container with it does not come back from {OCCASIONS[one.stage]}"
    if one.survived is False:
        return f"lost in {OCCASIONS[one.stage]}"
    return f"takes hold only after {OCCASIONS[one.stage]}" if one.took_hold else None


def survived_value(one: Survival) -> str:
    """Return a value as typed, with what was set beside it."""
    return " ".join(filter(None, (f"--{one.option} {one.value}", one.beside)))


def surprises(row: Row) -> list[str]:
    """Return what else a user of the option would not expect, one clause each."""
    found = []
    first = row.verdict.time_to_effect_ms.answered_first
    if first:
        found.append(f"the answer came before the effect, in {count(first, 'change')}")
    for survival in row.survivals:
        # The example stands for the option; other values are named.
        what = "" if survival is row.survival else f"`{survived_value(survival)}`: "
        found += [what + words for words in map(_lived_through, survival.stages) if words]
    refused_and_changed = dict.fromkeys(
        f"`{one.tried}`" if one.tried else "an empty value"
        for one in row.bounds
        if one.outcome == "rejected" and one.changed
    )
    if refused_and_changed:
        found.append(f"{listed(list(refused_and_changed))}: refused, and yet something changed")
    if any(one.same is False for one in row.born_vs_changed):
        found.append("`docker run` with the same value has another result than `docker update`")
    found += [astray(one) for one in row.liftings if one.right is False]
    if liftable(row) is False:
        found.append("no update that was tried lifts it again")
    return found + states.surprises(row)


def astray(one: Lifting) -> str:
    """Say how Docker's word and the kernel part over a limit that was to be lifted."""
    holds = f"{one.file} holds {one.after}"
    if one.fails:
        return (
            f"`{one.by}` after `{one.limit}` is accepted and lifts nothing: Docker declares "
            f"{one.declared}, and {holds}"
        )
    what = "is refused" if one.outcome == "rejected" else "lifts it"
    return f"`{one.by}` after `{one.limit}` {what}, yet Docker declares {one.declared}, and {holds}"


def liftable(row: Row) -> bool | None:
    """Return whether any update lifted the limit again; None where none was in force."""
    tried = [one.lifted for one in row.bounds if one.how == "update" and one.lifted is not None]
    tried += [one.lifted for one in row.liftings if one.lifted is not None]
    return any(tried) if tried else None
