"""The band in which each value of a run should lie, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cgbench.records.run import PointKey, Row, RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.spec import judged
from cgbench.spec.band import Conditions, Tolerance
from cgbench.spec.emulated import EMULATED_TIMES
from cgbench.spec.metric import tolerance
from cgbench.spec.metrics import METRICS
from cgbench.units import NS_PER_MS

# A container that ends this soon after the change was above the limit before it was set; an
# emulated CPU takes as much longer to end it as it takes for all else.
_AT_ONCE_NS = 250 * NS_PER_MS


@dataclass(frozen=True)
class Held:
    """How far a value may lie from the expected one, and whether it is within that.

    `within` is None where the value shows nothing: its workload never reached the limit.
    """

    tolerance: Tolerance
    within: bool | None


class Bands:
    """The bands of one run's values."""

    def __init__(self, record: RunRecord, finished: Sequence[TrialRecord]) -> None:
        self._record = record
        self._in_flight = {
            one.role: one.depth * (one.block or 0) for trial in finished for one in trial.containers
        }
        self._workers = {one.role: one.workers for one in record.experiment.containers}
        self._hz = {trial.number: trial.sampler.achieved_hz for trial in finished if trial.sampler}
        slower = EMULATED_TIMES if record.host.emulated else 1
        self._grown = frozenset(_grown(finished, slower * _AT_ONCE_NS))

    def held(self, rows: Sequence[Row], value: float, expected: float | None) -> Held | None:
        """Judge the `value` of `rows`, which are all of one metric at one point.

        None where nothing is expected, or where this version does not know the metric.
        """
        key, name = rows[0].key, rows[0].metric
        if expected is None or name not in METRICS:
            return None
        metric, experiment, host = METRICS[name], self._record.experiment, self._record.host
        under = Conditions(
            workers=self._workers[key.role],
            cpus=host.cpus,
            timer_hz=host.timer_hz,
            page_bytes=host.page_bytes,
            window_s=self._window_s(rows),
            in_flight=self._in_flight.get(key.role, 0),
        )
        allowed = tolerance(metric, judged.band(experiment, key.option, name), expected, under)
        if allowed is None:
            return None
        grown = key in self._grown
        return Held(allowed, metric.holds(value, expected, allowed, grown=grown))

    def _window_s(self, rows: Sequence[Row]) -> float | None:
        """Return the length of the shortest steady window, None where there was none.

        It comes from the number of samples and the sampler's rate.
        """
        requested_hz = float(self._record.experiment.sampling.fast_hz)
        lengths = [
            (row.n_samples - 1) / (self._hz.get(row.trial) or requested_hz)
            for row in rows
            if row.n_samples > 1
        ]
        return min(lengths, default=None)


def _grown(finished: Iterable[TrialRecord], at_once_ns: int) -> Iterable[PointKey]:
    """Yield the points at which a container grew until the kernel ended it."""
    for trial in finished:
        for phase in trial.phases:
            ending = phase.ending
            if ending is not None and ending.t_ns - phase.change.in_force_ns > at_once_ns:
                yield phase.point(ending.role)
