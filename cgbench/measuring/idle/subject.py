"""One container whose option is updated in one state after another, each time to another value."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Command
from cgbench.engine.facts import Life
from cgbench.host import interrupts, procfs
from cgbench.measuring import own_process
from cgbench.measuring.idle.containers import Idle, outcome, words
from cgbench.measuring.idle.in_force import Files, judged, should_say
from cgbench.measuring.site import Site
from cgbench.records.idle_findings import Held, State, StateFinding, Step, When
from cgbench.spec.option import Option, Settings, Value
from cgbench.spec.options import update_body

# How long Docker may take to bring a container from one state to the next.
_STATE_S = 20.0
_ENDED_S = 3.0
_PATIENCE_S = 10

# A value that is in force later than this came by what followed, and not by the update.
_LATE_S = 1.0
_POLL_S = 0.01

_GONE = Life("removed", 0, "", 0)

_WORDS: dict[State, tuple[str, ...]] = {
    "created": ("created",),
    "running": ("running",),
    "paused": ("paused",),
    "restarting": ("restarting",),
    # Only Podman has a word for a container that is being stopped.
    "stopping": ("running", "stopping"),
    "exited": ("exited",),
}


_AFTER = {"start": When.START, "unpause": When.UNPAUSE, "restart": When.RESTART}


class Missed(Exception):
    """A container was not in the state in which it was to be updated, or left it too early."""


@dataclass(frozen=True)
class Reading:
    """An option of a container in one of its lives: declared, and all its interface files."""

    life: Life
    held: Held
    files: Files


class Subject:
    """A container that gets values of one option, each another one than it has.

    Once a value was not in force although it was given time after the answer, `never_soon`, the
    next ones are given time only after a start, so that no container need wait twice.
    """

    def __init__(self, one: Option, site: Site, idle: Idle) -> None:
        self.one, self.idle, self.never_soon = one, idle, False
        self._site, self._engine = site, site.engine

    def command(self, what: Command) -> Answer:
        """Have Docker do something with the container; a stop waits until `end` is called."""
        patience_s = _PATIENCE_S if what == "stop" else 0
        return self._engine.command(self.idle.container_id, what, patience_s)

    def life(self) -> Life:
        """Return its life, as Docker says it now."""
        return self._engine.life(self.idle.container_id) or _GONE

    def may_be(self, state: State) -> bool:
        """Say whether it is as far in its life as it must be to get into a state."""
        return self.life().pid != 0 or (state == "exited" and self.life().status == "exited")

    def awaits(self, *states: State, after: Life | None = None) -> Life:
        """Wait until it is in one of the states, in another life than `after`.

        Raises Missed when it is not in time.
        """
        begin = time.monotonic()
        wanted = [word for state in states for word in _WORDS[state]]
        while True:
            life = self.life()
            if life.status in wanted and life != after:
                return life
            # Podman says so for a moment of one that it will start again.
            limit_s = _ENDED_S if life.status == "exited" else _STATE_S
            if time.monotonic() > begin + limit_s or life == _GONE:
                raise Missed(f"Docker said that it was {life.status}, not {states[-1]}")
            interrupts.require_none()
            time.sleep(_POLL_S)

    def end(self) -> None:
        """Kill its process, as its own fault would, behind Docker's back.

        Raises Missed where this process may not.
        """
        pid, container_id = self.life().pid, self.idle.container_id
        try:
            if pid:
                own_process.kill(pid, container_id, self._site.proc)
        except PermissionError:
            raise Missed("only root may end the container's process") from None

    def comes_back(self, after: Life) -> bool:
        """Wait until Docker has started it again after a life; False where it stays ended."""
        try:
            self.awaits("running", after=after)
        except Missed:
            if self.life().status != "exited":
                raise
            return False
        return True

    def error(self) -> str:
        """Return why it could not be started, in the daemon's words; empty if it could."""
        state = self._engine.state(self.idle.container_id)
        return "" if state is None else " ".join(state.error.split())

    def has_sigterm(self) -> bool:
        """Say whether its process has been sent a SIGTERM, which it lets wait."""
        return procfs.pending(self.life().pid, signal.SIGTERM, self._site.proc)

    def read(self) -> Reading:
        """Read the option, all within one life. Raises Missed when it has none that lasts."""
        limit = time.monotonic() + _STATE_S
        while True:
            life = self.life()
            if life == _GONE or time.monotonic() > limit:
                raise Missed(f"Docker said that it was {life.status}, or its state did not last")
            files = self._files() if life.pid else {}
            declared = self._engine.host_config(self.idle.container_id)
            if self.life() == life:
                own = next(iter(files.values()), None)
                texts = {
                    name: json.dumps(value, sort_keys=True) for name, value in declared.items()
                }
                return Reading(life, Held(declared=texts.get(self.one.field), enforced=own), files)

    def _files(self) -> Files:
        """Return all texts of the option's files; none where its own file is not there."""
        if not self.idle.find():
            return {}
        files = {
            one: self.idle.cgroup.read(one.controller, one.file)
            for one in self.idle.interfaces(self.one)
        }
        found = {one: text.strip() for one, text in files.items() if text is not None}
        return found if len(found) == len(files) else {}

    def update(self, state: State, still: Callable[[], bool] = lambda: True) -> Update:
        """Update it in a state. Raises Missed unless it was in it before and after the answer.

        `still` says whether it is in it as far as Docker's word does not.
        """
        before = self.read()
        if before.life.status not in _WORDS[state] or not still():
            raise Missed(f"Docker said that it was {before.life.status}, not {state}")
        one = self.one
        value = one.other if before.held.declared == sent(one, one.example) else one.example
        settings = {**one.beside, one.name: value}
        answer = self._engine.update_raw(self.idle.container_id, update_body(settings))
        update = Update(self, state, value, settings, answer, before)
        after = update.look(When.NOW)
        if after.life != before.life or not still():
            raise Missed(f"it was {after.life.status} and no longer {state} after the answer")
        return update


