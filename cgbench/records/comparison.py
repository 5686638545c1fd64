"""What a comparison of two sides came to, as a document."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from cgbench.records.run import PointKey
from cgbench.spec.fields import Foreign
from cgbench.spec.model import Model

Key = tuple[PointKey, str]
"""What one metric at one point is known by."""


class Judgement(StrEnum):
    """What became of one metric, the worst first."""

    REGRESSED = "regressed"
    INCOMPARABLE = "incomparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"


SIGNS = {
    Judgement.REGRESSED: "✗", Judgement.INCOMPARABLE: "!", Judgement.INCONCLUSIVE: "?",
    Judgement.IMPROVED: "+", Judgement.UNCHANGED: "✓",
}  # fmt: skip
"""A sign for each judgement, which distinguishes it without colour."""


class Ending(StrEnum):
    """What ended a measurement that left a metric open."""

    BUDGET = "budget"
    TRIALS = "trials"


class Difference(Model):
    """A key of host or schedule in which the two sides differ."""

    key: str
    baseline: Foreign
    candidate: Foreign
    allowed: bool


class Finding(Model):
    """One metric at one value. `effect_pct` is the smallest change that matters.

    `p` is the corrected probability of so much or more if nothing had changed, in the direction
    seen; `more_trials` how many more on each side would about decide. `levels` are the values of
    both sides between which the change lies; None where it has no ratio, and in a document of an
    older cgbench.
    """

    role: str
    option: str
    via: str
    requested: str
    note: str | None = None
    metric: str
    unit: str
    worse: str
    judgement: Judgement
    reason: Foreign
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    effect_pct: float
    change_pct: float | None = None
    low_pct: float | None = None
    high_pct: float | None = None
    p: float | None = None
    more_trials: int | None = None
    levels: tuple[float, float] | None = None

    @property
    def point(self) -> PointKey:
        """The point that was measured."""
        return PointKey(self.role, self.option, self.via, self.requested, self.note)

    @property
    def key(self) -> Key:
        """What the finding is known by."""
        return self.point, self.metric


class Disturbance(Model):
    """A repetition that was measured again, or kept although disturbed, and why."""

    repetition: int
    reason: Foreign
    kept: bool


class Comparison(Model):
    """Everything one comparison came to.

    `alpha` is how often, at most, all metrics together give one false alarm; `level` is the
    probability with which an interval covers. `ended_by` says what ended a gate or an A/B
    comparison before every metric was decided: its budget, or that it measures no more trials.
    """

    experiment: str
    baseline: Foreign
    candidate: Foreign
    differences: tuple[Difference, ...] = ()
    findings: tuple[Finding, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    notes: tuple[Foreign, ...] = ()
    paired: bool = False
    alpha: float
    level: float
    ended_by: Ending | None = None

    @property
    def overall(self) -> Judgement:
        """The worst that was found."""
        if any(not one.allowed for one in self.differences):
            return Judgement.INCOMPARABLE
        seen = {one.judgement for one in self.findings}
        return next((one for one in Judgement if one in seen), Judgement.INCONCLUSIVE)

    @property
    def decided(self) -> bool:
        """Whether no metric is left inconclusive."""
        return all(one.judgement is not Judgement.INCONCLUSIVE for one in self.findings)

    def of(self, judgement: Judgement) -> list[Finding]:
        """Return the findings with one judgement."""
        return [one for one in self.findings if one.judgement is judgement]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"overall": self.overall.value, **self.model_dump(mode="json")}
