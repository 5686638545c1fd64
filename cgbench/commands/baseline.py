"""Keep a run's trials as a baseline, and find the baselines there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.commands.listing import Damaged
from cgbench.errors import CgbenchError
from cgbench.records import baseline
from cgbench.records.baseline import Baseline
from cgbench.records.results import find_run


@dataclass(frozen=True)
class Kept:
    """A baseline and its file."""

    baseline: Baseline
    path: Path


def keep(run: str, name: str | None, metrics: Sequence[str], results: Path) -> Kept:
    """Write a run's trials as the baseline `name`; the experiment's name if there is none."""
    # Here and not above: `list` and `show` need no figures.
    from cgbench.judging import sides
    from cgbench.judging.run import load

    loaded = load(find_run(run, results))
    found = sides.of_run(loaded, name or loaded.record.experiment.name, metrics)
    return Kept(found, baseline.write(found, results))


def listed(results: Path) -> tuple[Baseline | Damaged, ...]:
    """Return every baseline; one that cannot be read with the reason."""
    return tuple(_read(name, results) for name in baseline.names(results))


def to_json(one: Baseline | Damaged) -> dict[str, Any]:
    """Return an entry of what `cgbench baseline list --json` gives."""
    if isinstance(one, Damaged):
        return {"name": one.path.stem, "damaged": one.reason}
    return {
        "name": one.name,
        "experiment": one.experiment,
        "run": one.run,
        "started": one.started,
        "trials": len(one.repetitions),
    }


def find(name: str, results: Path) -> Baseline:
    """Return the baseline that `name` names. Raises NoBaseline when there is none."""
    return baseline.find(name, results)


def folder(results: Path) -> Path:
    """Return where baselines are kept."""
    return results / baseline.FOLDER


def _read(name: str, results: Path) -> Baseline | Damaged:
    path = folder(results) / f"{name}.json"
    try:
        return baseline.read(path)
    except CgbenchError as error:
        return Damaged(path, error.message)
