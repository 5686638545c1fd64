"""The verdict on one option, with the numbers it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from cgbench.spec.fields import Foreign, Label, MetricName, Name
from cgbench.spec.model import Model
from cgbench.spec.schedule import labelled
from cgbench.units import NS_PER_MS

_SHORTEST_MS = 0.1 / NS_PER_MS


class Outcome(StrEnum):
    """What became of an option on this host."""

    EFFECTIVE = "effective"
    IMPRECISE = "imprecise"
    PARTIAL = "partial"
    WRONG = "wrong"
    INEFFECTIVE = "ineffective"
    IGNORED = "ignored"
    DISCARDED = "discarded"
    REJECTED = "rejected"
    REVERTED = "reverted"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"


NOT_IN_FORCE = (
    Outcome.WRONG,
    Outcome.INEFFECTIVE,
    Outcome.IGNORED,
    Outcome.DISCARDED,
    Outcome.REVERTED,
)
"""Verdicts on a limit that Docker says it set, and that is not there as it says."""


class Declared(Model):
    """What Docker answered: how many updates it accepted, and its warnings and refusals."""

    accepted: int
    refused: tuple[Foreign, ...]
    warnings: tuple[Foreign, ...]


class Enforced(Model):
    """An interface file around the last accepted change of the option, and as it should be.

    `path` is where it was while the container ran, None in a table of an older cgbench.
    """

    before: Foreign | None
    after: Foreign | None
    expected: Foreign | None
    path: Foreign | None = None


class Point(Model):
    """What the workload showed at one requested value, and whether it lies within the band.

    `tolerance` is how far below `expected` the band reaches and `tolerance_above` how far above,
    in the metric's unit. They and `role`, the container, are None in a truth table of the first
    format.
    """

    requested: Foreign
    note: Foreign | None = None
    role: Name | None = None
    metric: MetricName
    unit: Label
    expected: float | None
    value: float
    error_pct: float | None
    tolerance: float | None = None
    tolerance_above: float | None = None
    within: bool | None

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.requested, self.note)


def _by_a_clock(value: float) -> float:
    """Return a time as a clock that counts nanoseconds shows it: an axis begins at the least."""
    return 0.0 if value < _SHORTEST_MS else value


Milliseconds = Annotated[float, Field(ge=0, lt=2**63 / NS_PER_MS), AfterValidator(_by_a_clock)]
"""Time after a request, 0 where nothing moved; a median may lie between two nanoseconds."""


class TimeToEffect(Model):
    """Median milliseconds after the request; None where it was not seen.

    `answered_first` counts the changes that were answered before they were in force.
    """

    answer: Milliseconds | None
    enforced: Milliseconds | None
    experienced: Milliseconds | None
    answered_first: Annotated[int, Field(ge=0)] = 0


class Value(Model):
    """One value tried on one container, judged by all three layers.

    `files` are the interface files around the last change to it, refused or not; none in a table of
    an older cgbench.
    """

    requested: Foreign
    note: Foreign | None
    role: Name
    verdict: Outcome
    reason: Foreign
    files: Mapping[Label, Enforced] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.requested, self.note)


class Verdict(Model):
    """One option's verdict on one host, from one run.

    `values` are the single ones that it is made from, none in a table of an older cgbench.
    `refused_yet_changed` says that Docker refused a value and the kernel's changed all the same.
    `undone_by` names what undid a value that Docker still declares, beside the option's own
    experiment, each with what was read.
    """

    option: Name
    verdict: Outcome
    reason: Foreign
    advice: Foreign | None
    declared: Declared
    enforced: Mapping[Label, Enforced]
    experienced: tuple[Point, ...]
    values: tuple[Value, ...] = ()
    refused_yet_changed: bool = False
    undone_by: tuple[Foreign, ...] = ()
    control: Foreign | None
    time_to_effect_ms: TimeToEffect
    evidence: tuple[Foreign, ...]

    @property
    def fails(self) -> bool:
        """Whether what Docker says is not so."""
        return self.verdict in NOT_IN_FORCE or self.refused_yet_changed
