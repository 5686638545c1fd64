"""Kills for want of memory: whose they were, and whose limit was reached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from cgbench.records.cause import Cause, Counts, Level, OomKill, Traces, What
from cgbench.spec.group_name import own_group
from cgbench.wording import count

NEAR_S = 2.0
"""So far apart at most are a kill and the end of a container that it ended."""

Limited = Literal["memory", "memory-nodes"]


def of_life(traces: Traces, begin: float, end: float) -> list[OomKill]:
    """Return the kills in one life of a container, whose start Docker notes a little late.

    What was before the end of the life before belongs to that one.
    """
    died = [one.at for one in traces.events or () if one.action == "die" and one.at <= begin]
    since = max([begin - NEAR_S, *died])
    started = [one.at for one in traces.events or () if one.action == "start" and one.at > end]
    until = min([end + NEAR_S, *started])
    return [
        one
        for one in traces.kills or ()
        if since <= one.at <= until and is_its(one, traces.past.id)
    ]


def is_its(kill: OomKill, container_id: str) -> bool:
    """Say whether a kill was in a container's own group, or one inside it."""
    return kill.group is not None and own_group(kill.group, container_id) is not None


def whose(kill: OomKill, container_id: str) -> tuple[Level, Limited, str | None, str]:
    """Return whose limit a kill was for: the level, what ran out, the group, and words."""
    own = own_group(kill.group or "", container_id)
    if kill.out is None:
        if kill.constraint == "CONSTRAINT_CPUSET":
            return "container", "memory-nodes", None, "the memory nodes it may use were full"
        if kill.constraint == "CONSTRAINT_MEMORY_POLICY":
            return "inside", "memory-nodes", None, "the memory nodes of its own policy were full"
        return "host", "memory", None, "the host's memory was full, whatever its own limits are"
    if kill.out == own:
        return "container", "memory", kill.out, "its own memory limit was reached"
    if own is not None and kill.out.startswith(f"{own}/"):
        return "inside", "memory", kill.out, "the memory limit of a group inside it was reached"
    return (
        "ancestor", "memory", kill.out,
        f"the memory limit of {kill.out} above it was reached, and not its own",
    )  # fmt: skip


def task(kill: OomKill) -> str:
    """Return what was killed, in words."""
    return f"{kill.task} (process {kill.pid} of the host)"


def line(kill: OomKill) -> str:
    """Return what the kernel's log says of a kill, as a reader finds it."""
    where = f"oom_memcg={kill.out}" if kill.out is not None else kill.constraint
    return f"dmesg: {when(kill.at)} {where} task_memcg={kill.group} pid={kill.pid}"


def child(kills: Sequence[OomKill], container_id: str) -> Cause:
    """Return that processes of a container were killed, which went on."""
    level, limit, path, words = whose(kills[-1], container_id)
    number = count(len(kills), "process", "processes")
    return Cause(
        what=What.CHILD_KILLED, limit=limit, level=level, path=path, at=when(kills[-1].at),
        reason=f"{words}: the kernel killed {number} of it, the last one {task(kills[-1])}, and "
        "it went on",
        evidence=tuple(line(one) for one in kills[-3:]),
        sure=kills[-1].group is not None,
    )  # fmt: skip


def maybe_the_end(kills: Sequence[OomKill], container_id: str) -> Cause:
    """Return the last of some kills, where nobody remembers whether the container went on."""
    level, limit, path, words = whose(kills[-1], container_id)
    return Cause(
        what=What.KILLED, limit=limit, level=level, path=path, at=when(kills[-1].at),
        reason=f"{words}: the kernel killed {task(kills[-1])} of it, and nobody remembers whether "
        "it went on",
        evidence=tuple(line(one) for one in kills[-3:]),
        sure=False,
    )  # fmt: skip


def child_by_counters(groups: Sequence[Counts]) -> Cause:
    """Return that processes were killed, where only counters say so; a level that is sure is one
    that has counted it.
    """
    number = groups[0].values["oom_kills"]
    out = [at for at, one in enumerate(groups) if one.values.get("out_of_memory", 0) > 0]
    hit = [at for at, one in enumerate(groups) if one.values.get("limit_hits", 0) > 0]
    at = next(iter(out or hit), None)
    where = groups[at] if at is not None else None
    level: Level = "none" if at is None else "ancestor" if at else "container"
    whose = "whose limit was reached is not known any more" if where is None else (
        f"the memory limit of {'the group above it' if at else 'its own'} was reached"
    )  # fmt: skip
    return Cause(
        what=What.CHILD_KILLED, limit="memory", level=level,
        path=None if where is None else where.path,
        reason=f"the kernel killed {count(number, 'process', 'processes')} of it for want of "
        f"memory; {whose}",
        evidence=tuple(counted(one, "oom_kills", "out_of_memory", "limit_hits") for one in groups),
        sure=len(out) == 1,
    )  # fmt: skip


def when(at: float) -> str:
    """Return a time of UNIX as text, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="milliseconds")[:23]


def counted(group: Counts, *names: str) -> str:
    """Return what a group has counted, with its path."""
    said = ", ".join(f"{name} {group.values[name]}" for name in names if name in group.values)
    return f"{group.path}: {said or 'nothing is counted'}"
