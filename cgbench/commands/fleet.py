"""One command on many hosts at once, and what they gave in one folder."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgbench import __version__
from cgbench.commands.enlisting import FAILURES, Carried, enlisted, examine, state_after
from cgbench.errors import ExperimentError, FleetError, StoreError
from cgbench.fleet import crew, task
from cgbench.fleet.crew import Crew, Member
from cgbench.fleet.reach import Refused
from cgbench.host import interrupts
from cgbench.host.interrupts import Interrupted
from cgbench.judging import run as run_of
from cgbench.judging.fleet import Standing, of_audits, of_tables
from cgbench.judging.fleet_points import of_runs, points
from cgbench.judging.run import Run
from cgbench.records import fleet as records
from cgbench.records.audit import Audit
from cgbench.records.fleet import CommandName, FleetFolder, FleetRecord, State
from cgbench.records.results import new_run_name
from cgbench.records.truth import TruthTable
from cgbench.spec import experiment_file, toml_file
from cgbench.spec.host_list import FleetHost

Show = Callable[[str, str], None]
"""Shown a host's name and what becomes of it, in a few words."""

_GIVEN: Mapping[CommandName, tuple[str, ...]] = {
    "verify": ("--no-report", "--results", "{results}", "--json", "{document}"),
    "run": ("--no-report", "--results", "{results}", "--json", "{document}"),
    "audit": ("--json", "{document}"),
}
_OURS = frozenset({"--no-report", "--results", "--json", "--output", "-o", "--junit", "--markdown"})
_WRITE_EVERY_S = 1.0
_AT_ONCE = 64
# 0: all as it should be; 1: something is not; 3: something was left open.
_MEASURED = (0, 1, 3)
_UNMET = 4


@dataclass(frozen=True)
class Wanted:
    """What a fleet is to do: `scheduler` is the address of a Dask cluster that is there,
    `files` are texts by name that the command reads.
    """

    hosts: tuple[FleetHost, ...]
    command: CommandName
    arguments: tuple[str, ...] = ()
    scheduler: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def wanted(
    hosts: Sequence[FleetHost], command: str, arguments: Sequence[str], scheduler: str | None = None
) -> Wanted:
    """Return what a command line asks for. Raises FleetError where a fleet cannot do it."""
    if command not in _GIVEN:
        raise FleetError(f"a fleet has no command {command}", f"Known: {', '.join(_GIVEN)}.")
    for word in arguments:
        if word.partition("=")[0] in _OURS:
            raise FleetError(f"{word}: where a host writes is the fleet's to say", "Leave it out.")
    words, files = list(arguments), dict[str, str]()
    if command == "run":
        if all(word.startswith("-") for word in words):
            raise FleetError(
                "run: no experiment is named", "For example: run cpu-quota-sweep --quick"
            )
        words = [_carried(word, files) for word in words]
    named: CommandName = next(name for name in _GIVEN if name == command)
    return Wanted(tuple(hosts), named, tuple(words), scheduler, files)


def _carried(word: str, files: dict[str, str]) -> str:
    """Add an experiment's file to those that hosts are given; return what it is called there.

    Raises ExperimentError where it is none, before any host is asked.
    """
    path = Path(word)
    if word.startswith("-") or (path.suffix != ".toml" and "/" not in word):
        return word
    experiment_file.load(word)
    if path.name in files:
        raise FleetError(f"two experiments' files are called {path.name}", "Rename one of them.")
    files[path.name] = toml_file.read(path, ExperimentError)
    return f"./{path.name}"


def begun(asked: Wanted, results: Path) -> FleetFolder:
    """Make the folder of a new fleet. Raises StoreError where it cannot be made."""
    name = new_run_name()
    folder = FleetFolder(results / records.FOLDER / name)
    folder.give(asked.files)
    folder.write(FleetRecord(
        name=name, cgbench=__version__, command=asked.command, arguments=asked.arguments,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        members=records.members({host.name: host.tags for host in asked.hosts}),
    ))  # fmt: skip
    return folder


def resumed(folder: FleetFolder, hosts: Sequence[FleetHost], scheduler: str | None) -> Wanted:
    """Return what is left of a fleet: the hosts of its file without a finished row.

    Raises FleetError where the file lacks one of them, or another cgbench began it.
    """
    record = folder.read()
    if record.cgbench != __version__:
        raise FleetError(
            f"{folder.path}: begun by cgbench {record.cgbench}; this is {__version__}",
            "Two versions are not mixed in one fleet: begin a new one.",
        )
    by_name = {host.name: host for host in hosts}
    left = [one for one in record.members if not one.measured]
    for one in left:
        if one.name not in by_name:
            raise FleetError(f"{one.name} is in {folder.file}, and not in the file of hosts", None)
    # Nothing of its last attempt is true of the next.
    for one in left:
        record = record.with_member(records.Member(name=one.name, tags=one.tags))
    folder.write(record)
    return Wanted(
        tuple(by_name[one.name] for one in left),
        record.command,
        record.arguments,
        scheduler,
        folder.given(),
    )


