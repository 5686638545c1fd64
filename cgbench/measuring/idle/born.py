"""Is a container born with a value limited as one that was updated to it?"""

from __future__ import annotations

from typing import Literal

from cgbench.engine.connection import Answer
from cgbench.measuring.idle.containers import Supply, words
from cgbench.records.idle_findings import BornVsChanged, Difference
from cgbench.spec.option import Option, Settings
from cgbench.spec.options import update_body


def born_vs_changed(one: Option, supply: Supply) -> tuple[BornVsChanged, ...]:
    """Compare a container born with a value with two that were updated to it.

    One was born with no limit, one with another value of the option. The options that must be set
    beside it are set only where it is refused without them.
    """
    found = []
    starts: tuple[Literal["nothing", "another value"], ...] = ("nothing", "another value")
    for start in starts:
        supply.progress(f"{one.flag} {one.example}: born with it, and with {start}")
        compared = _compare(one, {}, start, supply)
        if compared.same is None and one.beside:
            compared = _compare(one, one.beside, start, supply)
        found.append(compared)
    return tuple(found)


def _compare(
    one: Option, beside: Settings, start: Literal["nothing", "another value"], supply: Supply
) -> BornVsChanged:
    wanted = {**beside, one.name: one.example}
    before = {} if start == "nothing" else {**beside, one.name: one.other}
    engine = supply.site.engine
    differences: tuple[Difference, ...] = ()
    with (
        supply.born(update_body(wanted)) as (born_answer, born),
        supply.born(update_body(before)) as (answer, changed),
    ):
        if changed is not None:
            answer = engine.update_raw(changed.container_id, update_body(wanted))
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
