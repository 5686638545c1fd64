"""What programs and their loads printed of themselves in a trial, read from Docker's log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from cgbench.engine.engine import Engine
from cgbench.engine.program_spec import MOST_PRINTED_MB
from cgbench.errors import TrialError, WorkloadError
from cgbench.measuring.container import Running
from cgbench.records.trial import Reported
from cgbench.spec.experiment import Experiment
from cgbench.spec.programs import report_of
from cgbench.spec.report import Report
from cgbench.units import NS_PER_S

MOST = 20_000
"""How many figures one trial may report."""

_FULL = MOST_PRINTED_MB * 10**6 * 9 // 10


def taken(engine: Engine, experiment: Experiment, running: Sequence[Running]) -> Iterator[Reported]:
    """Yield every figure that a container of a trial has reported so far.

    Raises TrialError where one that should has reported none, prints what is no number, or more
    than Docker keeps.
    """
    # The time stamps are of the host's clock, everything else of a trial of CLOCK_MONOTONIC.
    ahead_ns = time.time_ns() - time.monotonic_ns()
    number = 0
    for container in running:
        found = report_of(experiment, container.spec)
        if found is None:
            continue
        role, report = found
        lines = engine.printed(container.container_id)
        name = container.spec.role
        if sum(map(len, lines)) > _FULL:
            raise TrialError(
                f"{name} printed more than Docker keeps ({MOST_PRINTED_MB} MB): let it print less"
            )
        before = number
        for one in _figures(role, name, report, lines, ahead_ns):
            number += 1
            if number > MOST:
                raise TrialError(f"{name} reported more than {MOST} figures: let it print less")
            yield one
        if number == before:
            last = f"; the last it printed: {_text(lines[-1])}" if lines else "; it printed nothing"
            raise TrialError(f"no line of {name} fits its report{last}")


def _figures(
    role: str, name: str, report: Report, lines: Sequence[str], ahead_ns: int
) -> Iterator[Reported]:
    for line in lines:
        t_ns = _t_ns(line)
        if t_ns is None:
            continue
        # What a progress bar writes over itself is one line to Docker.
        for part in _text(line).split("\r"):
            try:
                for metric, value in report.read(part):
                    yield Reported(role=role, t_ns=t_ns - ahead_ns, metric=metric, value=value)
            except WorkloadError as error:
                raise TrialError(f"{name}: {error.message}") from None


def _text(line: str) -> str:
    return line.partition(" ")[2]


def _t_ns(line: str) -> int | None:
    """Return the time stamp of a line in ns of UNIX time, None without one."""
    stamp = line.partition(" ")[0]
    whole, _, rest = stamp.rstrip("Z").partition(".")
    try:
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
        return round(seconds) * NS_PER_S + int(f"{rest:0<9}"[:9] or 0)
    except ValueError:
        return None
