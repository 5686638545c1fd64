"""Many small runs without samples: what their trials found is given, as phases.parquet holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Harness, TrialRecord
from cgbench.spec import experiment_file
from tests.made import records

FIRST_DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Night:
    """A run: its values per trial, by option's value; `host` is what differs from HOST."""

    values: Mapping[str, Sequence[float]]
    host: Mapping[str, Any] = field(default_factory=dict)
    experiment: str = "cpu-quota-sweep"
    metric: str = "cpus_used"
    role: str = "worker"
    quick: bool = False
    note: str | None = None
    others_cpu_s: float = 0.0


def steady(level: float, nights: int, *, noise: float = 0.002, seed: int = 0) -> list[Night]:
    """Return runs of three trials that stray by a share of `noise` around a level."""
    rng = np.random.default_rng(seed)
    return [
        Night({"50000": [level * (1 + noise * rng.standard_normal()) for _ in range(3)]})
        for _ in range(nights)
    ]


def keep(results: Path, nights: Sequence[Night]) -> list[RunDirectory]:
    """Write the runs, a day apart, and return them."""
    return [_keep(results, night, number) for number, night in enumerate(nights)]


def _keep(results: Path, night: Night, number: int) -> RunDirectory:
    started = FIRST_DAY + timedelta(days=number)
    name = f"{started:%Y%m%dT%H%M%SZ}-{number:04x}"
    spec = experiment_file.load(night.experiment)
    directory = RunDirectory.create(results, spec.name, name)
    directory.write_run(
        records.run(
            run=name, experiment=spec, quick=night.quick, seed=number, trials_planned=3,
            host=records.host(**night.host), status="finished", started=started.isoformat(),
        )
    )  # fmt: skip
    trials = max(len(values) for values in night.values.values())
    for trial in range(1, trials + 1):
        directory.append_trial(
            TrialRecord(number=trial, repetition=trial, walk=1, status="ok",
                        started=started.isoformat(), t_begin_ns=0, t_end_ns=1, hold_ns=1,
                        harness=_harness(night) if night.others_cpu_s else None)
        )  # fmt: skip
    rows = [
        Row(spec.name, trial, phase, night.role, spec.option, "update", requested, night.note,
            requested, night.metric, "CPUs", None, value, None, 100)
        for phase, (requested, values) in enumerate(night.values.items(), 1)
        for trial, value in enumerate(values, 1)
    ]  # fmt: skip
    directory.write_phases(rows)
    return directory


def _harness(night: Night) -> Harness:
    return Harness(cgbench_cpu_s=0.1, daemon_cpu_s=0.1, steal_cpu_s=0.0, elapsed_s=10.0,
                   other_cpu_s=night.others_cpu_s)  # fmt: skip
