"""One container of a trial while it lives: started, found in the cgroup tree, explained."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.engine.container_spec import PROBE_PATH, SCRATCH_PATH, SHARED_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.errors import CgroupError, TrialError
from cgbench.host import cgroups, confines, counts, procfs
from cgbench.host.scratch import ownership
from cgbench.host.scratch.commands import undisturbed
from cgbench.host.scratch.loop_device import BlockDevice
from cgbench.measuring import own_process
from cgbench.measuring.heartbeat import beating, followed
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.measuring.progress import Snapshot
from cgbench.measuring.readings import Target
from cgbench.records.confines import Confines
from cgbench.records.trial import ContainerRecord, Source
from cgbench.spec import counters
from cgbench.spec.container import Container
from cgbench.spec.option import DEVICE, Interface, Settings, Value
from cgbench.spec.options import option
from cgbench.spec.schedule import TrialPlan
from cgbench.spec.workload import CONTAINER_USER, Placeholders, Workload, load

_READY_TIMEOUT_S = 20.0

SIGNALLED = 128
"""An exit status beyond this one is that of a signal."""


@dataclass(frozen=True)
class Birth:
    """How a container is to be started: named, from which image, for which run, for how long.

    `programs` are the images of programs of one's own, `proc` and `root` are where its process and
    its cgroup are found.
    """

    name: str
    image: str
    run: str
    deadline_s: int
    scratch: Path
    device: BlockDevice | None = None
    parent: str | None = None
    programs: Mapping[str, str] = field(default_factory=dict)
    proc: Path = Path("/proc")
    root: Path = Path("/")


@dataclass(frozen=True)
class Counted:
    """A container's counters at one moment."""

    t_ns: int
    values: Mapping[str, int]

    def grown(self, name: str, before: Counted | None) -> int | None:
        """Return how much a counter has grown, None where one of its two readings is absent."""
        if before is None or name not in self.values or name not in before.values:
            return None
        return self.values[name] - before.values[name]


@dataclass
class Running:
    """One container while its trial lasts; `settings` are the options declared on it by now.

    `home` are the groups in which its processes should be, `device` is the number of its device.
    `warm` is how many bytes of its image's files were in memory when it started, if that counts.
    """

    spec: Container
    workload: Workload
    container_id: str
    pidfd: int
    cgroup: cgroups.Cgroup
    probe: ProbeFile | None
    settings: dict[str, Value]
    last: Counted | None = None
    home: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    warm: int | None = None

    def with_settings(self, settings: Settings) -> Settings:
        """Return what is declared with `settings` set, too, and the device that it is for."""
        place = {} if self.device is None else {DEVICE: self.device}
        return {**self.settings, **settings, **place}

    def confines(self, proc: Path = procfs.PROC, root: Path = Path("/")) -> Confines:
        """Return what confines it now, besides its own limits."""
        first = procfs.held(self.pidfd)
        return confines.read(self.cgroup, proc, root, first=first, home=self.home)


def start(
    stack: ExitStack,
    spec: Container,
    plan: TrialPlan,
    engine: Engine,
    birth: Birth,
    ipc: str | None = None,
) -> Running:
    """Start one built-in workload and find its cgroup; `stack` takes everything down again.

    Raises TrialError when it ends at once, DockerUnavailable where its process is not this host's.
    """
    workload = load(spec.workload)
    path = birth.scratch / spec.role
    argv, probe = _command(stack, spec, workload, path, birth)
    stack.enter_context(beating(path))
    settings = born_with(spec, plan)
    wanted = ContainerSpec(
        name=f"{birth.name}-{spec.role}",
        image=birth.image,
        argv=argv,
        run=birth.run,
        options=settings,
        memory=spec.memory,
        pids=spec.pids,
        deadline_s=birth.deadline_s,
        probe=path,
        owner=str(ownership.this_process()),
        scratch=workload.needs("scratch"),
        device=birth.device.path if birth.device and workload.needs("device") else None,
        parent=birth.parent if spec.group else None,
        ipc=ipc,
    )
    # Interrupted in between, a container might be there whose id nobody knows.
    with undisturbed():
        container_id = stack.enter_context(engine.container(wanted))
    pidfd, cgroup, home = held(stack, spec.role, container_id, engine, birth)
    device = None if wanted.device is None or birth.device is None else birth.device.number
    return Running(
        spec, workload, container_id, pidfd, cgroup, probe, settings, home=home, device=device,
    )  # fmt: skip


