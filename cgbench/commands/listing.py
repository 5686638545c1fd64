"""The experiments, runs and truth tables there are; a damaged one hides no other."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError, ExperimentError
from cgbench.host import description, marks
from cgbench.records.results import runs, truth_tables
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.schedule import lasts_ns
from cgbench.units import NS_PER_S


@dataclass(frozen=True)
class Known:
    """A run that can be read; `measured` trials ended well.

    Its `status` is `died` where run.json still says `running` and its cgbench is dead.
    """

    path: Path
    record: RunRecord
    measured: int
    status: str


@dataclass(frozen=True)
class Damaged:
    """A run or baseline that cannot be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Offered:
    """A built-in experiment, and about how long it takes here, in full and with `--quick`.

    None where this host has too few CPUs for it.
    """

    experiment: Experiment
    full_s: float | None
    quick_s: float | None


@dataclass(frozen=True)
class Listing:
    """Everything that has a name."""

    experiments: tuple[Offered, ...]
    runs: tuple[Known | Damaged, ...]
    truth_tables: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench list --json` gives."""
        return {
            "experiments": [
                {
                    "name": one.experiment.name,
                    "title": one.experiment.title,
                    "full_s": one.full_s,
                    "quick_s": one.quick_s,
                }
                for one in self.experiments
            ],
            "runs": [
                {
                    "run": one.record.run,
                    "experiment": one.record.experiment.name,
                    "status": one.status,
                    "started": one.record.started,
                    "purpose": one.record.purpose,
                    "path": str(one.path),
                }
                for one in self.runs
                if isinstance(one, Known)
            ],
            "damaged": [
                {"path": str(one.path), "reason": one.reason}
                for one in self.runs
                if isinstance(one, Damaged)
            ],
            "truth_tables": [str(path) for path in self.truth_tables],
        }


def listing(results: Path) -> Listing:
    """Look for everything under `results`, runs oldest first."""
    cpus = description.cpus()
    return Listing(
        experiments=tuple(_offered(name, cpus) for name in experiment_file.builtin_names()),
        runs=tuple(_known(directory) for directory in runs(results)),
        truth_tables=tuple(truth_tables(results)),
    )


def _offered(name: str, cpus: int) -> Offered:
    experiment = experiment_file.load(name)
    return Offered(experiment, _lasts_s(experiment, cpus), _lasts_s(experiment.shortened(), cpus))


def _lasts_s(experiment: Experiment, cpus: int) -> float | None:
    try:
        return round(lasts_ns(experiment, cpus) / NS_PER_S, 1)
    except ExperimentError:
        # It asks for more CPUs than this host has: `show` and `run` say so.
        return None


def _known(directory: RunDirectory) -> Known | Damaged:
    try:
        good = {one.number for one in directory.trials() if one.status == "ok"}
        record = directory.run()
        return Known(directory.path, record, len(good), _status(record))
    except CgbenchError as error:
        return Damaged(directory.path, error.message)


def _status(record: RunRecord) -> str:
    """Return how a run is: one of this host whose cgbench was killed cannot have said so itself."""
    here = record.host.hostname == platform.node()
    if record.status == "running" and here and record.owner and marks.is_dead(record.owner):
        return "died"
    return record.status
