"""Updates of a container in every state that it may be in: answered how, and in force when?

One container goes from created through running, paused and stopping to exited, and gets another
value in each. A second one, which Docker starts again whenever it ends, is updated while it waits
for that. Docker changes states by itself: each reading belongs to one life of the container, and
an update counts only if the container was in its state before it and after the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from cgbench.engine.connection import Answer
from cgbench.measuring.idle.containers import Supply, words
from cgbench.measuring.idle.subject import Missed, Subject, Update
from cgbench.records.idle_findings import State, StateFinding
from cgbench.spec.option import Option, policy
from cgbench.spec.options import update_body

# Docker waits for 100 ms before it starts a container again, and each time for twice as long.
_ATTEMPTS = 6

_ALWAYS = {"RestartPolicy": policy("always")}

_ORDER: tuple[State, ...] = ("created", "running", "paused", "restarting", "stopping", "exited")


def measure(one: Option, supply: Supply) -> tuple[StateFinding, ...]:
    """Update an option on containers in each state, and read when its value is in force."""
    supply.progress(f"{one.flag}: updates in every state")
    with ThreadPoolExecutor(2, "cgbench-states") as beside:
        restarting = beside.submit(_while_restarting, one, supply)
        found = _walk(one, supply, beside)
        found["restarting"] = restarting.result()
    return tuple(found[state] for state in _ORDER)


def _walk(one: Option, supply: Supply, beside: ThreadPoolExecutor) -> dict[State, StateFinding]:
    """Take a container through its life; where it does not come as far as a state, a new one."""
    found: dict[State, StateFinding] = {}
    subject: Subject | None = None
    with ExitStack() as stack:
        for state in (each for each in _ORDER if each != "restarting"):
            try:
                if subject is None or not subject.may_be(state):
                    never_soon = subject is not None and subject.never_soon
                    made = _made(one, supply, started=state != "created")
                    subject = stack.enter_context(made)
                    subject.never_soon = never_soon
                found[state] = _WAYS[state](subject, beside).finding()
            except Missed as missed:
                found[state] = _missed(one, state, missed)
    return found


@contextmanager
def _made(one: Option, supply: Supply, *, started: bool, always: bool = False) -> Iterator[Subject]:
    """Make a container with the option's other value, with nothing where Docker refuses that.

    Raises Missed where it refuses both.
    """
    with ExitStack() as stack:
        for raw in (update_body({**one.beside, one.name: one.other}), {}):
            fields = {**raw, **(_ALWAYS if always else {})}
            made = supply.created(fields, outlasts_stop=True)
            answer, idle = stack.enter_context(made)
            if idle is not None and started:
                answer = supply.site.engine.command(idle.container_id, "start")
            if idle is not None and answer.refusal is None:
                yield Subject(one, supply.site, idle)
                return
        raise Missed(f"Docker made no container for it: {words(answer)}")


def _missed(one: Option, state: State, missed: Missed) -> StateFinding:
    return StateFinding(
        option=one.name, state=state, value=str(one.example), sent="", missed=str(missed)
    )


def _created(subject: Subject, _: ThreadPoolExecutor) -> Update:
    update = subject.update("created")
    update.then("start", subject.command("start"))
    return update


def _running(subject: Subject, _: ThreadPoolExecutor) -> Update:
    update = subject.update("running")
    if update.outstanding:
        update.then("restart", subject.command("restart"))
    return update


def _paused(subject: Subject, _: ThreadPoolExecutor) -> Update:
    pause = subject.command("pause")
    if pause.refusal is not None:
        raise Missed(f"Docker does not pause it: {words(pause)}")
    try:
        update = subject.update("paused")
    finally:
        unpause = subject.command("unpause")
    update.then("unpause", unpause)
    if update.outstanding:
        update.then("restart", subject.command("restart"))
    return update


def _stopping(subject: Subject, beside: ThreadPoolExecutor) -> Update:
    """Update a container that Docker has sent SIGTERM and waits for, then let it end."""
    with _stop(subject, beside) as stop:
        update = subject.update("stopping", still=lambda: not stop.done())
    if update.outstanding:
        update.then("start", subject.command("start"))
    return update


def _exited(subject: Subject, beside: ThreadPoolExecutor) -> Update:
    if subject.life().pid:
        with _stop(subject, beside):
            pass
    update = subject.update("exited")
    update.then("start", subject.command("start"))
    return update


_WAYS: Mapping[State, Callable[[Subject, ThreadPoolExecutor], Update]] = {
    "created": _created,
    "running": _running,
    "paused": _paused,
    "stopping": _stopping,
    "exited": _exited,
}


@contextmanager
def _stop(subject: Subject, beside: ThreadPoolExecutor) -> Iterator[Future[Answer]]:
    """Have Docker stop a container; yield once it waits for that, and let it end afterwards."""
    stop = beside.submit(subject.command, "stop")
    try:
        while not subject.has_sigterm():
            if stop.done():
                raise Missed(f"the stop did not wait for it: {words(stop.result()) or 'it ended'}")
            time.sleep(0.005)
        yield stop
    finally:
        subject.end()
        stop.result()
    subject.awaits("exited")


def _while_restarting(one: Option, supply: Supply) -> StateFinding:
    """Update a container in the pause that Docker makes before it starts it again.

    The pause may be too short for a slow daemon, and is twice as long the next time.
    """
    try:
        with _made(one, supply, started=True, always=True) as subject:
            for _ in range(_ATTEMPTS - 1):
                try:
                    return _restarted(subject)
                except Missed:
                    # What is tried may be the very policy that starts it again.
                    supply.site.engine.update_raw(subject.idle.container_id, _ALWAYS)
                    subject.awaits("running")
            return _restarted(subject)
    except Missed as missed:
        return _missed(one, "restarting", missed)


def _restarted(subject: Subject) -> StateFinding:
    before = subject.life()
    subject.end()
    subject.awaits("restarting", "running", after=before)
    update = subject.update("restarting")
    subject.comes_back(before)
    update.then("restart", None)
    return update.finding()
