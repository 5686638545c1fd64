"""What is known of one container that ended, stalls or is refused something; nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.commands.chosen import Wanted, chosen
from cgbench.engine.engine import Engine
from cgbench.errors import CgroupError, EngineError
from cgbench.host import container_group, counts, kernel_log, procfs
from cgbench.judging.cause import explain, with_kept
from cgbench.measuring import own_process
from cgbench.records.cause import Counts, DockerEvent, Explained, OomKill, Past, Traces, UserTasks
from cgbench.records.watch import Mark


@dataclass(frozen=True)
class Sources:
    """Where the kernel is read: other ones hold captured files.

    `log_begin` is when the clock of such a log began, in seconds of UNIX time.
    """

    proc: Path = procfs.PROC
    root: Path = Path("/")
    log: Path = kernel_log.KMSG
    log_begin: float | None = None


def why(
    name: str,
    engine: Engine,
    for_s: float = 1.0,
    sources: Sources | None = None,
    sleep: Callable[[float], None] = time.sleep,
    marks: Sequence[Mark] = (),
) -> Explained:
    """Return why a container ended, or what holds it back; one that runs is looked at twice.

    `name` may be that of a container which was removed, as long as Docker remembers its events, or
    `marks` that `cgbench watch` kept have it. Raises EngineError where nobody knows it, or the name
    fits several.
    """
    try:
        found, since = _explained(name, engine, for_s, sources or Sources(), sleep)
    except EngineError:
        known = {one.id: one.name for one in marks if name in (one.name, one.id)}
        if len(known) != 1:
            raise
        ((container_id, called),) = known.items()
        since = 0.0
        found = Explained(
            id=container_id, name=called, state="removed", causes=(),
            unknown=("Docker does not know it any more",),
        )  # fmt: skip
    return with_kept(found, marks, since)


def _explained(
    name: str, engine: Engine, for_s: float, sources: Sources, sleep: Callable[[float], None]
) -> tuple[Explained, float]:
    """Return what is known of a container, and when its last life began or ended."""
    now = time.time()
    past, events = _remembered(name, engine, now)
    log = kernel_log.read(sources.log, sources.log_begin)
    kills: tuple[OomKill, ...] | None = None if log is None else log.kills
    since, refusals = (None, ()) if log is None else (log.since, log.refusals)
    if past.pid <= 0:
        dead = Traces(past=past, kills=kills, log_since=since, events=events, refusals=refusals)
        return explain(dead), past.finished or 0.0
    before: tuple[Counts, ...] = ()
    groups: tuple[Counts, ...] = ()
    users: tuple[UserTasks, ...] = ()
    begin = time.monotonic()
    try:
        group = container_group.find(past.pid, past.id, past.parent, sources.proc, sources.root)
        if group is None:
            raise own_process.foreign(past.pid, past.id)
        levels = list(counts.levels(group.cgroup))
        before = tuple(Counts(path=path, values=counts.counts(one)) for path, one in levels)
        sleep(for_s)
        groups = tuple(Counts(path=path, values=counts.counts(one)) for path, one in levels)
        users = tuple(_users(group.processes(), sources.proc))
    except CgroupError:
        # It ended while it was read: then its end is what is to be explained.
        again = engine.chronicle.past(past.id)
        if again is None or again.pid > 0:
            raise
        past, events = again, engine.chronicle.happened(past.id, past.started or 0.0, time.time())
    traces = Traces(
        past=past, kills=kills, log_since=since, events=events, groups=groups,
        before=before, seconds=round(time.monotonic() - begin, 1), users=users, refusals=refusals,
    )  # fmt: skip
    return explain(traces), past.finished or past.started or 0.0


def _remembered(
    name: str, engine: Engine, now: float
) -> tuple[Past, tuple[DockerEvent, ...] | None]:
    """Return what Docker knows of a container that is there, or of one that was removed."""
    try:
        (listed,) = chosen(Wanted([name], stopped=True), engine)
        past = engine.chronicle.past(listed.container_id)
    except EngineError as unknown:
        events = engine.chronicle.happened(name, 0.0, now)
        if not events:
            raise
        last = events[-1]
        if any(one.container_id != last.container_id for one in events):
            raise unknown from None
        return _gone(last), events
    if past is None:
        raise EngineError(f"{listed.name} was removed while it was read")
    return past, engine.chronicle.happened(past.id, 0.0, now)


def _gone(last: DockerEvent) -> Past:
    name = last.attributes.get("name", last.container_id[:12])
    return Past(id=last.container_id, name=name, status="removed")


def _users(processes: Iterable[int], proc: Path) -> Iterator[UserTasks]:
    """Yield the tasks of every user whose processes, given here, have a limit of their own.

    The kernel counts a user's tasks on the whole host. Of several limits the lowest is told.
    """
    inside = set(processes)
    every = {
        int(folder.name): seen
        for folder in proc.iterdir()
        if folder.name.isdecimal()
        and (seen := procfs.credentials(int(folder.name), proc)) is not None
    }
    limited = [(seen.most_tasks, pid, seen) for pid, seen in every.items()
               if pid in inside and seen.most_tasks is not None]  # fmt: skip
    told: set[int] = set()
    for limit, pid, seen in sorted(limited, key=lambda one: (one[2].exempt, *one[:2])):
        if seen.uid in told:
            continue
        told.add(seen.uid)
        of_user = {pid: one.threads for pid, one in every.items() if one.uid == seen.uid}
        yield UserTasks(
            uid=seen.uid, pid=pid, limit=limit, tasks=sum(of_user.values()),
            inside=sum(number for one, number in of_user.items() if one in inside),
            exempt=seen.exempt,
        )  # fmt: skip
