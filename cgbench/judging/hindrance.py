"""What holds a running container back: a quota, a memory limit, tasks, of whichever level."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.judging import kills
from cgbench.records.cause import Cause, Level, Traces, UserTasks, What
from cgbench.units import format_size
from cgbench.wording import count, whole_percent

# Less of it than this is a burst that hardly anybody feels.
_LEAST_THROTTLED_PCT = 1.0


def hindrances(traces: Traces) -> Iterator[Cause]:
    """Yield what holds a running container back, or took a process of it."""
    past = traces.past
    if past.status == "paused":
        yield Cause(
            what=What.FROZEN, limit=None, level="none",
            reason="it is paused: nothing of it runs until docker unpause",
            evidence=("docker inspect: State.Status paused",),
        )  # fmt: skip
    life = kills.of_life(traces, past.started or 0.0, float("inf"))
    if life:
        yield kills.child(life, past.id)
    elif traces.groups and traces.groups[0].values.get("oom_kills", 0) > 0:
        yield kills.child_by_counters(traces.groups)
    yield from _waiting(traces)
    yield from _throttled(traces)
    yield from _reclaimed(traces)
    yield from _refused_forks(traces)


def _throttled(traces: Traces) -> Iterator[Cause]:
    """Yield every level whose quota held its processes back: of late, or else since its start."""
    for at, group in enumerate(traces.groups):
        lately = _grown(traces, at, "periods", "throttled_periods")
        whole = (group.values.get("periods", 0), group.values.get("throttled_periods", 0))
        periods, stood = lately if lately is not None and lately[0] else whole
        if not periods or 100 * stood / periods < _LEAST_THROTTLED_PCT:
            continue
        when = (
            f"over the last {traces.seconds:g} s" if lately is not None and lately[0] else "so far"
        )
        yield Cause(
            what=What.THROTTLED, limit="cpus", level="ancestor" if at else "container",
            path=group.path,
            reason=f"its quota{'' if at == 0 else ' above it'} was used up in {stood} of {periods} "
            f"periods {when} ({whole_percent(100 * stood / periods)})",
            evidence=(kills.counted(group, "periods", "throttled_periods", "throttled_ns"),),
        )  # fmt: skip


def _waiting(traces: Traces) -> Iterator[Cause]:
    """Yield every level whose memory limit is reached, and where nobody is killed for it (v1)."""
    for at, group in enumerate(traces.groups):
        if group.values.get("under_oom"):
            yield Cause(
                what=What.WAITING, limit="memory", level="ancestor" if at else "container",
                path=group.path,
                reason=f"the memory limit of {'a group above it' if at else 'its own'} is reached, "
                "and the OOM killer is switched off there (--oom-kill-disable): what asks for "
                "memory waits until some is freed or the limit is raised",
                evidence=(kills.counted(group, "under_oom", "memory_bytes", "memory_max"),),
            )  # fmt: skip


def _reclaimed(traces: Traces) -> Iterator[Cause]:
    """Yield every level whose memory limit was reached; where the kernel does not count that, by
    the most that was used, and by pages that had to come back.
    """
    for at, group in enumerate(traces.groups):
        values = group.values
        hits, back = values.get("limit_hits", 0), values.get("refaults", 0)
        most = values.get("memory_max")
        at_limit = most is not None and values.get("memory_peak", 0) >= most
        grown = _grown(traces, at, "limit_hits" if hits else "refaults")
        lately = grown[0] if grown is not None else 0
        # A few came back after a kill, and mean nothing now.
        if not hits and not (at_limit and lately):
            continue
        when = f"over the last {traces.seconds:g} s" if lately else "so far"
        number = lately or hits or back
        whose = "a group above it" if at else "its own"
        held = values.get("memory_bytes")
        size = (
            f" ({format_size(held)} of {format_size(most)} used)"
            if held is not None and most is not None
            else ""
        )
        # Far below its limit nothing is taken now: somebody was killed, or let go of it.
        full = held is None or most is None or 2 * held >= most
        takes = "takes pages from it" if full else "took pages from it, or killed"
        said = (
            f"was reached {count(number, 'time')} {when}{size}: the kernel {takes}"
            if hits
            else f"has been reached{size}, and {count(number, 'page')} that the kernel took came "
            f"back {when}"
        )
        yield Cause(
            what=What.RECLAIMED, limit="memory", level="ancestor" if at else "container",
            path=group.path, reason=f"the memory limit of {whose} {said}",
            evidence=(
                kills.counted(group, "limit_hits", "memory_bytes", "memory_peak", "memory_max",
                         "refaults", "major_faults"),
            ),
        )  # fmt: skip


def _refused_forks(traces: Traces) -> Iterator[Cause]:
    groups = traces.groups
    refused = groups[0].values.get("refused_forks", 0) if groups else 0
    full = [
        at for at, one in enumerate(groups)
        if "tasks_max" in one.values and one.values.get("tasks", 0) >= one.values["tasks_max"]
    ]  # fmt: skip
    limited = [at for at, one in enumerate(groups) if "tasks_max" in one.values]
    users = [one for one in traces.users if not one.exempt and one.tasks >= one.limit]
    if refused or full:
        known = full or (limited if len(limited) == 1 else [])
        at = known[0] if known else None
        level: Level = "none" if at is None else "ancestor" if at else "container"
        which = "which of several limits that was is not known any more"
        if at is not None:
            one = groups[at].values
            which = (
                f"{one.get('tasks', 0)} of {one['tasks_max']} tasks of "
                f"{'a group above it' if at else 'its own'} are there"
            )
        yield Cause(
            what=What.FORK_REFUSED, limit="pids", level=level,
            path=None if at is None else groups[at].path,
            reason=f"{count(refused, 'fork was', 'forks were') if refused else 'no fork was'} "
            f"refused so far; {which}",
            evidence=tuple(
                kills.counted(one, "refused_forks", "tasks", "tasks_max") for one in groups
                if "tasks_max" in one.values or one is groups[0]
            ),
            sure=at is not None,
        )  # fmt: skip
    for user in users:
        yield _of_user(user)


def _of_user(user: UserTasks) -> Cause:
    others = user.tasks - user.inside
    return Cause(
        what=What.FORK_REFUSED, limit="processes-of-user", level="user",
        reason=f"RLIMIT_NPROC allows {count(user.limit, 'task')} of user {user.uid} on the whole "
        f"host, and there are {user.tasks}: {user.inside} in it, {others} elsewhere",
        evidence=(f"/proc/{user.pid}/limits: Max processes {user.limit}",),
    )  # fmt: skip


def _grown(traces: Traces, at: int, *names: str) -> tuple[int, ...] | None:
    """Return how much counters of a level grew between two looks; None where one is not known."""
    if at >= len(traces.before) or traces.before[at].path != traces.groups[at].path:
        return None
    before, now = traces.before[at].values, traces.groups[at].values
    grown = [now[name] - before[name] for name in names if name in before and name in now]
    return tuple(grown) if len(grown) == len(names) and min(grown) >= 0 else None
