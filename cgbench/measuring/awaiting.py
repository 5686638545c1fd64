"""Holding a phase on for what is judged, where it has not come when the phase would end.

A slow host is late with restarts, growth and forks, and that says nothing about a limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cgbench.engine.streams import Event, EventStream
from cgbench.host import counts, description
from cgbench.measuring.container import Running
from cgbench.measuring.hold import Lookout
from cgbench.records.trial import Awaited, AwaitedState, Change, Ending
from cgbench.spec import judged
from cgbench.spec.band import Conditions
from cgbench.spec.experiment import Experiment
from cgbench.spec.metric import tolerance
from cgbench.spec.metrics import METRICS
from cgbench.spec.reach import REACHED, Reach
from cgbench.spec.schedule import PlannedStep
from cgbench.units import NS_PER_MS, NS_PER_S

PATIENCE_NS = 20 * NS_PER_S
"""For how long the phases of one trial are held on, all together, where something grows."""

RESTARTS_PATIENCE_NS, QUIET_NS = 90 * NS_PER_S, 30 * NS_PER_S
"""For how long where a policy is to start containers again, and while none ends or starts.

An engine that runs programs of its own for each end and start takes seconds on a slow host.
"""

STILL_NS = 3 * NS_PER_S
"""What has not grown for so long has come to stand: it is not slow."""

_LOOK_EVERY_NS = 20 * NS_PER_MS
# Whoever looks as late as this was kept from running, and so may have been what it looks at.
_KEPT_NS = 10 * _LOOK_EVERY_NS
# Docker waits 100 ms before a restart, and twice as long before each next one; and some more.
_FIRST_PAUSE_NS, _SLACK_NS = 100 * NS_PER_MS, 500 * NS_PER_MS


def patience_s(experiment: Experiment) -> int:
    """Return by how many seconds a trial of an experiment may take longer, at most."""
    options = {
        experiment.judged_option(one) for step in experiment.steps for one in step.unrolled()
    }
    awaited = any(
        name in REACHED for option in options for name in judged.candidates(experiment, option)
    )
    return _patience_ns(experiment) // NS_PER_S if awaited else 0


def _patience_ns(experiment: Experiment) -> int:
    """Return for how long the phases of a trial may be held on."""
    return RESTARTS_PATIENCE_NS if experiment.option == "restart" else PATIENCE_NS


class Patience:
    """How much longer the phases of one trial may be held on, and what for."""

    def __init__(self, experiment: Experiment, events: EventStream) -> None:
        self._experiment = experiment
        self._events = events
        self._left_ns = _patience_ns(experiment)
        self._let_in: dict[str, int] = {}
        self._came: dict[str, _Goal] = {}

    def hold_on(
        self, look: Lookout, container: Running, step: PlannedStep, change: Change
    ) -> tuple[Ending | None, Awaited | None]:
        """Hold a phase on until what is judged has come, stands still, or patience is at an end.

        Returns how a container ended meanwhile if it may, and what was waited for if anything.
        """
        tasks = int(container.settings.get("pids-limit", 0))
        let_in = self._let_in[step.role] = max(self._let_in.get(step.role, 0), tasks)
        if step.prepares or change.error is not None:
            return None, None
        spec = container.spec
        reach = Reach(container.settings, spec.charged, spec.count, let_in, spec.count)
        goal = self._goal(step.option, reach)
        restarting = goal is not None and goal.metric == "restarts"
        if goal is None or (restarting and self._experiment.option != "restart"):
            # A container that is not meant to end is never started again.
            return None, None
        if not restarting and self._came.get(step.role) == goal:
            # It was there already: setting the same limit once more makes nothing grow.
            return None, None
        gauge = (
            _Restarts(self._events, container.container_id, change.t_request_ns, goal)
            if restarting
            else _Growth(container, goal)
        )
        begin_ns = time.monotonic_ns()
        ending, state = None, gauge.state(begin_ns)
        while state == "coming" and ending is None:
            now_ns = time.monotonic_ns()
            quiet_ns = now_ns - max(begin_ns, gauge.moved_ns())
            if now_ns - begin_ns >= self._left_ns or quiet_ns >= QUIET_NS:
                break
            ending = look.hold_until(now_ns + _LOOK_EVERY_NS, may_end=step.may_end)
            # One that was allowed to grow until it was ended has come to its limit.
            state = "came" if ending is not None else gauge.state(time.monotonic_ns())
        held_on_ns = time.monotonic_ns() - begin_ns
        if state == "came":
            self._came[step.role] = goal
        self._left_ns = max(0, self._left_ns - held_on_ns)
        return ending, Awaited(metric=goal.metric, state=state, held_on_ns=held_on_ns)

    def _goal(self, option: str, reach: Reach) -> _Goal | None:
        """Return what an option is judged by, where it is something that comes in time."""
        for metric in judged.candidates(self._experiment, option):
            comes_to = reach.of(metric)
            if comes_to is None:
                continue
            under = Conditions(
                workers=1, cpus=description.cpus(), timer_hz=None,
                page_bytes=os.sysconf("SC_PAGE_SIZE"), window_s=None,
            )  # fmt: skip
            band = judged.band(self._experiment, option, metric)
            allowed = tolerance(METRICS[metric], band, comes_to, under)
            return _Goal(metric, comes_to, 0.0 if allowed is None else allowed.below)
        return None


@dataclass(frozen=True)
class _Goal:
    """What a metric comes up to, if not short of it by more than `slack`."""

    metric: str
    comes_to: float
    slack: float


class _Growth:
    """A counter of the kernel that grows until it is at its limit."""

    def __init__(self, container: Running, goal: _Goal) -> None:
        self._container = container
        self._goal = goal
        self._most = -1.0
        self._grown_ns = self._looked_ns = time.monotonic_ns()

    def state(self, now_ns: int) -> AwaitedState:
        """Read it."""
        found = reading(self._goal.metric, counts.counters(self._container.cgroup))
        if now_ns - self._looked_ns > _KEPT_NS:
            self._grown_ns = now_ns
        self._looked_ns = now_ns
        if found is not None and found > self._most:
            self._most, self._grown_ns = found, now_ns
        if self._most >= self._goal.comes_to - self._goal.slack:
            return "came"
        return "standing" if now_ns - self._grown_ns >= STILL_NS else "coming"

    def moved_ns(self) -> int:
        """Return when it grew last, as far as that was looked at."""
        return self._grown_ns


def reading(metric: str, values: Mapping[str, int]) -> float | None:
    """Return what a metric is by the present values of a container's counters."""
    if metric == "tasks_max":
        return values.get("tasks")
    held, swapped = values.get("memory_bytes"), values.get("swap_bytes")
    if metric == "memory_max_bytes":
        return held
    both = values.get("memory_swap_bytes")
    return held + swapped if both is None and held is not None and swapped is not None else both


