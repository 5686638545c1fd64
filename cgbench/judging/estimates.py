"""The requested values of a run in the order of its schedule: their words, files and estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgbench.errors import CgbenchError
from cgbench.judging import rows, summary
from cgbench.judging.intervals import relative_spread_pct
from cgbench.records.run import PointKey
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import ContainerRecord, Phase, TrialRecord
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings, Value
from cgbench.spec.options import option
from cgbench.units import NS_PER_MS, NS_PER_US, format_duration, format_size

UNLIMITED = "no limit"
OF_A_CPU = " of a CPU"
"""What the words of a quota say after the number, and a plot's tick need not."""

_QUOTAS = frozenset({"cpu-quota", "cpus"})
# By which metric an option is judged; CPUs used where nothing else is said.
_JUDGED_BY = {
    "memory": "memory_max_bytes",
    "memory-swap": "swap_max_bytes",
    "memory-reservation": "memory_max_bytes",
    "kernel-memory": "memory_max_bytes",
    "blkio-weight": "io_share_pct",
    "pids-limit": "tasks_max",
}
# Values whose whole range is this narrow, in percent of their median, are called the same.
_SAME_PCT = 2.0
_SIZES = frozenset({"memory", "memory-reservation", "memory-swap", "kernel-memory"})


@dataclass(frozen=True)
class Estimate:
    """A metric at one requested value, across trials.

    `low` and `high` bound the median with probability `level`; None where one trial allows none.
    """

    unit: str
    expected: float | None
    median: float
    low: float | None
    high: float | None
    level: float | None
    trials: int
    error_pct: float | None

    @property
    def error_bounds_pct(self) -> tuple[float, float] | None:
        """The interval as errors in percent of the expected value, None where there is none."""
        if self.low is None or self.high is None or not self.expected:
            return None
        low, high = (100 * (end / self.expected - 1) for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Point:
    """One requested value, and one container in the phases in which it was in force.

    `changed` says that the value was this container's own and not a neighbour's. `declared` are
    the options that were set together, `settings` all that were in force. `enforced` is the text
    of the interface files as read back, `intended` what they should hold: None where there are
    none, or trials disagreed. `workers` ran at once.
    """

    role: str
    option: str
    via: str
    requested: str
    changed: bool
    declared: Settings
    settings: Settings
    workers: int
    enforced: str | None
    intended: str | None
    files: tuple[str, ...]
    estimates: Mapping[str, Estimate]

    @property
    def key(self) -> PointKey:
        """What the point is known by."""
        return self.role, self.option, self.via, self.requested

    @property
    def enforced_as_intended(self) -> bool | None:
        """Whether the interface files hold what they should; None where that is not known."""
        if self.enforced is None or self.intended is None:
            return None
        return self.enforced == self.intended

    @property
    def words(self) -> str:
        """The value as a reader thinks of it: `10 % of a CPU`, `5 ms`, `256 MiB`."""
        return worded_request(self.option, self.requested, self.declared, self.settings)

    @property
    def short(self) -> str:
        """The value for a plot's tick: `10 %`."""
        return self.words.replace(OF_A_CPU, "")

    @property
    def raw(self) -> str:
        """The options as typed on Docker's command line."""
        return " ".join(f"--{name} {value}" for name, value in self.declared.items())

    @property
    def place(self) -> str:
        """The value as a sentence says it after "at"."""
        if self.option == "cpu-period":
            return f"a period of {self.words}"
        return self.words if self.option in _QUOTAS else f"`--{self.option}` {self.words}"

    @property
    def noted(self) -> bool:
        """Whether a note tells this point from others of the same value."""
        return self.requested != str(self.declared.get(self.option))

    @property
    def number(self) -> float | None:
        """The value as a number to plot against: CPUs for a quota, ms for a period."""
        if self.option in _QUOTAS:
            quota, period = bandwidth(self.settings)
            return None if quota is None else quota / period
        value = numeric(self.option, str(self.declared.get(self.option)))
        if value is not None and self.option == "cpu-period":
            return value * NS_PER_US / NS_PER_MS
        return value

    @property
    def ideal_stall_ms(self) -> float | None:
        """How long a worker waits for the next period when all workers use the quota at once."""
        quota, period = bandwidth(self.settings)
        if quota is None or quota >= self.workers * period:
            return None
        return (period - quota / self.workers) * NS_PER_US / NS_PER_MS

    def estimate(self, metric: str | None) -> Estimate | None:
        """Return the estimate of a metric, None if it was not measured here."""
        return None if metric is None else self.estimates.get(metric)

    def median(self, metric: str) -> float | None:
        """Return the median of a metric, None if it was not measured here."""
        estimate = self.estimate(metric)
        return None if estimate is None else estimate.median


def worded(name: str, requested: str, settings: Settings) -> str:
    """Return a requested value as a reader thinks of it; `settings` are all in force with it."""
    value = numeric(name, requested)
    if value is None:
        return requested
    if value == option(name).lifted:
        return UNLIMITED
    if name == "cpu-quota":
        quota, period = bandwidth(settings)
        aside = "" if period == 100_000 else f" per {format_duration(period * NS_PER_US)}"
        return UNLIMITED if quota is None else f"{100 * quota / period:g} %{OF_A_CPU}{aside}"
    if name == "cpus":
        return f"{requested} CPUs"
    if name == "cpu-period":
        return format_duration(value * NS_PER_US)
    if name in _SIZES:
        return format_size(value)
    return requested


def worded_request(name: str, requested: str, declared: Settings, settings: Settings) -> str:
    """Return a requested value in words, with the note that tells it from others, if any."""
    value = str(declared.get(name, requested))
    note = requested.removeprefix(value).strip()
    words = worded(name, value, settings)
    return f"{words} ({note})" if note else words


def numeric(name: str, requested: str) -> float | None:
    """Return a requested value as the API's number, None where it is not a number."""
    try:
        parsed = option(name).parse(requested)
    except (CgbenchError, ValueError, TypeError):
        return None
    return float(parsed) if isinstance(parsed, int | float) else None


def points(directory: RunDirectory) -> list[Point]:
    """Return the run's points in the order in which its schedule first names them."""
    trials = rows.finished(directory)
    found: dict[PointKey, dict[str, Estimate]] = {}
    enforced: dict[PointKey, str | None] = {}
    for entry in summary.summary(directory):
        key = (entry["role"], entry["option"], entry["via"], entry["requested"])
        found.setdefault(key, {})[entry["metric"]] = _estimate(entry)
        enforced.setdefault(key, entry["enforced"])
    return [_point(key, estimates, enforced[key], trials) for key, estimates in found.items()]


def judged(name: str, many: Sequence[Point]) -> str | None:
    """Return the metric by which an option is judged, None where nothing is expected of it."""
    metric = _JUDGED_BY.get(name, "cpus_used")
    known = any(
        (estimate := point.estimate(metric)) is not None and estimate.expected is not None
        for point in many
    )
    return metric if known else None


def same_throughput(many: Sequence[Point]) -> bool:
    """Say whether several points declare one limit and all got the same CPUs under it."""
    estimates = [one for point in many if (one := point.estimate("cpus_used")) is not None]
    spread = relative_spread_pct([estimate.median for estimate in estimates])
    return (
        1 < len(many) == len(estimates)
        and len({estimate.expected for estimate in estimates}) == 1
        and spread is not None
        and spread <= _SAME_PCT
    )


def _estimate(entry: Mapping[str, Any]) -> Estimate:
    alone = entry["n_trials"] < 2
    return Estimate(
        unit=entry["unit"],
        expected=entry["expected"],
        median=entry["median"],
        low=None if alone else entry["ci_low"],
        high=None if alone else entry["ci_high"],
        level=None if alone else entry["ci_level"],
        trials=entry["n_trials"],
        error_pct=entry["error_pct"],
    )


def _point(
    key: PointKey,
    estimates: Mapping[str, Estimate],
    enforced: str | None,
    trials: Sequence[TrialRecord],
) -> Point:
    role, name, via, requested = key
    same = [
        (trial, phase)
        for trial in trials
        for phase in trial.phases
        if (phase.option, phase.change.via, phase.requested) == (name, via, requested)
    ]
    # The role's own phases if it has any: another container may be measured during them.
    trial, phase = next(((t, p) for t, p in same if p.role == role), same[0])
    changed = phase.role == role
    settings: Mapping[str, Value] = phase.settings
    return Point(
        role=role,
        option=name,
        via=via,
        requested=requested,
        changed=changed,
        declared=phase.change.settings,
        settings=settings,
        workers=_workers(trial.containers, role),
        enforced=enforced if changed else None,
        intended=_intended(phase) if changed else None,
        files=tuple(file.file for file in phase.change.files) if changed else (),
        estimates=estimates,
    )


def _workers(containers: Sequence[ContainerRecord], role: str) -> int:
    return next((one.workers for one in containers if one.role == role), 1)


def _intended(phase: Phase) -> str | None:
    """Return what the interface files should hold, written as `Phase.effective` writes them."""
    texts = [file.expected for file in phase.change.files if file.expected is not None]
    return " ".join(dict.fromkeys(texts)) or None


def row_key(row: Mapping[str, Any]) -> PointKey:
    """Return what the point that a row of `metrics.rows` belongs to is known by."""
    return row["role"], row["option"], row["via"], row["requested"]
