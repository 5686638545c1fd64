"""From a run's files to the curves of a report, few points each and the extremes kept.

One trial is in memory at a time, and of it only the columns a curve needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cgbench.judging.container_data import ContainerData
from cgbench.judging.expectation import Load, Situation
from cgbench.judging.rows import Measured
from cgbench.judging.run import Run
from cgbench.records.run import PointKey, RunRecord
from cgbench.records.trial import Phase, TrialRecord
from cgbench.reporting.plots import level
from cgbench.reporting.plots.curve import Curve, thinned
from cgbench.reporting.plots.level import Level
from cgbench.reporting.plots.stall_rates import StallCount, count_stalls
from cgbench.reporting.words.changes import Kind, clearest, kinds
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US

REPETITIONS_SHOWN = 5
"""Repetitions of a change that a step response shows at most."""

_SHORTEST_WINDOW_NS = 100 * NS_PER_MS
_COUNTERS = ("usage_ns", "periods", "throttled_periods")
# The controllers that limit CPU time.
_CPU_TIME = frozenset({"cpu", "cpuset"})
# A step response shows this many periods before the request, and after it.
_PERIODS_BEFORE, _PERIODS_AFTER = 2, 4
_LONGEST_RESPONSE_NS = 4 * NS_PER_S


@dataclass(frozen=True)
class Usage:
    """One container over a trial in CPUs, x in s: used, declared, shown by `docker stats`.

    Where `shown_broke`, messages are missing at the end.

    `used` is the usage counter's slope over the last period, or several where a period is short.
    """

    role: str
    used: Curve
    declared: Curve
    shown: Curve
    shown_broke: bool = False


@dataclass(frozen=True)
class Timeline:
    """One trial; `changes` are the requests' times with what they changed. Times are in seconds."""

    trial: int
    seconds: float
    usages: tuple[Usage, ...]
    changes: tuple[tuple[float, Kind], ...]


@dataclass(frozen=True)
class Repetition:
    """The probe around one change: x is ms since the request, y units of work per ms."""

    trial: int
    phase: int
    work: Curve
    answer_ms: float
    file_ms: float | None
    settle_ms: float | None = None


@dataclass(frozen=True)
class StepResponse:
    """All repetitions of one change that are shown, of `total`."""

    kind: Kind
    repetitions: tuple[Repetition, ...]
    total: int


@dataclass(frozen=True)
class Curves:
    """Everything a report draws from samples; `stalls` maps a point to stalls a second (y) that
    last at least x ms. `levels` are of the timeline's trial: what else than CPU time is limited.
    """

    timeline: Timeline | None
    levels: tuple[Level, ...]
    steps: tuple[StepResponse, ...]
    stalls: Mapping[PointKey, Curve]


def curves(run: Run, points: int) -> Curves:
    """Return the curves of a run; a line over time has about `points` points at most."""
    drawing = _Drawing(run, points)
    what = level.QUANTITIES.get(run.record.experiment.option)
    run.look_at_each(drawing.look, _COUNTERS if what is None else (*_COUNTERS, *what.counters))
    return drawing.finished()


