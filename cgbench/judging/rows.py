"""From samples to rates, ratios and settling times; the home of pandas.

Everything is derived over measured elapsed time from stored readings: no Docker, no root, no Linux.
The formulas are in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cgbench.judging.container_data import ContainerData, load, steady_window
from cgbench.judging.expectation import Load, Situation
from cgbench.judging.intervals import error_pct
from cgbench.judging.settling import time_to_effect
from cgbench.judging.steady import extremes, off_mask_ms, off_mask_pct, steady
from cgbench.records.run import PHASE_COLUMNS, RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Phase, TrialRecord
from cgbench.spec.experiment import Container
from cgbench.spec.metrics import METRICS
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS

if TYPE_CHECKING:
    pass


# Tables


def finished(directory: RunDirectory) -> list[TrialRecord]:
    """Return the trials that ended well, by number; the last record of each counts."""
    return ended_well(directory.trials())


def ended_well(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return those of a run's records that `finished` does."""
    latest = {trial.number: trial for trial in trials}
    return [latest[number] for number in sorted(latest) if latest[number].status == "ok"]


def compute(directory: RunDirectory) -> list[dict[str, Any]]:
    """Derive every row of phases.parquet from a run's raw files.

    Refused changes and phases that prepare others have none.
    """
    run = directory.run()
    return [row for trial in finished(directory) for row in _trial_rows(directory, run, trial)]


def _trial_rows(
    directory: RunDirectory, run: RunRecord, trial: TrialRecord
) -> Iterator[dict[str, Any]]:
    loaded = {one.role: load(directory, trial, one) for one in trial.containers}
    specs = {one.role: one for one in run.experiment.containers}
    in_force: dict[str, Settings] = {role: dict(one.options) for role, one in specs.items()}
    kinds = {one.role: one.probe for one in trial.containers}
    let_in: dict[str, int] = {}
    for phase in trial.phases:
        in_force[phase.role] = phase.settings
        tasks = int(phase.settings.get("pids-limit", 0))
        let_in[phase.role] = max(let_in.get(phase.role, 0), tasks)
        if phase.change.error is not None or phase.prepares:
            continue
        situation = Situation(
            {
                role: _load(one, in_force[role], let_in.get(role, 0), kinds[role])
                for role, one in specs.items()
            },
            run.host.cpu_numbers,
            run.experiment.group,
        )
        measured = {role: _measured(phase, data, in_force[role]) for role, data in loaded.items()}
        _add_shares({role: found for role, (found, _) in measured.items()}, situation)
        for role, (found, n_samples) in measured.items():
            found |= _restarts(phase, trial, role)
            for metric, value in found.items():
                if value is None:
                    continue
                expected = situation.expected(metric, role)
                row = (
                    run.experiment.name, trial.number, phase.number, role, phase.option,
                    phase.change.via, phase.requested, phase.effective, metric,
                    METRICS[metric].unit, expected, value,
                    None if expected is None else error_pct(value, expected), n_samples,
                )  # fmt: skip
                yield dict(zip(PHASE_COLUMNS, row, strict=True))


def _load(spec: Container, settings: Settings, tasks_let_in: int, probe: str | None) -> Load:
    return Load(
        settings=settings,
        workers=spec.workers if probe == "spin" else None,
        size=spec.size,
        tasks=spec.count,
        tasks_let_in=tasks_let_in,
        exit_status=spec.count,
        grouped=spec.group,
    )


def _measured(
    phase: Phase, data: ContainerData, settings: Settings
) -> tuple[dict[str, float | None], int]:
    """Return the metrics of one container in one phase, and how many samples they rest on."""
    found = extremes(phase, data)
    window = steady_window(phase, data, settings)
    if data.record.role == phase.role:
        found |= time_to_effect(phase, data, window, settings)
    if window is None:
        return found, 0
    found |= steady(data, window)
    found["off_mask_cpu_ms"] = off_mask_ms(data, window, settings)
    found["off_mask_pct"] = off_mask_pct(data, window, settings)
    return found, window.last - window.first + 1


def _restarts(phase: Phase, trial: TrialRecord, role: str) -> dict[str, float | None]:
    """Return how often a container was started again in a phase, and after what pause."""
    begin_ns, end_ns = phase.change.t_request_ns, phase.t_end_ns
    told = [event for event in trial.events if event.role == role and event.t_ns < end_ns]
    pauses = [
        after.t_ns - before.t_ns
        for before, after in pairwise(event for event in told if event.action in ("start", "die"))
        if after.action == "start" and after.t_ns >= begin_ns
    ]
    if not pauses and not any(e.action == "die" and e.t_ns >= begin_ns for e in told):
        return {}
    return {
        "restarts": float(len(pauses)),
        "backoff_ms": float(np.median(pauses)) / NS_PER_MS if pauses else None,
    }


def _add_shares(measured: Mapping[str, dict[str, float | None]], situation: Situation) -> None:
    """Add to each container's metrics its part of what it and its rivals used together."""
    for role, found in measured.items():
        for metric, source, rivals in (
            ("cpu_share_pct", "cpus_used", situation.rivals(role)),
            ("io_share_pct", "io_bytes_per_s", tuple(measured)),
        ):
            value = found.get(source)
            others = [measured[rival].get(source) for rival in rivals if rival in measured]
            total = sum(other for other in others if other is not None)
            if len(others) > 1 and value is not None and total > 0:
                found[metric] = 100 * value / total


def write(directory: RunDirectory) -> None:
    """Compute phases.parquet and write it."""
    computed = compute(directory)
    directory.write_phases({column: [row[column] for row in computed] for column in PHASE_COLUMNS})


def rows(
    directory: RunDirectory, known: Sequence[TrialRecord] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of phases.parquet, computed anew where it lacks a finished trial.

    `known` are the finished trials, where the caller has read them already.
    """
    stored = directory.phases()
    done = {one.number for one in (finished(directory) if known is None else known)}
    if stored is not None and set(stored["trial"]) == done:
        return [
            dict(zip(stored, values, strict=True)) for values in zip(*stored.values(), strict=True)
        ]
    return compute(directory)
