"""Where a truth table contradicts itself: verdicts that do not follow from the values beside them.

A table keeps less than its run: what a file held between two readings, what excuses a value, why a
workload could show nothing. Whatever may have followed from that is taken as it stands.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cgbench.judging import lifted, undone
from cgbench.judging.decision import decided
from cgbench.judging.intervals import error_pct
from cgbench.judging.summary import Estimate
from cgbench.judging.value import Judged, Tried, described
from cgbench.records.run import PointKey
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome, Point, Value, Verdict
from cgbench.spec.band import Tolerance
from cgbench.spec.metrics import METRICS

# A reason counts values: `10 of 10 values held`, `of 4 values 3 were refused, 1 was ignored`.
_COUNTS = re.compile(r"(?:(\d+) of (\d+) values (\w[\w ]*)|of (\d+) values ([\w ,]+)):")
_CLAUSE = re.compile(r"(\d+) (?:was |were )?([\w ]+)")
_BECAME = {
    "held": Outcome.EFFECTIVE, "not judged by a workload": Outcome.EFFECTIVE,
    "imprecise": Outcome.IMPRECISE, "refused": Outcome.REJECTED,
    "partly refused": Outcome.PARTIAL, "wrong": Outcome.WRONG, "reverted": Outcome.REVERTED,
    "discarded": Outcome.DISCARDED, "ignored": Outcome.IGNORED,
    "disturbed": Outcome.INCONCLUSIVE, "not reached": Outcome.INCONCLUSIVE,
    "without a reading": Outcome.INCONCLUSIVE, "had no reading": Outcome.INCONCLUSIVE,
    "never measured": Outcome.INCONCLUSIVE,
}  # fmt: skip
_BY_A_FILE = (
    Outcome.WRONG, Outcome.IMPRECISE, Outcome.REVERTED, Outcome.IGNORED, Outcome.DISCARDED,
)  # fmt: skip
_SAME = 1e-6


@dataclass(frozen=True)
class Contradiction:
    """One thing of an option that does not follow from the rest of its row."""

    option: str
    reason: str


def contradictions(table: TruthTable) -> tuple[Contradiction, ...]:
    """Return every contradiction of a table by today's rules; none where it says too little."""
    found = []
    for row in table.rows:
        one = row.verdict
        reasons = (*_of_points(one), *_of_values(one), *_of_counts(one), *_of_decision(row, table))
        found += [Contradiction(one.option, reason) for reason in dict.fromkeys(reasons)]
    return tuple(found)


def _of_points(one: Verdict) -> Iterator[str]:
    """Yield the points whose error, or whose place in the band, does not follow from them."""
    for point in one.experienced:
        place = f"at {point.label}, {point.metric} of {point.value:.5g} {point.unit}"
        if point.expected is not None and point.error_pct is not None:
            error = error_pct(point.value, point.expected)
            if error is None or abs(error - point.error_pct) > _SAME * max(1.0, abs(error)):
                yield f"{place} is said to be off by {point.error_pct:.4g} %"
        known = None not in (point.expected, point.tolerance, point.tolerance_above)
        if known and point.within not in _within(point):
            inside = {True: "inside", False: "outside", None: "no matter of"}[point.within]
            yield f"{place} is said to be {inside} its band around {point.expected:.5g}"


def _within(point: Point) -> set[bool | None]:
    """Return where a value may lie: it depends on whether its workload grew until it was ended."""
    assert point.expected is not None
    allowed = Tolerance(point.tolerance or 0.0, point.tolerance_above or 0.0)
    metric = METRICS[point.metric]
    return {metric.holds(point.value, point.expected, allowed, grown=on) for on in (True, False)}


def _of_values(one: Verdict) -> Iterator[str]:
    """Yield the values whose verdict the files and figures beside them exclude."""
    for value in one.values:
        what = f"{value.label} of {value.role} is {value.verdict}"
        if value.verdict is Outcome.REJECTED and not one.declared.refused:
            yield f"{what}, and Docker refused nothing"
        if value.verdict is Outcome.DISCARDED and not one.declared.warnings:
            yield f"{what}, and Docker warned of nothing"
        if value.verdict is not Outcome.EFFECTIVE:
            continue
        for name, file in value.files.items():
            # A file that is gone went with its container, which its limit ended.
            if file.expected is not None and file.after not in (None, file.expected):
                yield f"{what}, and {name} held {file.after}, not {file.expected}"
        for point in _points(one, value)[:1]:
            if point.within is False:
                yield f"{what}, and {point.metric} lies outside its band"