class _Drawing:
    """The curves of a run, gathered trial by trial."""

    def __init__(self, run: Run, points: int) -> None:
        self._run, self._points = run, points
        self._kinds = {trial.number: kinds(trial, run.record.experiment) for trial in run.finished}
        every = dict.fromkeys(kind for each in self._kinds.values() for kind in each.values())
        self._repetitions: dict[Kind, list[Repetition]] = {
            kind: [] for kind in clearest(list(every))
        }
        self._drawn = max(
            run.finished, key=lambda trial: (len(trial.phases), -trial.number), default=None
        )
        self._stalls: dict[PointKey, StallCount] = {}
        self._usages: list[Usage] = []
        self._levels: list[Level] = []
        self._origin = 0

    def look(self, trial: TrialRecord, measured: Measured) -> None:
        """Keep what the plots need of one trial."""
        for data in measured.values():
            count_stalls(self._stalls, trial, data, self._run.record)
            for kind, found in _repetitions(trial, data, self._kinds[trial.number], self._points):
                if kind in self._repetitions:
                    self._repetitions[kind].append(found)
            if trial is self._drawn and data.t_ns.size and "usage_ns" in data.counters:
                # All containers of a trial are sampled together and share one origin.
                self._origin = self._origin or int(data.t_ns[0])
                drawn = (trial, data, self._run.record, self._origin, self._points)
                self._usages.append(_usage(*drawn))
                if (over_time := level.level(*drawn)) is not None:
                    self._levels.append(over_time)

    def finished(self) -> Curves:
        """Return the curves, once every trial was read."""
        timeline = None
        if self._drawn is not None and self._usages:
            timeline = _timeline(
                self._drawn, self._usages, self._origin, self._kinds[self._drawn.number]
            )
        settled = {
            (row.trial, row.phase): row.value for row in self._run.rows if row.metric == "settle_ms"
        }
        return Curves(
            timeline,
            tuple(self._levels),
            tuple(
                StepResponse(
                    kind,
                    tuple(
                        replace(one, settle_ms=settled.get((one.trial, one.phase)))
                        for one in found[:REPETITIONS_SHOWN]
                    ),
                    len(found),
                )
                for kind, found in self._repetitions.items()
                if found
            ),
            {key: count.curve() for key, count in self._stalls.items() if count.bins.size},
        )


# The timeline


def _timeline(
    trial: TrialRecord, usages: Sequence[Usage], origin: int, kinds_by_phase: Mapping[int, Kind]
) -> Timeline:
    return Timeline(
        trial=trial.number,
        seconds=max(float(usage.declared.x[-1]) for usage in usages),
        usages=tuple(usages),
        changes=tuple(
            (_seconds(phase.change.t_request_ns, origin), kinds_by_phase[phase.number])
            for phase in trial.phases
        ),
    )


def _usage(
    trial: TrialRecord, data: ContainerData, run: RunRecord, origin: int, points: int
) -> Usage:
    role, first, last = data.record.role, int(data.t_ns[0]), int(data.t_ns[-1])
    stretches = list(_stretches(trial, run, first, last))
    per_ns = points / max(1, last - first)
    used = [_used(data, each.begin_ns, each.end_ns, each.settings(role), per_ns)
            for each in stretches]  # fmt: skip
    limits = [_declared_cpus(each, role) for each in stretches]
    t_stats, cpus = data.stats
    seen = ~np.isnan(cpus)
    return Usage(
        role=role,
        used=Curve(
            _seconds(np.concatenate([part.x for part in used]), origin),
            np.concatenate([part.y for part in used]),
        ),
        declared=Curve(
            _seconds(np.array([*(each.begin_ns for each in stretches), last]), origin),
            np.array([*limits, limits[-1]], dtype=float),
        ),
        shown=Curve(_seconds(t_stats[seen], origin), cpus[seen]),
        shown_broke=data.record.docker_stats_broke is not None,
    )


def _declared_cpus(stretch: _Stretch, role: str) -> float | None:
    """Return how many CPUs a container may use, None where no option of anyone says so.

    A workload that is no busy loop uses less, and what is not declared is no line.
    """
    if not any(
        option(name).controller in _CPU_TIME
        for load in stretch.situation.loads.values()
        for name in load.settings
    ):
        return None
    return stretch.situation.expected("cpus_used", role)


@dataclass(frozen=True)
class _Stretch:
    """A part of a trial in which no container's options change."""

    begin_ns: int
    end_ns: int
    situation: Situation

    def settings(self, role: str) -> Settings:
        return self.situation.loads[role].settings


