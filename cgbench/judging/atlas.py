"""What changes from one host of the atlas to the next: computed from its rows, never written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cgbench.judging.contradiction import Contradiction, bases, contradictions
from cgbench.judging.lifted import OF_THE_VALUES
from cgbench.judging.undone import BEFORE_THAT
from cgbench.records import rules
from cgbench.records.atlas import AtlasRow
from cgbench.records.host_key import PARTS, age
from cgbench.records.truth import Row
from cgbench.records.verdict import Outcome
from cgbench.spec.options import OPTIONS


@dataclass(frozen=True)
class Side:
    """One option on one of two neighbours; `fails` says that Docker says what is not so."""

    verdict: Outcome
    fails: bool
    reason: str


@dataclass(frozen=True)
class Difference:
    """An option whose verdict is another one on a neighbour."""

    option: str
    before: Side
    after: Side


@dataclass(frozen=True)
class OtherText:
    """A value after whose update an interface file holds another text on a neighbour."""

    option: str
    value: str
    file: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Neighbours:
    """Two rows whose hosts differ in one `part` of their keys alone, the older one `before`.

    `compared` are the options that both have, `differences` those of them that come out otherwise.
    `texts` are of every option: verdicts may be the same for other reasons.
    """

    before: AtlasRow
    after: AtlasRow
    part: str
    compared: tuple[str, ...]
    differences: tuple[Difference, ...]
    texts: tuple[OtherText, ...]


def neighbours(rows: Sequence[AtlasRow]) -> tuple[Neighbours, ...]:
    """Return every pair of neighbours, in the order of the parts of their keys.

    What was not recorded may be anything: a row that lacks a part is nobody's neighbour.
    """
    found = []
    for pair in itertools.combinations(rows, 2):
        differing = pair[0].key.differing(pair[1].key)
        if len(differing) == 1 and getattr(pair[1].key, differing[0]) is not None:
            before, after = sorted(pair, key=lambda row: _age(row.key.words(differing[0])))
            found.append(_compared(before, after, differing[0]))
    order = [part.name for part in PARTS]
    return tuple(sorted(found, key=lambda one: order.index(one.part)))


def _age(words: str) -> tuple[bool, str, list[int], str]:
    """Return what sorts the values of a part: versions by number, and what is usual first."""
    return words not in ("none", "real"), *age(words)


def _compared(before: AtlasRow, after: AtlasRow, part: str) -> Neighbours:
    here, there = (_by_option(row) for row in (before, after))
    both, differences = list[str](), []
    for name in OPTIONS:
        if name not in here or name not in there:
            continue
        mine, others = here[name], there[name]
        bare = (_by_its_values(mine), _by_its_values(others))
        if _depth(mine, before) == _depth(others, after):
            bare = (mine, others)
        if bare[0] is None or bare[1] is None:
            continue
        both.append(name)
        one, other = _side(bare[0]), _side(bare[1])
        # What was left open differs from nothing.
        decided = Outcome.INCONCLUSIVE not in (one.verdict, other.verdict)
        if decided and (one.verdict, one.fails) != (other.verdict, other.fails):
            differences.append(Difference(name, one, other))
    texts = dict.fromkeys(text for name in both for text in _other_texts(here[name], there[name]))
    return Neighbours(before, after, part, tuple(both), tuple(differences), tuple(texts))


def _depth(one: Row, row: AtlasRow) -> tuple[object, ...]:
    """Return what was looked for beside an option's experiment, and may have decided on it."""
    stages = tuple(stage.stage for survival in one.survivals for stage in survival.stages)
    return bool(row.table.interactions), stages, bool(one.states), bool(one.liftings)


def _by_its_values(one: Row) -> Row | None:
    """Return an option as its experiment alone shows it, None where that cannot be told any more.

    What another row did not look for is no difference between their hosts.
    """
    verdict = one.verdict
    if verdict.undone_by or any(lifting.fails for lifting in one.liftings):
        possible = bases(verdict) if verdict.values else set()
        if len(possible) != 1:
            return None
        reason = verdict.reason.rpartition(BEFORE_THAT)[2].rpartition(OF_THE_VALUES)[2]
        verdict = verdict.model_copy(
            update={"verdict": possible.pop(), "undone_by": (), "reason": reason}
        )
    return Row(verdict=verdict)


def _other_texts(here: Row, there: Row) -> Iterator[OtherText]:
    """Yield what differs in the files that both have, of values that were left open on neither."""
    after = {(one.requested, one.note, one.role): one for one in there.verdict.values}
    for one in here.verdict.values:
        other = after.get((one.requested, one.note, one.role))
        if other is None or Outcome.INCONCLUSIVE in (one.verdict, other.verdict):
            continue
        for name, file in one.files.items():
            if name in other.files and other.files[name].after != file.after:
                yield OtherText(
                    here.verdict.option, one.requested, name, file.after, other.files[name].after
                )


def _by_option(row: AtlasRow) -> dict[str, Row]:
    return {one.verdict.option: one for one in row.table.rows}


def _side(row: Row) -> Side:
    return Side(row.verdict.verdict, row.fails, row.verdict.reason)


@dataclass(frozen=True)
class Following:
    """Whether a row's verdicts follow from its values by today's rules.

    `other_rules` are those that it was made by, where they are not today's.
    """

    contradictions: tuple[Contradiction, ...]
    other_rules: str | None

    @property
    def good(self) -> bool:
        """Whether nothing in the row contradicts today's rules."""
        return not self.contradictions


def follows(row: AtlasRow) -> Following:
    """Look whether the verdicts of a row follow, as far as a truth table alone shows it."""
    same = row.rules == rules.digest()
    return Following(contradictions(row.table), None if same else row.rules)
