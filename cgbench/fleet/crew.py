"""The workers of a fleet under one scheduler: one's own on loopback, or one that is there."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import asyncssh
import dask
from distributed import Client, Scheduler, Security
from distributed.scheduler import KilledWorker

from cgbench.fleet import quiet, reach, task
from cgbench.fleet.reach import NotReached, Refused
from cgbench.foreign import one_line
from cgbench.spec.host_list import FleetHost

P = ParamSpec("P")
T = TypeVar("T")

Tell = Callable[[str, str], None]
"""Told a host's name and a line of its progress."""

_ANSWERS_S = 20
_LOOK_EVERY_S = 5.0
_STARTED_S = 90.0
_LONGEST_SAID = 500


class Lost(Exception):
    """A host that was at work is not there any more; the message says how that was seen."""


@dataclass(frozen=True)
class Member:
    """One host's worker; `gone` ends when its line does, None where no line is ours."""

    name: str
    gone: asyncio.Future[str] | None


class Crew:
    """A scheduler and its client."""

    def __init__(
        self, client: Client, scheduler: Scheduler | None, credentials: Security | None
    ) -> None:
        self._client = client
        self._scheduler = scheduler
        self._credentials = credentials
        self._roster: dict[str, str] = {}

    @property
    def is_own(self) -> bool:
        """Whether the scheduler is the fleet's own, which has no workers but those it starts."""
        return self._scheduler is not None

    @asynccontextmanager
    async def member(
        self, host: FleetHost, line: reach.Line, command: Sequence[str]
    ) -> AsyncIterator[Member]:
        """Start a host's worker over a line; it ends with the block. Raises Refused, NotReached."""
        assert self._scheduler is not None
        assert self._credentials is not None
        try:
            process = await line.create_process(shlex.join(command), stderr=asyncssh.PIPE)
        except (asyncssh.Error, OSError) as error:
            raise NotReached(f"the line was lost: {error}") from None
        try:
            said = await _line_of(process, "a worker")
            port = int(self._scheduler.address.rpartition(":")[2])
            tunnel = await reach.tunnelled(line, port, int(said["port"]))
            process.stdin.write(json.dumps({
                "scheduler": f"tls://127.0.0.1:{tunnel.scheduler_port}",
                "contact": f"tls://127.0.0.1:{tunnel.worker_port}",
                "name": host.name,
                **quiet.proof(self._credentials),
            }) + "\n")  # fmt: skip
            await _line_of(process, "a worker")
            gone = asyncio.ensure_future(_gone(line, process))
            try:
                yield Member(host.name, gone)
            finally:
                gone.cancel()
        finally:
            # It ends its child first, which gives back what it has.
            with suppress(Exception):
                process.stdin.write_eof()
                await asyncio.wait_for(process.wait_closed(), _STARTED_S)

    async def call(
        self, member: Member, key: str, function: Callable[P, T], *given: P.args, **named: P.kwargs
    ) -> T:
        """Run a function of `cgbench.fleet.task` on a member's host.

        Raises Lost, or RuntimeError with what the function raised.
        """
        future = self._client.submit(
            function, *given, **named, key=key, pure=False, retries=0,
            resources={quiet.resource(member.name): 1},
        )  # fmt: skip
        asked: asyncio.Future[T] = asyncio.ensure_future(_result(future))
        gone = member.gone or asyncio.ensure_future(self._vanished(member.name))
        try:
            waited: set[asyncio.Future[Any]] = {asked, gone}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise Lost(gone.result())
        except KilledWorker:
            raise Lost("its worker died") from None
        finally:
            for one in (asked, gone) if member.gone is None else (asked,):
                one.cancel()
            if future.status == "pending":
                await self._stop(member, future)

    async def _stop(self, member: Member, future: Any) -> None:
        """End what a host still does: a task that is cancelled goes on in its worker's thread."""
        with suppress(Exception):
            await future.cancel(force=True)
        # A worker of ours does so by itself when its line ends.
        address = self._roster.get(member.name)
        if member.gone is None and address is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._client.run(task.ended, workers=[address]), _STARTED_S)

    def has(self, name: str) -> bool:
        """Say whether the scheduler has a worker that is called so."""
        return name in self._roster

    async def look(self) -> None:
        """Ask the scheduler which workers it has, once for all hosts."""
        # The client's own list is without workers here: see its scheduler_info.
        scheduler: Any = self._client.scheduler
        found = await scheduler.identity(n_workers=-1)
        self._roster = {
            str(worker["name"]): address for address, worker in found["workers"].items()
        }

    async def _vanished(self, name: str) -> str:
        """Return once a worker is not among the scheduler's any more."""
        while self.has(name):
            await asyncio.sleep(_LOOK_EVERY_S)
        return "its worker left the scheduler"


