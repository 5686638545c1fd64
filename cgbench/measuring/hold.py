"""Waiting while a phase is held, with an eye on every container."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence

from cgbench.engine.engine import Engine
from cgbench.errors import TrialError
from cgbench.host import counts, interrupts, procfs
from cgbench.measuring.container import SIGNALLED, Running, snapshot, why_ended
from cgbench.measuring.progress import Watcher
from cgbench.records.trial import Ending
from cgbench.units import NS_PER_S

_SNAPSHOT_EVERY_S = 0.5
# By SIGSTOP, or by a debugger: proc(5).
_STOPPED = ("T", "t")


class Lookout:
    """Waits, and looks after the containers meanwhile.

    `forgiving` containers may end at any time, as those do whose restart policy is measured.
    """

    def __init__(
        self,
        engine: Engine,
        containers: Sequence[Running],
        watcher: Watcher,
        *,
        forgiving: bool = False,
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._watcher = watcher
        self._poll = select.poll()
        if not forgiving:
            for container in containers:
                self._poll.register(container.pidfd, select.POLLIN)
        # Those that a workload makes later come and go.
        self._processes = () if forgiving else tuple(_processes(containers))
        self._next_snapshot = time.monotonic()

    def hold_until(self, deadline_ns: int, *, may_end: bool = False) -> Ending | None:
        """Wait until `deadline_ns`, or until a container ends.

        Returns how one ended if it may, and raises TrialError as soon as one does otherwise, or
        was stopped by somebody's signal; that is looked for twice a second. It may end by itself
        or for lack of memory, and not by somebody else.
        """
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            if time.monotonic() >= self._next_snapshot:
                self._next_snapshot = time.monotonic() + _SNAPSHOT_EVERY_S
                interrupts.require_none()
                self.require_going()
                self._watcher.snapshot([snapshot(container) for container in self._containers])
            wait_s = min(left / NS_PER_S, max(0.0, self._next_snapshot - time.monotonic()))
            # poll() counts whole milliseconds; the last one is slept.
            for descriptor, _event in self._poll.poll(int(wait_s * 1000)):
                t_ns = time.monotonic_ns()
                self._poll.unregister(descriptor)
                (ended,) = (one for one in self._containers if one.pidfd == descriptor)
                # Its group is about to go.
                oom_killed = bool(counts.counters(ended.cgroup).get("oom_kills"))
                reason = why_ended(self._engine, ended.spec.role, ended.container_id)
                if not may_end:
                    raise TrialError(reason)
                return self._ending(ended, t_ns, reason, oom_killed=oom_killed)
            if wait_s < 0.001:
                time.sleep(max(0.0, wait_s))
        return None

    def require_going(self) -> None:
        """Raise TrialError where a process that was there from the start does not run any more."""
        for role, pid in self._processes:
            seen = procfs.process(pid)
            if seen is not None and seen.state in _STOPPED:
                raise TrialError(
                    f"the container of {role} was stopped from outside (process {pid}, by a signal)"
                )

    def _ending(self, ended: Running, t_ns: int, reason: str, *, oom_killed: bool) -> Ending:
        """Return how a container ended that may. Raises TrialError where another ended it."""
        state = self._engine.state(ended.container_id)
        if state is None or state.running:
            raise TrialError(reason)
        if state.exit_code > SIGNALLED and not (state.oom_killed or oom_killed):
            raise TrialError(reason)
        return Ending(
            role=ended.spec.role,
            t_ns=t_ns,
            exit_code=state.exit_code,
            oom_killed=state.oom_killed,
            reason=reason,
        )


def _processes(containers: Sequence[Running]) -> Iterator[tuple[str, int]]:
    """Yield the processes of all containers, each with its container's role."""
    for container in containers:
        for pid in container.cgroup.processes():
            yield container.spec.role, pid
