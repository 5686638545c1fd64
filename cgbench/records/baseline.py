"""What trials measured, per metric: a small file to commit, and the two sides of a comparison."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cgbench.errors import BaselineError
from cgbench.judging import rows as metrics
from cgbench.judging.estimates import PointKey, row_key
from cgbench.records.run import Host, TrialRecord
from cgbench.records.run_directory import RunDirectory, read_versioned, write_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.metrics import GAUGES

SCHEMA_VERSION = 1
FOLDER = "baselines"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What does not change what is measured.
_ABOUT = ("name", "title", "question", "trials", "quick", "verify", "gate")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Series(_Model):
    """One metric of one container at one value: an entry per repetition, None where it lacks."""

    role: str
    option: str
    via: str
    requested: str
    metric: str
    unit: str
    values: tuple[float | None, ...]

    @property
    def key(self) -> tuple[PointKey, str]:
        """What the series is known by."""
        return (self.role, self.option, self.via, self.requested), self.metric


class Noise(_Model):
    """What disturbed one repetition, in CPUs taken by the hypervisor and by other processes.

    `mhz` and `thermal_throttles` are None where the kernel does not tell.
    """

    repetition: int
    steal_cpus: float
    other_cpus: float
    mhz: float | None = None
    thermal_throttles: int | None = None


class Baseline(_Model):
    """The trials of one run, as far as they are compared; `schedule` is a digest of its steps."""

    schema_version: int = SCHEMA_VERSION
    name: str
    experiment: str
    run: str
    started: str
    host: Host
    image: str
    schedule: str
    repetitions: tuple[int, ...]
    noise: tuple[Noise, ...] = ()
    series: tuple[Series, ...]

    def to_text(self) -> str:
        """Return it as JSON with a line per series, which a diff shows one by one."""
        head = self.model_dump(mode="json", exclude={"series"})
        lines = [json.dumps(one.model_dump(mode="json"), allow_nan=False) for one in self.series]
        opening = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        return opening + ',\n "series": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def schedule_digest(experiment: Experiment) -> str:
    """Return a digest of everything in an experiment that changes what is measured."""
    told = experiment.model_dump(mode="json", exclude=set(_ABOUT))
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def gated_metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return what an experiment is compared by: its [gate], else what `verify` judges by.

    Raises BaselineError when it names neither.
    """
    if experiment.gate is not None:
        return experiment.gate.metrics
    if experiment.verify is not None and experiment.verify.metric is not None:
        return (experiment.verify.metric,)
    raise BaselineError(
        f"{experiment.name} says no metric to compare by", "Name one: --metric cpus_used."
    )


