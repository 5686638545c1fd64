"""What a daemon says of its containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cgbench.engine.connection import Answer


@dataclass(frozen=True)
class Creation:
    """What became of a request to create a container: its id is None where it was refused."""

    container_id: str | None
    answer: Answer


@dataclass(frozen=True)
class State:
    """How a container is: `oom_killed`, `exit_code` and `error` as `docker inspect` says."""

    running: bool
    pid: int
    exit_code: int
    oom_killed: bool
    error: str


@dataclass(frozen=True)
class Life:
    """In which of its lives a container is, and its state in Docker's word; two equal are one.

    `pid` is 0 where no process runs, `restarts` counts those by its restart policy.
    """

    status: str
    pid: int
    started: str
    restarts: int


@dataclass(frozen=True)
class Listed:
    """A container as the daemon lists it; `name` without the slash in front."""

    container_id: str
    name: str
    image: str
    state: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Inspected:
    """A container's first process, and its limits and other settings as Docker declares them."""

    pid: int
    host_config: Mapping[str, object]


@dataclass(frozen=True)
class NamedAlike:
    """A container that is named like ours, and what of our labels it carries."""

    name: str
    marked: bool
    owner: str
