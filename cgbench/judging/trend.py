"""A metric across runs: its trends, with change points and shifts, as figures and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from cgbench.judging.change_points import FEWEST, MAX_P, SMALLEST_PCT, Split
from cgbench.spec.schedule import labelled

SCHEMA_VERSION = 1
"""Version of the JSON that `to_json` gives."""


@dataclass(frozen=True)
class SeriesKey:
    """What all entries of a series share. A `quick` run holds values for a shorter time."""

    experiment: str
    hostname: str
    cpu_model: str
    quick: bool
    role: str
    via: str
    option: str
    requested: str
    note: str | None = None

    @property
    def label(self) -> str:
        """The requested value, with its note."""
        return labelled(self.requested, self.note)

    @property
    def group(self) -> tuple[str, str, str, bool]:
        """What is shown together: series of one experiment on one host."""
        return self.experiment, self.hostname, self.cpu_model, self.quick

    @property
    def value(self) -> str:
        """The option and the value, as on a command line."""
        return f"--{self.option} {self.label}"

    @property
    def container(self) -> str:
        """The role, with how values were set unless by `docker update`."""
        return self.role if self.via == "update" else f"{self.role} ({self.via})"


@dataclass(frozen=True)
class Entry:
    """One run in a series: the median over its trials, its interval, and its conditions.

    `doubt` says what disturbed the host meanwhile, None where nothing is known to have.
    """

    run: str
    started: datetime
    value: float
    low: float
    high: float
    trials: int
    conditions: Mapping[str, str]
    doubt: str | None = None


@dataclass(frozen=True)
class Shift:
    """A condition that differs from the run before."""

    index: int
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Trend:
    """A series with its change points, and the shifts of its conditions."""

    key: SeriesKey
    unit: str
    entries: tuple[Entry, ...]
    changes: tuple[Split, ...]
    shifts: tuple[Shift, ...]

    @property
    def too_short(self) -> bool:
        """Whether there are too few runs to look for change points."""
        return len(self.entries) < FEWEST

    def since(self, change: Split) -> int:
        """Return for how many runs the new level lasted, up to the next change point."""
        later = [one.index for one in self.changes if one.index > change.index]
        return min(later, default=len(self.entries)) - change.index

    def doubtful_since(self, change: Split) -> int:
        """Return how many runs of the new level are doubtful."""
        lasted = self.entries[change.index : change.index + self.since(change)]
        return sum(one.doubt is not None for one in lasted)

    def shifts_at(self, change: Split) -> list[Shift]:
        """Return the shifts at the first run of the new level."""
        return [shift for shift in self.shifts if shift.index == change.index]

    def levels(self) -> list[tuple[int, int, float]]:
        """Return first index, end and mean of each stretch between change points."""
        edges = [0, *(change.index for change in self.changes), len(self.entries)]
        return [
            (first, end, sum(one.value for one in self.entries[first:end]) / (end - first))
            for first, end in pairwise(edges)
        ]


@dataclass(frozen=True)
class LeftOut:
    """A run that could not be read, or how many were measured for something else, and why."""

    run: str
    reason: str


@dataclass(frozen=True)
class History:
    """The trends of a metric, ordered by key."""

    metric: str
    unit: str
    trends: tuple[Trend, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def changed(self) -> list[Trend]:
        """The trends with a change point."""
        return [trend for trend in self.trends if trend.changes]

    @property
    def doubtful(self) -> list[Entry]:
        """One entry of each run that was disturbed, oldest first."""
        each = {one.run: one for trend in self.trends for one in trend.entries if one.doubt}
        return sorted(each.values(), key=lambda one: one.started)

    def to_json(self) -> dict[str, Any]:
        """Return what `cgbench history --json` gives."""
        return {
            "schema_version": SCHEMA_VERSION,
            "metric": self.metric,
            "unit": self.unit,
            "max_p": MAX_P,
            "smallest_pct": SMALLEST_PCT,
            "fewest_runs": FEWEST,
            "series": [_trend_json(trend) for trend in self.trends],
            "left_out": [asdict(one) for one in self.left_out],
        }


def _trend_json(trend: Trend) -> dict[str, Any]:
    return {
        **asdict(trend.key),
        "n": len(trend.entries),
        "too_short": trend.too_short,
        "runs": [
            asdict(one) | {"started": one.started.isoformat()} for one in trend.entries
        ],
        "change_points": [
            asdict(change)
            | {
                "run": trend.entries[change.index].run,
                "started": trend.entries[change.index].started.isoformat(),
                "change_pct": change.change_pct,
                "runs_since": trend.since(change),
            }
            for change in trend.changes
        ],
        "shifts": [asdict(one) | {"run": trend.entries[one.index].run} for one in trend.shifts],
    }  # fmt: skip
