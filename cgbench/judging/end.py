"""How a container's life came to an end: by a limit of some level, by somebody, or by itself."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cgbench.errors import UnitError
from cgbench.judging import kills, refusals
from cgbench.records.cause import Cause, DockerEvent, ForkRefusal, OomKill, Past, Traces, What
from cgbench.units import NS_PER_S, parse_duration
from cgbench.wording import count

# Docker notes a start when it hears of it.
_NOTED_LATE_S = 0.5
# What a shell's status is made of when a signal ended its command.
_BY_SIGNAL = 128
_CANNOT_START = (126, 127, 128)
_TIMED_OUT = (124, 137)


def never(past: Past) -> Cause:
    """Return the cause of one that Docker could not start."""
    return Cause(
        what=What.NEVER_STARTED, limit=None, level="none",
        reason=f"it never ran: {past.error}",
        evidence=(f"docker inspect: State.Error {past.error}",),
    )  # fmt: skip


@dataclass(frozen=True)
class End:
    """One life that is over, and what is known of its end.

    `anybodys` says that the log has a kill of that moment which does not say whose. `refused` are
    forks.
    """

    past: Past
    killed: Sequence[OomKill]
    events: Sequence[DockerEvent]
    log_reaches: bool
    events_reach: bool
    anybodys: bool = False
    refused: Sequence[ForkRefusal] = ()

    @classmethod
    def of(cls, past: Past, traces: Traces) -> End:
        """Gather what belongs to the last life of a container that has ended."""
        begin = past.started or 0.0
        end = past.finished or begin
        killed = kills.of_life(traces, begin, end)
        events = [one for one in traces.events or () if begin <= one.at <= end + kills.NEAR_S]
        reaches = traces.log_since is not None and traces.log_since <= end - kills.NEAR_S
        # The daemon remembers so many events; whether these are among them its end shows.
        died = any(one.action == "die" for one in events)
        anybodys = any(
            one.group is None and abs(end - one.at) < kills.NEAR_S for one in traces.kills or ()
        )
        reaches = reaches and traces.kills is not None
        refused = refusals.of_life(traces, begin, end)
        return cls(past, killed, events, reaches, died, anybodys, refused)

    @property
    def _ended(self) -> float:
        return self.past.finished or self.past.started or 0.0

    def causes(self) -> list[Cause]:
        """Return why it ended, the decisive cause first."""
        past = self.past
        if past.error and past.exit_code in _CANNOT_START:
            return [never(past)]
        near = [one for one in self.killed if self._ended - one.at < kills.NEAR_S]
        early = [one for one in self.killed if one not in near]
        children = [kills.child(early, past.id)] if early else []
        asked = self._asked(after=near[-1].at if near else 0.0)
        if asked is not None:
            return [asked, *([kills.child(near, past.id)] if near else []), *children]
        if near:
            return [self._killed(near[-1]), *children]
        if past.exit_code == _BY_SIGNAL + signal.SIGKILL and self._docker_saw_oom():
            return [self._killed_somewhere(), *children]
        deadline = self._deadline()
        if deadline is not None:
            return [deadline, *children]
        return [*self._refused_fork(), self._by_itself(), *children]

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
        level, limit, path, whose = kills.whose(kill, self.past.id)
        killed = self.past.exit_code == _BY_SIGNAL + signal.SIGKILL
        ended = (
            "and the container ended"
            if killed
            else f"and the container ended with status {self.past.exit_code} right after"
        )
        return Cause(
            what=What.KILLED if killed else What.CHILD_KILLED,
            limit=limit, level=level, path=path, at=kills.when(kill.at),
            reason=f"{whose}: the kernel killed {kills.task(kill)}, {ended}",
            evidence=(kills.line(kill), self._status()),
            # A program may end for reasons of its own in the same moment.
            sure=killed and kill.group is not None,
        )  # fmt: skip

    def _docker_saw_oom(self) -> bool:
        return self.past.oom_killed or any(one.action == "oom" for one in self.events)

    def _killed_somewhere(self) -> Cause:
        return Cause(
            what=What.KILLED, limit="memory", level="none", at=kills.when(self._ended),
            reason="Docker says that the kernel killed it for want of memory; whose limit was "
            "reached only the kernel's log says, which names no kill of that moment",
            evidence=("docker inspect: State.OOMKilled true", self._status()),
            sure=False,
        )  # fmt: skip

    def _asked(self, after: float) -> Cause | None:
        """Return that somebody asked Docker to end it, None where nobody did."""
        stops = [one for one in self.events if one.action in ("stop", "restart")]
        sent = [
            one for one in self.events
            if one.action == "kill" and after <= one.at <= self._ended + kills.NEAR_S
        ]  # fmt: skip
        last = sent[-1] if sent else None
        if last is None:
            return None
        number = _signal(last)
        ends_it = (
            number == self.past.exit_code - _BY_SIGNAL and self._ended - last.at < kills.NEAR_S
        )
        if not stops and not ends_it:
            return None
        said = "to stop it" if stops else f"to send it {_name(number)}"
        return Cause(
            what=What.ASKED, limit=None, level="none", at=kills.when(last.at),
            reason=f"somebody asked Docker {said}; no limit ended it",
            evidence=(
                *(f"docker events: {kills.when(one.at)} kill, signal {one.attributes.get('signal')}"
                  for one in sent),
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
            what=What.DEADLINE, limit=None, level="none", at=kills.when(self._ended),
            reason=f"its own command, timeout, ends it after {limit:g} s, and it ran for "
            f"{lived:.0f} s; no limit ended it",
            evidence=(f"docker inspect: Path and Args {' '.join(words[:6])}", self._status()),
        )  # fmt: skip

    def _refused_fork(self) -> Iterator[Cause]:
        """Yield the latest fork that was refused to one that failed of its own."""
        if self.refused and self.past.exit_code:
            yield refusals.before_end(
                self.refused[-1], self.past.id, self._ended, self.past.exit_code
            )

    def _by_itself(self) -> Cause:
        past, at = self.past, kills.when(self._ended)
        no_limit = "" if self.refused and past.exit_code else "; no limit ended it"
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
                f"Docker, or its program's own word{no_limit}",
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
            reason=f"it ended by itself with status {past.exit_code}{no_limit}{again}",
            evidence=(self._status(), nobody),
        )  # fmt: skip


def before(traces: Traces) -> End | None:
    """Return the life before the one that lasts, None where it is the first, or is forgotten."""
    return _remembered(traces, traces.past.started or 0.0)


def _remembered(traces: Traces, until: float) -> End | None:
    """Return the last life that Docker's events tell the end of, with the status it had.

    None where none of them does.
    """
    events = traces.events or ()
    died = [one for one in events if one.action == "die" and one.at <= until]
    code = died[-1].attributes.get("exitCode", "") if died else ""
    if not code.isdecimal():
        return None
    starts = [one.at for one in events if one.action == "start" and one.at < died[-1].at]
    last = traces.past.model_copy(
        update={
            "status": "exited",
            "started": starts[-1] if starts else None,
            "finished": died[-1].at,
            "exit_code": int(code),
            "oom_killed": False,
            "error": "",
        }
    )
    return End.of(last, traces)


def removed(traces: Traces) -> Iterator[Cause]:
    """Yield why a container ended that is not there any more, from what is remembered of it."""
    events = traces.events or ()
    life = _remembered(traces, float("inf"))
    if life is not None:
        yield from life.causes()
    elif its := [one for one in traces.kills or () if kills.is_its(one, traces.past.id)]:
        yield kills.maybe_the_end(its, traces.past.id)
    yield Cause(
        what=What.REMOVED, limit=None, level="none",
        at=kills.when(events[-1].at) if events else None,
        reason="it was removed, and Docker knows nothing of it but its events",
        evidence=tuple(
            f"docker events: {kills.when(one.at)} {one.action}" for one in events[-3:]
        ),
    )  # fmt: skip


def forgotten(traces: Traces) -> Iterator[str]:
    """Yield that nobody knows how a container ended that is not there any more, if so."""
    if _remembered(traces, float("inf")) is None:
        yield "Docker has forgotten how it ended, and remembers its removal alone"


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