def _of_counts(one: Verdict) -> Iterator[str]:
    """Yield what a reason counts otherwise than the values stand there."""
    match = _COUNTS.search(one.reason)
    if match is None or not one.values:
        return
    if match[1] is not None:
        total, told = int(match[2]), Counter({_became(match[3]): int(match[1])})
    else:
        clauses = [_CLAUSE.fullmatch(text.strip()) for text in match[5].split(",")]
        total, told = int(match[4]), Counter[Outcome | None]()
        for clause in clauses:
            if clause is not None:
                told[_became(clause[2])] += int(clause[1])
    there = Counter(value.verdict for value in one.values)
    if total != len(one.values):
        yield f"its reason speaks of {total} values, and {len(one.values)} are there"
    elif None not in told and dict(told) != dict(there):
        yield f"its reason counts {_listed(told)}, and its values are {_listed(there)}"


def _became(words: str) -> Outcome | None:
    return _BECAME.get(re.sub(r"^(was|were) ", "", words.strip()))


def _listed(counted: Counter[Outcome | None] | Counter[Outcome]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in counted.items())


def _of_decision(row: Row, table: TruthTable) -> Iterator[str]:
    """Yield that a verdict is none to which today's rules can come from its values."""
    one = row.verdict
    if not one.values:
        # A table of an older cgbench has none; where nothing was tried, there is none to have.
        tried = one.declared.accepted or one.declared.refused or one.experienced
        if not tried and one.verdict not in (Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE):
            yield f"it is {one.verdict}, and nothing was tried"
        return
    possible = {final for base in bases(one) for final in [_final(row, base, table)]}
    if one.verdict not in possible:
        words = " or ".join(sorted(possible))
        yield f"it is {one.verdict}, and by its values it is {words}"


def bases(one: Verdict) -> set[Outcome]:
    """Return to which verdicts the values alone may lead, by what the table does not keep."""
    judged = [_stored(one, value) for value in one.values]
    all_due = [replace(value, due=True) for value in judged]
    return {
        decided(values, unmet)[0]
        for values, unmet in itertools.product((judged, all_due), ((), ("anything",)))
    }


def _final(row: Row, base: Outcome, table: TruthTable) -> Outcome:
    """Return what becomes of a verdict by all that was found beside the option's experiment."""
    bare = row.verdict.model_copy(update={"verdict": base, "undone_by": ()})
    after = lifted.by_liftings(undone.by_survival(row.model_copy(update={"verdict": bare})))
    alone = table.model_copy(update={"rows": (after,)})
    return undone.by_interactions(alone).rows[0].verdict.verdict


@dataclass(frozen=True)
class _Stored(Judged):
    """A value as a table keeps it, whose phases are gone; `in_files` says that a file held it."""

    in_files: bool = False

    @property
    def held(self) -> bool:
        return self.in_files and not self.departed


def _stored(one: Verdict, value: Value) -> _Stored:
    """Return what a value was judged as, as far as its reason, files and figures show it."""
    points = _points(one, value)
    # What decided otherwise than by the option's first metric stands behind the others.
    point = None if not points else points[0 if value.verdict is Outcome.EFFECTIVE else -1]
    tried = Tried(
        key=PointKey(value.role, one.option, "update", value.requested, value.note),
        phases=(), metric=None if point is None else point.metric,
        felt=None if point is None else _estimate(point), awaited=False, excuse=None,
    )  # fmt: skip
    shown = False
    if point is not None and point.expected is not None:
        by_figure = described(tried) in value.reason
        if value.verdict is Outcome.EFFECTIVE:
            shown = by_figure and point.within is True
        elif value.verdict is Outcome.INCONCLUSIVE:
            shown = by_figure and ", but " in value.reason
        else:
            shown = by_figure or value.verdict is Outcome.PARTIAL
    unread = value.verdict is Outcome.INCONCLUSIVE and "could not be read" in value.reason
    files = [file for file in value.files.values() if file.expected is not None]
    return _Stored(
        tried, value.verdict, "", value.reason,
        shown=shown,
        due=not files or any(file.before != file.expected for file in files),
        departed=unread or (value.verdict in _BY_A_FILE and not shown),
        in_files=bool(value.files),
    )  # fmt: skip


def _points(one: Verdict, value: Value) -> Sequence[Point]:
    key = (value.requested, value.note, value.role)
    return [point for point in one.experienced if (point.requested, point.note, point.role) == key]


def _estimate(point: Point) -> Estimate:
    band = None if point.tolerance is None else Tolerance(
        point.tolerance, point.tolerance if point.tolerance_above is None else point.tolerance_above
    )  # fmt: skip
    return Estimate(
        unit=point.unit, expected=point.expected, median=point.value, low=None, high=None,
        level=None, trials=1, error_pct=point.error_pct, tolerance=band, within=point.within,
    )  # fmt: skip
