"""Several options at the same time, each on idle containers of its own: most of it is waiting.

Only what is no timing, and what no other container can change, may be measured so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from cgbench.host import interrupts
from cgbench.measuring.idle.containers import Stopped, Supply
from cgbench.measuring.site import Progress, Site
from cgbench.measuring.unwinding import UndisturbedExit
from cgbench.spec.option import Option

AT_ONCE = 3
"""So many options are measured at a time at most; each has a handful of idle containers."""

# All groups share what the kernel has of real time: one may be refused what another one holds.
_ONE_AFTER_THE_OTHER = ("cpu-rt-period", "cpu-rt-runtime")

_LOOK_EVERY_S = 0.2

T = TypeVar("T")


def measured(
    options: Sequence[Option],
    measure: Callable[[Option, Supply], T],
    site: Callable[[], Site],
    begun: Progress,
    detail: Progress,
    at_once: int = AT_ONCE,
) -> dict[str, T]:
    """Measure options side by side, so many at once, and return what was found, in their order.

    `site` makes a place for the containers of one lane. `begun` is shown the flags of what begins,
    in the order of the options; `detail` is shown every single try, and what else is under way.
    Where one fails, the others are stopped and all containers removed; of several failures that
    of the first option is raised.
    """
    jobs = _jobs(options)
    lanes = _Lanes(jobs, measure, begun, detail)
    with UndisturbedExit() as stack:
        for lane in range(min(at_once, len(jobs))):
            lanes.supplies.append(
                stack.enter_context(Supply(site(), ahead=1, progress=lanes.shown_by(lane)))
            )
        lanes.run()
    return {one.name: lanes.found[one.name] for one in options}


def _jobs(options: Sequence[Option]) -> list[tuple[Option, ...]]:
    """Return the options, in groups of those that must not be measured at the same time."""
    apart = tuple(one for one in options if one.name in _ONE_AFTER_THE_OTHER)
    return [
        apart if one in apart else (one,)
        for one in options
        if one not in apart[1:]
    ]  # fmt: skip


class _Lanes(Generic[T]):
    """Threads that take one job after the other, each with a supply of its own."""

    def __init__(
        self,
        jobs: Sequence[tuple[Option, ...]],
        measure: Callable[[Option, Supply], T],
        begun: Progress,
        detail: Progress,
    ) -> None:
        self.supplies: list[Supply] = []
        self.found: dict[str, T] = {}
        self._jobs = list(enumerate(jobs))
        self._measure, self._begun, self._detail = measure, begun, detail
        self._lock = threading.Lock()
        self._now: dict[int, str] = {}
        self._at: dict[int, int] = {}

    def shown_by(self, lane: int) -> Progress:
        """Return what shows a lane's progress, and the flags of what other lanes measure."""

        def show(line: str) -> None:
            with self._lock:
                others = [flags for each, flags in sorted(self._now.items()) if each != lane]
                self._detail(f"{line} (beside {', '.join(others)})" if others else line)

        return show

    def run(self) -> None:
        """Do all jobs. Raises what stopped them."""
        with ThreadPoolExecutor(len(self.supplies) or 1, "cgbench-options") as pool:
            try:
                lanes = [pool.submit(self._lane, one) for one in range(len(self.supplies))]
                # The kernel may hand a signal to any thread, and only this one handles it.
                while wait(lanes, _LOOK_EVERY_S).not_done:
                    interrupts.require_none()
            except BaseException:
                self._stop()
                raise
        failed = [(self._at[one], error) for one, done in enumerate(lanes)
                  if (error := done.exception()) is not None]  # fmt: skip
        if failed:
            # An interrupt is nobody's failure.
            raise min(failed, key=lambda one: (isinstance(one[1], Exception), one[0]))[1]

    def _stop(self) -> None:
        with self._lock:
            self._jobs.clear()
        for supply in self.supplies:
            supply.stop()

    def _lane(self, lane: int) -> None:
        try:
            while (options := self._next(lane)) is not None:
                for one in options:
                    self.found[one.name] = self._measure(one, self.supplies[lane])
        except Stopped:
            return
        except BaseException:
            self._stop()
            raise

    def _next(self, lane: int) -> tuple[Option, ...] | None:
        with self._lock:
            self._now.pop(lane, None)
            if not self._jobs:
                return None
            self._at[lane], options = self._jobs.pop(0)
            self._now[lane] = ", ".join(one.flag for one in options)
            self._begun(self._now[lane])
            return options
