"""One container's readings in one trial, and the stretch of a phase that steady figures rest on."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cgbench.records.trial import ContainerRecord, Phase, Source
from cgbench.records.trial_tables import TrialTables
from cgbench.spec.conversions import bandwidth
from cgbench.spec.counters import ANON_PER_NODE, RUNNING_ON, USAGE_PER_CPU
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US

SETTLING_PERIODS = 2
"""Periods after a change that no steady figure uses."""

_MINIMUM_SETTLING_NS = 200 * NS_PER_MS
_PRESSURE = "cpu.pressure:some.total"

# Samples that are further apart than this, and than so many usual steps, show that the host stood.
_STOOD_STILL_NS = 4 * NS_PER_MS
_STOOD_STILL_TIMES = 5

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """A stretch of a phase in CLOCK_MONOTONIC ns; `begin` and `end` are also sample numbers.

    `whole_periods` says that both ends lie just before a new period, where usage is exact, but for
    what ran while the host stood still for `stood_ns` in the periods before the two ends.
    """

    t_begin_ns: int
    t_end_ns: int
    first: int
    last: int
    whole_periods: bool
    stood_ns: int = 0

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.t_end_ns - self.t_begin_ns) / NS_PER_S


@dataclass(frozen=True)
class ContainerData:
    """One container's readings in one trial.

    `counters` maps the names of `record.ContainerRecord.sources` to arrays in SI units, one
    value per entry of `t_ns`, NaN where nothing was read; `per_cpu` has the usage of each CPU,
    `running_on` the CPU of each process that was seen running, NaN while it was not, and `per_node`
    the bytes of its own (anonymous) memory that lie on each memory node.
    `stalls` has one (begin, length) pair of arrays per worker (of a `wake` probe: deadline and
    lateness; of a prober: when a request was due, and how long it took, 0 if it failed), `units`
    the probe's buckets as (begin, units) of all workers.
    """

    record: ContainerRecord
    t_ns: Integers
    counters: Mapping[str, Floats]
    per_cpu: Mapping[int, Floats]
    running_on: Sequence[Floats]
    per_node: Mapping[int, Floats]
    pressure_us: Floats | None
    stalls: Sequence[tuple[Integers, Integers]]
    units: tuple[Integers, Integers]
    stats: tuple[Integers, Floats]


def load(
    tables: TrialTables, container: ContainerRecord, only: Collection[str] | None = None
) -> ContainerData:
    """Read what was measured of one container in one trial; `only` limits the counters."""
    role, sources = container.role, container.sources
    wanted = {name: one for name, one in sources.items() if only is None or name in only}
    pressure = tables.names(_PRESSURE) if only is None else []
    stalls, probe, stats = tables.stalls(role), tables.probe(role), tables.docker_stats(role)
    return ContainerData(
        record=container,
        t_ns=tables.sample(role, "t_ns"),
        counters=_counters(tables, role, wanted),
        per_cpu=_numbered(tables, role, wanted.get(USAGE_PER_CPU), ":"),
        running_on=[values for _, values in _columns(tables, role, wanted.get(RUNNING_ON))],
        per_node=_numbered(tables, role, wanted.get(ANON_PER_NODE), "N"),
        pressure_us=tables.sample(role, _PRESSURE, float) if pressure else None,
        stalls=[
            (
                stalls["begin_ns"][stalls["worker"] == worker],
                stalls["length_ns"][stalls["worker"] == worker],
            )
            # A prober's worker that had no right answer at all has only these.
            for worker in sorted(_workers(probe["worker"]) | _workers(stalls["worker"]))
        ],
        units=(probe["t_ns"], probe["units"]),
        stats=(stats["t_ns"], stats["cpus"].astype(float)),
    )


def _numbered(
    tables: TrialTables, role: str, source: Source | None, mark: str
) -> dict[int, Floats]:
    """Return what a quantity has for each CPU or node, by its number behind the last `mark`."""
    return {
        int(name.rpartition(mark)[2]): values * (1 if source is None else source.scale)
        for name, values in _columns(tables, role, source)
        if name.rpartition(mark)[2].isdecimal()
    }


def _workers(column: Integers) -> set[int]:
    return set(np.flatnonzero(np.bincount(column)).tolist())


def _counters(tables: TrialTables, role: str, sources: Mapping[str, Source]) -> dict[str, Floats]:
    """Return every counter in SI units; one that is kept per device is added up."""
    found: dict[str, Floats] = {}
    for name, source in sources.items():
        if name in (USAGE_PER_CPU, RUNNING_ON, ANON_PER_NODE):
            continue
        for _, values in _columns(tables, role, source):
            if source.scale != 1:
                values *= source.scale
            found[name] = found[name] + values if name in found else values
    if "memory_swap_bytes" not in found and {"memory_bytes", "swap_bytes"} <= set(found):
        # v2 keeps the two apart.
        found["memory_swap_bytes"] = found["memory_bytes"] + found["swap_bytes"]
    return found


def _columns(tables: TrialTables, role: str, source: Source | None) -> Iterator[tuple[str, Floats]]:
    """Yield the columns of a quantity, NaN where nothing was read."""
    for name in () if source is None else tables.names(source.column):
        yield name, tables.sample(role, name, float)


def steady_window(phase: Phase, data: ContainerData, settings: Settings) -> Window | None:
    """Return the stretch of a phase that steady figures are taken from, None if it is too short.

    It begins two periods (at least 200 ms and what its step says, at most half of what is left of
    the phase) after the change was answered and in force. Where throttling occurs both ends are
    moved to the last sample before a period begins: there the group is at rest, so the usage
    counter holds all that was used, and whole periods lie between. Neither end lies where the host
    had just stood still.
    """
    period_ns = bandwidth(settings)[1] * NS_PER_US
    begin_ns, end_ns = phase.change.in_force_ns, phase.t_end_ns
    settling = max(SETTLING_PERIODS * period_ns, _MINIMUM_SETTLING_NS, phase.settle_ns)
    begin_ns += min(settling, (end_ns - begin_ns) // 2)
    first, last = (int(n) for n in np.searchsorted(data.t_ns, (begin_ns, end_ns)))
    last -= 1
    whole, stood_ns = False, 0
    periods = data.counters.get("periods")
    if periods is not None and last > first:
        # Sample i is the last one before a period begins if sample i + 1 counts one more.
        edges = first + np.flatnonzero(np.diff(periods[first : last + 1]) > 0)
        if len(edges) >= 2 and _throttled(data, int(edges[0]), int(edges[-1])):
            first, last, stood_ns = _undisturbed(data, edges, settings)
            whole = True
    limited = bandwidth(settings)[0] is not None
    if last <= first:
        return None
    if limited and not whole and data.t_ns[last] - data.t_ns[first] < SETTLING_PERIODS * period_ns:
        # Part of a period shows nothing about a quota.
        return None
    return Window(int(data.t_ns[first]), int(data.t_ns[last]), first, last, whole, stood_ns)


def _undisturbed(data: ContainerData, edges: Integers, settings: Settings) -> tuple[int, int, int]:
    """Return the first and the last edge between which nothing is borrowed or paid back.

    Third is for how many ns the host stood still before them all the same.

    While a host stands still, or is stood still by its hypervisor, no tick ends what runs, and the
    kernel charges it all the same: a group gets more than its quota, and less in the next periods.
    Within the window that evens out. So it does not end with a period in which samples are far
    apart, nor begin before such a one is paid back. Where too little is left, nothing is cut off.
    """
    quota, period = bandwidth(settings)
    before = np.searchsorted(data.t_ns, data.t_ns[edges[0]] - period * NS_PER_US)
    # One period more than lie between the edges: the one before the first.
    longest = [
        int(np.diff(data.t_ns[a : b + 1]).max(initial=0))
        for a, b in pairwise((int(before), *map(int, edges)))
    ]
    usual = float(np.median(np.diff(data.t_ns[edges[0] : edges[-1] + 1])))
    stood = [one > max(_STOOD_STILL_NS, _STOOD_STILL_TIMES * usual) for one in longest]
    end = len(edges) - 1
    while end > 0 and stood[end]:
        end -= 1
    begin = number = 0
    owed_ns = 0
    while quota and number <= min(begin, end):
        if stood[number]:
            owed_ns += longest[number] * max(1, data.record.workers)
            begin = max(begin, number + math.ceil(owed_ns / (quota * NS_PER_US)))
        number += 1
    if end - begin < max(1, (len(edges) - 1) // 2):
        left = [one for one, still in ((longest[0], stood[0]), (longest[-1], stood[-1])) if still]
        return int(edges[0]), int(edges[-1]), sum(left)
    return int(edges[begin]), int(edges[end]), 0


def _throttled(data: ContainerData, first: int, last: int) -> bool:
    """Say whether it was throttled between two edges; the kernel counts that one sample later."""
    throttled = data.counters.get("throttled_periods")
    return throttled is not None and bool(throttled[last + 1] > throttled[first + 1])


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
