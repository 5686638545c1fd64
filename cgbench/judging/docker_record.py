"""What Docker's own record says of a change that it accepted: what `docker inspect` declares."""

from __future__ import annotations

from cgbench.judging.departure import Departure, stayed
from cgbench.records.other_limits import Inspected
from cgbench.records.trial import Phase
from cgbench.records.verdict import Outcome
from cgbench.spec.options import option


def departure(phase: Phase) -> Departure | None:
    """Return how what Docker declares departs from what was asked, None where it does not.

    Where the kernel holds what was asked it is wrong that Docker declares another value: at the
    next start that one comes. Of options that no kernel has a file for it is all that can be read.
    """
    for one in phase.change.inspected:
        if not option(one.option).in_kernel:
            found = _by_docker_alone(one, phase)
        elif phase.change.files and one.held not in (None, one.asked):
            found = Departure(
                Outcome.WRONG,
                f"inspect declares {one.option} {one.held} where {one.asked} was asked, "
                "though the kernel holds that",
            )
        else:
            found = None
        if found is not None:
            return found
    return None


def _by_docker_alone(one: Inspected, phase: Phase) -> Departure | None:
    if one.held in (None, one.asked):
        return None
    should = f"where {one.asked} was asked"
    if one.asked == one.after:
        return Departure(
            Outcome.REVERTED,
            f"inspect declared {one.option} {one.asked} after the answer, and {one.held} when the "
            "phase ended",
        )
    if one.before == one.held:
        words = f"by inspect {one.option} stayed {one.held} {should}"
        return stayed(words, phase.change)
    return Departure(Outcome.WRONG, f"inspect declares {one.option} {one.held} {should}")


def due(phase: Phase) -> bool:
    """Say whether Docker's record had to change for a value that only Docker knows of."""
    known = [one for one in phase.change.inspected if one.before is not None]
    return not known or any(one.before != one.asked for one in known)


def yet_changed(phase: Phase) -> str | None:
    """Say what a refused change left changed in Docker's record of what only Docker knows of."""
    for one in phase.change.inspected:
        if None not in (one.before, one.held) and one.before != one.held:
            return f"by inspect {one.option} went from {one.before} to {one.held} all the same"
    return None
