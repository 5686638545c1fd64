"""Points of an experiment over the hosts of a fleet: a group's band, and who is outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging.fleet import Departure, Standing, group_of, most_first, of_hosts
from cgbench.judging.run import Run
from cgbench.judging.summary import Entry
from cgbench.records.host import Host
from cgbench.records.run import PointKey
from cgbench.spec.metrics import METRICS
from cgbench.wording import amount

_FEWEST = 5
"""Of fewer values the spread of a group is not known."""

_SIGMAS = 6.0
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class FleetPoint:
    """One metric at one point: the value of each host of a group, in the metric's unit.

    `allowed` is how far from `expected` one may lie, both None where nothing is expected.
    """

    experiment: str
    key: PointKey
    metric: str
    unit: str
    group: str
    expected: float | None
    allowed: float | None
    values: Mapping[str, float]

    @property
    def middle(self) -> float:
        """The median over the hosts."""
        return median(self.values.values())

    @property
    def outside(self) -> dict[str, float]:
        """The hosts whose values are apart from the group's, with them.

        Apart by more than six times the group's own spread, and by more than the metric's
        tolerance: hosts are never as alike as their median says, nor is a measurement as exact.
        """
        if len(self.values) < _FEWEST:
            return {}
        middle = self.middle
        spread = median(abs(value - middle) for value in self.values.values()) * _MAD_TO_SIGMA
        bound = max(_SIGMAS * spread, self.allowed or 0.0, METRICS[self.metric].resolution)
        return {host: value for host, value in self.values.items() if abs(value - middle) > bound}


def points(runs: Mapping[str, Sequence[Run]]) -> list[FleetPoint]:
    """Return what the hosts of each group have in common: points that something is expected of."""
    found: dict[tuple[str, str, PointKey, str], dict[str, Entry]] = {}
    for host, some in runs.items():
        for run in some:
            for entry in run.summary:
                if entry.estimate.expected is not None:
                    key = (
                        run.record.experiment.name, group_of(run.record.host), entry.key,
                        entry.metric,
                    )  # fmt: skip
                    found.setdefault(key, {})[host] = entry
    return [_point(*key, entries) for key, entries in found.items()]


def _point(
    experiment: str, group: str, key: PointKey, metric: str, entries: Mapping[str, Entry]
) -> FleetPoint:
    first = next(iter(entries.values())).estimate
    allowed = [one.estimate.allowed for one in entries.values()]
    return FleetPoint(
        experiment, key, metric, first.unit, group, first.expected, max(allowed),
        {host: one.estimate.median for host, one in entries.items()},
    )  # fmt: skip


def of_runs(
    runs: Mapping[str, Sequence[Run]], hosts: Mapping[str, Host],
    tags: Mapping[str, Sequence[str]],
) -> Standing:  # fmt: skip
    """Find each host whose curve leaves its group's band."""
    departures = of_hosts(hosts, tags)
    for point in points(runs):
        departures += _departures(point)
    return Standing((), tuple(most_first(departures)), ())


def _departures(point: FleetPoint) -> Iterator[Departure]:
    outside = point.outside
    inside = len(point.values) - len(outside)
    subject = (
        f"{point.experiment}: {METRICS[point.metric].label} of {point.key.role} at "
        f"--{point.key.option} {point.key.label}"
    )
    for host, value in outside.items():
        yield Departure(
            host, "point", subject, amount(value, point.unit),
            f"about {amount(point.middle, point.unit)}", inside, len(point.values),
        )  # fmt: skip
