"""Why a container ended, stalls or is refused something: what is known of it, and its causes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from cgbench.records.versions import CAUSE
from cgbench.spec.fields import Foreign, Label
from cgbench.spec.model import Model

# What a date can be made of: the end of the year 9999.
_LAST_SECOND = 253_402_300_799


class What(StrEnum):
    """What happened to a container, or happens to it now."""

    KILLED = "killed"
    """Its memory ran out, and the kernel ended it."""
    CHILD_KILLED = "child killed"
    """Its memory ran out, and the kernel ended one of its processes; it went on."""
    THROTTLED = "throttled"
    RECLAIMED = "reclaimed"
    """It has reached its memory limit, and the kernel takes pages from it."""
    WAITING = "waiting for memory"
    """It has reached its memory limit, and the kernel may not kill for it."""
    FORK_REFUSED = "fork refused"
    NEVER_STARTED = "never started"
    ASKED = "asked to end"
    """Somebody asked Docker to."""
    DEADLINE = "deadline"
    """Its own command ends it after a time."""
    SIGNAL = "signal"
    EXIT = "exit"
    """It ended by itself."""
    REMOVED = "removed"
    FROZEN = "paused"


Level = Literal["container", "inside", "ancestor", "host", "user", "none"]
"""Whose limit it is: the container's, of a group inside or above, the host's, its user's, or none.
"""


class Cause(Model):
    """One cause: `limit` is what ran out, None where none did; `sure` is False for a guess.

    `path` is the group that holds the limit. `evidence` says where each fact was read, as a reader
    can do.
    """

    what: What
    limit: Literal["cpus", "memory", "memory-nodes", "pids", "processes-of-user"] | None = None
    level: Level
    path: Foreign | None = None
    at: Label | None = None
    reason: Foreign
    evidence: tuple[Foreign, ...] = ()
    sure: bool = True


class Explained(Model):
    """What is known of one container: its causes, the decisive one first, and what is not known."""

    schema_version: int = CAUSE.written
    id: Label
    name: Label
    state: Label
    causes: tuple[Cause, ...]
    unknown: tuple[Foreign, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether a limit ended it or holds it back."""
        return any(one.limit is not None for one in self.causes)

    @property
    def known(self) -> bool:
        """Whether anything is known for sure, or there is nothing to explain.

        That it was removed is no reason for its end.
        """
        return not self.unknown or any(
            one.sure and one.what is not What.REMOVED for one in self.causes
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return self.model_dump(mode="json")


class OomKill(Model):
    """A kill for want of memory, as the kernel's log has it; `at` is in seconds of UNIX time.

    `out` is the group whose limit was reached, None where that was none of a group: then
    `constraint` says what ran out. `group` is that of the task, None where the log lacks it.
    """

    at: float
    constraint: Label
    out: Foreign | None
    group: Foreign | None
    task: Foreign
    pid: int


class ForkRefusal(Model):
    """The first fork in a group that a limit of tasks refused, as the kernel's log has it.

    `at` is in seconds of UNIX time. The limit is that of `group`, or of one above it.
    """

    at: float
    group: Foreign


class DockerEvent(Model):
    """Something that Docker says happened to a container, at a second of UNIX time."""

    at: Annotated[float, Field(ge=0, le=_LAST_SECOND)]
    container_id: Label
    action: Label
    attributes: Mapping[Label, Foreign] = {}


class Past(Model):
    """What Docker knows of a container: its last life, and how it came to an end.

    Times are seconds of UNIX time, None where there was none. `command` is its first process's.
    """

    id: Label
    name: Label
    status: Label
    exit_code: int = 0
    oom_killed: bool = False
    error: Foreign = ""
    started: float | None = None
    finished: float | None = None
    restarts: int = 0
    policy: Label = ""
    command: tuple[Foreign, ...] = ()
    pid: int = 0
    parent: Foreign = ""


class Counts(Model):
    """What the kernel counted of one group until now, by metric; its own first, then those above.

    A limit that is not there, or that nobody counts, is not in it.
    """

    path: Foreign
    values: Mapping[Label, int]


class UserTasks(Model):
    """How many tasks a user of the host has, where a process's RLIMIT_NPROC says how many may be.

    `inside` are those of the container; `exempt` says that the process may have more all the same.
    """

    uid: int
    pid: int
    limit: int
    tasks: int
    inside: int
    exempt: bool


class Traces(Model):
    """Everything that was read of one container.

    `kills` and `events` are None where they could not be read; `log_since` is the oldest record of
    the kernel's log, which also has the `refusals`. `before` is an earlier look at the same groups,
    `seconds` apart.
    """

    past: Past
    kills: tuple[OomKill, ...] | None = ()
    refusals: tuple[ForkRefusal, ...] = ()
    log_since: float | None = None
    events: tuple[DockerEvent, ...] | None = ()
    groups: tuple[Counts, ...] = ()
    before: tuple[Counts, ...] = ()
    seconds: float = 0.0
    users: tuple[UserTasks, ...] = ()