def _stretches(
    trial: TrialRecord, run: RunRecord, begin_ns: int, end_ns: int
) -> Iterator[_Stretch]:
    loads = {one.role: Load(one.options, one.workers, one.size, one.count)
             for one in run.experiment.containers}  # fmt: skip
    for phase in trial.phases:
        if phase.change.t_answer_ns > begin_ns:
            yield _Stretch(
                begin_ns, phase.change.t_answer_ns, Situation(loads, run.host.cpu_numbers)
            )
            begin_ns = phase.change.t_answer_ns
        loads = loads | {phase.role: replace(loads[phase.role], settings=phase.settings)}
    if end_ns > begin_ns:
        yield _Stretch(begin_ns, end_ns, Situation(loads, run.host.cpu_numbers))


def _used(
    data: ContainerData,
    begin_ns: int,
    end_ns: int,
    settings: Settings,
    per_ns: float,
) -> Curve:
    """Return CPUs used over the last window at each sample of a stretch, downsampled; x in ns."""
    window = window_ns(settings)
    first, last = np.searchsorted(data.t_ns, (begin_ns, end_ns))
    first = max(int(first), int(np.searchsorted(data.t_ns, data.t_ns[0] + window)))
    if last <= first:
        return Curve(np.zeros(0), np.zeros(0))
    before = max(0, int(np.searchsorted(data.t_ns, data.t_ns[first] - window)) - 1)
    t_ns, usage = data.t_ns[before:last], data.counters["usage_ns"][before:last]
    read = ~np.isnan(usage)
    t_ns, usage = t_ns[read], usage[read]
    if not t_ns.size:
        return Curve(np.zeros(0), np.zeros(0))
    ends = t_ns[t_ns >= data.t_ns[first]]
    earlier = np.interp((ends - window).astype(float), t_ns.astype(float), usage)
    return thinned(
        Curve(ends.astype(float), (usage[len(usage) - len(ends) :] - earlier) / window),
        round(per_ns * (end_ns - begin_ns)),
    )


def window_ns(settings: Settings) -> int:
    """Return the window that CPUs used are shown over: whole periods, at least 100 ms.

    The kernel brings the usage counter up to date once a tick, so shorter windows show ticks.
    """
    period = bandwidth(settings)[1] * NS_PER_US
    return -(-_SHORTEST_WINDOW_NS // period) * period


def _seconds(t_ns: Any, origin: int) -> Any:
    return (t_ns - origin) / NS_PER_S


# The step response


def _repetitions(
    trial: TrialRecord,
    data: ContainerData,
    kinds_by_phase: Mapping[int, Kind],
    points: int,
) -> Iterator[tuple[Kind, Repetition]]:
    for phase in trial.phases:
        if phase.role == data.record.role:
            found = _repetition(trial, phase, data, points)
            if found is not None:
                yield kinds_by_phase[phase.number], found


def _repetition(
    trial: TrialRecord, phase: Phase, data: ContainerData, points: int
) -> Repetition | None:
    change, (t_ns, units) = phase.change, data.units
    period = bandwidth(phase.settings)[1] * NS_PER_US
    begin = change.t_request_ns - min(_PERIODS_BEFORE * period, _LONGEST_RESPONSE_NS)
    end = min(change.t_request_ns + min(_PERIODS_AFTER * period, _LONGEST_RESPONSE_NS),
              phase.t_end_ns)  # fmt: skip
    inside = (t_ns >= begin) & (t_ns < end)
    if not inside.any():
        return None
    # Workers share their buckets' times, so equal times belong together.
    times, which = np.unique(t_ns[inside], return_inverse=True)
    work = np.bincount(which, weights=units[inside])
    curve = Curve((times - change.t_request_ns) / NS_PER_MS, work.astype(float))
    seen = [file.t_changed_ns for file in change.files if file.t_changed_ns is not None]
    return Repetition(
        trial=trial.number,
        phase=phase.number,
        work=thinned(curve, points),
        answer_ms=(change.t_answer_ns - change.t_request_ns) / NS_PER_MS,
        file_ms=(max(seen) - change.t_request_ns) / NS_PER_MS if seen else None,
    )
