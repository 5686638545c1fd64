"""Does a value survive pause and a restart of its container?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from cgbench.engine.connection import Answer
from cgbench.measuring.idle.containers import Idle, Supply, words
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import Held, Stage, Survival
from cgbench.spec.option import Option
from cgbench.spec.options import update_body

StageName = Literal["pause", "restart", "daemon reload", "daemon restart"]


def measure(one: Option, supply: Supply) -> Survival:
    """Set an option's example on a running container, then pause and restart that container."""
    engine = supply.site.engine
    with supply.fresh() as idle:
        survival, held = set_example(one, idle, supply.site)
        if survival.refusal is not None:
            return survival
        supply.progress(f"{one.flag} {one.example}: pause")
        answers = [
            engine.command(idle.container_id, "pause"),
            engine.command(idle.container_id, "unpause"),
        ]
        paused = stage_of("pause", one, idle, survival.born, held, answers)
        supply.progress(f"{one.flag} {one.example}: restart")
        answers = [engine.command(idle.container_id, "restart")]
        restarted = stage_of("restart", one, idle, survival.born, paused.after, answers)
    return survival.model_copy(update={"stages": (paused, restarted)})


def set_example(one: Option, idle: Idle, site: Site) -> tuple[Survival, Held]:
    """Set the example; return a survival without stages yet, and what is held now."""
    born = idle.held(one)
    answer = site.engine.update_raw(
        idle.container_id, update_body({**one.beside, one.name: one.example})
    )
    survival = Survival(
        option=one.name,
        value=str(one.example),
        file=idle.file(one),
        born=born,
        refusal=None if answer.refusal is None else words(answer),
        stages=(),
    )
    return survival, idle.held(one)


def stage_of(
    name: StageName,
    one: Option, idle: Idle, born: Held, before: Held, answers: Iterable[Answer],
) -> Stage:  # fmt: skip
    """Read an option back after a stage, and say whether its value survived that."""
    running = idle.find()
    after = idle.held(one)
    # Where the kernel has a file it decides; Docker's declaration only where there is none.
    kernel = born.enforced is not None
    start, was, now = (each.enforced if kernel else each.declared for each in (born, before, after))
    held = was != start
    return Stage(
        stage=name,
        before=before,
        after=after,
        survived=(running and now == was) if held else None,
        took_hold=running and not held and now != start,
        running=running,
        message="; ".join(filter(None, map(words, answers))),
    )
