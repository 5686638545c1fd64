"""Does an update lift a limit, and what does Docker declare then?

By the option itself, by another one that is kept in the same file, and by a value out of reach.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cgbench.engine.connection import Answer
from cgbench.host import interrupts
from cgbench.measuring.idle.bounds import Reach
from cgbench.measuring.idle.containers import Idle, Supply, outcome, words
from cgbench.records.idle_findings import Lifting
from cgbench.spec.option import Option, Settings, Value, written
from cgbench.spec.options import option, update_body
from cgbench.units import NS_PER_S

PATIENCE_S = 4.0
"""So long after the answer the kernel's file may still change."""

_LOOK_EVERY_S = 0.05

OUT_OF_REACH = {"bytes": 2**50, "quota": 10**12, "tasks": 4_194_304}
"""More than any host has, in whole pages, and no more than kernels take."""

# Both are kept in one file, and only one of them is meant.
_QUOTAS = ("cpus", "cpu-quota")
_DECLARED = (
    "cpus", "cpu-quota", "cpu-period", "memory", "memory-reservation", "memory-swap", "pids-limit",
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A limit that is set first, and the update that should lift it."""

    limit: Settings
    by: Settings


def ways(name: str, cpus: int) -> tuple[Way, ...]:
    """Return how the limit of an option is to be lifted on a host with `cpus` CPUs, if it has one.

    A value of 0 is among them where the API's documents say that it lifts.
    """
    much, whole = OUT_OF_REACH["bytes"], str(cpus)
    small = {"memory": "64m"}
    found: Mapping[str, tuple[tuple[Settings, Settings], ...]] = {
        "cpus": (
            ({"cpus": "0.5"}, {"cpu-quota": -1}),
            ({"cpus": "0.5"}, {"cpus": whole}),
        ),
        "cpu-quota": (
            ({"cpu-quota": 30_000}, {"cpu-quota": -1}),
            ({"cpu-quota": 60_000, "cpu-period": 200_000}, {"cpu-quota": -1}),
            ({"cpu-quota": 30_000}, {"cpus": whole}),
            ({"cpu-quota": 30_000}, {"cpu-quota": OUT_OF_REACH["quota"]}),
        ),
        "memory": (
            ({**small, "memory-swap": "512m"}, {"memory": much, "memory-swap": much}),
            ({**small, "memory-swap": "512m"}, {"memory": much, "memory-swap": -1}),
        ),
        "memory-reservation": (
            ({"memory-reservation": "32m"}, {"memory-reservation": -1}),
            ({"memory-reservation": "32m"}, {"memory-reservation": much}),
        ),
        "memory-swap": (
            ({**small, "memory-swap": "384m"}, {"memory-swap": -1}),
            ({**small, "memory-swap": "64m"}, {"memory-swap": -1}),
            ({**small, "memory-swap": "384m"}, {"memory-swap": much}),
        ),
        "pids-limit": (
            ({"pids-limit": 64}, {"pids-limit": -1}),
            ({"pids-limit": 64}, {"pids-limit": 0}),
            ({"pids-limit": 64}, {"pids-limit": OUT_OF_REACH["tasks"]}),
        ),
    }
    return tuple(Way(limit, by) for limit, by in found.get(name, ()))


def meant(way: Way) -> Settings:
    """Return all that is asked for after both updates: of two quotas the later one."""
    later = any(name in way.by for name in _QUOTAS)
    kept = {name: value for name, value in way.limit.items() if not (later and name in _QUOTAS)}
    return kept | dict(way.by)


def same(found: str | None, wanted: str | None) -> bool:
    """Say whether two texts of a file are one limit: without a quota a period is no part of it."""
    if found is not None and wanted is not None and wanted.startswith("max "):
        return found.split()[:1] == ["max"]
    return found == wanted


def declared(config: Mapping[str, str]) -> Settings:
    """Return the options that fields of HostConfig, as JSON, stand for; 0 stands for none."""
    found: dict[str, Value] = {}
    for name in _DECLARED:
        value = json.loads(config.get(option(name).field, "null"))
        # A limit of 0 tasks is none, and null says that nobody set one.
        if not isinstance(value, int) or (value == 0 and name != "pids-limit"):
            continue
        found[name] = str(Decimal(value) / NS_PER_S) if name == "cpus" else value
    return found


def measure(one: Option, supply: Supply) -> tuple[Lifting, ...]:
    """Set a limit and lift it, in every way; read what is declared and what the kernel holds."""
    if not ways(one.name, 1):
        return ()
    taken = [supply.take()]
    try:
        planned = ways(one.name, len(Reach.of(taken[0].cgroup).cpus))
        taken += supply.take_all(len(planned) - 1)
        lifts = []
        for way, idle in zip(planned, taken, strict=True):
            supply.progress(f"{written(way.limit)}, lifted by {written(way.by)}")
            lifts.append(_Lift(one, way, idle, supply))
        # All together, step by step: who is slow has had the time.
        for lift in lifts:
            lift.lift()
        return tuple(lift.seen() for lift in lifts)
    finally:
        for idle in taken:
            supply.give_back(idle)


class _Lift:
    """One limit on one container, set, lifted, and read."""

    def __init__(self, one: Option, way: Way, idle: Idle, supply: Supply) -> None:
        self._one, self._way, self._idle = one, way, idle
        self._update = supply.site.engine.update_raw
        self._born = self._before = idle.held(one).enforced
        self._answer: Answer = self._update(idle.container_id, update_body(way.limit))
        self._limited = self._answer.refusal is None
        self._answered = time.monotonic()

    def lift(self) -> None:
        """Lift the limit, if it was accepted, once it is in force or patience ends."""
        self._before = self._after_a_while(self._way.limit)
        if self._limited:
            self._answer = self._update(self._idle.container_id, update_body(self._way.by))
        self._answered = time.monotonic()

    def seen(self) -> Lifting:
        """Return what is declared and held at last."""
        one, way, idle = self._one, self._way, self._idle
        asked = meant(way)
        refused = self._answer.refusal is not None
        after = idle.held(one).enforced if refused else self._after_a_while(asked)
        settings = declared(idle.limits().declared)
        names = [name for name in (_QUOTAS if one.name in _QUOTAS else (one.name,))
                 if name in settings]  # fmt: skip
        texts = [self._text(_alone(name, settings)) for name in names]
        declares = tuple(text for text in texts if text is not None)
        if not names and self._born is not None:
            declares = (self._born,)
        wanted = self._text(asked)
        held = self._limited and after is not None and self._before != self._born
        lifted = same(after, wanted) if held else None
        honest = all(same(after, text) for text in declares) and (refused or lifted is True)
        return Lifting(
            option=one.name,
            limit=written(way.limit),
            by=written(way.by),
            sent=json.dumps(update_body(way.by)),
            outcome=outcome(self._answer),
            message=words(self._answer),
            file=idle.file(one),
            before=self._before,
            after=after,
            asked=wanted,
            declared=", ".join(f"{option(name).field} {_raw(name, settings)}" for name in names)
            or "no limit",
            declares=declares,
            lifted=lifted,
            right=honest if held else None,
        )

    def _text(self, settings: Settings) -> str | None:
        """Return the text of the option's own file for settings."""
        own = self._idle.interfaces(self._one)[:1]
        return own[0].expected(settings) if own else None

    def _after_a_while(self, settings: Settings) -> str | None:
        """Return what the file holds once it holds what it should, or when patience ends."""
        wanted = self._text(settings)
        found = self._idle.held(self._one).enforced
        while not same(found, wanted) and time.monotonic() < self._answered + PATIENCE_S:
            interrupts.require_none()
            time.sleep(_LOOK_EVERY_S)
            found = self._idle.held(self._one).enforced
        return found


def _alone(name: str, settings: Settings) -> Settings:
    """Return settings as if of two quotas only one were declared."""
    rivals = _QUOTAS if name in _QUOTAS else ()
    return {one: value for one, value in settings.items() if one == name or one not in rivals}


def _raw(name: str, settings: Settings) -> object:
    return option(name).parse(settings[name])
