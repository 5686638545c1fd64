"""Which rows of a truth table count: all but what is known and accepted, or was so before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from cgbench.records.known import Known
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome

Direction = Literal["worse", "better", "other"]
"""Where a verdict went; `other` is one that cannot be ranked, before or after."""

_RANKS = {
    Outcome.EFFECTIVE: 0, Outcome.IMPRECISE: 1, Outcome.PARTIAL: 2, Outcome.REJECTED: 2,
    # Something else is in force, and nothing is.
    Outcome.WRONG: 4, Outcome.INEFFECTIVE: 5, Outcome.IGNORED: 5, Outcome.DISCARDED: 5,
    Outcome.REVERTED: 5,
}  # fmt: skip
_FAILS = 3
"""What Docker says of another state only is not so, or of a refusal: any failing verdict is worse.
"""


@dataclass(frozen=True)
class Changed:
    """An option whose verdict is another one than before; None where it was not measured."""

    option: str
    before: Outcome | None
    after: Outcome
    direction: Direction


@dataclass(frozen=True)
class Standing:
    """What of a table counts, and why the rest does not.

    `failing` are the options whose limits are not as Docker says, `undecided` those of which
    nothing is known, `as_before` those of either kind that an earlier table has already.
    `accepted` are known by somebody, `expired` were so until a day that has passed, `unneeded` have
    another verdict by now. `changed` is empty without an earlier table.
    """

    failing: tuple[str, ...]
    undecided: tuple[str, ...]
    as_before: tuple[str, ...] = ()
    accepted: tuple[Known, ...] = ()
    expired: tuple[Known, ...] = ()
    unneeded: tuple[Known, ...] = ()
    changed: tuple[Changed, ...] = ()


def standing(
    table: TruthTable,
    known: Sequence[Known] = (),
    today: date | None = None,
    before: TruthTable | None = None,
) -> Standing:
    """Return what of a table counts on a day.

    Against an earlier table only what got worse since then counts: a failure that was one before
    does not, and neither does what was undecided before. An option that is not in this table is
    passed over.
    """
    rows = {row.verdict.option: row for row in table.rows}
    earlier = {} if before is None else {row.verdict.option: row for row in before.rows}
    fitting = [one for one in known if one.option in rows]
    same = [one for one in fitting if rows[one.option].verdict.verdict is one.verdict]
    expired = [one for one in same if today is not None and one.until < today]
    accepted = [one for one in same if one not in expired]
    changed = [] if before is None else [
        one for name, row in rows.items() if (one := _changed(earlier.get(name), row)) is not None
    ]  # fmt: skip
    worse = {one.option for one in changed if one.direction == "worse"}
    names = [name for name in rows if name not in {one.option for one in accepted}]
    bad = [name for name in names if rows[name].fails]
    undecided = [name for name in names if _undecided(rows[name])]
    failing, still = bad, undecided
    if before is not None:
        failing = [name for name in names if name in worse]
        still = [name for name in undecided if name not in earlier or not _undecided(earlier[name])]
    return Standing(
        failing=tuple(failing),
        undecided=tuple(still),
        as_before=tuple(name for name in (*bad, *undecided) if name not in (*failing, *still)),
        accepted=tuple(accepted),
        expired=tuple(expired),
        unneeded=tuple(one for one in fitting if one not in same),
        changed=tuple(changed),
    )


def _undecided(row: Row) -> bool:
    return row.verdict.verdict is Outcome.INCONCLUSIVE


def _changed(before: Row | None, after: Row) -> Changed | None:
    was = None if before is None else before.verdict.verdict
    now = after.verdict.verdict
    direction = _direction(before, after)
    if was is now and direction == "other":
        return None
    return Changed(after.verdict.option, was, now, direction)


def _direction(before: Row | None, after: Row) -> Direction:
    then, now = None if before is None else _rank(before), _rank(after)
    if now is not None and now >= _FAILS and (then is None or then < _FAILS):
        # Also what was not known before: nobody has accepted it.
        return "worse"
    if then is None or now is None:
        return "other"
    if before is not None and then == now and _any_value_worse(before, after):
        return "worse"
    return "worse" if now > then else "better" if now < then else "other"


def _rank(row: Row) -> int | None:
    rank = _RANKS.get(row.verdict.verdict)
    return max(rank or 0, _FAILS) if row.fails else rank


def _any_value_worse(before: Row, after: Row) -> bool:
    """Say whether a value fails, or fails worse, that was tried before and did not.

    An option may have one verdict for one value that fails, and for all of them.
    """
    then = {(one.role, one.label): _RANKS.get(one.verdict) for one in before.verdict.values}
    for one in after.verdict.values:
        was, now = then.get((one.role, one.label)), _RANKS.get(one.verdict)
        if was is not None and now is not None and now > max(was, _FAILS - 1):
            return True
    return False
