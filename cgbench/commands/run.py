"""Measure experiments as runs, and make figures and a page of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.commands.session import Session
from cgbench.host import description, preconditions
from cgbench.judging.foresight import foreseen
from cgbench.judging.run import Run, load
from cgbench.measuring import run as runs
from cgbench.measuring.progress import Observer
from cgbench.records.results import find_run
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment


@dataclass(frozen=True)
class Wanted:
    """The experiments to measure, shortened already if `quick`, or the run to go on with.

    `open` is of what the runs of somebody's own files will say nothing.
    """

    experiments: tuple[Experiment, ...] = ()
    open: tuple[str, ...] = ()
    resumed: RunDirectory | None = None
    quick: bool = False


@dataclass(frozen=True)
class Finished:
    """What a run came to: what it found in words, and its page, if one was written."""

    run: Run
    headline: tuple[str, ...] = ()
    page: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench run --json` gives."""
        failed = self.run.failed
        return {
            "run": self.run.name,
            "path": str(self.run.directory.path),
            "report": None if self.page is None else str(self.page),
            "trials": len(self.run.trials),
            "failed": [{"trial": one.number, "reason": one.reason} for one in failed],
            "headline": list(self.headline),
        }


def wanted(
    names: Sequence[str], results: Path, *, quick: bool, trials: int | None, resume: str | None
) -> Wanted:
    """Read the experiments, or find the run to go on with, before anything is measured."""
    if resume is not None:
        found = find_run(resume, results)
        # A damaged run is named before the host is asked for anything.
        load(found)
        return Wanted(resumed=found)
    loaded = [experiment_file.load(name) for name in names]
    shaped = [one.shortened() if quick else one for one in loaded]
    if trials is not None:
        shaped = [one.repeated(trials) for one in shaped]
    cpus = description.cpus()
    noted = tuple(
        f"{one.name}: {line}"
        for name, one in zip(names, shaped, strict=True)
        if name not in experiment_file.builtin_names()
        for line in foreseen(one, cpus)
    )
    return Wanted(tuple(shaped), noted, quick=quick)


def begun(wanted: Wanted, session: Session) -> Iterator[RunDirectory]:
    """Yield each run, ready to be measured; the next one begins when it is asked for.

    Raises PreconditionError when the host lacks what an experiment requires.
    """
    if wanted.resumed is not None:
        record = runs.resumable(wanted.resumed, session.engine)
        session.require_image(record.image)
        yield wanted.resumed
    for one in wanted.experiments:
        session.require_image(session.image)
        request = runs.Request(one, session.image, session.results, session.seed, wanted.quick)
        yield runs.begin(request, session.engine, preconditions.require(one.requires))


def measure(directory: RunDirectory, session: Session, observer: Observer) -> None:
    """Measure every trial that the run lacks."""
    runs.execute(directory, directory.run(), session.engine, observer)


def finish(directory: RunDirectory, *, page: bool) -> Finished:
    """Compute a run's figures and write its page, or leave both to `cgbench report`."""
    run = load(directory)
    if not page:
        return Finished(run)
    # Here and not above: a page needs much that must not weigh on measuring.
    from cgbench.reporting.render import write
    from cgbench.reporting.words.headline import sentences

    written = write([run], directory.path / "report.html")
    return Finished(run, tuple(sentences(run)), written)
