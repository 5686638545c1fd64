"""Is a container born with a value limited as one that was updated to it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cgbench.engine.connection import Answer
from cgbench.measuring.idle.containers import Idle, Supply, words
from cgbench.records.idle_findings import BornVsChanged, Difference
from cgbench.spec.option import Option, Settings
from cgbench.spec.options import update_body

Start = Literal["nothing", "another value"]

_STARTS: tuple[Start, ...] = ("nothing", "another value")


def born_vs_changed(one: Option, supply: Supply) -> tuple[BornVsChanged, ...]:
    """Compare a container born with a value with two that were updated to it.

    One was born with no limit, one with another value of the option. The options that must be set
    beside it are set only where it is refused without them.
    """
    found = _compared(one, {}, _STARTS, supply)
    if one.beside:
        refused = [start for start in _STARTS if found[start].same is None]
        found |= _compared(one, one.beside, refused, supply)
    return tuple(found[start] for start in _STARTS)


def _compared(
    one: Option, beside: Settings, starts: Sequence[Start], supply: Supply
) -> dict[Start, BornVsChanged]:
    if not starts:
        return {}
    with supply.born(update_body({**beside, one.name: one.example})) as born:
        return {start: _compare(one, beside, start, born, supply) for start in starts}


def _compare(
    one: Option, beside: Settings, start: Start, birth: tuple[Answer, Idle | None], supply: Supply
) -> BornVsChanged:
    supply.progress(f"{one.flag} {one.example}: born with it, and with {start}")
    born_answer, born = birth
    before = {} if start == "nothing" else {**beside, one.name: one.other}
    differences: tuple[Difference, ...] = ()
    with supply.born(update_body(before)) as (answer, changed):
        if changed is not None:
            wanted = update_body({**beside, one.name: one.example})
            answer = supply.site.engine.update_raw(changed.container_id, wanted)
        both = born is not None and changed is not None and answer.refusal is None
        if born is not None and changed is not None and both:
            differences = born.limits().differences(changed.limits())
    return BornVsChanged(
        option=one.name,
        value=str(one.example),
        start=start,
        beside=" ".join(f"--{name} {value}" for name, value in beside.items()),
        born_refusal=_refusal(born_answer),
        changed_refusal=_refusal(answer),
        differences=differences,
        same=not differences if both else None,
    )


def _refusal(answer: Answer) -> str | None:
    return None if answer.refusal is None else words(answer)
