"""Updates of a container in each state, in words: when in force, and what nobody would expect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgbench.records.idle_findings import State, StateFinding, When
from cgbench.records.truth import Row

_USUAL: dict[State, tuple[When, ...]] = {
    "created": (When.START,),
    "running": (When.NOW,),
    "paused": (When.NOW, When.UNPAUSE),
    "restarting": (When.RESTART,),
    "stopping": (When.NOW, When.START),
    "exited": (When.START,),
}
"""When an update is in force at the earliest; a paused container feels nothing before unpause."""


def in_force(one: StateFinding) -> str:
    """Return when an update in a state came to be in force."""
    if one.missed is not None:
        return "not seen"
    if one.outcome == "rejected":
        return "refused" + (", and changed all the same" if one.yet_changed else "")
    if one.in_force is None and _lies(one):
        return "the container does not start"
    declares = one.last is not None and one.last.declared == one.sent
    if one.in_force in (None, When.NEVER) and not declares:
        return "Docker does not declare it"
    if one.in_force is None:
        return "no file shows it" if one.file is None else "its file does not show it"
    return one.in_force.value + (", then undone" if one.undone else "")


def readings(one: StateFinding) -> str:
    """Return what the interface file said before, after the answer and after each step."""
    held = (one.before, one.after, *(step.held for step in one.steps))
    texts = ["–" if each is None or each.enforced is None else each.enforced for each in held]
    return " → ".join(texts)


def declared(one: StateFinding) -> str:
    """Return what Docker declared before and after the answer."""
    if one.before is None or one.after is None:
        return "–"
    before, after = one.before.declared or "nothing", one.after.declared or "nothing"
    return after if before == after else f"{before} → {after}"


def words(one: StateFinding) -> str:
    """Return why a state was missed, or all that the daemon said."""
    said = (one.missed or one.message, *(step.message for step in one.steps))
    return "; ".join(dict.fromkeys(filter(None, said)))


def surprises(row: Row) -> list[str]:
    """Return what a user would not expect of updates in each state, one clause for each kind."""
    by: dict[str, list[State]] = {}
    for one in row.states:
        for clause in _clauses(one):
            by.setdefault(clause, []).append(one.state)
    never = by.get(_NEVER, [])
    if row.verdict.fails and "running" in never:
        # The verdict says it of a running container, and so of what follows.
        del by[_NEVER]
    return [f"an update of {_any_of(states, row)} container {what}" for what, states in by.items()]


_NEVER = "is declared and never in force"


def _clauses(one: StateFinding) -> Iterator[str]:
    if one.outcome == "rejected":
        if one.yet_changed:
            yield "is refused, and changes it all the same"
        return
    if one.undone:
        yield "is in force, and then undone"
    elif one.hollow:
        yield _NEVER
    elif one.in_force is not None and one.in_force not in (When.NEVER, *_USUAL[one.state]):
        yield f"takes hold only {one.in_force.value}"
    if _lies(one):
        yield "is accepted, and then the container does not start"


def _lies(one: StateFinding) -> bool:
    """Say whether the container does not run in the end."""
    return bool(one.steps) and not one.steps[-1].running


def _any_of(states: Sequence[State], row: Row) -> str:
    """Return states as adjectives with their article; `any` where it is every one seen."""
    if len(states) == sum(one.missed is None for one in row.states) > 2:
        return "any"
    article = "an" if states[0] == "exited" else "a"
    return f"{article} " + " or ".join(filter(None, (", ".join(states[:-1]), states[-1])))
