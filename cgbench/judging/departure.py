"""How what was measured departs from what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def stayed(reason: str, warnings: Sequence[str]) -> Departure:
    """Return what it is called where nothing changed, though Docker accepted it."""
    if warnings:
        said = f"accepted with the warning {warnings[0]!r}; {reason}"
        return Departure(Outcome.DISCARDED, said)
    return Departure(Outcome.IGNORED, f"Docker answered ok, and {reason}")