def born_with(spec: Container, plan: TrialPlan) -> dict[str, Value]:
    """Return the options that a container of a trial is born with."""
    first = plan.steps[0]
    at_birth = first.settings if first.via == "run" and first.role == spec.role else {}
    return {**spec.options, **at_birth}


def _command(
    stack: ExitStack, spec: Container, workload: Workload, path: Path, birth: Birth
) -> tuple[Sequence[str], ProbeFile | None]:
    """Return the command of a container, and its probe's file at `path` if it is a probe's."""
    argv = workload.argv(
        Placeholders(
            spec.workers,
            probe=PROBE_PATH,
            device=None if birth.device is None else str(birth.device.path),
            scratch=f"{SCRATCH_PATH}/cache",
            shared=f"{SHARED_PATH}/cache",
        )
    )
    if workload.probe is None:
        return followed(path, PROBE_PATH, argv), None
    task = Task(workload.probe, spec.size, spec.count, spec.pace, workload.spread, workload.waits)
    file = ProbeFile(path, spec.workers, birth.deadline_s, CONTAINER_USER, task)
    return argv, stack.enter_context(file)


def held(
    stack: ExitStack, role: str, container_id: str, engine: Engine, birth: Birth
) -> tuple[int, cgroups.Cgroup, Mapping[str, str]]:
    """Return a descriptor of a container's first process, its cgroup, and that in each hierarchy.

    Raises TrialError when it has ended, DockerUnavailable where it is not this host's.
    """
    state = engine.state(container_id)
    if state is None or not state.running:
        raise TrialError(why_ended(engine, role, container_id))
    try:
        pidfd = os.pidfd_open(state.pid)
        stack.callback(os.close, pidfd)
        # With the process held by its descriptor, its number is no other's meanwhile.
        own = own_process.is_own(state.pid, container_id, birth.proc)
        cgroup = cgroups.find(state.pid, birth.proc, birth.root)
        home = cgroups.home(state.pid, birth.proc)
    except (OSError, CgroupError) as error:
        raise TrialError(f"{why_ended(engine, role, container_id)} ({error})") from error
    if not own:
        if ended(pidfd, 0) or engine.state(container_id) != state:
            raise TrialError(why_ended(engine, role, container_id))
        raise own_process.foreign(state.pid, container_id)
    return pidfd, cgroup, home


def kill(containers: Sequence[Running]) -> None:
    """Kill the first process of every container, and with it all others, without waiting."""
    for container in containers:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(container.pidfd, signal.SIGKILL)


def await_probes(engine: Engine, running: Sequence[Running]) -> None:
    """Wait until every probe works. Raises TrialError when one does not begin in time."""
    limit = time.monotonic() + _READY_TIMEOUT_S
    for container in running:
        while container.probe is not None and not container.probe.running():
            if ended(container.pidfd, 0.005):
                raise TrialError(why_ended(engine, container.spec.role, container.container_id))
            if time.monotonic() > limit:
                why = container.probe.why_not_running()
                raise TrialError(
                    f"the probe of {container.spec.role} did not begin within "
                    f"{_READY_TIMEOUT_S:g} s{f': {why}' if why else ''}"
                )


def release(running: Sequence[Running]) -> None:
    """Let what waits for it begin to count down to its end: a change has been answered.

    Raises ProbeError where a probe's file cannot be written.
    """
    for container in running:
        if container.probe is not None:
            container.probe.release()


def _changed(role: str, plan: TrialPlan) -> list[str]:
    """Return the options of a container that a trial changes."""
    return [name for step in plan.steps if step.role == role for name in step.settings]


def targets(container: Running, plan: TrialPlan) -> Iterator[Target]:
    """Yield the files to sample: counters, the options under change, and the slow ones."""
    role, cgroup = container.spec.role, container.cgroup
    seen: set[Path] = set()
    changed = _changed(role, plan)
    controllers = {option(name).controller for name in changed}
    for path in interface_paths(cgroup, dict.fromkeys(changed, 0)):
        seen.add(path)
        yield Target(role, path, text=True)
    for counter in cgroup.counters():
        path = cgroup.path(counter.controller, counter.file)
        if path not in seen:
            seen.add(path)
            yield Target(role, path, slow=not counter.fast(controllers))
    if "cpuset" in controllers and _seen_running(container):
        for pid in cgroup.processes():
            yield Target(role, Path(f"/proc/{pid}/{counters.PROCESS_STAT}"))
    if "cpuset-mems" in changed and (nodes := cgroup.node_stat()) is not None:
        seen.add(nodes[0])
        yield Target(role, nodes[0])
    for path in cgroup.slow_files():
        if path not in seen:
            seen.add(path)
            yield Target(role, path, slow=True)


