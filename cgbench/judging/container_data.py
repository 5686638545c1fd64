"""One container's readings in one trial, and the stretch of a phase that steady figures rest on."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cgbench.records.trial import ContainerRecord, Phase, Source
from cgbench.records.trial_tables import Columns, TrialTables
from cgbench.spec.conversions import bandwidth
from cgbench.spec.counters import RUNNING_ON, USAGE_PER_CPU
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US

SETTLING_PERIODS = 2
"""Periods after a change that no steady figure uses."""

_MINIMUM_SETTLING_NS = 200 * NS_PER_MS
_PRESSURE = "cpu.pressure:some.total"

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """A stretch of a phase in CLOCK_MONOTONIC ns; `begin` and `end` are also sample numbers.

    `whole_periods` says that both ends lie just before a new period, where usage is exact.
    """

    t_begin_ns: int
    t_end_ns: int
    first: int
    last: int
    whole_periods: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.t_end_ns - self.t_begin_ns) / NS_PER_S


@dataclass(frozen=True)
class ContainerData:
    """One container's readings in one trial.

    `counters` maps the names of `record.ContainerRecord.sources` to arrays in SI units, one
    value per entry of `t_ns`, NaN where nothing was read; `per_cpu` has the usage of each CPU,
    `running_on` the CPU of each process that was seen running, NaN while it was not.
    `stalls` has one (begin, length) pair of arrays per worker (of a `wake` probe: deadline and
    lateness), `units` the probe's buckets as (begin, units) of all workers.
    """

    record: ContainerRecord
    t_ns: Integers
    counters: Mapping[str, Floats]
    per_cpu: Mapping[int, Floats]
    running_on: Sequence[Floats]
    pressure_us: Floats | None
    stalls: Sequence[tuple[Integers, Integers]]
    units: tuple[Integers, Integers]
    stats: tuple[Integers, Floats]


def load(
    tables: TrialTables, container: ContainerRecord, only: Collection[str] | None = None
) -> ContainerData:
    """Read what was measured of one container in one trial; `only` some counters, if given."""
    sources = {name: one for name, one in container.sources.items() if only is None or name in only}
    pressure = (_PRESSURE,) if only is None else ()
    columns = tables.samples(container.role, [*(one.column for one in sources.values()), *pressure])
    stalls = tables.stalls(container.role)
    probe = tables.probe(container.role)
    stats = tables.docker_stats(container.role)
    workers = np.unique(probe["worker"])
    return ContainerData(
        record=container,
        t_ns=columns["t_ns"],
        counters=_counters(sources, columns),
        per_cpu={
            int(name.rpartition(":")[2]): values.astype(float)
            for name, values in columns.items()
            if USAGE_PER_CPU in sources and fnmatch.fnmatchcase(name, sources[USAGE_PER_CPU].column)
        },
        running_on=[
            values.astype(float)
            for name, values in columns.items()
            if RUNNING_ON in sources and fnmatch.fnmatchcase(name, sources[RUNNING_ON].column)
        ],
        pressure_us=columns.get(_PRESSURE),
        stalls=[
            (
                stalls["begin_ns"][stalls["worker"] == worker],
                stalls["length_ns"][stalls["worker"] == worker],
            )
            for worker in workers
        ],
        units=(probe["t_ns"], probe["units"]),
        stats=(stats["t_ns"], stats["cpus"].astype(float)),
    )


def _counters(sources: Mapping[str, Source], columns: Columns) -> dict[str, Floats]:
    """Return every counter in SI units; one that is kept per device is added up."""
    found = {}
    for name, source in sources.items():
        parts = [
            values.astype(float) * source.scale
            for column, values in columns.items()
            if fnmatch.fnmatchcase(column, source.column)
        ]
        if parts and name not in (USAGE_PER_CPU, RUNNING_ON):
            found[name] = np.sum(parts, axis=0)
    if "memory_swap_bytes" not in found and {"memory_bytes", "swap_bytes"} <= set(found):
        # v2 keeps the two apart.
        found["memory_swap_bytes"] = found["memory_bytes"] + found["swap_bytes"]
    return found


def steady_window(phase: Phase, data: ContainerData, settings: Settings) -> Window | None:
    """Return the stretch of a phase that steady figures are taken from, None if it is too short.

    It begins two periods (at least 200 ms, at most half the phase) after the answer, and where
    throttling occurs both ends are moved to the last sample before a period begins: there the
    group is at rest, so the usage counter holds all that was used, and whole periods lie between.
    """
    period_ns = bandwidth(settings)[1] * NS_PER_US
    begin_ns, end_ns = phase.change.t_answer_ns, phase.t_end_ns
    settling = max(SETTLING_PERIODS * period_ns, _MINIMUM_SETTLING_NS)
    begin_ns += min(settling, (end_ns - begin_ns) // 2)
    first, last = (int(n) for n in np.searchsorted(data.t_ns, (begin_ns, end_ns)))
    last -= 1
    whole = False
    periods = data.counters.get("periods")
    if periods is not None and last > first:
        # Sample i is the last one before a period begins if sample i + 1 counts one more.
        edges = first + np.flatnonzero(np.diff(periods[first : last + 1]) > 0)
        if len(edges) >= 2 and _throttled(data, int(edges[0]), int(edges[-1])):
            first, last, whole = int(edges[0]), int(edges[-1]), True
    limited = bandwidth(settings)[0] is not None
    if last <= first:
        return None
    if limited and not whole and data.t_ns[last] - data.t_ns[first] < SETTLING_PERIODS * period_ns:
        # Part of a period says nothing of a quota.
        return None
    return Window(int(data.t_ns[first]), int(data.t_ns[last]), first, last, whole)


def _throttled(data: ContainerData, first: int, last: int) -> bool:
    throttled = data.counters.get("throttled_periods")
    return throttled is not None and bool(throttled[last] > throttled[first])


def busy_ns(data: ContainerData, t_ns: Integers) -> Floats:
    """Return for each time how long all workers together had run since the first of them.

    Running is all time outside stalls; between a stall's begin and end nothing is added.
    """
    origin = int(t_ns[0])
    total: Floats = (t_ns - origin).astype(float) * len(data.stalls)
    for begin, length in data.stalls:
        knots = np.column_stack((begin, begin + length)).ravel() - origin
        lost = np.column_stack((np.cumsum(length) - length, np.cumsum(length))).ravel()
        if knots.size:
            stalled = np.interp((t_ns - origin).astype(float), knots.astype(float), lost)
            total -= stalled - stalled[0]
    return total
