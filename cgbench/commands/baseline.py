"""Keep a run's trials as a baseline, and find the baselines there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.commands.listing import Damaged
from cgbench.errors import BaselineError, CgbenchError
from cgbench.foreign import one_line
from cgbench.records import baseline
from cgbench.records.baseline import Baseline
from cgbench.records.results import find_run
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.wording import count


@dataclass(frozen=True)
class Kept:
    """A baseline and its file, what it took the place of, and reasons to doubt it."""

    baseline: Baseline
    path: Path
    before: Baseline | Damaged | None = None
    doubts: tuple[str, ...] = ()


def keep(
    run: str, name: str | None, metrics: Sequence[str], results: Path, *, replace: bool = False
) -> Kept:
    """Write a run's trials as the baseline `name`; the experiment's name if there is none.

    Of an experiment that is the latest run that may be one. Raises BaselineError where the run was
    measured for something else, or the name is taken and `replace` is not set.
    """
    # Here and not above: `list` and `show` need no figures.
    from cgbench.judging import checks, sides
    from cgbench.judging.comparison import FEWEST
    from cgbench.judging.run import load

    loaded = load(find_run(run, results, _may_be))
    if not loaded.record.for_itself:
        raise BaselineError(
            f"{loaded.name} was measured by {_by(loaded.record)}, and stands for no host",
            "Name what `cgbench run` measured.",
        )
    found = sides.of_run(loaded, name or loaded.record.experiment.name, metrics)
    before = _read(found.name, results) if found.name in baseline.names(results) else None
    if before is not None and not replace:
        raise BaselineError(
            f"there is a baseline {found.name}: {described(before)}",
            "Replace it with --replace, or give another --name.",
        )
    few = len(found.repetitions) < FEWEST
    doubts = [
        *(one.reason for one in checks.examine(loaded) if one.severity == "warning"),
        *[f"a gate needs {FEWEST} trials at least, and it has {len(found.repetitions)}"] * few,
    ]
    return Kept(found, baseline.write(found, results), before, tuple(doubts))


def _may_be(directory: RunDirectory) -> bool:
    """Say whether a run that nobody named by itself may be a baseline; a damaged one is told."""
    try:
        return directory.run().for_itself
    except CgbenchError:
        return True


def _by(record: RunRecord) -> str:
    words = f"`cgbench {(record.purpose or 'run').rpartition(' ')[2]}`"
    side = (record.purpose or "").partition(" of ")
    return f"{words} (its side {side[0]})" if side[1] else words


def described(one: Baseline | Damaged) -> str:
    """Say what a baseline holds, in a few words."""
    if isinstance(one, Damaged):
        return f"it cannot be read ({one.reason})"
    day = one_line(one.started)[:10]
    return f"{count(len(one.repetitions), 'trial')} of run {one.run}, {day}"


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
