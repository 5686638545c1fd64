"""Does a value survive what its container may live through?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from cgbench.engine.connection import Answer
from cgbench.engine.engine import SLOW_START_S, Command
from cgbench.host import interrupts
from cgbench.measuring.idle.containers import Idle, Limits, Supply, words
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import Difference, Held, Stage, StageName, Survival
from cgbench.spec.option import Interface, Option, Settings
from cgbench.spec.options import OPTIONS, option, update_body

_LATE_S, _LOOK_EVERY_S = 1.0, 0.05
_SIGNALS_EVERY_S = 0.2
# Neither has anything to do with what other options limit.
_UNRELATED = ("pids-limit", "cpu-shares")


def examples(one: Option) -> tuple[Settings, ...]:
    """Return the values of an option whose survival is tried, each with what is set with it."""
    return ({**one.beside, one.name: one.example}, *one.further)


def measure(
    options: Iterable[Option], supply: Supply, hands: int = 1
) -> dict[str, tuple[Survival, ...]]:
    """Set each value on a running container of its own, and see what that outlives.

    All values go through a stage before any of them goes through the next one, so many at a time
    as there are `hands`. Whatever else starts or ends a container meanwhile could undo a value, and
    would not be named: nothing should, and the supply should start none ahead.
    """
    every = [(one, settings) for one in options for settings in examples(one)]
    found: dict[str, tuple[Survival, ...]] = {}
    for survival in _survivals(every, supply, hands):
        found[survival.option] = (*found.get(survival.option, ()), survival)
    return found


def _survivals(
    some: Sequence[tuple[Option, Settings]], supply: Supply, hands: int
) -> list[Survival]:
    engine, taken = supply.site.engine, []
    try:
        taken = supply.take_all(len(some))
        kept = [
            Kept.set(one, settings, idle, supply.site)
            for (one, settings), idle in zip(some, taken, strict=True)
        ]
        going = [each for each in kept if each.survival.refusal is None]
        for each in going:
            each.settle()

        def command(each: Kept, *names: Command) -> list[Answer]:
            return [
                engine.command(each.idle.container_id, name, limit_s=SLOW_START_S) for name in names
            ]

        def stage(name: StageName, happens: Callable[[Kept], list[Answer]]) -> None:
            def goes_through(each: Kept) -> None:
                supply.progress(f"--{each.survival.option} {each.survival.value}: {name}")
                each.goes_through(name, happens(each))

            _all_of(going, goes_through, hands)

        stage("another update", lambda each: [_unrelated(each.one, each.idle, supply.site)])
        answers = another_container(supply) if going else []
        stage("another container", lambda _: answers)
        stage("pause", lambda each: command(each, "pause", "unpause"))
        stage("restart", lambda each: command(each, "restart"))
    finally:
        for idle in taken:
            supply.give_back(idle)
    return [each.survival for each in kept]


def _all_of(going: Sequence[Kept], goes_through: Callable[[Kept], None], hands: int) -> None:
    """Let all go through a stage, so many at a time. Raises what stopped one of them."""
    with ThreadPoolExecutor(hands, "cgbench-survival") as pool:
        under_way = [pool.submit(goes_through, each) for each in going]
        try:
            going_on = True
            while going_on:
                done, left = wait(under_way, _SIGNALS_EVERY_S, FIRST_EXCEPTION)
                # The kernel may hand a signal to any thread, and only this one handles it.
                interrupts.require_none()
                going_on = bool(left) and not any(one.exception() for one in done)
            for one in done:
                one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _unrelated(one: Option, idle: Idle, site: Site) -> Answer:
    """Update an option that has nothing to do with what `one` limits."""
    other = next(OPTIONS[name] for name in _UNRELATED if name != one.name)
    return site.engine.update_raw(idle.container_id, update_body({other.name: other.other}))


def another_container(supply: Supply) -> list[Answer]:
    """Start another container, and stop it again."""
    with supply.born({}) as (answer, other):
        if other is None:
            return [answer]
        return [answer, supply.site.engine.command(other.container_id, "stop")]


def _says(file: Interface, settings: Settings, limits: Limits) -> bool:
    """Say whether a file says what settings ask for; one that is not there says nothing else."""
    text = limits.enforced.get(file.file)
    return text is None or text == file.agreed(settings, text)


@dataclass
class Kept:
    """A container on which one option was set, and what its value went through so far."""

    one: Option
    settings: Settings
    idle: Idle
    now: Limits
    held: Held
    survival: Survival
    late_at: float

    @classmethod
    def set(cls, one: Option, settings: Settings, idle: Idle, site: Site) -> Kept:
        """Set a value with what belongs to it, and read it; its survival has no stages yet."""
        born = idle.limits()
        answer = site.engine.update_raw(idle.container_id, update_body(settings))
        beside = {name: value for name, value in settings.items() if name != one.name}
        survival = Survival(
            option=one.name,
            value=str(settings[one.name]),
            beside=" ".join(f"--{name} {value}" for name, value in beside.items()),
            file=idle.file(one),
            born=idle.held(one, born),
            refusal=None if answer.refusal is None else words(answer),
            stages=(),
        )
        late_at = time.monotonic() + _LATE_S
        now = idle.limits()
        return cls(one, settings, idle, now, idle.held(one, now), survival, late_at)

    def settle(self) -> None:
        """Read on until the option's file says what it should, or has not for a while.

        An answer may come before its effect, which is no sign of what happens next.
        """
        own = self.idle.interfaces(self.one)[:1]
        while not all(_says(file, self.settings, self.now) for file in own):
            if time.monotonic() > self.late_at:
                break
            time.sleep(_LOOK_EVERY_S)
            self.now = self.idle.limits()
        self.held = self.idle.held(self.one, self.now)

    def goes_through(self, name: StageName, answers: Iterable[Answer] = ()) -> None:
        """Read back after a stage."""
        running = self.idle.find()
        limits = self.idle.limits()
        after = self.idle.held(self.one, limits)
        changes = self._belonging(self.now.differences(limits))
        seen = Passage(self.survival.born, self.held, after, changes)
        stage = stage_of(name, seen, answers, running=running)
        self.now, self.held = limits, after
        stages = (*self.survival.stages, stage)
        self.survival = self.survival.model_copy(update={"stages": stages})

    def _belonging(self, changes: Iterable[Difference]) -> tuple[Difference, ...]:
        """Return what changed in the fields and files of all that was set."""
        every = [option(name) for name in self.settings]
        places = {("declared", each.field) for each in every}
        for each in every:
            places |= {("enforced", file.file) for file in self.idle.interfaces(each)}
        return tuple(one for one in changes if (one.layer, one.where) in places)


@dataclass(frozen=True)
class Passage:
    """An option at birth, before and after a stage, with all that changed in what was set."""

    born: Held
    before: Held
    after: Held
    changes: tuple[Difference, ...]


def stage_of(name: StageName, seen: Passage, answers: Iterable[Answer], *, running: bool) -> Stage:
    """Say whether a value survived a stage. A pure function.

    Where the kernel has a file it decides, and with it all other files of what was set; Docker's
    declaration only where there is none.
    """
    kernel = seen.born.enforced is not None
    start, was, now = (
        each.enforced if kernel else each.declared for each in (seen.born, seen.before, seen.after)
    )
    held = was != start
    lost = kernel and any(each.layer == "enforced" for each in seen.changes)
    return Stage(
        stage=name,
        before=seen.before,
        after=seen.after,
        survived=(running and now == was and not lost) if held else None,
        took_hold=running and not held and now != start,
        running=running,
        message="; ".join(filter(None, map(words, answers))),
        changes=seen.changes,
    )