class _Restarts:
    """How often Docker started a container again."""

    def __init__(self, stream: EventStream, container_id: str, since_ns: int, goal: _Goal) -> None:
        self._stream = stream
        self._container_id = container_id
        self._since_ns = since_ns
        self._goal = goal

    def state(self, now_ns: int) -> AwaitedState:
        """Say whether as many came as should, and after the last end no other one is due."""
        return restarts(self._lives(), self._goal.comes_to, self._since_ns, now_ns)

    def moved_ns(self) -> int:
        """Return when the container began or ended last; 0 where it never did."""
        return max((one.t_ns for one in self._lives()), default=0)

    def _lives(self) -> list[Event]:
        """Return when it began and ended, as it came by now."""
        return [
            one
            for one in self._stream.so_far()
            if one.container_id == self._container_id and one.action in ("start", "die")
        ]


def restarts(
    seen: Sequence[Event], comes_to: float, since_ns: int, now_ns: int
) -> AwaitedState:  # fmt: skip
    """Say whether all restarts have come that should, by the starts and ends so far; no other due.

    One is due until twice the longest pause so far has passed since the last end.
    """
    pauses = [
        (after.t_ns, after.t_ns - before.t_ns)
        for before, after in pairwise(seen)
        if (before.action, after.action) == ("die", "start")
    ]
    came = sum(t_ns >= since_ns for t_ns, _pause in pauses)
    if came > comes_to:
        # No waiting makes it fewer.
        return "came"
    if came < comes_to or not seen or seen[-1].action != "die":
        return "coming"
    longest = max((pause for _t_ns, pause in pauses), default=_FIRST_PAUSE_NS)
    return "came" if now_ns - seen[-1].t_ns >= 2 * longest + _SLACK_NS else "coming"
