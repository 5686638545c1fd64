"""The experiments, runs and truth tables there are; a damaged one hides no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError
from cgbench.records.results import runs, truth_tables
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment


@dataclass(frozen=True)
class Known:
    """A run that can be read; `measured` trials ended well."""

    path: Path
    record: RunRecord
    measured: int


@dataclass(frozen=True)
class Damaged:
    """A run or baseline that cannot be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """Everything that has a name."""

    experiments: tuple[Experiment, ...]
    runs: tuple[Known | Damaged, ...]
    truth_tables: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench list --json` prints."""
        return {
            "experiments": [{"name": one.name, "title": one.title} for one in self.experiments],
            "runs": [
                {
                    "run": one.record.run,
                    "experiment": one.record.experiment.name,
                    "status": one.record.status,
                    "started": one.record.started,
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
    return Listing(
        experiments=tuple(experiment_file.load(name) for name in experiment_file.builtin_names()),
        runs=tuple(_known(directory) for directory in runs(results)),
        truth_tables=tuple(truth_tables(results)),
    )


def _known(directory: RunDirectory) -> Known | Damaged:
    try:
        good = {one.number for one in directory.trials() if one.status == "ok"}
        return Known(directory.path, directory.run(), len(good))
    except CgbenchError as error:
        return Damaged(directory.path, error.message)
