"""A value that holds in its experiment, and that something else undoes while Docker declares it.

What a user does to the option itself, or to its container, undoes nothing here: a restart is
shown with the row, and decides no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cgbench.judging.verdict import advice_on
from cgbench.records.idle_findings import Felt, Interaction, Meeting, Stage, Survival
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome, Verdict
from cgbench.spec.options import OPTIONS
from cgbench.wording import count

BEFORE_THAT = "before that: "
"""What stands in a reason before the one that the values gave."""

_HELD = (Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.INCONCLUSIVE,
         Outcome.UNSUPPORTED)  # fmt: skip
"""Verdicts that something else can undo; of all others nothing was in force as asked."""

_UNDOING = {
    "another update": "the update of an option that has nothing to do with it",
    "another container": "the start and stop of another container",
    "daemon reload": "systemctl daemon-reload",
    "another container after a reload": "systemctl daemon-reload and another container's start",
}
"""Stages of a survival in which nobody touches the value, and what to call them."""

# docs.docker.com: `--cpus` stands for a quota over a period, so that the later one is meant.
_STANDS_FOR = {"cpus": ("cpu-quota", "cpu-period"), "cpu-quota": ("cpus",)}


def by_survival(row: Row) -> Row:
    """Return a row with its verdict reverted where its value did not outlive what it should."""
    found = [one for survival in row.survivals for one in _lost(survival)]
    return row.model_copy(update={"verdict": _reverted(row.verdict, found)})


def by_interactions(table: TruthTable) -> TruthTable:
    """Return a table in which every option that another one undoes is reverted."""
    rows = tuple(
        row.model_copy(
            update={"verdict": _reverted(row.verdict, list(_met(row, table.interactions)))}
        )
        for row in table.rows
    )
    return table.model_copy(update={"rows": rows})


def _lost(survival: Survival) -> Iterator[str]:
    """Yield what undid a value: the first stage only, since it is not set again for the next."""
    for stage in survival.stages:
        if stage.survived is not False:
            continue
        if stage.stage in _UNDOING and stage.running and _still_declared(stage):
            asked = f"--{survival.option} {survival.value}"
            beside = f" beside {survival.beside}" if survival.beside else ""
            yield f"{_UNDOING[stage.stage]}: of {asked}{beside} {_what(survival, stage)}"
        return


def _still_declared(stage: Stage) -> bool:
    declared = stage.before.declared == stage.after.declared
    return declared and all(one.layer == "enforced" for one in stage.changes)


def _what(survival: Survival, stage: Stage) -> str:
    changed = [f"{one.where} went from {one.before} to {one.after}" for one in stage.changes]
    if changed:
        return "; ".join(changed)
    return f"{survival.file} went from {stage.before.enforced} to {stage.after.enforced}"


def _met(row: Row, interactions: Iterable[Interaction]) -> Iterator[str]:
    """Yield what undid an option: every other one that did, with what was read or felt."""
    for one in interactions:
        if one.a != row.verdict.option or one.a in _STANDS_FOR.get(one.b, ()):
            continue
        by = f"--{one.b} {one.b_value}"
        if one.outcome is Meeting.DISTURBED and one.undone is not None:
            yield f"{by}: {one.undone}"
        elif _felt(one):
            assert one.effect is not None
            yield f"{by}: {one.effect.reason}"


def _felt(one: Interaction) -> bool:
    """Say whether an effect is gone although Docker declares the value, and the file holds it."""
    if one.effect is None or one.effect.felt is not Felt.DISTURBED:
        return False
    field = OPTIONS[one.a].field
    redeclared = any((each.layer, each.where) == ("declared", field) for each in one.a_changes)
    return one.outcome in (Meeting.INDEPENDENT, Meeting.REFUSED) and not redeclared


def _reverted(one: Verdict, found: Sequence[str]) -> Verdict:
    """Return a verdict as it is with what undid its value."""
    if not found or one.verdict not in (*_HELD, Outcome.REVERTED):
        return one
    undone_by = (*one.undone_by, *found)
    if one.verdict is Outcome.REVERTED:
        return one.model_copy(update={"undone_by": undone_by})
    more = f" (and by {count(len(found) - 1, 'other')})" if len(found) > 1 else ""
    reason = (
        f"took hold, and was undone by {found[0]}{more}, while Docker still declares it; "
        f"{BEFORE_THAT}{one.reason}"
    )
    return one.model_copy(
        update={
            "verdict": Outcome.REVERTED,
            "reason": reason,
            "advice": advice_on(Outcome.REVERTED),
            "undone_by": undone_by,
        }
    )
