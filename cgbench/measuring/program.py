"""A program of one's own while its trial lasts: guarded, started, awaited, and driven."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cgbench.engine.container_spec import PROBE_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.program_spec import ProgramSpec
from cgbench.errors import ProbeError, TrialError
from cgbench.host import listening, procfs
from cgbench.host.scratch import ownership
from cgbench.host.scratch.commands import undisturbed
from cgbench.measuring.container import Birth, Running, born_with, ended, held, why_ended
from cgbench.measuring.heartbeat import beating, followed
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.spec.container import Container
from cgbench.spec.program import Load, Program
from cgbench.spec.schedule import TrialPlan
from cgbench.spec.workload import CONTAINER_USER, Placeholders, load
from cgbench.units import NS_PER_S, format_duration

_GUARD_MEMORY, _GUARD_PIDS = 32 * 2**20, 8
_LOOK_EVERY_S = 0.01
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Stage:
    """Where the containers of one trial are started: `stack` takes them down again."""

    stack: ExitStack
    plan: TrialPlan
    engine: Engine
    birth: Birth


@dataclass(frozen=True)
class Driven:
    """A program that is there, what a prober asks it, and for how long for its first answer."""

    running: Running
    load: Load
    task: Task
    within_ns: int


@dataclass(frozen=True)
class Guard:
    """The container whose namespaces a program gets, and where its load finds the program.

    `network` is Docker's word for the network of the load, `address` None where that is the
    program's own.
    """

    container_id: str
    network: str
    address: str | None = None


def guard(stage: Stage, role: str, program: Program) -> Guard:
    """Start the container whose namespaces a program gets.

    Its first process ends on the deadline, or when nobody lets it go on; then all others end.
    """
    stack, birth = stage.stack, stage.birth
    path = birth.scratch / f"{role}-guard"
    argv = followed(path, PROBE_PATH, ["sleep", str(birth.deadline_s)])
    stack.enter_context(beating(path))
    owner = str(ownership.this_process())
    networks, network = stage.engine.networks, None
    if program.network == "host":
        _require_free(role, program.port)
        network = "host"
    elif program.network == "bridge":
        with undisturbed():
            made = networks.internal(f"{birth.name}-{role}", birth.run, owner)
            network = stack.enter_context(made)
    wanted = ContainerSpec(
        name=f"{birth.name}-{role}-guard",
        image=birth.image,
        argv=argv,
        run=birth.run,
        options={},
        memory=_GUARD_MEMORY,
        pids=_GUARD_PIDS,
        deadline_s=birth.deadline_s,
        probe=path,
        owner=owner,
        network=network,
    )
    with undisturbed():
        container_id = stack.enter_context(stage.engine.container(wanted))
    if program.network == "bridge":
        return Guard(container_id, str(network), networks.address(container_id))
    return Guard(container_id, f"container:{container_id}")


def start(stage: Stage, spec: Container, program: Program, inside: Guard) -> Running:
    """Start a program in the namespaces of the container `inside`, and wait until it listens.

    Raises TrialError when it ends at once, or does not listen in time.
    """
    engine, birth = stage.engine, stage.birth
    settings = born_with(spec, stage.plan)
    wanted = ProgramSpec(
        name=f"{birth.name}-{spec.role}",
        image=birth.programs.get(spec.workload, program.image),
        program=program,
        guard=inside.container_id,
        run=birth.run,
        owner=str(ownership.this_process()),
        options=settings,
        memory=spec.memory,
        pids=spec.pids,
        files=_written(program, birth.scratch, spec.role),
        parent=birth.parent if spec.group else None,
    )
    with undisturbed():
        container_id = stage.stack.enter_context(engine.container(wanted))
    pidfd, cgroup, home = held(stage.stack, spec.role, container_id, engine, birth)
    running = Running(
        spec, program.workload(spec.workload), container_id, pidfd, cgroup, None,
        engine.stats(container_id), settings, home=home,
    )  # fmt: skip
    if program.port is not None:
        _await_listening(running, program.port, program.ready_within, engine, birth.proc)
    return running


def drive(stage: Stage, spec: Container, driven: Driven, inside: Guard) -> Running:
    """Start the prober of a program that is there, and wait until it got a right answer.

    What the prober notes is the program's. Raises TrialError where none comes in time.
    """
    stack, engine, birth = stage.stack, stage.engine, stage.birth
    workload, path = load(spec.workload), birth.scratch / spec.role
    url, payload = _asked(driven.load, inside), driven.load.send or ""
    file = ProbeFile(path, 1, birth.deadline_s, CONTAINER_USER, driven.task)
    driven.running.probe = stack.enter_context(file)
    stack.enter_context(beating(path))
    wanted = ContainerSpec(
        name=f"{birth.name}-{spec.role}",
        image=birth.image,
        argv=workload.argv(Placeholders(1, probe=PROBE_PATH, url=url, payload=payload)),
        run=birth.run,
        options=dict(spec.options),
        memory=spec.memory,
        pids=spec.pids,
        deadline_s=birth.deadline_s,
        probe=path,
        owner=str(ownership.this_process()),
        network=inside.network,
    )
    with undisturbed():
        container_id = stack.enter_context(engine.container(wanted))
    pidfd, cgroup, home = held(stack, spec.role, container_id, engine, birth)
    prober = Running(
        spec, workload, container_id, pidfd, cgroup, None, engine.stats(container_id),
        dict(spec.options), home=home,
    )  # fmt: skip
    _await_answer(driven, file, prober, engine)
    return prober


def _asked(load: Load, inside: Guard) -> str:
    return load.url if inside.address is None else load.asked_at(inside.address)


def _require_free(role: str, port: int | None) -> None:
    """Raise TrialError where a program of the host listens on the port already."""
    there = [one for one in listening.listeners(os.getpid()) if one.port == port]
    if there:
        raise TrialError(
            f"{role} is in the network of the host, where another program listens on {there[0]}"
        )


def _await_answer(driven: Driven, file: ProbeFile, prober: Running, engine: Engine) -> None:
    limit = time.monotonic() + driven.within_ns / NS_PER_S
    while not file.running():
        for one in (driven.running, prober):
            if ended(one.pidfd, _LOOK_EVERY_S / 2):
                raise TrialError(why_ended(engine, one.spec.role, one.container_id))
        if time.monotonic() > limit:
            why = file.why_not_running() or "nothing came"
            raise TrialError(
                f"{driven.running.spec.role} gave no right answer to {driven.load.url} within "
                f"{format_duration(driven.within_ns)} ({why})"
                f"{_last_words(engine, driven.running)}"
            )


def _await_listening(
    running: Running, port: int, within_ns: int, engine: Engine, proc: Path
) -> None:
    limit = time.monotonic() + within_ns / NS_PER_S
    while True:
        pid = procfs.held(running.pidfd)
        found = [] if pid is None else listening.listeners(pid, proc)
        if any(one.port == port for one in found):
            return
        if ended(running.pidfd, _LOOK_EVERY_S):
            raise TrialError(why_ended(engine, running.spec.role, running.container_id))
        if time.monotonic() > limit:
            shown = ", ".join(map(str, found[:_MOST_SHOWN])) or "nothing"
            raise TrialError(
                f"{running.spec.role} does not listen on TCP port {port} after "
                f"{format_duration(within_ns)}, but on {shown}{_last_words(engine, running)}"
            )


def _last_words(engine: Engine, running: Running) -> str:
    said = engine.logs(running.container_id).splitlines()
    return f"; the last it printed: {said[-1]}" if said else "; it printed nothing"


def _written(program: Program, folder: Path, role: str) -> Mapping[str, Path]:
    """Write the program's files and return each by its path in the container.

    Raises ProbeError where one cannot be written.
    """
    found: dict[str, Path] = {}
    for number, (inside, text) in enumerate(program.files.items(), 1):
        path = folder / f"{role}-file-{number}"
        try:
            path.write_text(text)
            path.chmod(0o444)
        except OSError as error:
            raise ProbeError(f"cannot write {path}: {error.strerror}") from error
        found[inside] = path
    return found
