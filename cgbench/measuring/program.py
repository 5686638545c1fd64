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
from cgbench.host import listening, page_cache, procfs
from cgbench.host.scratch import ownership
from cgbench.host.scratch.commands import undisturbed
from cgbench.measuring.container import Birth, Running, born_with, ended, held, why_ended
from cgbench.measuring.heartbeat import beating, followed
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.spec.container import Container
from cgbench.spec.options import option
from cgbench.spec.program import Load
from cgbench.spec.program import Program as Spec
from cgbench.spec.schedule import TrialPlan
from cgbench.spec.workload import CONTAINER_USER, Placeholders, Workload
from cgbench.spec.workload import load as built_in
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
class Program:
    """A program that is there, in which network a load finds it, and at which address.

    `network` is Docker's word for it; `address` is None where that is loopback.
    """

    running: Running
    own: Spec
    network: str
    address: str | None = None


def start(stage: Stage, spec: Container, own: Spec) -> Program:
    """Start a program below its guard, and wait until it listens.

    Raises TrialError when it ends at once, or does not listen in time.
    """
    engine, birth = stage.engine, stage.birth
    owner, settings = str(ownership.this_process()), born_with(spec, stage.plan)
    image = birth.programs.get(spec.workload, own.image)
    network = _network(stage, spec.role, own, owner)
    wanted = ProgramSpec(
        name=f"{birth.name}-{spec.role}",
        image=image,
        program=own,
        guard=_guard(stage, spec.role, owner),
        network=network,
        run=birth.run,
        owner=owner,
        options=settings,
        memory=spec.memory,
        pids=spec.pids,
        files=_written(own, birth.scratch, spec.role),
        parent=birth.parent if spec.group else None,
    )
    warm = _cooled(engine, image) if _limits_memory(stage.plan, spec.role) else None
    with undisturbed():
        container_id = stage.stack.enter_context(engine.container(wanted))
    pidfd, cgroup, home = held(stage.stack, spec.role, container_id, engine, birth)
    running = Running(
        spec, own.workload(spec.workload), container_id, pidfd, cgroup, None,
        settings, home=home, warm=warm,
    )  # fmt: skip
    if own.port is not None:
        _await_listening(running, own.port, own.ready_within, engine, birth.proc)
    if own.network == "bridge":
        return Program(running, own, network, engine.networks.address(container_id))
    return Program(running, own, network if network == "host" else f"container:{container_id}")


def _limits_memory(plan: TrialPlan, role: str) -> bool:
    """Say whether a limit of a container's memory is changed."""
    changed = {name for step in plan.steps if step.role == role for name in step.settings}
    return any(option(name).controller == "memory" for name in changed)


def _cooled(engine: Engine, image: str) -> int | None:
    """Drop an image's files from the page cache; return how many bytes stayed, None if unknown.

    Else a program is not charged for what another container has read before.
    """
    folders = engine.images.layers(image)
    return None if folders is None else page_cache.drop(folders)


def _guard(stage: Stage, role: str, owner: str) -> str:
    """Start the container whose PID namespace a program gets, and return its identity.

    Its first process ends on the deadline, or when nobody lets it go on; then all others end.
    """
    stack, birth = stage.stack, stage.birth
    path = birth.scratch / f"{role}-guard"
    argv = followed(path, PROBE_PATH, ["sleep", str(birth.deadline_s)])
    stack.enter_context(beating(path))
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
    )
    with undisturbed():
        return stack.enter_context(stage.engine.container(wanted))


def _network(stage: Stage, role: str, own: Spec, owner: str) -> str:
    """Return Docker's word for the network of a program, made if it is a bridge."""
    if own.network == "host":
        _require_free(role, own.port)
        return "host"
    if own.network != "bridge":
        return "none"
    name = f"{stage.birth.name}-{role}"
    with undisturbed():
        made = stage.engine.networks.internal(name, stage.birth.run, owner)
        return stage.stack.enter_context(made)


