"""The requested values of a run in the order of its schedule: their words, files and estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgbench.errors import CgbenchError, StoreError
from cgbench.judging.intervals import relative_spread_pct
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.records.run import PointKey
from cgbench.records.trial import ContainerRecord, Phase, TrialRecord
from cgbench.records.versions import DAMAGED
from cgbench.spec.conversions import DEFAULT_PERIOD_US, bandwidth
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import judged_metric
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.spec.schedule import labelled
from cgbench.units import NS_PER_MS, NS_PER_US, format_duration, format_size

UNLIMITED = "no limit"
OF_A_CPU = " of a CPU"
"""What the words of a quota say after the number, and a plot's tick need not."""

_QUOTAS = frozenset({"cpu-quota", "cpus"})
# Values whose whole range is this narrow, in percent of their median, are called the same.
_SAME_PCT = 2.0
_SIZES = frozenset({"memory", "memory-reservation", "memory-swap", "kernel-memory"})


@dataclass(frozen=True)
class Point:
    """One requested value, and one container in the phases in which it was in force.

    `owner` is the container whose value it is: a neighbour is measured meanwhile. `declared` are
    the options that were set together, `settings` all that were in force. `enforced` is the text
    of the container's own interface files as read back, `intended` what they should hold: None
    where there are none, or trials disagreed. `workers` ran at once.
    """

    key: PointKey
    owner: str
    declared: Settings
    settings: Settings
    workers: int
    enforced: str | None
    intended: str | None
    files: tuple[str, ...]
    estimates: Mapping[str, Estimate]

    @property
    def changed(self) -> bool:
        """Whether the value was this container's own and not a neighbour's."""
        return self.owner == self.role

    @property
    def role(self) -> str:
        """The container."""
        return self.key.role

    @property
    def option(self) -> str:
        """The option that was changed."""
        return self.key.option

    @property
    def via(self) -> str:
        """How the value was set."""
        return self.key.via

    @property
    def requested(self) -> str:
        """The requested value."""
        return self.key.requested

    @property
    def enforced_as_intended(self) -> bool | None:
        """Whether the interface files hold what they should; None where that is not known."""
        if self.enforced is None or self.intended is None:
            return None
        return self.enforced == self.intended

    @property
    def words(self) -> str:
        """The value as a reader thinks of it: `10 % of a CPU`, `5 ms`, `256 MiB`."""
        return labelled(worded(self.option, self.requested, self.settings), self.key.note)

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
        """Whether a note distinguishes this point from others of the same value."""
        return self.key.note is not None

    @property
    def number(self) -> float | None:
        """The value as a number to plot against: CPUs for a quota, ms for a period."""
        if self.option in _QUOTAS:
            quota, period = bandwidth(self.settings)
            return None if quota is None else quota / period
        value = numeric(self.option, self.requested)
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
        if quota is None:
            return UNLIMITED
        return f"{100 * quota / period:g} %{OF_A_CPU}{_of_a_period(quota, period)}"
    if name == "cpus":
        return f"{requested} CPU" if requested == "1" else f"{requested} CPUs"
    if name == "cpu-period":
        return format_duration(value * NS_PER_US)
    if name in _SIZES:
        return format_size(value)
    return requested


def _of_a_period(quota: int, period: int) -> str:
    """Return how much of each period a quota is, in brackets; nothing at the default period."""
    if period == DEFAULT_PERIOD_US:
        return ""
    part, whole = (format_duration(one * NS_PER_US) for one in (quota, period))
    number, _, unit = part.partition(" ")
    return f" ({number if whole.endswith(f' {unit}') else part} of {whole})"


def numeric(name: str, requested: str) -> float | None:
    """Return a requested value as the API's number, None where it is not a number."""
    try:
        parsed = option(name).parse(requested)
    except (CgbenchError, ValueError, TypeError):
        return None
    return float(parsed) if isinstance(parsed, int | float) else None


def points(run: Run) -> list[Point]:
    """Return the run's points in the order in which its schedule first names them."""
    found: dict[PointKey, dict[str, Estimate]] = {}
    enforced: dict[PointKey, str | None] = {}
    for entry in run.summary:
        found.setdefault(entry.key, {})[entry.metric] = entry.estimate
        enforced.setdefault(entry.key, entry.enforced)
    # Every container is measured during a phase: its point is known but for the role.
    during: dict[tuple[str | None, ...], list[tuple[TrialRecord, Phase]]] = {}
    for trial in run.finished:
        for phase in trial.phases:
            during.setdefault(phase.point()[1:], []).append((trial, phase))
    if any(key[1:] not in during for key in found):
        rows = run.directory.path / "phases.parquet"
        raise StoreError(f"{rows}: names a point that no trial has", DAMAGED)
    return [_point(key, estimates, enforced[key], [
                one for one in during[key[1:]] if one[1].role == run.owners.get(key, one[1].role)
            ]) for key, estimates in found.items()]  # fmt: skip


def judged(experiment: Experiment, many: Sequence[Point]) -> str | None:
    """Return the metric that an experiment is judged by, None where nothing is expected."""
    expecting = {
        name
        for point in many
        for name, estimate in point.estimates.items()
        if estimate.expected is not None
    }
    return judged_metric(experiment, experiment.option, expecting)


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


def _point(
    key: PointKey,
    estimates: Mapping[str, Estimate],
    enforced: str | None,
    same: Sequence[tuple[TrialRecord, Phase]],
) -> Point:
    trial, phase = same[0]
    changed = phase.role == key.role
    return Point(
        key=key,
        owner=phase.role,
        declared=phase.change.settings,
        settings=phase.settings,
        workers=_workers(trial.containers, key.role),
        enforced=enforced,
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
