"""A claim about what was measured: made again where the product says that the host was disturbed.

A claim must hold beside a process that keeps one CPU busy. Where more goes on than that, it may
fail through nobody's fault: then it is measured again, a few times and no more, each time once a
CPU is free. If the host never comes to rest, the test fails and says so.
"""

from __future__ import annotations

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
PATIENCE_S = 20.0
_LOOK_S = 0.5


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
) -> None:
    """Measure and make the claim; measure again where it fails and there is a doubt."""
    for tries_left in reversed(range(TRIES)):
        found = measure()
        try:
            claim(found)
            return
        except AssertionError as error:
            if (reason := doubt(found)) is None:
                raise
            if not tries_left:
                raise AssertionError(f"in each of {TRIES} measurements {reason}") from error
        (rest or await_a_free_cpu)()


def await_a_free_cpu() -> None:
    """Wait until one CPU was idle for half a second; go on after PATIENCE_S in any case."""
    limit = time.monotonic() + PATIENCE_S
    while _idle_cpus() < 0.9 and time.monotonic() < limit:
        pass


def _idle_cpus() -> float:
    before = cpu_times(())
    time.sleep(_LOOK_S)
    after = cpu_times(())
    lost = after.busy_s + after.steal_s - before.busy_s - before.steal_s
    return description.cpus() - lost / ((after.t_ns - before.t_ns) / NS_PER_S)
