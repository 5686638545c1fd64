"""What the daemon accepts at the edges of an option's domain, and whether a limit can be lifted.

The domain is the documented one, from the registry; what happens at its edges is only measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cgbench.engine.connection import Answer
from cgbench.errors import CgroupError, UnitError
from cgbench.host.cgroups import Cgroup
from cgbench.measuring.idle.containers import Idle, Limits, Supply, outcome, words
from cgbench.records.idle_findings import Attempt, How, Kind
from cgbench.spec.option import Option, Settings, Value
from cgbench.spec.options import option, update_body
from cgbench.units import parse_cpu_list

BOTH: tuple[How, ...] = ("update", "run")


@dataclass(frozen=True)
class Reach:
    """What a container of this host may use at most: its CPUs and memory nodes."""

    cpus: tuple[int, ...]
    nodes: tuple[int, ...]

    @classmethod
    def of(cls, cgroup: Cgroup) -> Reach:
        """Return what a fresh container's cgroup is offered; one of each where nobody says."""
        try:
            return cls(cgroup.offered("cpus"), cgroup.offered("mems"))
        except CgroupError:
            return cls((0,), (0,))


@dataclass(frozen=True)
class Try:
    """One value to try: `text` as typed, `raw` as sent in the option's field.

    `base` is in force on the container before; if `limited`, so is the option's example.
    """

    kind: Kind
    text: str
    raw: object
    documented: bool
    base: Settings
    limited: bool = False


def base(one: Option) -> dict[str, Value]:
    """Return what is set before an option's values are tried; empty where it stands alone.

    Bounds that depend on other options need those set, and then the option has a value, too.
    """
    settings: dict[str, Value] = dict(one.beside)
    for name in (one.floor, one.ceiling):
        if name is not None and name not in settings:
            settings |= {name: option(name).other, **option(name).beside}
    return settings | {one.name: one.other} if one.beside else settings


def domain(one: Option, reach: Reach) -> tuple[int | None, int | None]:
    """Return the lowest and the highest documented value on a container with `base` in force."""
    lowest, highest, around = one.lowest, one.highest, base(one)
    if one.highest_per_cpu is not None:
        highest = one.highest_per_cpu * len(reach.cpus)
    if one.floor is not None:
        lowest = _number(one.floor, around)
    if one.ceiling is not None:
        highest = _number(one.ceiling, around)
    return lowest, highest


def _number(name: str, settings: Settings) -> int:
    parsed = option(name).parse(settings[name])
    assert isinstance(parsed, int)
    return parsed


def plan(one: Option, reach: Reach) -> tuple[Try, ...]:
    """Return what is to be tried of an option, in order. A pure function."""
    around = base(one)
    tries: list[Try] = []
    if around:
        tries.append(Try(Kind.ALONE, str(one.example), one.parse(one.example), True, {}))
    if one.choices:
        tries += _choices(one, around)
    elif one.malformed:
        tries += _lists(one, reach, around)
    else:
        tries += _numbers(one, reach, around)
    return tuple(tries)


def _numbers(one: Option, reach: Reach, around: Settings) -> Iterator[Try]:
    lowest, highest = domain(one, reach)
    unit = one.per_unit

    def inside(number: int) -> bool:
        return number == one.lifted or (
            (lowest is None or number >= lowest) and (highest is None or number <= highest)
        )

    edges = (
        (Kind.SMALLEST, lowest),
        (Kind.BELOW, None if lowest is None else lowest - 1),
        (Kind.LARGEST, highest),
        (Kind.ABOVE, None if highest is None else highest + 1),
    )
    for kind, number in edges:
        # 0 and -1 have their own place below, on a container with a limit.
        if number is not None and number not in (0, -1):
            text = str(number) if unit == 1 else f"{number / unit:.12g}"
            yield Try(kind, text, number, inside(number), around)
    for kind, number in ((Kind.ZERO, 0), (Kind.MINUS_ONE, -unit)):
        yield Try(kind, kind.value, number, inside(number), around, limited=True)
    yield Try(Kind.EMPTY, "", "", False, around, limited=True)


def _lists(one: Option, reach: Reach, around: Settings) -> Iterator[Try]:
    offered = _offered(one, reach)
    every = ",".join(map(str, offered))
    absent = str(max(offered) + 1)
    yield Try(Kind.SMALLEST, str(min(offered)), str(min(offered)), True, around)
    # Only a full list can lift a short one, so it is tried on a container that has one.
    yield Try(Kind.LARGEST, every, every, True, around, limited=True)
    yield Try(Kind.ABSENT, absent, absent, False, around)
    for text in one.malformed:
        yield Try(Kind.MALFORMED, text, text, False, around)
    yield Try(Kind.MINUS_ONE, "-1", "-1", False, around, limited=True)
    yield Try(Kind.EMPTY, "", "", False, around, limited=True)


