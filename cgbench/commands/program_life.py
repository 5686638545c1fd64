"""One life of a program under a search: limits tried one after the other, and what each came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cgbench.commands.session import Session
from cgbench.judging import tune as judging
from cgbench.judging.run import load
from cgbench.measuring import run as runs
from cgbench.measuring.progress import Silent
from cgbench.records.host import Host
from cgbench.records.tune import Observation
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.program import Program
from cgbench.spec.programs import with_loads
from cgbench.spec.step import Step
from cgbench.spec.target import Target
from cgbench.spec.tunable import Tunable
from cgbench.units import NS_PER_S

MEMORY = 512 * 2**20
"""The highest memory limit that is tried, and the cap where another limit is searched."""

PIDS = 512
"""The same of tasks."""

_SETTLE_NS = NS_PER_S // 5
_WARMUP_NS = NS_PER_S // 2


@dataclass(frozen=True)
class Question:
    """What is searched for: the smallest `limit` between `low` and `high` that meets `target`."""

    name: str
    program: Program
    target: Target
    limit: Tunable
    low: float
    high: float
    hold_ns: int
    budget_s: float


@dataclass(frozen=True)
class Lived:
    """What one life of the program came to; `failed` says why it was cut off, if it was.

    `warm` is how many bytes of its image's files were in memory before, None where that is unknown.
    """

    seen: tuple[Observation, ...]
    host: Host | None = None
    failed: str | None = None
    warm: int | None = None


Live = Callable[[Sequence[float]], Lived]
"""Lets the program live once, and tries limits in the order given."""


def life(asked: Question, session: Session) -> Live:
    """Return what lets the program live in containers on this host."""

    def live(limits: Sequence[float]) -> Lived:
        request = runs.Request(
            experiment(asked, limits), session.image, session.results, session.seed,
            purpose="tune",
        )  # fmt: skip
        directory = runs.begin(request, session.engine, {})
        runs.execute(directory, directory.run(), session.engine, Silent())
        run = load(directory)
        run.keep_rows()
        texts = {_text(asked.limit, one): one for one in limits}
        seen = judging.observations(run, asked.name, asked.target, texts)
        failed = next((one.reason for one in run.failed), None)
        warm = next(
            (
                one.warm_bytes
                for trial in run.finished
                for one in trial.containers
                if one.role == asked.name
            ),
            None,
        )
        return Lived(tuple(seen), run.record.host, failed, warm)

    return live


def experiment(asked: Question, limits: Sequence[float]) -> Experiment:
    """Return one life of the program, in which limits are tried one after the other.

    Before each, the program has the highest limit for a while, so that what an earlier one left
    undone is done. Of memory, limits are tried from the highest down, where nothing need be
    undone, and none counts before the kernel has found out which pages to take away.
    """
    assert asked.program.load is not None
    rest = _SETTLE_NS + max(asked.program.load.timeout, NS_PER_S // 2)
    hold, settle = asked.hold_ns, None
    if asked.limit.name == "memory":
        limits, rest = sorted(limits, reverse=True), max(rest, asked.hold_ns)
        hold, settle = 2 * hold, hold
    highest, before = dict(asked.limit.settings(asked.high)), asked.high
    steps: list[Step] = []
    for one in limits:
        if asked.limit.name != "memory" or one >= before:
            steps.append(Step(set=highest, hold=rest, prepares=True))
        steps.append(
            Step(set=dict(asked.limit.settings(one)), hold=hold, settle=settle, may_end=True)
        )
        before = one
    memory = int(asked.high) if asked.limit.name == "memory" else MEMORY
    pids = int(asked.high) if asked.limit.name == "pids" else PIDS
    found = Experiment(
        name=f"tune-{asked.name}"[:60],
        title=f"The smallest limit of {asked.limit.name} for {asked.name}",
        question=f"Which limit meets {asked.target.words}?",
        option=asked.limit.option,
        trials=1,
        warmup=_WARMUP_NS,
        programs={asked.name: asked.program},
        containers=(Container(role=asked.name, workload=asked.name, memory=memory, pids=pids),),
        steps=tuple(steps),
    )
    return with_loads(found)


def _text(limit: Tunable, value: float) -> str:
    """Return a limit as a trial's record has it."""
    return str(limit.settings(value)[limit.option])
