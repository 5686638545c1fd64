"""Every fault of the campaign: how it strikes, and how cgbench has to answer."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.bench import injections, places
from tests.bench.injections import Injection
from tests.bench.places import Place

Moment = Literal["any", "container", "sampling", "ending"]
"""At any time of the command, while a container is there, early enough in a trial's holds, or when
these have ended and all is taken down."""


@dataclass(frozen=True)
class Fault:
    """One fault; `reason` is what a failed trial or standard error has to say of it.

    `statuses` may end the command, within `limit_s` after the fault struck. With `goes_on` every
    trial is tried, and with `spares` none may fail. `unclean` says for which exit statuses, or
    words on standard error, `cgbench clean` is needed; `noticed_s` is the time to the first word.
    With `one_pipe` standard error goes where standard output does;
    with `before_last` the last trial is not struck, since it would be none any more.
    `unexpected` names an error that nobody can expect, whose traceback is kept.
    """

    name: str
    inject: Injection
    statuses: tuple[int, ...]
    reason: str
    limit_s: float
    when: Moment = "any"
    place: Callable[[Path], AbstractContextManager[Place]] = places.ordinary
    goes_on: bool = False
    spares: bool = False
    unclean: tuple[int | str, ...] = ()
    noticed_s: float | None = None
    one_pipe: bool = False
    before_last: bool = False
    unexpected: str | None = None


_KILLED = -signal.SIGKILL
_INTERRUPTED = r"cgbench: interrupted|ended at once"

FAULTS: tuple[Fault, ...] = (
    Fault("hangup", injections.sent(signal.SIGHUP), (130,), _INTERRUPTED, 20),
    Fault("terminated", injections.sent(signal.SIGTERM), (130,), _INTERRUPTED, 20),
    Fault("interrupt", injections.sent(signal.SIGINT), (130,), _INTERRUPTED, 20),
    Fault(
        "interrupt-thrice", injections.sent(signal.SIGINT, 3), (130,), _INTERRUPTED, 20,
        unclean=("ended at once",),
    ),
    Fault("kill-9", injections.sent(signal.SIGKILL), (_KILLED,), "", 5, unclean=(_KILLED,)),
    # Whoever closes a pipe wants to read no more: the status says that not all was printed.
    Fault("closed-pipe", injections.closed_output, (2,), "", 60, goes_on=True, spares=True),
    Fault("closed-pipes", injections.closed_output, (2,), "", 60, one_pipe=True),
    Fault(
        "full-results", injections.full(lambda strike: strike.place.results), (2,),
        r"disk full while writing", 30, "container", places.small_results,
    ),
    Fault(
        "full-run",
        injections.full(lambda one: Path(f"/proc/{one.measurement.pid}/root{places.RUN}")), (2,),
        r"cannot write /run/cgbench/\S+: No space left", 30, "container", places.private_run,
        before_last=True,
    ),
    Fault(
        "full-shm", injections.full(lambda strike: places.SHM), (1,), r"No space left|has room",
        60, place=places.small_shm, when="container", goes_on=True,
    ),
    Fault(
        "enospc-sampling", injections.full_while_sampling, (1,),
        r"the sampler did not finish: .*No space left", 60, "sampling", places.small_shm,
        goes_on=True,
    ),
    Fault(
        "little-memory", injections.little_memory, (0, 1, 2, _KILLED), "", 60,
        place=places.memory_group, unclean=(_KILLED,),
    ),
    # Python itself stumbles where it finds no memory for its own errors.
    Fault(
        "little-addresses", injections.little_address_space, (0, 1, 2),
        r"out of memory|Cannot allocate memory|unexpected error: SystemError", 60,
        unexpected="SystemError", unclean=("SystemError",),
    ),
    Fault(
        "frozen-sampler", injections.frozen_sampler, (1,),
        r"the sampler did not finish within 20 s and was killed", 60, "sampling", goes_on=True,
    ),
    Fault(
        "paused-container", injections.docker("pause"), (1,),
        r"the container of worker was paused", 60, "sampling", goes_on=True,
    ),
    Fault(
        "frozen-first-process", injections.frozen_first_process, (1,),
        r"the container of worker was stopped", 60, "sampling", goes_on=True,
    ),
    Fault(
        "frozen-processes", injections.frozen_processes, (1,),
        r"the container of worker was stopped", 60, "sampling", goes_on=True,
    ),
    Fault(
        "stopped-daemon", injections.stopped_daemon, (1,),
        r"Docker at \S+ did not answer within 45 s", 120, "sampling", goes_on=True, noticed_s=60,
    ),
    Fault(
        "stopped-daemon-late", injections.stopped_daemon, (1,),
        r"cannot remove \w+: Docker at \S+ did not answer within", 120, "ending", goes_on=True,
        noticed_s=60,
    ),
    Fault(
        "restarted-daemon", injections.restarted_daemon, (1,),
        r"Docker does not answer|stream of Docker's events broke|was killed", 90, "container",
        goes_on=True,
    ),
    Fault(
        "killed-container", injections.docker("kill"), (1,), r"of worker was killed", 60,
        "container", goes_on=True,
    ),
    Fault(
        "removed-container", injections.docker("rm", "-f"), (1,),
        r"of worker was removed from outside", 60, "container", goes_on=True,
    ),
    Fault(
        "stepped-clock", injections.stepped_clock, (0,), "", 60, place=places.stepped_clock,
        goes_on=True, spares=True,
    ),
    Fault(
        "slept", injections.slept, (1,), r"stood still", 90, "sampling", goes_on=True,
    ),
)  # fmt: skip
