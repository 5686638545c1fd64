"""Does setting one option disturb what another had set?

Every pair gets a container of its own. What an option *should* leave in an interface file comes
from the registry; whether it is there is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cgbench.engine.connection import Answer
from cgbench.measuring.idle import comeback
from cgbench.measuring.idle.containers import Idle, Limits, Supply, words
from cgbench.records.idle_findings import Difference, Felt, Interaction, Meeting
from cgbench.spec.option import Interface, Option, Settings
from cgbench.spec.options import update_body

_ONCE = "not seen when it was tried again"

Files = Callable[[Option], tuple[Interface, ...]]
"""Gives the interface files of an option on the kernel at hand, its own first."""


@dataclass(frozen=True)
class Moment:
    """A container once `option` was set: all settings declared by then, and all limits read."""

    option: Option
    settings: Settings
    limits: Limits


def matrix(options: Iterable[Option], supply: Supply) -> tuple[Interaction, ...]:
    """Set every option after every other one, each pair on a fresh container."""
    every = tuple(options)
    alone = {}
    for one in every:
        supply.progress(f"{one.flag} alone")
        alone[one.name] = _alone(one, supply)
    control = {one.name: comeback.alone(one, supply) for one in every if one.name == "restart"}
    return tuple(
        _measured(first, second, supply, alone[second.name], control.get(first.name))
        for first in every
        for second in every
        if first is not second
    )


def _measured(
    a: Option, b: Option, supply: Supply, b_alone: Answer, control: comeback.Return | None
) -> Interaction:
    """Measure a pair, and once more what is undone: somebody else may have written just then."""
    found = pair(a, b, supply, b_alone, control)
    if found.undone is None and not _lost(found):
        return found
    return confirmed(found, pair(a, b, supply, b_alone, control))


def confirmed(found: Interaction, again: Interaction) -> Interaction:
    """Return a pair with what is undone only if it was seen `again`. A pure function."""
    parts: dict[str, object] = {}
    if found.undone is not None and again.undone is None:
        said = "; ".join(filter(None, (found.message, _ONCE)))
        parts = {"undone": None, "message": said}
    effect = found.effect
    if effect is not None and _lost(found) and not _lost(again):
        reason = f"{effect.reason}; {_ONCE}"
        more = {"felt": Felt.INCONCLUSIVE, "reason": reason, "after": None}
        parts["effect"] = effect.model_copy(update=more)
    return found.model_copy(update=parts)


def _lost(found: Interaction) -> bool:
    return found.effect is not None and found.effect.felt is Felt.DISTURBED


def _alone(one: Option, supply: Supply) -> Answer:
    with supply.fresh() as idle:
        body = update_body({**one.beside, one.name: one.other})
        return supply.site.engine.update_raw(idle.container_id, body)


def pair(
    a: Option,
    b: Option,
    supply: Supply,
    b_alone: Answer | None = None,
    control: comeback.Return | None = None,
) -> Interaction:
    """Set `a`, then `b`, and read everything back.

    `b_alone` is the daemon's answer to `b` on a container without `a`; it is asked if not given.
    `control` is what became of a container with the policy `a` that was killed without `b`; that is
    tried if not given.
    """
    if b_alone is None:
        b_alone = _alone(b, supply)
    if a.name == "restart" and control is None:
        control = comeback.alone(a, supply)
    engine = supply.site.engine
    supply.progress(f"{a.flag} {a.example}, then {b.flag} {b.other}")
    with supply.fresh() as idle:
        born = idle.limits()
        settings: Settings = {**a.beside, a.name: a.example}
        a_answer = engine.update_raw(idle.container_id, update_body(settings))
        first = Moment(a, settings, idle.limits())
        traces = born.differences(first.limits)
        if a_answer.refusal is not None or not traces:
            return _interaction(first, b, Meeting.A_FAILED, words(a_answer))
        # What b needs beside it is in force already where a is that, or needed that.
        needed = {name: value for name, value in b.beside.items() if name not in settings}
        needed[b.name] = b.other
        b_answer = engine.update_raw(idle.container_id, update_body(needed))
        accepted = needed if b_answer.refusal is None else {}
        second = Moment(b, {**settings, **accepted}, idle.limits())
        gone = undone(first, second, idle.interfaces)
        declared = not redeclared(first, second)
        if gone is not None or not declared:
            outcome = Meeting.DISTURBED
        elif b_answer.refusal is None:
            outcome = Meeting.INDEPENDENT
        elif b_alone.refusal is None:
            outcome = Meeting.REFUSED
        else:
            outcome = Meeting.B_FAILED
        found = _interaction(first, b, outcome, words(b_answer))
        changes = first.limits.differences(second.limits)
        is_a = _belonging(a, traces, idle)
        effect = comeback.after(b, idle, supply, control) if a.name == "restart" else None
        return found.model_copy(
            update={
                "undone": gone if declared else None,
                "effect": effect,
                "a_changes": tuple(each for each in changes if (each.layer, each.where) in is_a),
                "b_changes": tuple(
                    each for each in changes if (each.layer, each.where) not in is_a
                ),
            }
        )


def _interaction(first: Moment, b: Option, outcome: Meeting, message: str) -> Interaction:
    a = first.option
    return Interaction(
        a=a.name,
        b=b.name,
        a_value=str(a.example),
        b_value=str(b.other),
        outcome=outcome,
        message=message,
        a_changes=(),
        b_changes=(),
    )


def _belonging(a: Option, traces: Sequence[Difference], idle: Idle) -> set[tuple[str, str]]:
    """Return the fields and files that are a's: its own, and those that setting it changed."""
    files = idle.interfaces(a)
    return (
        {("declared", a.field)}
        | {("enforced", interface.file) for interface in files}
        | {(trace.layer, trace.where) for trace in traces}
    )


