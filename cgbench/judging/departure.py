"""How what was measured departs from what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.records.trial import Change
from cgbench.records.verdict import Outcome

_WORST_FIRST = (
    Outcome.WRONG, Outcome.REVERTED, Outcome.DISCARDED, Outcome.IGNORED, Outcome.IMPRECISE,
    Outcome.INCONCLUSIVE,
)  # fmt: skip


@dataclass(frozen=True)
class Departure:
    """What became of a change instead; `reason` has the figures."""

    outcome: Outcome
    reason: str


def worst(found: Sequence[Departure]) -> Departure:
    """Return the worst of several departures."""
    return min(found, key=lambda one: _WORST_FIRST.index(one.outcome))


def stayed(reason: str, change: Change) -> Departure:
    """Return what it is called where nothing changed, though it was accepted."""
    if change.warnings:
        said = f"accepted with the warning {change.warnings[0]!r}; {reason}"
        return Departure(Outcome.DISCARDED, said)
    who = "the kernel refused no write" if change.via == "cgroupfs" else "Docker answered ok"
    return Departure(Outcome.IGNORED, f"{who}, and {reason}")
