"""Why a container ended, stalls or is refused something: which limit of which level, or none.

Judged from what was read; what cannot be told apart is said to be a guess, and what is not known
any more is named.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cgbench.errors import UnitError
from cgbench.records.cause import (
    Cause,
    Counts,
    DockerEvent,
    Explained,
    Level,
    OomKill,
    Past,
    Traces,
    UserTasks,
    What,
)
from cgbench.records.watch import Mark
from cgbench.spec.group_name import own_group
from cgbench.units import NS_PER_S, format_size, parse_duration
from cgbench.wording import count

NEAR_S = 2.0
"""So far apart at most are a kill and the end of a container that it ended."""

# Docker notes a start when it hears of it.
_NOTED_LATE_S = 0.5
_ENDED = ("exited", "dead", "restarting")
_RUNS = ("running", "paused")
# What a shell's status is made of when a signal ended its command.
_BY_SIGNAL = 128
_CANNOT_START = (126, 127, 128)
_TIMED_OUT = (124, 137)
# Less of it than this is a burst that hardly anybody feels.
_LEAST_THROTTLED_PCT = 1.0

Limited = Literal["cpus", "memory", "memory-nodes", "pids", "processes-of-user"]


def explain(traces: Traces) -> Explained:
    """Return what is known of one container: its causes, the decisive one first."""
    past, unknown = traces.past, list(_unread(traces))
    causes: list[Cause] = []
    if past.status == "created":
        causes += [_never(past)] if past.error else []
    elif past.status in _ENDED:
        end = _End.of(past, traces)
        causes += end.causes()
        unknown += end.unknown()
    elif past.status in _RUNS:
        causes += _now(traces)
        before = _before(traces)
        if before is not None:
            causes += before.causes()
    elif past.status == "removed":
        causes += _removed(traces)
    return Explained(
        id=past.id, name=past.name, state=past.status, causes=tuple(causes),
        unknown=tuple(dict.fromkeys(unknown)),
    )  # fmt: skip


def with_kept(found: Explained, marks: Sequence[Mark], since: float = 0.0) -> Explained:
    """Return it with what was known of its end at that moment, where that is not sure any more.

    `marks` are those that `cgbench watch` kept, the oldest first; what is older than `since`, in
    seconds of UNIX time, is of an earlier life.
    """
    kept = [
        one
        for one in marks
        if one.id == found.id and one.cause is not None and _at(one) >= since - NEAR_S
    ]
    if not kept or (found.causes and found.causes[0].sure):
        return found
    mark = kept[-1]
    assert mark.cause is not None
    said = f"cgbench watch: {mark.at} {mark.kind}"
    cause = mark.cause.model_copy(update={"evidence": (*mark.cause.evidence, said)})
    return found.model_copy(update={"causes": (cause, *found.causes)})


def _at(mark: Mark) -> float:
    """Return when a mark was made, in seconds of UNIX time; 0 where it does not say."""
    try:
        return datetime.fromisoformat(mark.at).timestamp()
    except ValueError:
        return 0.0


def _unread(traces: Traces) -> Iterator[str]:
    if traces.kills is None:
        yield "the kernel's log may not be read here: run it as root"
    if traces.events is None:
        yield "Docker told nothing of its events"


def _never(past: Past) -> Cause:
    return Cause(
        what=What.NEVER_STARTED, limit=None, level="none",
        reason=f"it never ran: {past.error}",
        evidence=(f"docker inspect: State.Error {past.error}",),
    )  # fmt: skip


# How it ended


@dataclass(frozen=True)
class _End:
    """One life that is over, and what is known of its end.

    `anybodys` says that the log has a kill of that moment which does not say whose.
    """

    past: Past
    kills: Sequence[OomKill]
    events: Sequence[DockerEvent]
    log_reaches: bool
    events_reach: bool
    anybodys: bool = False

    @classmethod
    def of(cls, past: Past, traces: Traces) -> _End:
        """Gather what belongs to the last life of a container that has ended."""
        begin = past.started or 0.0
        end = past.finished or begin
        kills = _of_life(traces, begin, end)
        events = [one for one in traces.events or () if begin <= one.at <= end + NEAR_S]
        reaches = traces.log_since is not None and traces.log_since <= end - NEAR_S
        # The daemon remembers so many events; whether these are among them its end shows.
        died = any(one.action == "die" for one in events)
        anybodys = any(
            one.group is None and abs(end - one.at) < NEAR_S for one in traces.kills or ()
        )
        return cls(past, kills, events, reaches and traces.kills is not None, died, anybodys)

    @property
    def _ended(self) -> float:
        return self.past.finished or self.past.started or 0.0

    def causes(self) -> list[Cause]:
        """Return why it ended, the decisive cause first."""
        past = self.past
        if past.error and past.exit_code in _CANNOT_START:
            return [_never(past)]
        near = [one for one in self.kills if self._ended - one.at < NEAR_S]
        early = [one for one in self.kills if one not in near]
        children = [_child(early, past.id)] if early else []
        asked = self._asked(after=near[-1].at if near else 0.0)
        if asked is not None:
            return [asked, *([_child(near, past.id)] if near else []), *children]
        if near:
            return [self._killed(near[-1]), *children]
        if past.exit_code == _BY_SIGNAL + signal.SIGKILL and self._docker_saw_oom():
            return [self._killed_somewhere(), *children]
        deadline = self._deadline()
        return [deadline if deadline is not None else self._by_itself(), *children]

    def unknown(self) -> Iterator[str]:
        """Yield what is not known any more of this life."""
        if not self.log_reaches:
            yield "the kernel's log of that time is not there any more"
        if self.anybodys:
            yield "the kernel's log has a kill of that moment and does not say of which container"
        if not self.events_reach:
            yield "Docker has forgotten its events of that time"

    def _status(self) -> str:
        return f"docker inspect: State.ExitCode {self.past.exit_code}"

    def _killed(self, kill: OomKill) -> Cause:
        """Return the cause of an end at the moment of a kill."""
        level, limit, path, whose = _whose(kill, self.past.id)
        killed = self.past.exit_code == _BY_SIGNAL + signal.SIGKILL
        ended = (
            "and it ended with that"
            if killed
            else f"and it ended with status {self.past.exit_code} right after"
        )
        return Cause(
            what=What.KILLED if killed else What.CHILD_KILLED,
            limit=limit, level=level, path=path, at=_when(kill.at),
            reason=f"{whose}: the kernel killed {_task(kill)}, {ended}",
            evidence=(_line(kill), self._status()),
            # A program may end for reasons of its own in the same moment.
            sure=killed and kill.group is not None,
        )  # fmt: skip

    def _docker_saw_oom(self) -> bool:
        return self.past.oom_killed or any(one.action == "oom" for one in self.events)

    def _killed_somewhere(self) -> Cause:
        return Cause(
            what=What.KILLED, limit="memory", level="none", at=_when(self._ended),
            reason="Docker says that the kernel killed it for want of memory; whose limit was "
            "reached only the kernel's log says, which names no kill of that moment",
            evidence=("docker inspect: State.OOMKilled true", self._status()),
            sure=False,
        )  # fmt: skip

    def _asked(self, after: float) -> Cause | None:
        """Return that somebody asked Docker to end it, None where nobody did."""
        stops = [one for one in self.events if one.action in ("stop", "restart")]
        kills = [
            one for one in self.events
            if one.action == "kill" and after <= one.at <= self._ended + NEAR_S
        ]  # fmt: skip
        last = kills[-1] if kills else None
        if last is None:
            return None
        number = _signal(last)
        ends_it = number == self.past.exit_code - _BY_SIGNAL and self._ended - last.at < NEAR_S
        if not stops and not ends_it:
            return None
        said = "to stop it" if stops else f"to send it {_name(number)}"
        return Cause(
            what=What.ASKED, limit=None, level="none", at=_when(last.at),
            reason=f"somebody asked Docker {said}; no limit ended it",
            evidence=(
                *(f"docker events: {_when(one.at)} kill, signal {one.attributes.get('signal')}"
                  for one in kills),
                self._status(),
            ),
        )  # fmt: skip

    def _deadline(self) -> Cause | None:
        """Return that its own command is one that ends after a time, and did."""
        words = self.past.command
        if not words or words[0].rpartition("/")[2] != "timeout" or self.past.started is None:
            return None
        given = [_seconds(word) for word in words[1:] if not word.startswith("-")]
        lived = self._ended - self.past.started
        limit = next((one for one in given if one is not None), None)
        due = limit is not None and lived >= limit - _NOTED_LATE_S
        if limit is None or not due or self.past.exit_code not in _TIMED_OUT:
            return None
        return Cause(
            what=What.DEADLINE, limit=None, level="none", at=_when(self._ended),
            reason=f"its own command, timeout, ends it after {limit:g} s, and it ran for "
            f"{lived:.0f} s; no limit ended it",
            evidence=(f"docker inspect: Path and Args {' '.join(words[:6])}", self._status()),
        )  # fmt: skip

    def _by_itself(self) -> Cause:
        past, at = self.past, _when(self._ended)
        nobody = (
            "the kernel's log covers that moment and names no kill of it"
            if self.log_reaches and not self.anybodys
            else "docker inspect: State.OOMKilled false"
        )
        if past.exit_code - _BY_SIGNAL in set(signal.Signals):
            name = _name(past.exit_code - _BY_SIGNAL)
            return Cause(
                what=What.SIGNAL, limit=None, level="none", at=at,
                reason=f"it ended with status {past.exit_code}: a {name} that did not come through "
                "Docker, or its program's own word; no limit ended it",
                evidence=(self._status(), nobody),
                # What ended it may be what nobody remembers.
                sure=self.log_reaches and self.events_reach and not self.anybodys,
            )  # fmt: skip
        again = (
            f"; its policy {past.policy} had started it again {count(past.restarts, 'time')}"
            if past.restarts
            else ""
        )
        return Cause(
            what=What.EXIT, limit=None, level="none", at=at,
            reason=f"it ended by itself with status {past.exit_code}; no limit ended it{again}",
            evidence=(self._status(), nobody),
        )  # fmt: skip


def _before(traces: Traces) -> _End | None:
    """Return the life before the one that lasts, None where it is the first, or is forgotten."""
    past, events = traces.past, traces.events or ()
    died = [
        one for one in events
        if one.action == "die" and past.started is not None and one.at <= past.started
    ]  # fmt: skip
    if not died:
        return None
    code = died[-1].attributes.get("exitCode", "")
    starts = [one.at for one in events if one.action == "start" and one.at < died[-1].at]
    last = past.model_copy(
        update={
            "status": "exited",
            "started": starts[-1] if starts else None,
            "finished": died[-1].at,
            "exit_code": int(code) if code.isdecimal() else 0,
            "oom_killed": False,
            "error": "",
        }
    )
    return _End.of(last, traces)


def _removed(traces: Traces) -> Iterator[Cause]:
    """Yield why a container ended that is not there any more, from what is remembered of it."""
    events = traces.events or ()
    died = [one for one in events if one.action == "die"]
    if died:
        code = died[-1].attributes.get("exitCode", "")
        starts = [one.at for one in events if one.action == "start" and one.at < died[-1].at]
        last = traces.past.model_copy(
            update={
                "started": starts[-1] if starts else None,
                "finished": died[-1].at,
                "exit_code": int(code) if code.isdecimal() else 0,
            }
        )
        yield from _End.of(last, traces).causes()
    yield Cause(
        what=What.REMOVED, limit=None, level="none",
        at=_when(events[-1].at) if events else None,
        reason="it was removed, and Docker knows nothing of it but its events",
        evidence=tuple(
            f"docker events: {_when(one.at)} {one.action}" for one in events[-3:]
        ),
    )  # fmt: skip


# What holds it back now


def _now(traces: Traces) -> Iterator[Cause]:
    past = traces.past
    if past.status == "paused":
        yield Cause(
            what=What.FROZEN, limit=None, level="none",
            reason="it is paused: nothing of it runs until docker unpause",
            evidence=("docker inspect: State.Status paused",),
        )  # fmt: skip
    life = _of_life(traces, past.started or 0.0, float("inf"))
    if life:
        yield _child(life, past.id)
    elif traces.groups and traces.groups[0].values.get("oom_kills", 0) > 0:
        yield _child_by_counters(traces.groups)
    yield from _throttled(traces)
    yield from _reclaimed(traces)
    yield from _refused_forks(traces)


def _child(kills: Sequence[OomKill], container_id: str) -> Cause:
    level, limit, path, whose = _whose(kills[-1], container_id)
    number = count(len(kills), "process", "processes")
    return Cause(
        what=What.CHILD_KILLED, limit=limit, level=level, path=path, at=_when(kills[-1].at),
        reason=f"{whose}: the kernel killed {number} of it, the last one {_task(kills[-1])}, and "
        "it went on",
        evidence=tuple(_line(one) for one in kills[-3:]),
        sure=kills[-1].group is not None,
    )  # fmt: skip


def _child_by_counters(groups: Sequence[Counts]) -> Cause:
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
        evidence=tuple(_counted(one, "oom_kills", "out_of_memory", "limit_hits") for one in groups),
        sure=len(out) == 1,
    )  # fmt: skip


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
            f"periods {when} ({100 * stood / periods:.0f} %)",
            evidence=(_counted(group, "periods", "throttled_periods", "throttled_ns"),),
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
        said = (
            f"was reached {count(number, 'time')} {when}{size}: the kernel takes pages from it"
            if hits
            else f"has been reached{size}, and {count(number, 'page')} that the kernel took came "
            f"back {when}"
        )
        yield Cause(
            what=What.RECLAIMED, limit="memory", level="ancestor" if at else "container",
            path=group.path, reason=f"the memory limit of {whose} {said}",
            evidence=(
                _counted(group, "limit_hits", "memory_bytes", "memory_peak", "memory_max",
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
                _counted(one, "refused_forks", "tasks", "tasks_max") for one in groups
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


# Kills


def _of_life(traces: Traces, begin: float, end: float) -> list[OomKill]:
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
        if since <= one.at <= until and _is_its(one, traces.past.id)
    ]


def _is_its(kill: OomKill, container_id: str) -> bool:
    return kill.group is not None and own_group(kill.group, container_id) is not None


def _whose(kill: OomKill, container_id: str) -> tuple[Level, Limited, str | None, str]:
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


def _task(kill: OomKill) -> str:
    return f"{kill.task} (process {kill.pid} of the host)"


def _line(kill: OomKill) -> str:
    where = f"oom_memcg={kill.out}" if kill.out is not None else kill.constraint
    return f"dmesg: {_when(kill.at)} {where} task_memcg={kill.group} pid={kill.pid}"


# Words


def _counted(group: Counts, *names: str) -> str:
    said = ", ".join(f"{name} {group.values[name]}" for name in names if name in group.values)
    return f"{group.path}: {said or 'nothing is counted'}"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="milliseconds")[:23]


def _signal(event: DockerEvent) -> int:
    word = event.attributes.get("signal", "")
    if word.isdecimal():
        return int(word)
    found = [
        one for one in signal.Signals if one.name.removeprefix("SIG") == word.removeprefix("SIG")
    ]
    return int(found[0]) if found else 0


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _seconds(word: str) -> float | None:
    """Return a time as timeout(1) takes it, in seconds; None where a word is none."""
    if re.fullmatch(r"[0-9]*\.?[0-9]+", word):
        return float(word)
    try:
        return parse_duration(word) / NS_PER_S
    except UnitError:
        return None