def drive(stage: Stage, spec: Container, program: Program, task: Task | None) -> Running:
    """Start the load of a program that is there: its prober, which has a `task`, or a command.

    What the prober notes is the program's. Raises TrialError where no right answer comes in time.
    """
    load = program.own.load
    assert load is not None
    if task is None:
        return _commanded(stage, spec, program, load)
    stack, engine, birth = stage.stack, stage.engine, stage.birth
    workload, path = built_in(spec.workload), birth.scratch / spec.role
    url = load.url if program.address is None else load.asked_at(program.address)
    file = ProbeFile(path, 1, birth.deadline_s, CONTAINER_USER, task)
    program.running.probe = stack.enter_context(file)
    stack.enter_context(beating(path))
    wanted = ContainerSpec(
        name=f"{birth.name}-{spec.role}",
        image=birth.image,
        argv=workload.argv(Placeholders(1, probe=PROBE_PATH, url=url, payload=load.send or "")),
        run=birth.run,
        options=dict(spec.options),
        memory=spec.memory,
        pids=spec.pids,
        deadline_s=birth.deadline_s,
        probe=path,
        owner=str(ownership.this_process()),
        network=program.network,
    )
    prober = _started(stage, spec, wanted, workload)
    _await_answer(program, str(url), file, prober, engine)
    return prober


def _commanded(stage: Stage, spec: Container, program: Program, load: Load) -> Running:
    """Start a command that drives a program, in that one's network, below a guard of its own."""
    birth, owner = stage.birth, str(ownership.this_process())
    image, driven = load.image or program.own.image, program.running.spec.workload
    update = {
        "image": image, "command": load.command, "entrypoint": (), "files": {},
        "environment": load.environment,
    }  # fmt: skip
    wanted = ProgramSpec(
        name=f"{birth.name}-{spec.role}",
        image=birth.programs.get(spec.role if load.image else driven, image),
        program=program.own.model_copy(update=update),
        guard=_guard(stage, spec.role, owner),
        network=program.network,
        run=birth.run,
        owner=owner,
        options=dict(spec.options),
        memory=spec.memory,
        pids=spec.pids,
    )
    workload = Workload(
        name=spec.workload, summary="A load.", controller="none", command=load.command
    )
    return _started(stage, spec, wanted, workload)


def _started(
    stage: Stage, spec: Container, wanted: ContainerSpec | ProgramSpec, workload: Workload
) -> Running:
    """Start a container that drives another, and find its cgroup."""
    stack, engine = stage.stack, stage.engine
    with undisturbed():
        container_id = stack.enter_context(engine.container(wanted))
    pidfd, cgroup, home = held(stack, spec.role, container_id, engine, stage.birth)
    return Running(
        spec, workload, container_id, pidfd, cgroup, None, dict(spec.options), home=home,
    )  # fmt: skip


def _require_free(role: str, port: int | None) -> None:
    """Raise TrialError where a program of the host listens on the port already."""
    there = [one for one in listening.listeners(os.getpid()) if one.port == port]
    if there:
        raise TrialError(
            f"{role} is in the network of the host, where another program listens on {there[0]}"
        )


def _await_answer(
    program: Program, url: str, file: ProbeFile, prober: Running, engine: Engine
) -> None:
    running, within_ns = program.running, program.own.ready_within
    limit = time.monotonic() + within_ns / NS_PER_S
    while not file.running():
        for one in (running, prober):
            if ended(one.pidfd, _LOOK_EVERY_S / 2):
                raise TrialError(why_ended(engine, one.spec.role, one.container_id))
        if time.monotonic() > limit:
            why = file.why_not_running() or "nothing came"
            raise TrialError(
                f"{running.spec.role} gave no right answer to {url} within "
                f"{format_duration(within_ns)} ({why}){_last_words(engine, running)}"
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


def _written(program: Spec, folder: Path, role: str) -> Mapping[str, Path]:
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