def _offered(one: Option, reach: Reach) -> tuple[int, ...]:
    return reach.cpus if one.name == "cpuset-cpus" else reach.nodes


def _choices(one: Option, around: Settings) -> Iterator[Try]:
    for kind, texts in ((Kind.CHOICE, one.choices), (Kind.MALFORMED, one.malformed)):
        for text in texts:
            known = kind is Kind.CHOICE
            yield Try(kind, text, one.encode(text), known, around, limited=known)
    for kind, text in ((Kind.ZERO, "0"), (Kind.MINUS_ONE, "-1"), (Kind.EMPTY, "")):
        yield Try(kind, text, one.encode(text), False, around, limited=True)


def measure(one: Option, supply: Supply, ways: tuple[How, ...] = BOTH) -> tuple[Attempt, ...]:
    """Try an option's values by updating containers and by starting them, and say what happened.

    A container is used again only where a reading shows that nothing of it was changed.
    """
    attempts: list[Attempt] = []
    with _Bench(one, supply) as bench:
        for trial in plan(one, bench.reach):
            for how in ways:
                supply.progress(f"{one.flag} {trial.text!r}: {trial.kind}, by {how}")
                attempts.append(bench.update(trial) if how == "update" else bench.run(trial))
    return tuple(attempts)


class _Bench:
    """Makes the attempts on one option; holds the container that is still as it should be."""

    def __init__(self, one: Option, supply: Supply) -> None:
        self._one = one
        self._supply = supply

    def __enter__(self) -> _Bench:
        self._take()
        self.reach = Reach.of(self._idle.cgroup)
        return self

    def __exit__(self, *_: object) -> None:
        self._supply.give_back(self._idle)

    def _take(self) -> None:
        self._idle: Idle = self._supply.take()
        self._born: Limits = self._idle.limits()
        self._standing: tuple[Settings, Limits] = ({}, self._born)

    def _prepare(self, trial: Try) -> Limits:
        """Bring a container into the state that a try begins from, and return that state."""
        wanted = dict(trial.base)
        if trial.limited:
            wanted[self._one.name] = self._one.example
        settings, limits = self._standing
        if settings == wanted:
            return limits
        if settings:
            self._supply.give_back(self._idle)
            self._take()
        engine = self._supply.site.engine
        # Where the base is refused, the option is tried without it, and the reading shows so.
        for step in (trial.base, {self._one.name: self._one.example} if trial.limited else {}):
            if step:
                engine.update_raw(self._idle.container_id, update_body(step))
        self._standing = (wanted, self._idle.limits())
        return self._standing[1]

    def update(self, trial: Try) -> Attempt:
        """Try a value on a running container."""
        before = self._prepare(trial)
        engine = self._supply.site.engine
        body = {self._one.field: trial.raw}
        answer = engine.update_raw(self._idle.container_id, body)
        after = self._idle.limits()
        attempt = self._attempt(trial, "update", body, answer, before, after)
        if attempt.changes:
            self._supply.give_back(self._idle)
            self._take()
        return attempt

    def run(self, trial: Try) -> Attempt:
        """Start a container with a value; compare it with the one that was started without."""
        body = {**update_body(trial.base), self._one.field: trial.raw}
        with self._supply.born(body) as (answer, idle):
            after = self._born if idle is None else idle.limits()
            attempt = self._attempt(trial, "run", body, answer, self._born, after)
            return attempt if idle is not None else attempt.model_copy(update={"running": False})

    def _attempt(
        self, trial: Try, how: How, body: Mapping[str, object], answer: Answer,
        before: Limits, after: Limits,
    ) -> Attempt:  # fmt: skip
        one = self._one
        file = self._idle.file(one)
        changes = before.differences(after)
        return Attempt(
            option=one.name,
            kind=trial.kind,
            tried=trial.text,
            sent=json.dumps(body),
            how=how,
            documented=trial.documented,
            outcome=outcome(answer),
            message=words(answer),
            file=file,
            before=None if file is None else before.enforced.get(file),
            after=None if file is None else after.enforced.get(file),
            changes=changes,
            changed=bool(changes),
            running=bool(after.enforced),
            lifted=self._lifted(trial, before, after) if how == "update" else None,
        )

    def _lifted(self, trial: Try, before: Limits, after: Limits) -> bool | None:
        """Say whether the limit is gone: the container says again what it was born with."""
        if not trial.limited:
            return None
        held = [self._idle.held(self._one, each) for each in (self._born, before, after)]
        if held[0].enforced is None:
            born, was, now = (each.declared for each in held)
        else:
            born, was, now = (self._plain(each.enforced or "") for each in held)
        return None if was == born else now == born

    def _plain(self, text: str) -> str:
        """Return a text so that equal limits are equal: on v2 an empty list is all there are."""
        if self._one.controller != "cpuset":
            return text
        try:
            listed = parse_cpu_list(text) if text else _offered(self._one, self.reach)
        except UnitError:
            return text
        return ",".join(map(str, listed))
