"""Explain an experiment, or give the figures of a run, or a truth table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.host import description
from cgbench.judging.estimates import points
from cgbench.judging.foresight import foreseen
from cgbench.judging.run import Run, load
from cgbench.judging.shortfall import shortfalls
from cgbench.judging.unjudged import unjudged
from cgbench.judging.ways import ways
from cgbench.records import truth
from cgbench.records.results import find_run, find_truth, runs
from cgbench.records.truth import TruthTable
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment


@dataclass(frozen=True)
class Explained:
    """An experiment, what it does in words, and of what no run of it will say anything."""

    experiment: Experiment
    words: str
    open: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the experiment as plain data."""
        return self.experiment.model_dump(mode="json")


@dataclass(frozen=True)
class Figures:
    """A run with its figures across trials."""

    run: Run

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench show RUN --json` gives."""
        record = self.run.record
        owners = {point.key: point.owner for point in points(self.run)}
        return {
            "schema_version": record.schema_version,
            "run": record.run,
            "experiment": record.experiment.name,
            "status": record.status,
            "summary": [
                {**one.to_json(), "requested_of": owners[one.key]} for one in self.run.summary
            ],
            "unjudged": [one.to_json() for one in unjudged(self.run)],
            "shortfalls": [one.to_json() for one in shortfalls(self.run)],
            "ways": [
                {"first": one.first, "other": one.other, **one.comparison.to_json()}
                for one in ways(self.run)
            ],
            "rows": [row._asdict() for row in self.run.every_row],
        }


def show(name: str, results: Path) -> Explained | Figures | TruthTable:
    """Return what is called `name`: an experiment or its file, else a truth table, else a run.

    The name of an experiment of one's own stands for its latest run, as it does for `report`.
    """
    known = name in experiment_file.builtin_names() or name.endswith(".toml")
    table = None if known else find_truth(name, results)
    if table is not None and (Path(name).exists() or not _is_run(name, results)):
        return truth.read(table)
    if known or not _is_run(name, results):
        loaded, cpus = experiment_file.load(name), description.cpus()
        return Explained(
            loaded, experiment_file.explain(loaded, cpus), tuple(foreseen(loaded, cpus))
        )
    return Figures(load(find_run(name, results)))


def _is_run(name: str, results: Path) -> bool:
    return Path(name).is_dir() or any(
        one.path.name.startswith(name) or one.path.parent.name == name for one in runs(results)
    )
