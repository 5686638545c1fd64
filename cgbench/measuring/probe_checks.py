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


@dataclass(frozen=True)
class Scale:
    """What bounds a worker's figures: the layout, its task, and the time it was read (ns).

    A `longest_stall_ns` of None leaves it to the time that passed.
    """

    bucket_ns: int
    threshold_ns: int
    shortest_stall_ns: int
    longest_stall_ns: int | None
    most_held: int
    most_children: int
    now_ns: int


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
    bounds: Sequence[tuple[str, int, int, int]] = (
        ("state", words.state, RUNNING, FINISHED),
        ("number of stalls", words.stalls_seen, 0, elapsed // SHORTEST_PACE_NS + 1),
        ("longest unit", words.longest_unit_ns, 0, scale.threshold_ns),
        ("number of starts", words.starts, 1, elapsed // _SHORTEST_LIFE_NS + 1),
        ("memory held", words.held, 0, scale.most_held),
        # Written a moment after what is held: a reader between the two finds less.
        ("most memory held", words.held_most, 0, scale.most_held),
        ("number of children", words.children, 0, scale.most_children),
        ("number of refusals", words.refusals, 0, elapsed // _SHORTEST_UNIT_NS + 1),
        ("number of skipped deadlines", words.skipped, 0, elapsed + 1),
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
