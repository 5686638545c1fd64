"""What was done to a trial from outside, or to its host, so that it measured something else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from cgbench.measuring.collect import Harvest
from cgbench.measuring.container import SIGNALLED
from cgbench.units import NS_PER_S
from cgbench.wording import count

LONGEST_GAP_NS = 2 * NS_PER_S
"""Between two readings of a sampler that has real-time priority: no load holds it up so long."""

_LONGEST_GAP_PERIODS = 4
_LONGEST_SLEEP_NS = NS_PER_S // 10
_CLOCK_READINGS = 10


def asleep_ns() -> int:
    """Return how long this host has slept since it was started."""
    return min(_asleep_ns() for _ in range(_CLOCK_READINGS))[1]


def _asleep_ns() -> tuple[int, int]:
    """Return within how many ns both clocks were read, and how far they are apart."""
    # One clock goes on while the host sleeps, the other one does not. A process that is held up
    # between the two readings would find a sleep that never was.
    before = time.monotonic_ns()
    booted = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    after = time.monotonic_ns()
    return after - before, booted - after


def found(progress: Harvest, asleep_before_ns: int) -> str | None:
    """Say what disturbed a trial that began when the host had slept so long, None if nothing."""
    return "; ".join(_found(progress, asleep_before_ns)) or None


def _found(progress: Harvest, asleep_before_ns: int) -> Iterator[str]:
    slept_ns = asleep_ns() - asleep_before_ns
    if slept_ns > _LONGEST_SLEEP_NS:
        yield f"the host slept for {slept_ns / NS_PER_S:.1f} s"
    times = np.empty(0) if progress.readings is None else progress.readings.begin_ns
    gaps_ns = np.diff(times)
    gap_ns = int(gaps_ns.max(initial=0))
    # A sampler that is asked for one reading a second may miss a deadline.
    if len(gaps_ns) and gap_ns > max(LONGEST_GAP_NS, _LONGEST_GAP_PERIODS * np.median(gaps_ns)):
        yield (
            f"nothing was sampled for {gap_ns / NS_PER_S:.1f} s: the host or the sampler "
            "stood still"
        )
    yield from _meddled(progress)
    yield from _unheard(progress)


def _meddled(progress: Harvest) -> Iterator[str]:
    """Yield what somebody did to the containers through Docker, or by a signal."""
    roles = {one.container_id: one.role for one in progress.containers}
    # After the last phase cgbench itself ends them.
    end_ns = max((one.t_end_ns for one in progress.phases), default=0)
    ended = {one.ending.role for one in progress.phases if one.ending is not None}
    done: dict[str, set[str]] = {"paused": set(), "sent a signal": set(), "killed": set()}
    for event in progress.events:
        role = roles.get(event.container_id)
        if role is None:
            continue
        signalled = (event.exit_code or 0) > SIGNALLED and role not in ended
        if event.action == "pause":
            done["paused"].add(role)
        elif event.action == "kill" and event.t_ns < end_ns:
            done["sent a signal"].add(role)
        elif event.action == "die" and event.t_ns < end_ns and signalled:
            done["killed"].add(role)
    done["killed"] -= done["sent a signal"]
    for what, whom in done.items():
        for role in sorted(whom):
            yield f"the container of {role} was {what} from outside"


def _unheard(progress: Harvest) -> Iterator[str]:
    """Say which containers began more often than Docker's events show: restarts are counted by it.

    A container that just began again may have no process yet, and so its probe counts fewer.
    """
    if progress.lost is not None:
        return
    for one in progress.containers:
        began = max((log.tally.starts for log in progress.logs.get(one.role, ())), default=0)
        heard = sum(
            event.container_id == one.container_id and event.action == "start"
            for event in progress.events
        )
        if began > heard:
            yield (
                f"the probe of {one.role} began {count(began, 'time')}, and Docker's events show "
                f"{count(heard, 'start')}: they cannot be relied on"
            )
