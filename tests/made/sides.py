"""Sides of comparisons made without measuring anything: what differs is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgbench.judging.comparison import compare
from cgbench.records.baseline import Baseline, Noise, Series
from cgbench.records.comparison import Comparison
from cgbench.records.host import Host
from tests.made import records
from tests.made.records import HOST

HOSTILE = "<script>alert('&')</script>"
"""A text that must never become markup."""

Steady = tuple[str, str, str, str, str, float, float]
"""Container, option, value, metric, unit, middle and spread of a single trial in percent."""

STEADY: tuple[Steady, ...] = (
    ("worker", "cpu-quota", "50000", "cpus_used", "CPUs", 0.4987, 0.3),
    ("worker", "cpu-quota", "100000", "cpus_used", "CPUs", 0.9971, 0.2),
    ("worker", "cpu-quota", "25000", "cpus_used", "CPUs", 0.2491, 4.0),
    ("worker", "cpu-period", "10000", "stall_p99_ms", "ms", 48.2, 6.0),
    ("beside", "memory-reservation", "104857600", "memory_swap_max_bytes", "bytes", 2.0**27, 0.2),
    ("worker", "cpus", "0.5", "work_per_cpu_s", "1/s", 612_400.0, 1.0),
)  # fmt: skip
"""Steps and metrics of the sides, in this order."""


def side(
    name: str = "base",
    *,
    trials: int = 10,
    seed: int = 1,
    factors: Sequence[float] = (),
    steady: Sequence[Steady] = STEADY,
    host: Host = HOST,
) -> Baseline:
    """Return a side whose series are noise around `steady`, each times its factor."""
    rng = np.random.default_rng(seed)
    factors = (*factors, *(1.0,) * (len(steady) - len(factors)))
    series = tuple(
        Series(
            role=role, option=option, via="update", requested=requested, metric=metric, unit=unit,
            values=tuple(
                float(f"{middle * factor * (1 + spread / 100 * draw):.9g}")
                for draw in rng.standard_normal(trials)
            ),
        )
        for (role, option, requested, metric, unit, middle, spread), factor
        in zip(steady, factors, strict=True)
    )  # fmt: skip
    return Baseline(
        name=name, experiment="cpu-quota-sweep", run=f"20260101T00000{seed}Z-000{seed}",
        started="2026-01-01T00:00:00Z", host=host, image="cgbench/workload:abc",
        schedule="0123456789ab", repetitions=tuple(range(1, trials + 1)),
        noise=tuple(Noise(repetition=one, steal_cpus=0, other_cpus=0)
                    for one in range(1, trials + 1)),
        series=series,
    )  # fmt: skip


def mixed(*, paired: bool = False) -> Comparison:
    """Return a comparison with one regressed, one improved, unchanged and open metrics."""
    after = side("20260102T000000Z-0002", trials=10, seed=2, factors=(0.94, 1, 1, 0.62))
    return compare(side(), after, paired=paired)


def forbidden() -> Comparison:
    """Return a comparison of two hosts, which came to nothing."""
    other = records.host(kernel="6.18.0", hostname=HOSTILE)
    return compare(side(), side("other", host=other), allow=("kernel",))


def many(count: int, trials: int = 25) -> Comparison:
    """Return a comparison of `count` metrics."""
    steady = [
        (f"role-{number % 4}", "cpu-quota", str(1000 * number), "cpus_used", "CPUs", 0.5, 0.4)
        for number in range(1, count + 1)
    ]
    return compare(
        side(trials=trials, steady=steady),
        side("many", trials=trials, seed=2, steady=steady, factors=(0.9, 0.9, 0.9)),
    )
