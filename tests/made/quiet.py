"""A claim about what was measured: made again where the product says that the host was disturbed.

A claim must hold beside a process that keeps one CPU busy. Where more goes on than that, it may
fail through nobody's fault: then it is measured again, each time once a CPU is free and nothing is
taken from the host. If the host does not come to rest for minutes, the test fails and says so.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cgbench.host import description
from cgbench.host.cpu_time import CpuTimes, cpu_times
from cgbench.judging import checks
from cgbench.judging.run import Run, load
from cgbench.records.results import runs
from cgbench.units import NS_PER_S

Found = TypeVar("Found")

TRIES = 3
PATIENCE_S = 120.0
"""For so long after the first measurement it is made again, and at least so many times in all."""

_LOOK_S = 1.0
_REST_S = 20.0


def disturbed(run: Run) -> str | None:
    """Return what disturbed a run, by the rules of its report; None where nothing did."""
    reasons = {check.name: check.reason for check in checks.examine(run)}
    return next((reasons[name] for name in checks.DISTURBANCES if name in reasons), None)


def any_disturbed(results: Path) -> str | None:
    """Return what disturbed one of the runs that are kept there; None where nothing did."""
    return next((why for one in runs(results) if (why := disturbed(load(one)))), None)


def taken(before: CpuTimes, after: CpuTimes, used_s: float) -> str | None:
    """Return what took CPU time away between two readings, by the bounds of a run's report.

    `used_s` is what the measured work used itself. None where nothing took more than a run may
    lose.
    """
    elapsed_s = (after.t_ns - before.t_ns) / NS_PER_S
    stolen_pct = 100 * (after.steal_s - before.steal_s) / elapsed_s / description.cpus()
    if stolen_pct > checks.STEAL_PCT:
        return f"the hypervisor took {stolen_pct:.1f} % of the CPU time away"
    known_s = used_s + after.cgbench_s - before.cgbench_s
    known_s += (after.daemon_s or 0) - (before.daemon_s or 0)
    others = (after.busy_s - before.busy_s - known_s) / elapsed_s
    return f"others used {others:.2f} CPUs" if others > checks.OTHERS_CPUS else None


def holds(
    claim: Callable[[Found], None],
    measure: Callable[[], Found],
    doubt: Callable[[Found], str | None],
    rest: Callable[[], None] | None = None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Measure and make the claim; measure again where it fails and there is a doubt."""
    limit = time.monotonic() + patience_s
    for tries in itertools.count(1):
        found = measure()
        try:
            claim(found)
            return
        except AssertionError as error:
            if (reason := doubt(found)) is None:
                raise
            if tries >= TRIES and time.monotonic() > limit:
                raise AssertionError(f"in each of {tries} measurements {reason}") from error
        (rest or await_rest)()


def await_rest() -> None:
    """Wait until a CPU is idle for a second, and little is taken; go on in any case after a while.

    That is `_REST_S`: it may be what is measured then that holds all the same.
    """
    limit = time.monotonic() + _REST_S
    while time.monotonic() < limit and not _is_at_rest():
        pass


def _is_at_rest() -> bool:
    before = cpu_times(())
    time.sleep(_LOOK_S)
    after = cpu_times(())
    cpus, elapsed_s = description.cpus(), (after.t_ns - before.t_ns) / NS_PER_S
    stolen_s = after.steal_s - before.steal_s
    idle = cpus - (after.busy_s - before.busy_s + stolen_s) / elapsed_s
    return idle >= 0.9 and 100 * stolen_s / elapsed_s / cpus <= checks.STEAL_PCT