@dataclass
class Update:
    """An update of a container in one state, and what was read from then on."""

    subject: Subject
    state: State
    value: Value
    settings: Settings
    answer: Answer
    before: Reading
    _readings: list[tuple[When, Reading]] = field(default_factory=list)
    _steps: list[Step] = field(default_factory=list)

    def look(self, when: When) -> Reading:
        """Read the option; where an accepted value is not in force yet, again for a short time."""
        soon = when in (When.NOW, When.UNPAUSE)
        limit = time.monotonic() + (0 if soon and self.subject.never_soon else _LATE_S)
        while True:
            reading = self.subject.read()
            result = self._judged([(when, reading)])[0]
            late = result is When.NEVER and self._promised(reading)
            if not late or time.monotonic() > limit:
                self.subject.never_soon |= late and soon
                self._readings.append((when, reading))
                return reading
            interrupts.require_none()
            time.sleep(_POLL_S)

    def _promised(self, reading: Reading) -> bool:
        """Say whether Docker accepted the value and declares it, so that it may still come."""
        wanted = sent(self.subject.one, self.value)
        return self.answer.refusal is None and reading.held.declared == wanted

    def then(self, step: Literal["start", "unpause", "restart"], answer: Answer | None) -> None:
        """Read the option after what happened next; without an answer where nobody asked for it."""
        refused = answer is not None and answer.refusal is not None
        reading = self.subject.read() if refused else self.look(_AFTER[step])
        running = reading.life.pid != 0
        said = "" if answer is None else words(answer)
        message = said if said or running else self.subject.error()
        self._steps.append(Step(step=step, held=reading.held, running=running, message=message))

    @property
    def outstanding(self) -> bool:
        """Whether Docker declares the value, and a file could show it and does not."""
        when, undone = self._judged(self._readings)
        return self._promised(self._readings[-1][1]) and (undone or when is When.NEVER)

    def finding(self) -> StateFinding:
        """Return what was found."""
        one, last = self.subject.one, self._last_files(self._readings)
        in_force, undone = self._judged(self._readings)
        return StateFinding(
            option=one.name,
            state=self.state,
            value=str(self.value),
            sent=sent(one, self.value),
            outcome=outcome(self.answer),
            message=words(self.answer),
            file=next((each.file for each in last), None),
            expected=next(iter(should_say(last, self.settings).values()), None),
            before=self.before.held,
            after=self._readings[0][1].held,
            steps=tuple(self._steps),
            in_force=in_force,
            undone=undone,
        )

    def _judged(self, readings: Sequence[tuple[When, Reading]]) -> tuple[When | None, bool]:
        before = self._said_before(self._last_files(readings))
        files = [(when, reading.files) for when, reading in readings]
        return judged(self.subject.one, self.settings, before, files)

    @staticmethod
    def _last_files(readings: Sequence[tuple[When, Reading]]) -> Files:
        return next((reading.files for _, reading in reversed(readings) if reading.files), {})

    def _said_before(self, files: Files) -> dict[str, str | None]:
        """Return what the option's files said before, or would have after a start without this."""
        if self.before.files:
            return {one.file: text for one, text in self.before.files.items()}
        one, declared = self.subject.one, self.before.held.declared
        known = [value for value in (one.example, one.other) if declared == sent(one, value)]
        return should_say(files, {**one.beside, one.name: known[0]} if known else {})


def sent(one: Option, value: Value) -> str:
    """Return an option's field of a request as JSON."""
    return json.dumps(one.parse(value), sort_keys=True)