def measure(folder: FleetFolder, asked: Wanted, show: Show) -> FleetRecord:
    """Have all hosts do it, each as soon as all were examined; return what became of them.

    Raises Interrupted once every host has ended what it did; FleetError where the fleet itself
    cannot be had.
    """
    ledger = _Ledger(folder, folder.read(), show)
    try:
        _in_a_loop(lambda: _all(ledger, asked, secrets.token_hex(3)))
    finally:
        ledger.write()
    return ledger.record


def clean(
    hosts: Sequence[FleetHost], folder: FleetFolder, show: Show, scheduler: str | None = None
) -> dict[str, str | None]:
    """Remove what a fleet left on its hosts; return for each what is wrong, None if nothing is."""
    found: dict[str, str | None] = {}
    name = folder.read().name

    async def one(host: FleetHost, team: Crew, carried: Carried) -> None:
        try:
            async with enlisted(host, team, carried) as there:
                said = await team.call(
                    there.member, task.cleaned, {"fleet": name}, key=f"{name}-{host.name}-clean"
                )
                found[host.name] = None if said["status"] == 0 else str(said["said"])
                show(host.name, str(said["output"]).strip() or "clean")
        except FAILURES as error:
            found[host.name] = str(error)

    async def everyone() -> None:
        async with _team(scheduler, lambda _host, _line: None) as team:
            carried = Carried()
            await asyncio.gather(*(one(host, team, carried) for host in hosts))

    _in_a_loop(everyone)
    return found


def _in_a_loop(work: Callable[[], Any]) -> None:
    """Run a coroutine to its end, or until an interrupt cancelled it and all was ended."""
    stopped = False

    async def main() -> None:
        nonlocal stopped
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        assert own is not None

        def stop(number: int) -> None:
            nonlocal stopped
            # An exception raised between two steps of the loop would be lost in it.
            interrupts.put_off(number)
            stopped = True
            own.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop, number)
        await work()

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        interrupts.install()
    if stopped:
        raise Interrupted


@dataclass
class _Ledger:
    """The fleet's document while it changes; written now and then, and at once for what is done."""

    folder: FleetFolder
    record: FleetRecord
    show: Show
    written: float = 0.0

    def note(self, name: str, state: State, reason: str | None = None, **more: Any) -> None:
        """Take down what became of a host."""
        before = self.record.member(name)
        try:
            member = records.Member.model_validate(
                before.model_dump() | {"state": state, "reason": reason} | more
            )
        except ValidationError:
            # Its answer is not one of this cgbench's, whatever it says of its version.
            member = before.model_copy(
                update={"state": State.FAILED, "reason": "its answer makes no sense"}
            )
        self.record = self.record.with_member(member)
        self.show(name, state.value if reason is None else f"{state.value}: {reason}")
        if state is State.DONE or time.monotonic() - self.written > _WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write it."""
        self.folder.write(self.record)
        self.written = time.monotonic()


async def _all(ledger: _Ledger, asked: Wanted, attempt: str) -> None:
    """Examine all hosts, then have those that can do it do it."""
    async with _team(asked.scheduler, ledger.show) as team:
        carried, examined = Carried(), _Barrier(len(asked.hosts))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(host: FleetHost) -> None:
            async with AsyncExitStack() as stack:
                try:
                    async with gate:
                        found = await stack.enter_async_context(enlisted(host, team, carried))
                        about = await examine(team, found, asked.command, carried, attempt)
                    ledger.note(host.name, State.WAITING, host=about)
                except FAILURES as error:
                    ledger.note(host.name, state_after(error, State.REFUSED), str(error))
                    return
                finally:
                    examined.arrive()
                await examined.all_arrived()
                try:
                    await _measured(ledger, asked, team, found.member, attempt)
                except (*FAILURES, StoreError) as error:
                    ledger.note(host.name, state_after(error, State.FAILED), str(error))

        await asyncio.gather(*(one(host) for host in asked.hosts))


@asynccontextmanager
async def _team(scheduler: str | None, show: Show) -> AsyncIterator[Crew]:
    if scheduler is None:
        async with crew.own(show) as team:
            yield team
        return
    try:
        async with crew.named(scheduler, show) as team:
            yield team
    except Refused as error:
        raise FleetError(str(error), "Name it as tls://HOST:PORT or tcp://HOST:PORT.") from None


class _Barrier:
    """Where hosts wait for one another: nothing is measured before all were examined."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._open = asyncio.Event()

    def arrive(self) -> None:
        """Count one, whatever came of it."""
        self._left -= 1
        if self._left == 0:
            self._open.set()

    async def all_arrived(self) -> None:
        """Return once all were counted."""
        await self._open.wait()