def _seen_running(container: Running) -> bool:
    """Say whether its processes must show which CPUs are used, since no counter does.

    Only those of a workload that neither sleeps nor begins and ends processes can.
    """
    counted = any(one.name == counters.USAGE_PER_CPU for one in container.cgroup.counters())
    return container.workload.probe == "spin" and not counted


def describe(container: Running, plan: TrialPlan) -> ContainerRecord:
    """Return what the trial's record says of a container."""
    more = {}
    if _seen_running(container):
        more[counters.RUNNING_ON] = Source(column=counters.RUNNING_ON_COLUMN, scale=1)
    moves = "cpuset-mems" in _changed(container.spec.role, plan)
    if moves and (nodes := container.cgroup.node_stat()) is not None:
        more[counters.ANON_PER_NODE] = Source(column=counters.ANON_PER_NODE_COLUMN, scale=nodes[1])
    task = None if container.probe is None else container.probe.task
    asks = task if task is not None and task.kind == "request" else None
    return ContainerRecord(
        role=container.spec.role,
        container_id=container.container_id,
        workload=container.workload.name,
        workers=container.spec.workers,
        probe=None if task is None else task.kind,
        moves=container.workload.moves,
        block=container.workload.block,
        depth=container.workload.depth,
        pace_ns=None if asks is None else asks.pace,
        timeout_ns=None if asks is None else asks.timeout_ns,
        sources={
            counter.name: Source(column=counter.column_of(container.device), scale=counter.scale)
            for counter in container.cgroup.counters()
        }
        | more,
        confines=container.confines(),
        warm_bytes=container.warm,
    )


def interface_paths(cgroup: cgroups.Cgroup, settings: Settings) -> dict[Path, Interface]:
    """Return all interface files of the given options that this kernel has."""
    found: dict[Path, Interface] = {}
    for name in settings:
        with contextlib.suppress(CgroupError):
            for interface in option(name).kept_in(cgroup):
                path = cgroup.path(interface.controller, interface.file)
                if path.exists():
                    found[path] = interface
    return found


def text(path: Path) -> str | None:
    """Return what `cat` would print, None if nothing can be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def ended(pidfd: int, wait_s: float) -> bool:
    """Say whether a process has ended, or does so within a time."""
    return bool(select.select([pidfd], [], [], wait_s)[0])


def why_ended(engine: Engine, role: str, container_id: str) -> str:
    """Say why a container ended, as `docker inspect` reports it."""
    removed = f"the container of {role} was removed from outside"
    # The daemon learns of the end a little later than we do.
    for _attempt in range(100):
        state = engine.state(container_id)
        if state is None:
            return removed
        if not state.running:
            break
        time.sleep(0.02)
    else:
        return f"the container of {role} ended, and Docker has not noticed"
    if state.exit_code == 137 and not state.oom_killed:
        # `docker rm -f` kills first and removes then.
        time.sleep(0.3)
        if engine.state(container_id) is None:
            return removed
    if state.oom_killed:
        return f"the container of {role} was OOM-killed (exit status {state.exit_code})"
    said = engine.logs(container_id).splitlines()
    last = f": {said[-1]}" if said else ""
    if state.exit_code == 137:
        return (
            f"the container of {role} was killed, or reached its deadline (exit status 137){last}"
        )
    return f"the container of {role} ended by itself (exit status {state.exit_code}){last}"


def snapshot(container: Running) -> Snapshot:
    """Read a container's counters now and compare them with those of the last call."""
    now = Counted(time.monotonic_ns(), counts.counters(container.cgroup))
    before, container.last = container.last, now
    throttled, periods = now.grown("throttled_periods", before), now.grown("periods", before)
    used = now.grown("usage_ns", before)
    return Snapshot(
        container.spec.role,
        None if used is None or before is None else used / max(1, now.t_ns - before.t_ns),
        100 * throttled / periods if throttled is not None and periods else None,
        now.values.get("memory_bytes"),
    )
