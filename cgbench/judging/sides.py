"""The two sides of a comparison, gathered from runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from cgbench.errors import BaselineError
from cgbench.judging.run import Run
from cgbench.records.agreement import conditions
from cgbench.records.baseline import Baseline, Noise, Series
from cgbench.records.run import PointKey, Row
from cgbench.records.trial import TrialRecord
from cgbench.spec.experiment import Experiment
from cgbench.spec.judged import candidates
from cgbench.spec.metrics import METRICS, nearest
from cgbench.spec.programs import felt_metrics


def gated_metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return the metrics an experiment is compared by: of its [gate], else of its programs, else
    of its verdict.

    A program that uses less CPU time than before may as well be a better one, so that what shows
    the option does not judge it. Raises BaselineError when no metric shows what the option does.
    """
    if experiment.gate is not None:
        found = experiment.gate.metrics
    else:
        found = felt_metrics(experiment) or candidates(experiment, experiment.option)
    if not found:
        raise BaselineError(
            f"{experiment.name}: no metric shows what --{experiment.option} does",
            "Name one to compare by: --metric cpus_used.",
        )
    return found


def check_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names. Raises BaselineError on one that is no metric."""
    for name in names:
        if name not in METRICS:
            raise BaselineError(f"unknown metric: {name}", nearest(name))
    return tuple(names)


def narrowed(side: Baseline, names: Collection[str]) -> Baseline:
    """Return a side with the series of the named metrics, or of all metrics without a name.

    Raises BaselineError when it has no such series.
    """
    series = tuple(one for one in side.series if not names or one.metric in names)
    if not series:
        raise BaselineError(
            f"{side.name}: none of its trials measured {', '.join(names)}",
            f"It has {', '.join(dict.fromkeys(one.metric for one in side.series))}.",
        )
    return side.model_copy(update={"series": series})


def of_run(
    run: Run,
    name: str | None = None,
    names: Sequence[str] = (),
    without: Collection[int] = (),
) -> Baseline:
    """Gather a run's trials; `names` replaces the experiment's metrics, `without` repetitions.

    Raises BaselineError when no trial ended well, or none of the metrics was measured.
    """
    record, good = run.record, {one.number: one for one in run.finished}
    kept = [one for one in good.values() if one.repetition not in without]
    if not kept:
        reasons = [one.reason for one in run.trials if one.reason]
        why = f"every trial failed: {reasons[-1]}" if reasons else "it has no finished trial"
        raise BaselineError(f"{run.directory.path}: {why}", "Measure it again.")
    wanted = check_metrics(names) or gated_metrics(record.experiment)
    repetitions = sorted({one.repetition for one in kept})
    series = _series(run.rows, wanted, good, repetitions)
    if not series:
        raise BaselineError(
            f"{run.directory.path}: none of its trials measured {', '.join(wanted)}",
            "Compare by another metric: --metric NAME; `cgbench show RUN` has them.",
        )
    return Baseline(
        name=name or record.run,
        run=record.run,
        started=record.started,
        **vars(conditions(record)),
        repetitions=tuple(repetitions),
        noise=tuple(noise(one) for one in kept if one.harness is not None),
        series=series,
    )


def noise(trial: TrialRecord) -> Noise:
    """Return what disturbed a trial, as far as it is known."""
    used = trial.harness
    if used is None or not used.elapsed_s:
        return Noise(repetition=trial.repetition, steal_cpus=None, other_cpus=None)
    other = None if used.other_cpu_s is None else round(used.other_cpu_s / used.elapsed_s, 4)
    return Noise(
        repetition=trial.repetition,
        steal_cpus=round(used.steal_cpu_s / used.elapsed_s, 4),
        other_cpus=other,
        mhz=used.mhz,
        thermal_throttles=used.thermal_throttles,
    )


def _series(
    rows: Sequence[Row],
    wanted: Sequence[str],
    trials: dict[int, TrialRecord],
    repetitions: Sequence[int],
) -> tuple[Series, ...]:
    found: dict[tuple[PointKey, str], dict[int, list[float]]] = {}
    units: dict[str, str] = {}
    expected: dict[tuple[PointKey, str], set[float | None]] = {}
    for row in rows:
        if row.metric in wanted:
            units[row.metric] = row.unit
            expected.setdefault((row.key, row.metric), set()).add(row.expected)
            by_repetition = found.setdefault((row.key, row.metric), {})
            repetition = trials[row.trial].repetition
            by_repetition.setdefault(repetition, []).append(row.value)
    return tuple(
        Series(
            **key._asdict(), metric=metric, unit=units[metric],
            expected=_only(expected[key, metric]),
            values=tuple(_middle(values.get(one)) for one in repetitions),
        )
        for (key, metric), values in found.items()
    )  # fmt: skip


def _only(values: Collection[float | None]) -> float | None:
    return next(iter(values)) if len(values) == 1 else None


def _middle(values: Sequence[float] | None) -> float | None:
    # Nine digits are more than any reading has, and let a diff be read.
    return float(f"{median(values):.9g}") if values else None