async def _measured(
    ledger: _Ledger, asked: Wanted, team: Crew, member: Member, attempt: str
) -> None:
    """Have one host do it, keep what it gave, and let it forget that."""
    ledger.note(member.name, State.RUNNING)
    fleet = ledger.record.name
    request = {
        "fleet": fleet, "host": member.name, "attempt": attempt, "version": __version__,
        "arguments": [asked.command, *asked.arguments, *_GIVEN[asked.command]],
        "files": dict(asked.files),
    }  # fmt: skip
    said = await team.call(member, task.measured, request, key=f"{fleet}-{member.name}-{attempt}")
    document, status = said["document"], int(said["status"])
    if document is None or status not in _MEASURED:
        last = (str(said["said"]).strip().splitlines() or ["nothing was said"])[-1]
        state = State.REFUSED if status == _UNMET else State.FAILED
        if "is measuring on this host" in str(said["said"]):
            state = State.BUSY
        ledger.note(member.name, state, f"ended with {status}: {last}", status=status)
    else:
        await asyncio.to_thread(ledger.folder.keep, member.name, document, said["files"])
        ledger.note(
            member.name, State.DONE, status=status, seconds=said["seconds"],
            worker_cpu_s=said["worker_cpu_s"],
        )  # fmt: skip
    await team.call(
        member, task.forgotten, {"fleet": fleet}, key=f"{fleet}-{member.name}-{attempt}-forget"
    )


@dataclass(frozen=True)
class Judged:
    """A fleet that was read again: its document, its standing, and what could not be read of it."""

    record: FleetRecord
    standing: Standing
    tables: Mapping[str, TruthTable]
    audits: Mapping[str, Audit]
    runs: Mapping[str, Sequence[Run]]

    @property
    def worst(self) -> int:
        """The exit status of the worst host: 2 where one gave nothing, then 1, then 3."""
        if any(not one.measured for one in self.record.members):
            return 2
        found = {one.status for one in self.record.members}
        return next((status for status in (1, 3) if status in found), 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench fleet --json` gives."""
        return {
            **self.record.model_dump(mode="json"),
            "exit_status": self.worst,
            "groups": [
                {
                    "key": group.key.model_dump(mode="json"),
                    "hosts": list(group.hosts),
                    "usual": {option: found.value for option, found in group.usual.items()},
                    "left_open": dict(group.left_open),
                    "splits": [asdict(one) for one in group.splits],
                }
                for group in self.standing.groups
            ],
            "departures": [asdict(one) for one in self.standing.departures],
            "splits": [asdict(one) for one in self.standing.splits],
        }


def judged(folder: FleetFolder) -> Judged:
    """Read what the hosts of a fleet gave, and find who is unlike its group.

    A host whose document cannot be read counts as one that failed. Raises StoreError where the
    fleet itself cannot be read.
    """
    record = folder.read()
    tables: dict[str, TruthTable] = {}
    audits: dict[str, Audit] = {}
    runs: dict[str, list[Run]] = {}
    for member in record.members:
        if not member.measured:
            continue
        try:
            if record.command == "verify":
                tables[member.name] = folder.truth(member.name)
            elif record.command == "audit":
                audits[member.name] = folder.audit(member.name)
            else:
                runs[member.name] = [run_of.load(one) for one in folder.runs(member.name)]
                for one in runs[member.name]:
                    one.every_row  # noqa: B018
        except StoreError as error:
            failed = {"state": State.FAILED, "reason": error.message}
            record = record.with_member(member.model_copy(update=failed))
            runs.pop(member.name, None)
    there = [one for one in record.members if one.measured]
    hosts = {one.name: one.host for one in there if one.host is not None}
    tags = {one.name: one.tags for one in there}
    if record.command == "verify":
        standing = of_tables(tables, tags)
    elif record.command == "audit":
        standing = of_audits(audits, hosts, tags)
    else:
        standing = of_runs(runs, hosts, tags)
    return Judged(record, standing, tables, audits, runs)


def write_page(found: Judged, output: Path) -> Path:
    """Write the page of a fleet, and return its path. Raises StoreError when that fails."""
    # Here and not above: measuring needs none of what draws.
    from cgbench.reporting.render import write_fleet

    return write_fleet(
        found.record, found.standing, output, tables=found.tables, audits=found.audits,
        points=points(found.runs),
    )  # fmt: skip
