"""Does a container with a restart policy come back, whatever else was set on it since?"""

from __future__ import annotations

import time
from dataclasses import dataclass

from cgbench.engine.facts import State
from cgbench.measuring import own_process
from cgbench.measuring.idle.containers import Idle, Supply
from cgbench.records.idle_findings import Effect, Felt
from cgbench.spec.metrics import METRICS
from cgbench.spec.option import Option
from cgbench.spec.options import update_body
from cgbench.units import NS_PER_MS, NS_PER_S

PATIENCE_S = 20.0
"""For how long a container that Docker says it starts again is waited for."""

_LOOK_EVERY_S = 0.02
# Docker says a container runs until it is let be. Podman says `exited` until a program of its own
# starts it again, which takes seconds on a slow host: it is let be only where it stays away for
# many times what the same takes with no other update.
_GIVEN_UP_S = 3.0
_TIMES_AS_LONG = 5


@dataclass(frozen=True)
class Return:
    """What became of a container whose first process was killed.

    `after_ns` is how long that took, None if it did not: then `exited` says that it was let be.
    """

    after_ns: int | None
    exited: bool


def alone(a: Option, supply: Supply) -> Return | None:
    """Kill a container on which nothing but the policy was set, to compare others with it."""
    supply.progress(f"{a.flag} {a.example}: killed, does it come back")
    with supply.fresh() as idle:
        body = update_body({**a.beside, a.name: a.example})
        supply.site.engine.update_raw(idle.container_id, body)
        return _killed(idle, supply, PATIENCE_S)


def after(b: Option, idle: Idle, supply: Supply, control: Return | None) -> Effect:
    """Kill a container's first process from outside, as a crash does, and see who comes back.

    `control` is what became of one that was killed with no other update.
    """
    supply.progress(f"--restart, then {b.flag} {b.other}: killed, does it come back")
    took_ns = control.after_ns if control is not None and control.after_ns is not None else 0
    given_up_s = max(_GIVEN_UP_S, _TIMES_AS_LONG * took_ns / NS_PER_S)
    return judged(_killed(idle, supply, given_up_s), b, control)


def judged(seen: Return | None, b: Option, control: Return | None) -> Effect:
    """Say whether the policy had its effect; None is a container that could not be killed."""
    metric = METRICS["restarts"]
    then = f"after {b.flag} {b.other}"
    if seen is None:
        felt, reason, came = Felt.INCONCLUSIVE, f"its process could not be found {then}", None
    elif seen.after_ns is not None:
        took = seen.after_ns / NS_PER_MS
        felt, reason, came = Felt.KEPT, f"killed {then}, it ran again within {took:.0f} ms", 1.0
    elif control is None or control.after_ns is None:
        felt, came = Felt.INCONCLUSIVE, None
        reason = f"killed {then}, it did not run again, nor was one seen to with no other update"
    elif seen.exited:
        felt, came = Felt.DISTURBED, 0.0
        reason = f"killed {then}, it was not started again"
    else:
        felt, came = Felt.INCONCLUSIVE, None
        reason = f"killed {then}, it was said to run and did not, for {PATIENCE_S:g} s and more"
    return Effect(
        felt=felt, reason=reason, metric=metric.name, unit=metric.unit,
        after=came, expected_before=1.0, expected=1.0, tolerance=0.0,
    )  # fmt: skip


def _killed(idle: Idle, supply: Supply, given_up_s: float) -> Return | None:
    engine, site = supply.site.engine, supply.site
    state = engine.state(idle.container_id)
    if state is None or not state.running:
        return None
    begin_ns = time.monotonic_ns()
    if not own_process.kill(state.pid, idle.container_id, site.proc):
        return None
    return _awaited(idle, supply, state, begin_ns, given_up_s)


def _awaited(
    idle: Idle, supply: Supply, before: State, begin_ns: int, given_up_s: float
) -> Return:  # fmt: skip
    """Wait until the container runs in another process, or is not said to run for so long."""
    limit = time.monotonic() + PATIENCE_S + given_up_s
    given_up: float | None = None
    while (now := time.monotonic()) < limit:
        state = supply.site.engine.state(idle.container_id)
        if state is not None and state.running and state.pid not in (0, before.pid):
            return Return(time.monotonic_ns() - begin_ns, exited=False)
        if state is not None and state.running:
            # Docker has not noticed the end, or waits for the time of the restart.
            given_up = None
        else:
            given_up = now + given_up_s if given_up is None else given_up
            if now >= given_up:
                return Return(None, exited=True)
        time.sleep(_LOOK_EVERY_S)
    return Return(None, exited=False)
