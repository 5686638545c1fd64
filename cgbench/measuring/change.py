"""One change of a trial: made as its step says, and read back from the interface files."""

from __future__ import annotations

import os
import time

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.errors import UpdateRejected
from cgbench.host import cgroups
from cgbench.measuring import other_limits
from cgbench.measuring.container import Running, interface_paths, text
from cgbench.measuring.other_limits import Texts
from cgbench.records.trial import Change, FileChange, Phase
from cgbench.spec.option import Settings
from cgbench.spec.schedule import PlannedStep


def make_change(engine: Engine, container: Running, step: PlannedStep) -> Change:
    """Make one change and read back every interface file it should have reached.

    A refusal is a result: the change then has an error, and the settings stay as they were.
    """
    paths = interface_paths(container.cgroup, step.settings)
    declared_before = _by_docker_alone(engine, container, step)
    before = {path: text(path) for path in paths}
    begin = time.monotonic_ns()
    error: str | None = None
    try:
        answer = apply(engine, container, step)
        container.settings |= step.settings
    except UpdateRejected as refusal:
        answer, error = Answer(begin, time.monotonic_ns(), ()), refusal.message
    # A container that the change has ended takes its files with it: they are not read, and no less
    # what it should have reached.
    reached = paths | interface_paths(container.cgroup, {**container.settings, **step.settings})
    settings = container.with_settings(step.settings)
    files = tuple(
        FileChange(
            file=path.name,
            before=before[path],
            after=(now := text(path)),
            expected=interface.agreed(settings, now),
            path=str(path),
        )
        for path, interface in reached.items()
        if path in before
    )
    declared_after = _by_docker_alone(engine, container, step)
    return Change(
        requested=step.requested,
        note=step.note,
        settings=step.settings,
        via=step.via,
        t_request_ns=answer.t_request_ns,
        t_answer_ns=answer.t_answer_ns,
        warnings=answer.warnings,
        error=error,
        files=files,
        inspected=tuple(other_limits.inspected(step.settings, declared_before, declared_after, {})),
    )


def _by_docker_alone(engine: Engine, container: Running, step: PlannedStep) -> Texts:
    """Return what Docker declares of what only Docker knows of."""
    alone = other_limits.by_docker_alone(step.settings)
    if step.via != "update" or not alone:
        return {}
    return other_limits.declared(engine, container.container_id, alone)


def with_declared(engine: Engine, container: Running, phase: Phase) -> Phase:
    """Add what Docker declares at the end of a phase that is judged."""
    change = phase.change
    if change.via != "update" or phase.prepares:
        return phase
    held = other_limits.declared(engine, container.container_id, change.settings)
    found = tuple(one.model_copy(update={"held": held[one.option]}) for one in change.inspected)
    return phase.model_copy(update={"change": change.model_copy(update={"inspected": found})})


def with_held(container: Running, change: Change) -> Change:
    """Add what the files hold at the end of the phase: another update may have undone it.

    Of two texts that are right it may be the other one than was known at the answer: a file that
    changes after it shows only then which conversion the runtime has.
    """
    settings = container.with_settings(change.settings)
    found = {
        path.name: (text(path), interface)
        for path, interface in interface_paths(container.cgroup, change.settings).items()
    }
    files = []
    for file in change.files:
        held, interface = found.get(file.file, (None, None))
        expected = file.expected
        if interface is not None and held is not None and file.after != expected:
            expected = interface.agreed(settings, held)
        files.append(file.model_copy(update={"held": held, "expected": expected}))
    return change.model_copy(update={"files": tuple(files)})


def apply(engine: Engine, container: Running, step: PlannedStep) -> Answer:
    """Set a step's values the way it says. Raises UpdateRejected when they are refused."""
    if step.via == "update":
        return engine.update(container.container_id, step.settings)
    if step.via == "run":
        # Born with it: the container was started with these options a moment ago.
        now = time.monotonic_ns()
        return Answer(now, now, ())
    return _write(container.cgroup, container.with_settings(step.settings), step)


def _write(cgroup: cgroups.Cgroup, settings: Settings, step: PlannedStep) -> Answer:
    """Write the interface files directly, as the control arm of an experiment.

    Raises UpdateRejected when the kernel refuses.
    """
    begin = time.monotonic_ns()
    for path, interface in interface_paths(cgroup, step.settings).items():
        expected = interface.expected(settings)
        if expected is not None:
            try:
                # Without O_CREAT: the file is the kernel's, or there is none.
                descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
                with os.fdopen(descriptor, "w") as file:
                    file.write(expected)
            except OSError as error:
                raise UpdateRejected(
                    f"the kernel refused {expected} in {path.name}: {error.strerror}"
                ) from error
    return Answer(begin, time.monotonic_ns(), ())
