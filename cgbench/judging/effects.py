"""Whose effect on a workload was disturbed by which update: from a run's files alone.

Each effect is judged by the metric and within the band that its option is judged by, against what
all options in force ask for together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cgbench.judging.bands import Bands
from cgbench.judging.container_data import ContainerData, Window, steady_window
from cgbench.judging.excuse import excuse
from cgbench.judging.rows import Measured
from cgbench.judging.run import Run
from cgbench.judging.steady import off_mask_ms, off_mask_pct, steady
from cgbench.judging.summary import Estimate, estimated
from cgbench.records.idle_findings import Effect, Felt
from cgbench.records.run import Row
from cgbench.records.trial import Phase, TrialRecord
from cgbench.spec.band import Tolerance
from cgbench.spec.judged import candidates, judged_metric
from cgbench.spec.metrics import METRICS
from cgbench.units import format_size
from cgbench.wording import around

_Place = tuple[int, int]
"""A trial's number and a phase's."""


@dataclass(frozen=True)
class Seen:
    """What a workload showed in one phase: the estimate, and what else may explain it.

    `bound_pct` is in how many periods it ran out of quota, None where none is set.
    """

    felt: Estimate
    excuse: str | None = None
    bound_pct: float | None = None


@dataclass(frozen=True)
class Around:
    """An option's effect around one update: `then` is that update as typed."""

    metric: str
    then: str
    before: Seen | None
    after: Seen | None


def effects(run: Run, option: str) -> dict[str, list[Effect]]:
    """Return the effect of a run's option around each update of another one, by that.

    Of a trial that failed nothing is known: its others are inconclusive.
    """
    during: dict[_Place, Mapping[str, float | None]] = {}

    def look(trial: TrialRecord, data: Measured) -> None:
        for phase in trial.phases:
            during[trial.number, phase.number] = _until_steady(phase, data[phase.role])

    run.look_at_each(look, ("usage_ns", "periods", "throttled_periods", "memory_bytes"))
    names = {row.metric for row in run.every_row}
    metric = judged_metric(run.record.experiment, option, names)
    metric = metric or candidates(run.record.experiment, option)[0]
    by = {(row.trial, row.phase, row.role, row.metric): row for row in run.every_row}
    bands = Bands(run.record, run.finished)
    found: dict[str, list[Effect]] = {}
    alone = _alone(run, option)
    for trial in run.trials:
        for before, phase in _pairs(trial, option):
            place = (trial.number, phase.number)
            if trial.status != "ok":
                effect = _unknown(metric, f"{trial.reason}", Felt.INCONCLUSIVE)
            elif phase.change.error is not None:
                effect = _unknown(metric, phase.change.error, Felt.NOT_SHOWN)
            else:
                first = (trial, before) if before is not None else alone
                then = _typed(phase)
                effect = judged(
                    Around(
                        metric, then,
                        None if first is None else _seen(run, bands, by, *first, metric),
                        _seen(run, bands, by, trial, phase, metric),
                    )
                )  # fmt: skip
                moved = during.get(place, {}).get(metric)
                effect = effect.model_copy(update={"during": moved})
            found.setdefault(phase.option, []).append(effect)
    for missing in _planned(run, option) - set(found):
        reason = run.failed[0].reason if run.failed else "it was never measured"
        found[missing] = [_unknown(metric, str(reason), Felt.INCONCLUSIVE)]
    evidence = {"evidence": run.record.run}
    return {
        name: [effect.model_copy(update=evidence) for effect in several]
        for name, several in found.items()
    }


def _planned(run: Run, option: str) -> set[str]:
    """Return the options that a run was to update beside its own."""
    experiment = run.record.experiment
    judged_options = {
        experiment.judged_option(one)
        for step in experiment.steps
        if not step.prepares
        for one in step.unrolled()
    }
    return judged_options - {option}


def judged(seen: Around) -> Effect:
    """Judge one effect around one update. A pure function."""
    before, after = seen.before, seen.after
    if before is None or before.felt.within is not True:
        why = "there is no reading of it" if before is None else _figures(seen.metric, before.felt)
        reason = f"before {seen.then} the effect did not show: {why}"
        return _effect(seen, Felt.INCONCLUSIVE, reason)
    if after is None:
        return _effect(seen, Felt.INCONCLUSIVE, f"after {seen.then} there is no reading of it")
    was, now = before.felt, after.felt
    if now.expected is None:
        return _effect(seen, Felt.NOT_SHOWN, f"with {seen.then} nothing is known to be expected")
    figures = f"after {seen.then} {_figures(seen.metric, now)}"
    if now.within:
        same = was.expected is not None and abs(now.expected - was.expected) <= was.allowed
        return _effect(seen, Felt.KEPT if same else Felt.FOLLOWED, figures)
    if now.within is None:
        return _effect(seen, Felt.INCONCLUSIVE, f"{figures}: it did not come up to its limit")
    if after.excuse is not None:
        return _effect(seen, Felt.INCONCLUSIVE, f"{figures}, but {after.excuse}")
    if _held_back(seen.metric, after):
        reason = f"{figures}, and something else than its quota held it back"
        return _effect(seen, Felt.INCONCLUSIVE, reason)
    changed = f"{seen.metric} was {_value(was.median, was.unit)} before, and {figures}"
    return _effect(seen, Felt.DISTURBED, changed)