def in_force(first: Moment, second: Moment, files: Files) -> bool:
    """Say whether the value set at the `first` moment is in force at the `second` as it was."""
    return not redeclared(first, second) and undone(first, second, files) is None


def redeclared(first: Moment, second: Moment) -> bool:
    """Say whether Docker declares another value of the first option at the `second` moment."""
    field = first.option.field
    return first.limits.declared.get(field) != second.limits.declared.get(field)


def undone(first: Moment, second: Moment, files: Files) -> str | None:
    """Say what the kernel holds in place of the value set at the `first` moment, None if that.

    A value is in force where each of its interface files says what it should. Where a file did not
    say so at first either (dropped, rounded, converted by another formula, or late) it must be
    unchanged, or say so now. A file that both options share may change as far as the second one's
    part of it goes. A pure function.
    """
    a = first.option
    both = second.settings if _took(second, files) else first.settings
    for number, interface in enumerate(files(a)):
        was = first.limits.enforced.get(interface.file)
        now = second.limits.enforced.get(interface.file)
        if was is None or was != interface.agreed(first.settings, was):
            intact = now in (was, interface.agreed(both, now))
        else:
            intact = now == interface.agreed(both, now)
            if intact and both is second.settings and number == 0:
                # A file that would say the same with another value of a no longer holds a's.
                other = {**both, a.name: a.other}
                intact = now != interface.agreed(other, now)
        if not intact:
            asked = f", where both ask for {interface.agreed(both, now)}"
            went = f"{interface.file} went from {was} to {now}"
            return f"{interface.file} stayed {now}{asked}" if now == was else went
    return None


def _took(moment: Moment, files: Files) -> bool:
    """Say whether the option set last is in force: its own file says what all settings ask for."""
    one = moment.option
    if one.name not in moment.settings:
        return False
    own = files(one)[:1]
    if not own or own[0].file not in moment.limits.enforced:
        return True
    interface = own[0]
    now = moment.limits.enforced[interface.file]
    return now == interface.agreed(moment.settings, now)
