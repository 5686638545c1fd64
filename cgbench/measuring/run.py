"""All trials of an experiment in seeded, shuffled order: saved one by one, resumable."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import StoreError
from cgbench.host import description, interrupts, marks, preconditions
from cgbench.host.scratch.commands import undisturbed
from cgbench.measuring import trial
from cgbench.measuring.progress import Observer
from cgbench.measuring.site import Site
from cgbench.records.agreement import HOST_KEYS, PACKAGES, PROGRAMS, conditions, differing
from cgbench.records.host import Host
from cgbench.records.results import new_run_name
from cgbench.records.run import Purpose, RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import workload
from cgbench.spec.emulated import slowed
from cgbench.spec.experiment import Experiment
from cgbench.spec.programs import images_of
from cgbench.spec.schedule import planned


@dataclass(frozen=True)
class Request:
    """What to run: `experiment` is already shortened if `quick` is set."""

    experiment: Experiment
    image: str
    results: Path
    seed: int
    quick: bool = False
    purpose: Purpose = "run"


def begin(request: Request, engine: Engine, met: Mapping[str, bool]) -> RunDirectory:
    """Make the directory of a new run and write its run.json; nothing is measured yet.

    Steps for which the host lacks something are left out. Raises ExperimentError when the schedule
    does not fit the host, StoreError when results cannot be written.
    """
    here = _host(engine, request.image, request.experiment)
    needed = {one for step in request.experiment.steps for one in step.needs}
    met = {**met, **preconditions.preconditions(needed)}
    fitting = request.experiment.on(met)
    shaped = slowed(fitting) if here.emulated else fitting
    plans = planned(shaped, here.cpus, request.seed)
    name = new_run_name()
    directory = RunDirectory.create(request.results, shaped.name, name)
    directory.write_run(
        RunRecord(
            run=name,
            experiment=shaped,
            quick=request.quick,
            seed=request.seed,
            trials_planned=len(plans),
            image=request.image,
            host=here,
            preconditions=met,
            status="running",
            started=_now(),
            owner=marks.of_this_process(),
            purpose=request.purpose,
        )
    )
    return directory


def _host(engine: Engine, tag: str, experiment: Experiment) -> Host:
    """Return this host, and what the images are here. Raises ImageError where one is missing."""
    folder = workload.directory()
    images = {
        name: engine.images.identity(image.resolved(engine.images, one, folder))
        for name, one in images_of(experiment).items()
    }
    # It makes a container: an interrupt on the way would leave that behind.
    with undisturbed():
        made_of = engine.images.contents(tag)
    return description.describe(engine.describe()).model_copy(
        update={
            "image_base": made_of.base,
            "image_packages": made_of.packages,
            "program_images": images or None,
        }
    )


def resumable(directory: RunDirectory, engine: Engine) -> RunRecord:
    """Return the record of a run to go on with.

    Raises StoreError when it was measured on another host: its trials could not be pooled. Its
    image must be one that cgbench makes, since its containers are started on behalf of root.
    """
    record = directory.run()
    if not image.is_ours(record.image):
        raise StoreError(
            f"{directory.path}: its image is {record.image}, which no cgbench makes",
            "Start a new run.",
        )
    there = conditions(record)
    here = replace(there, host=_host(engine, record.image, record.experiment))
    if apart := differing(here, there, (*HOST_KEYS, PACKAGES, PROGRAMS)):
        key = apart[0]
        raise StoreError(
            f"{directory.path}: measured where {key.words} was {key.text(there)}, "
            f"here it is {key.text(here)}",
            "Resume it on the host it began on, or start a new run.",
        )
    return record


def execute(
    directory: RunDirectory,
    record: RunRecord,
    engine: Engine,
    observer: Observer,
    repetition: int | None = None,
) -> RunRecord:
    """Measure every trial of the run that is missing and return its final record.

    With `repetition`, only the trials of that one, and those count as all that were planned: the
    experiment then says how many there may be at most.

    A failed trial is saved with its reason, and the run goes on; on --resume it is measured again.
    PreconditionError is raised only where no trial was measured before. KeyboardInterrupt ends the
    run as `interrupted`, with finished trials on disk, and is raised on.
    """
    plans = planned(record.experiment, record.host.cpus, record.seed)
    if repetition is not None:
        record = _grown(directory, record, sum(plan.repetition <= repetition for plan in plans))
        plans = [plan for plan in plans if plan.repetition == repetition]
    before = directory.trials()
    finished = {done.number for done in before if done.status == "ok"}
    site = Site(engine, record.image, record.run, programs=record.host.program_images or {})
    observer.run_started(record, plans, len(finished))
    begin_s = time.monotonic()
    # Of a run that was killed nobody knows how long it took until then.
    before_s = record.elapsed_s if before else record.elapsed_s or 0.0

    def ended(status: str) -> RunRecord:
        took_s = None if before_s is None else round(before_s + time.monotonic() - begin_s, 3)
        update = {"status": status, "ended": _now(), "elapsed_s": took_s}
        final = record.model_copy(update=update)
        directory.write_run(final)
        return final

    try:
        for plan in plans:
            if plan.number in finished:
                continue
            interrupts.require_none()
            observer.trial_started(plan)
            result, data = trial.run_trial(
                plan, record.experiment, site, observer, measured=bool(finished)
            )
            # A trial that was measured is kept, also when the interrupt comes just now.
            with undisturbed():
                directory.write_trial(result, data)
            if result.status == "ok":
                finished.add(result.number)
            observer.trial_finished(result)
    except BaseException as error:
        # Also SystemExit and errors of our own: the status must not go on saying "running".
        try:
            ended("interrupted")
        except StoreError as full:
            error.add_note(full.message)
        raise
    return ended("finished")


def _grown(directory: RunDirectory, record: RunRecord, trials: int) -> RunRecord:
    """Return the record of a run that ended well after its last repetition, and goes on."""
    found = record.model_copy(update={"trials_planned": trials, "status": "running"})
    directory.write_run(found)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