async def _result(future: Any) -> T:
    try:
        found: T = await future
    except (KilledWorker, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001
        words = one_line(f"{type(error).__name__}: {error}", _LONGEST_SAID)
        raise RuntimeError(words) from None
    return found


async def _line_of(process: asyncssh.SSHClientProcess[str], what: str) -> dict[str, Any]:
    """Return the next line of a worker's process. Raises Refused with what it complained of."""
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _STARTED_S)
        found = json.loads(line)
    except TimeoutError:
        raise Refused(f"{what} did not start within {_STARTED_S:g} s") from None
    except (ValueError, asyncssh.Error, OSError):
        said = ""
        with suppress(Exception):
            said = await asyncio.wait_for(process.stderr.read(), _LOOK_EVERY_S)
        last = (said.strip().splitlines() or ["nothing was said"])[-1]
        raise Refused(f"{what} does not start: {one_line(last, _LONGEST_SAID)}") from None
    return dict(found)


async def _gone(line: reach.Line, process: asyncssh.SSHClientProcess[str]) -> str:
    closed = asyncio.ensure_future(line.wait_closed())
    ended = asyncio.ensure_future(process.wait_closed())
    try:
        await asyncio.wait({closed, ended}, return_when=asyncio.FIRST_COMPLETED)
        return "its line was lost" if closed.done() else "its worker ended"
    finally:
        closed.cancel()
        ended.cancel()


@asynccontextmanager
async def own(tell: Tell) -> AsyncIterator[Crew]:
    """Lend a scheduler of one's own, which listens on loopback, behind TLS."""
    credentials = Security.temporary()
    async with AsyncExitStack() as stack:
        quiet.hush()
        stack.enter_context(dask.config.set(quiet.SETTINGS))
        scheduler = await stack.enter_async_context(Scheduler(
            host="127.0.0.1", port=0, protocol="tls", security=credentials, dashboard=False,
            dashboard_address="127.0.0.1:0",
        ))  # fmt: skip
        client = await stack.enter_async_context(
            Client(scheduler.address, security=credentials, asynchronous=True)
        )
        _follow(client, tell)
        yield Crew(client, scheduler, credentials)


@asynccontextmanager
async def named(address: str, tell: Tell) -> AsyncIterator[Crew]:
    """Lend a scheduler that is there; TLS is as Dask's own configuration says. Raises Refused."""
    quiet.hush()
    with dask.config.set(quiet.SETTINGS):
        try:
            client = await Client(address, asynchronous=True, timeout=f"{_ANSWERS_S}s")
        except (OSError, ValueError, TimeoutError) as error:
            said = one_line(str(error), _LONGEST_SAID)
            raise Refused(f"no scheduler answers at {address}: {said}") from None
        async with client:
            _follow(client, tell)
            team = Crew(client, None, None)
            await team.look()
            looking = asyncio.ensure_future(_look_on(team))
            try:
                yield team
            finally:
                looking.cancel()


async def _look_on(team: Crew) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        # A scheduler that does not answer has lost nobody yet; its client says when it is gone.
        with suppress(OSError, TimeoutError):
            await team.look()


def _follow(client: Client, tell: Tell) -> None:
    def heard(event: tuple[float, Any]) -> None:
        said = event[1]
        if isinstance(said, Mapping):
            tell(str(said.get("host", "")), str(said.get("line", "")))

    client.subscribe_topic(task.PROGRESS, heard)
