"""From the samples of one trial to its rows: rates, ratios and settling times.

Everything is derived over measured elapsed time from stored readings: no Docker, no root, no Linux.
The formulas are in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgbench.judging.container_data import ContainerData, steady_window
from cgbench.judging.expectation import Situation, Work, load_of
from cgbench.judging.intervals import error_pct
from cgbench.judging.latency import spike
from cgbench.judging.reported import reported
from cgbench.judging.settling import time_to_effect
from cgbench.judging.steady import (
    docker_stats_off_pct,
    extremes,
    off_mask_ms,
    off_mask_pct,
    off_nodes_bytes,
    set_cpus_used,
    steady,
)
from cgbench.records.run import Row, RunRecord
from cgbench.records.trial import Phase, TrialRecord
from cgbench.spec.metrics import METRICS
from cgbench.spec.option import Settings
from cgbench.spec.options import option
from cgbench.units import NS_PER_MS

Measured = Mapping[str, ContainerData]
"""What was measured in one trial, by container."""


def of_trial(run: RunRecord, trial: TrialRecord, data: Measured) -> Iterator[Row]:
    """Derive the rows of one trial from its raw files.

    Refused changes and phases that prepare others have none.
    """
    for phase, situation in situations(run, trial):
        settings = {role: load.settings for role, load in situation.loads.items()}
        found = {role: _measured(phase, one, settings[role]) for role, one in data.items()}
        _add_shares({role: metrics for role, (metrics, _) in found.items()}, situation)
        for role, (metrics, n_samples) in found.items():
            metrics |= _restarts(phase, trial, role)
            window = steady_window(phase, data[role], settings[role]) if trial.reports else None
            if window is not None:
                metrics |= reported(trial.reports, role, window)
            place = _Place(run.experiment.name, trial.number, phase, role)
            yield from _rows(place, metrics, situation, n_samples)


def situations(run: RunRecord, trial: TrialRecord) -> Iterator[tuple[Phase, Situation]]:
    """Yield every phase that is judged, with what all containers want and may get in it."""
    specs = {one.role: one for one in run.experiment.containers}
    in_force: dict[str, Settings] = {role: dict(one.options) for role, one in specs.items()}
    works = {one.role: Work(one.probe, one.moves, one.block) for one in trial.containers}
    let_in: dict[str, int] = {}
    usable = {one.role: one.confines.usable for one in trial.containers if one.confines}
    for phase in trial.phases:
        in_force[phase.role] = phase.settings
        if phase.confines is not None:
            usable[phase.role] = phase.confines.usable
        elif any(option(name).controller == "cpuset" for name in phase.change.settings):
            usable[phase.role] = None
        tasks = int(phase.settings.get("pids-limit", 0))
        let_in[phase.role] = max(let_in.get(phase.role, 0), tasks)
        if phase.change.error is not None or phase.prepares:
            continue
        yield (
            phase,
            Situation(
                {
                    role: replace(
                        load_of(one, in_force[role], let_in.get(role, 0), works[role]),
                        usable=usable.get(role),
                    )
                    for role, one in specs.items()
                },
                run.host.cpu_numbers,
                run.experiment.group,
            ),
        )


class _Place(NamedTuple):
    """One container in one phase."""

    experiment: str
    trial: int
    phase: Phase
    role: str


def _rows(
    place: _Place, metrics: Mapping[str, float | None], situation: Situation, n_samples: int
) -> Iterator[Row]:
    phase, change = place.phase, place.phase.change
    for metric, value in metrics.items():
        if value is None:
            continue
        expected = situation.expected(metric, place.role)
        yield Row(
            experiment=place.experiment,
            trial=place.trial,
            phase=phase.number,
            role=place.role,
            option=phase.option,
            via=change.via,
            requested=change.requested,
            note=change.note,
            effective=phase.effective_of(place.role),
            metric=metric,
            unit=METRICS[metric].unit,
            expected=expected,
            value=value,
            error_pct=None if expected is None else error_pct(value, expected),
            n_samples=n_samples,
        )


def _measured(
    phase: Phase, data: ContainerData, settings: Settings
) -> tuple[dict[str, float | None], int]:
    """Return the metrics of one container in one phase, and how many samples they rest on."""
    found = extremes(phase, data)
    begin_ns = phase.change.t_request_ns
    found["docker_stats_off_pct"] = docker_stats_off_pct(data, begin_ns, phase.t_end_ns)
    window = steady_window(phase, data, settings)
    if data.record.role == phase.role:
        found |= time_to_effect(phase, data, window, settings)
    if window is None:
        return found, 0
    found |= steady(data, window)
    if data.record.probe == "request" and data.record.role == phase.role:
        found |= spike(data, phase, window)
    found["off_mask_cpu_ms"] = off_mask_ms(data, window, settings)
    found["off_mask_pct"] = off_mask_pct(data, window, settings)
    found["set_cpus_used"] = set_cpus_used(data, window, settings)
    found["off_nodes_bytes"] = off_nodes_bytes(data, window, settings)
    return found, window.last - window.first + 1


def _restarts(phase: Phase, trial: TrialRecord, role: str) -> dict[str, float | None]:
    """Return how often a container was restarted in a phase, and after which pause.

    A restart that was due before its policy became `no` comes all the same: the daemon waits for it
    already, for up to a minute, and says no more than that it ended (moby: restartmanager).
    """
    begin_ns, end_ns = phase.change.t_request_ns, phase.t_end_ns
    none_wanted = phase.settings.get("restart") == "no"
    events = [event for event in trial.events if event.role == role and event.t_ns < end_ns]
    pauses = [
        after.t_ns - before.t_ns
        for before, after in pairwise(event for event in events if event.action in ("start", "die"))
        if after.action == "start"
        and after.t_ns >= begin_ns
        and (before.t_ns >= begin_ns or not none_wanted)
    ]
    if not pauses and not any(e.action == "die" and e.t_ns >= begin_ns for e in events):
        return {}
    return {
        "restarts": float(len(pauses)),
        "backoff_ms": float(np.median(pauses)) / NS_PER_MS if pauses else None,
    }


def _add_shares(measured: Mapping[str, dict[str, float | None]], situation: Situation) -> None:
    """Add to each container's metrics its part of what it and its rivals used together.

    There is no share where a rival has no reading: what it used is unknown.
    """
    for role, found in measured.items():
        for metric, source, rivals in (
            ("cpu_share_pct", "cpus_used", situation.rivals(role)),
            ("io_share_pct", "io_bytes_per_s", tuple(situation.loads)),
        ):
            used = [measured[rival].get(source) for rival in rivals if rival in measured]
            known = [one for one in used if one is not None]
            value, total = found.get(source), sum(known)
            complete = len(known) == len(rivals) > 1
            if complete and value is not None and total > 0:
                found[metric] = 100 * value / total