def check_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names. Raises BaselineError on one that is no metric."""
    for name in names:
        if name not in GAUGES:
            raise BaselineError(f"unknown metric: {name}", f"Metrics: {', '.join(sorted(GAUGES))}.")
    return tuple(names)


def of_run(
    directory: RunDirectory,
    name: str | None = None,
    names: Sequence[str] = (),
    without: Collection[int] = (),
) -> Baseline:
    """Gather a run's trials; `names` replaces the experiment's metrics, `without` repetitions.

    Raises BaselineError when no trial ended well, or none of the metrics was measured.
    """
    record, trials = directory.run(), directory.trials()
    good = {one.number: one for one in metrics.ended_well(trials)}
    kept = [one for one in good.values() if one.repetition not in without]
    if not kept:
        reasons = [one.reason for one in trials if one.reason]
        why = f"every trial failed: {reasons[-1]}" if reasons else "it has no finished trial"
        raise BaselineError(f"{directory.path}: {why}", "Measure it again.")
    wanted = check_metrics(names) or gated_metrics(record.experiment)
    repetitions = sorted({one.repetition for one in kept})
    series = _series(metrics.rows(directory, list(good.values())), wanted, good, repetitions)
    if not series:
        raise BaselineError(
            f"{directory.path}: none of its trials measured {', '.join(wanted)}",
            "Compare by another metric: --metric NAME; `cgbench show RUN` has them.",
        )
    return Baseline(
        name=name or record.run,
        experiment=record.experiment.name,
        run=record.run,
        started=record.started,
        host=record.host,
        image=record.image,
        schedule=schedule_digest(record.experiment),
        repetitions=tuple(repetitions),
        noise=tuple(noise(one) for one in kept if one.harness is not None),
        series=series,
    )


def noise(trial: TrialRecord) -> Noise:
    """Return what disturbed a trial; nothing known counts as nothing."""
    used = trial.harness
    if used is None:
        return Noise(repetition=trial.repetition, steal_cpus=0.0, other_cpus=0.0)
    return Noise(
        repetition=trial.repetition,
        steal_cpus=round(used.steal_cpu_s / used.elapsed_s, 4),
        other_cpus=round(used.other_cpu_s / used.elapsed_s, 4),
        mhz=used.mhz,
        thermal_throttles=used.thermal_throttles,
    )


def _series(
    rows: Sequence[dict[str, Any]],
    wanted: Sequence[str],
    trials: dict[int, TrialRecord],
    repetitions: Sequence[int],
) -> tuple[Series, ...]:
    found: dict[tuple[PointKey, str], dict[int, list[float]]] = {}
    units: dict[str, str] = {}
    for row in rows:
        if row["metric"] in wanted:
            units[row["metric"]] = row["unit"]
            by_repetition = found.setdefault((row_key(row), row["metric"]), {})
            repetition = trials[row["trial"]].repetition
            by_repetition.setdefault(repetition, []).append(row["value"])
    return tuple(
        Series(
            role=key[0], option=key[1], via=key[2], requested=key[3], metric=metric,
            unit=units[metric],
            values=tuple(_middle(values.get(one)) for one in repetitions),
        )
        for (key, metric), values in found.items()
    )  # fmt: skip


def _middle(values: Sequence[float] | None) -> float | None:
    # Nine digits are more than any reading has, and let a diff be read.
    return float(f"{median(values):.9g}") if values else None


# Files


def path_of(name: str, results: Path) -> Path:
    """Return where the baseline called `name` is kept. Raises BaselineError on an unfit name."""
    if not _NAME.fullmatch(name):
        raise BaselineError(
            f"{name!r} cannot name a baseline", "Use letters, digits, dots, dashes, underscores."
        )
    return results / FOLDER / f"{name}.json"


def write(baseline: Baseline, results: Path) -> Path:
    """Write a baseline and return its path. Raises StoreError when it cannot be written."""
    return write_file(path_of(baseline.name, results), baseline.to_text())


def names(results: Path) -> list[str]:
    """Return the names of all baselines there are, sorted."""
    return sorted(path.stem for path in (results / FOLDER).glob("*.json"))


def find(text: str, results: Path) -> Baseline:
    """Return the baseline that `text` names: a file, or a name under `results`.

    Raises BaselineError when there is none, StoreError when it is damaged or too new.
    """
    path = Path(text)
    if not path.is_file():
        path = path_of(text, results) if _NAME.fullmatch(text) else path
    if not path.is_file():
        known = ", ".join(names(results)) or "none yet"
        raise BaselineError(
            f"no baseline called {text} under {results / FOLDER} (there: {known})",
            "Make one: cgbench baseline set RUN --name NAME.",
        )
    return read(path)


def read(path: Path) -> Baseline:
    """Read a baseline. Raises StoreError or BaselineError that names the file and key."""
    document = read_versioned(path, SCHEMA_VERSION, "Give a file that `baseline set` wrote.")
    try:
        found = Baseline.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BaselineError(f"{path}: {key}: {first['msg']}", "The file is damaged.") from None
    for one in found.series:
        place = f"{path}: series {one.metric} at --{one.option} {one.requested}"
        if len(one.values) != len(found.repetitions):
            raise BaselineError(
                f"{place} has {len(one.values)} values for {len(found.repetitions)} repetitions",
                "The file is damaged.",
            )
        if any(value is not None and not math.isfinite(value) for value in one.values):
            raise BaselineError(f"{place} has a value that is no number", "Set it anew.")
    return found
