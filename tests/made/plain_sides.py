"""Baselines made up for tests: one side of a comparison from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cgbench.records.baseline import Baseline, Noise, Series
from cgbench.spec.metrics import METRICS
from tests.made import records


def side(
    values: Mapping[str, Sequence[float | None]], name: str = "before", **host: Any
) -> Baseline:
    """Return a side with one series per metric, all at --cpu-quota 50000 of `worker`."""
    (count,) = {len(each) for each in values.values()}
    return Baseline(
        name=name, experiment="cpu-quota-sweep", run=f"run-{name}",
        started="2026-01-01T00:00:00+00:00", host=records.host(**host),
        image="cgbench/workload:0123456789ab", schedule="0123456789ab",
        repetitions=tuple(range(1, count + 1)),
        noise=tuple(
            Noise(repetition=one, steal_cpus=0.0, other_cpus=0.0) for one in range(1, count + 1)
        ),
        series=tuple(
            Series(role="worker", option="cpu-quota", via="update", requested="50000",
                   metric=metric, unit=METRICS[metric].unit, values=tuple(each))
            for metric, each in values.items()
        ),
    )  # fmt: skip


def expecting(expected: float, one: Baseline) -> Baseline:
    """Return a side of all whose series the same is expected."""
    series = tuple(each.model_copy(update={"expected": expected}) for each in one.series)
    return one.model_copy(update={"series": series})


def around(middle: float, spread_pct: float = 0.2, count: int = 12) -> list[float]:
    """Return values that lie evenly around `middle`, up to so many percent off."""
    steps = [2 * index / (count - 1) - 1 for index in range(count)]
    return [middle * (1 + spread_pct / 100 * step) for step in steps]