def _held_back(metric: str, after: Seen) -> bool:
    """Say whether others may have kept a workload from its CPU time, by as much as is missing.

    In a period in which it ran out of quota it got all that its limit allows; in any other one it
    may have got nothing.
    """
    felt = after.felt
    missing = (felt.expected or 0.0) - felt.median
    if missing <= 0 or not METRICS[metric].taken_away:
        return False
    free = 1.0 if after.bound_pct is None else 1 - after.bound_pct / 100
    return missing <= free * (felt.expected or 0.0) + felt.allowed


def confirmed(first: Effect, again: Sequence[Effect]) -> Effect:
    """Return what several measurements of one effect show: a disturbance must be in all of them.

    An effect that comes and goes by itself looks disturbed now and then.
    """
    last = again[-1]
    disturbed = [one for one in (first, *again) if one.felt is Felt.DISTURBED]
    if len(disturbed) == len(again) + 1:
        times = f"; measured {len(disturbed)} times"
        return last.model_copy(update={"reason": last.reason + times})
    if not disturbed:
        return last
    reason = f"{disturbed[0].reason}; seen in {len(disturbed)} of {len(again) + 1} measurements"
    return disturbed[0].model_copy(update={"felt": Felt.INCONCLUSIVE, "reason": reason})


def _pairs(trial: TrialRecord, option: str) -> Iterator[tuple[Phase | None, Phase]]:
    """Yield each phase of another option with the measured one of `option` before it, if any."""
    before: Phase | None = None
    for phase in trial.phases:
        if phase.option == option:
            before = None if phase.prepares or phase.change.error is not None else phase
        elif not phase.prepares:
            yield before, phase


def _typed(phase: Phase) -> str:
    """Return an update with all that was sent in it, the option that it is of first."""
    sent = phase.change.settings
    others = (f"--{name} {value}" for name, value in sent.items() if name != phase.option)
    return " ".join([f"--{phase.option} {phase.change.requested}", *others])


def _alone(run: Run, option: str) -> tuple[TrialRecord, Phase] | None:
    """Return the phase that shows the option alone, where each life shows one update only."""
    for trial in run.finished:
        if all(phase.option == option or phase.prepares for phase in trial.phases):
            for phase in trial.phases:
                if not phase.prepares and phase.change.error is None:
                    return trial, phase
    return None


def _seen(
    run: Run, bands: Bands, by: Mapping[tuple[int, int, str, str], Row],
    trial: TrialRecord, phase: Phase, metric: str,
) -> Seen | None:  # fmt: skip
    row = by.get((trial.number, phase.number, phase.role, metric))
    if row is None:
        return None
    felt = estimated([row], bands)
    found = excuse(run, [row], felt)
    throttled = by.get((trial.number, phase.number, phase.role, "throttled_periods_pct"))
    return Seen(
        felt,
        found.reason if found is not None and found.explains(felt) else None,
        None if throttled is None else throttled.value,
    )


def _until_steady(phase: Phase, data: ContainerData) -> dict[str, float | None]:
    """Return the figures from the request to where the steady ones begin."""
    window = steady_window(phase, data, phase.settings)
    if window is None:
        return {}
    first = int(np.searchsorted(data.t_ns, phase.change.t_request_ns))
    if first >= window.first:
        return {}
    until = Window(int(data.t_ns[first]), window.t_begin_ns, first, window.first, False)
    only = replace(data, stalls=())
    return {
        "cpus_used": steady(only, until).get("cpus_used"),
        "memory_kept_bytes": steady(only, until).get("memory_kept_bytes"),
        "off_mask_cpu_ms": off_mask_ms(data, until, phase.settings),
        "off_mask_pct": off_mask_pct(data, until, phase.settings),
    }


def _unknown(metric: str, reason: str, felt: Felt) -> Effect:
    return Effect(felt=felt, reason=reason, metric=metric, unit=METRICS[metric].unit)


def _effect(seen: Around, felt: Felt, reason: str) -> Effect:
    before = None if seen.before is None else seen.before.felt
    after = None if seen.after is None else seen.after.felt
    band = None if after is None else after.tolerance
    return Effect(
        felt=felt,
        reason=reason,
        metric=seen.metric,
        unit=METRICS[seen.metric].unit,
        before=None if before is None else before.median,
        after=None if after is None else after.median,
        expected_before=None if before is None else before.expected,
        expected=None if after is None else after.expected,
        tolerance=band and band.below,
        tolerance_above=band and band.above,
    )


def _figures(metric: str, felt: Estimate) -> str:
    if felt.expected is None:
        return f"{metric} was {_value(felt.median, felt.unit)}, of nothing known"
    expected = _value(felt.expected, felt.unit)
    allowed = felt.tolerance or Tolerance(0.0, 0.0)
    within = around(*(_value(one, felt.unit) for one in (allowed.below, allowed.above)))
    return f"{metric} was {_value(felt.median, felt.unit)} of {expected} {within}"


def _value(value: float, unit: str) -> str:
    return format_size(value) if unit == "bytes" else f"{value:.4g} {unit}"
