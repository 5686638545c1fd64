"""What a probe cannot have written: its container may write anything to the file that they share.

Each check is of what holds whatever the load: times lie in the trial and in order, counts fit the
time that passed. A container that writes possible figures of its own cannot be found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cgbench.units import NS_PER_MS

Integers = npt.NDArray[np.int64]

RUNNING, FINISHED = 1, 2
_SHORTEST_UNIT_NS = 10
_SHORTEST_LIFE_NS = NS_PER_MS
SHORTEST_PACE_NS = 10_000
"""No probe has stalls more often: a shorter pace would measure the probe's own loop."""

UNANSWERED = -1
"""What stands for the length of a request while neither its answer nor its failure is known."""


@dataclass(frozen=True)
class Requests:
    """What bounds requests: each is due `pace_ns` after the one before, and fails in the end."""

    pace_ns: int
    timeout_ns: int


@dataclass(frozen=True)
class Scale:
    """What bounds a worker's figures: the layout, its task, and the time it was read (ns).

    A `longest_stall_ns` of None leaves it to the time that passed. Only a task of kind request has
    `requests`.
    """

    bucket_ns: int
    threshold_ns: int
    shortest_stall_ns: int
    longest_stall_ns: int | None
    most_held: int
    most_children: int
    now_ns: int
    requests: Requests | None = None


@dataclass(frozen=True)
class Words:
    """A worker's page of words, in the order of workloads/probe.py."""

    state: int
    pid: int
    stalls_seen: int
    units: int
    longest_unit_ns: int
    starts: int
    held: int
    held_most: int
    children: int
    refusals: int
    last_errno: int
    skipped: int
    censored: int
    late: int

    @property
    def finished(self) -> bool:
        """Say whether it came to its end."""
        return self.state == FINISHED


def of_start(t0_ns: int, made_ns: int, scale: Scale) -> Iterator[str]:
    """Yield what is impossible about the time at which the probe says it began."""
    if not made_ns <= t0_ns <= scale.now_ns:
        yield "it began outside the trial"


def of_words(words: Words, t0_ns: int, scale: Scale) -> Iterator[str]:
    """Yield what is impossible about a worker's words."""
    elapsed = scale.now_ns - t0_ns
    stalls, unit, requests = elapsed // SHORTEST_PACE_NS + 1, scale.threshold_ns, 0
    if scale.requests is not None:
        # One schedule in each life; by how much it was kept late only the time that passed bounds.
        stalls, unit = elapsed // scale.requests.pace_ns + max(1, words.starts), elapsed
        requests = stalls
    bounds: Sequence[tuple[str, int, int, int]] = (
        ("state", words.state, RUNNING, FINISHED),
        ("number of stalls", words.stalls_seen, 0, stalls),
        ("longest unit", words.longest_unit_ns, 0, unit),
        ("number of starts", words.starts, 1, elapsed // _SHORTEST_LIFE_NS + 1),
        ("memory held", words.held, 0, scale.most_held),
        # Written a moment after what is held: a reader between the two finds less.
        ("most memory held", words.held_most, 0, scale.most_held),
        ("number of children", words.children, 0, scale.most_children),
        ("number of refusals", words.refusals, 0, elapsed // _SHORTEST_UNIT_NS + 1),
        ("number of skipped deadlines", words.skipped, 0, elapsed + 1),
        ("number of unanswered requests", words.censored, 0, requests),
        ("number of late requests", words.late, 0, requests),
    )
    for name, value, least, most in bounds:
        if not least <= value <= most:
            yield f"its {name} is {value}"


def of_units(
    units: Integers, before: Words, after: Words, t0_ns: int, scale: Scale
) -> Iterator[str]:
    """Yield what is impossible about units; the words were read before and after them."""
    used = (scale.now_ns - t0_ns) // scale.bucket_ns + 1
    if np.any(units[used:]):
        yield "units were done after it was read"
    most = int(units.max(initial=0))
    if most > scale.bucket_ns // _SHORTEST_UNIT_NS:
        yield f"{most} units were done in a bucket"
        return
    # A worker that goes on, or was killed, may be between its two counts, once in each life.
    ended = before.finished and after == before and after.starts == 1
    slack = 0 if ended else after.starts * most
    total = int(units.sum())
    if not before.units - slack <= total <= after.units + slack:
        yield f"its buckets have {total} units, and its count says {after.units}"


def of_stalls(begin_ns: Integers, length_ns: Integers, t0_ns: int, scale: Scale) -> Iterator[str]:
    """Yield what is impossible about the stalls that were kept."""
    if np.any((begin_ns < t0_ns) | (begin_ns > scale.now_ns)):
        yield "a stall began outside the trial"
    elif np.any((length_ns < 0) | (length_ns > scale.now_ns - begin_ns)):
        yield "a stall ended outside the trial"
    elif np.any(length_ns < scale.shortest_stall_ns):
        yield f"a stall is shorter than {scale.shortest_stall_ns} ns"
    elif scale.longest_stall_ns is not None and np.any(length_ns > scale.longest_stall_ns):
        yield f"a stall is longer than {scale.longest_stall_ns} ns"
    elif np.any(begin_ns[1:] < begin_ns[:-1] + length_ns[:-1]):
        yield "its stalls are not in the order of their times"


def of_requests(
    begin_ns: Integers, length_ns: Integers, words: Words, t0_ns: int, scale: Scale
) -> Iterator[str]:
    """Yield what is impossible about requests: `words` were read before them."""
    task = scale.requests
    assert task is not None
    apart = np.diff(begin_ns)
    if np.any((begin_ns < t0_ns) | (begin_ns > scale.now_ns)):
        yield "a request was due outside the trial"
    elif np.any((length_ns < UNANSWERED) | (length_ns > scale.now_ns - begin_ns)):
        yield "a request was answered outside the trial"
    elif np.any(length_ns >= task.timeout_ns):
        yield f"a request was answered {task.timeout_ns} ns after it was due, or later"
    elif np.any(apart < task.pace_ns):
        yield f"its requests are less than {task.pace_ns} ns apart"
    elif np.count_nonzero(apart > task.pace_ns) >= words.starts:
        # Only where a life ends and the next one begins.
        yield f"its requests are more than {task.pace_ns} ns apart"
    elif words.finished and words.starts == 1 and len(begin_ns) == words.stalls_seen:
        failed, answered = words.refusals, words.units + words.censored
        found = [int(np.count_nonzero(one)) for one in (length_ns == 0, length_ns > 0)]
        if found != [failed, answered]:
            yield (
                f"of its requests {found[0]} failed and {found[1]} did not, and its counts say "
                f"{failed} and {answered}"
            )
