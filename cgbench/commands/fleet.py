"""One command on many hosts at once, and what they gave in one folder."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cgbench import __version__
from cgbench.commands.enlisting import (
    FAILURES,
    Carried,
    enlisted,
    examine,
    last_line,
    sensible,
    state_after,
)
from cgbench.commands.ledger import Ledger, Show
from cgbench.errors import ExperimentError, FleetError, StoreError
from cgbench.fleet import crew, task
from cgbench.fleet.crew import Crew, Member
from cgbench.fleet.reach import Refused
from cgbench.host import interrupts
from cgbench.host.interrupts import Interrupted
from cgbench.judging import sides
from cgbench.judging.run import load
from cgbench.records import fleet as records
from cgbench.records.fleet import CommandName, FleetFolder, FleetRecord, State
from cgbench.records.results import new_run_name
from cgbench.spec import experiment_file, toml_file
from cgbench.spec.host_list import FleetHost

_BASELINE = "baseline.json"
_GIVEN: Mapping[CommandName, tuple[str, ...]] = {
    "verify": ("--no-report", "--results", "{results}", "--json", "{document}"),
    "run": ("--no-report", "--results", "{results}", "--json", "{document}"),
    "audit": ("--json", "{document}"),
    "gate": ("--baseline", f"./{_BASELINE}", "--results", "{results}", "--json", "{document}"),
}
_OURS = frozenset({
    "--no-report", "--results", "--json", "--output", "-o", "--junit", "--markdown", "--baseline",
})  # fmt: skip
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE = 64
_UNMET = 4


@dataclass(frozen=True)
class Wanted:
    """What a fleet is to do: `scheduler` is the address of a Dask cluster that is there.

    `files` are texts by name that the command reads, `own_files` those of one host, by its name.
    """

    hosts: tuple[FleetHost, ...]
    command: CommandName
    arguments: tuple[str, ...] = ()
    scheduler: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    own_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether hosts wait for another cgbench that measures there."""
        return any(word.partition("=")[0] == "--wait" for word in self.arguments)

    def lacks(self, host: str) -> str | None:
        """Say what a host is not given and needs, None where that is nothing."""
        if self.command == "gate" and host not in self.own_files:
            return "it has no baseline: the fleet that is named measured no such run on it"
        return None


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
    if command in ("run", "gate"):
        words = [_carried(word, files) for word in words]
        if not _experiments(words, files):
            named_so = next((word for word in words if not word.startswith("-")), None)
            if named_so is not None:
                # Says which one is meant, before any host is asked.
                experiment_file.load(named_so)
            raise FleetError(
                f"{command}: no experiment is named", f"For example: {command} cpu-quota-sweep"
            )
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


def _experiments(words: Sequence[str], files: Mapping[str, str]) -> list[str]:
    """Return which words name experiments; others may be values of options."""
    known = {*experiment_file.builtin_names(), *(f"./{name}" for name in files)}
    return [word for word in words if word in known]


def with_baselines(asked: Wanted, fleet: FleetFolder) -> Wanted:
    """Give each host of a gate the baseline that an earlier fleet's run of it makes.

    Raises FleetError where more than one experiment is gated, or none of the hosts has a run of it.
    """
    named = _experiments(asked.arguments, asked.files)
    if len(named) > 1:
        raise FleetError(
            f"gate: {' and '.join(named)} have no common baseline", "Gate one in each call."
        )
    text = asked.files.get(named[0].removeprefix("./"))
    experiment = (
        experiment_file.load(named[0]) if text is None else experiment_file.parse(text, named[0])
    )
    own = {}
    for host in asked.hosts:
        runs = [one for one in fleet.runs(host.name) if one.path.parent.name == experiment.name]
        if runs:
            made = sides.of_run(load(runs[-1]), experiment.name)
            own[host.name] = {_BASELINE: made.to_text()}
    if not own:
        raise FleetError(
            f"{fleet.path} has no run of {experiment.name} on any of these hosts",
            f"Measure one: cgbench fleet HOSTS run {experiment.name}",
        )
    return replace(asked, own_files=own)


def begun(asked: Wanted, results: Path) -> FleetFolder:
    """Make the folder of a new fleet. Raises StoreError where it cannot be made."""
    name = new_run_name()
    folder = FleetFolder(results / records.FOLDER / name)
    folder.give(asked.files)
    for host, files in asked.own_files.items():
        folder.give(files, host)
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
        {one.name: files for one in left if (files := folder.given(one.name))},
    )


def measure(folder: FleetFolder, asked: Wanted, show: Show) -> FleetRecord:
    """Have all hosts do it, each as soon as all were examined; return what became of them.

    Raises Interrupted once every host has ended what it did; FleetError where the fleet itself
    cannot be had.
    """
    ledger = Ledger(folder, show)
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
                    there.member, f"{name}-{host.name}-clean", task.cleaned, name
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
    # The loop has handlers of its own, and would leave none behind.
    before = {number: signal.getsignal(number) for number in _SIGNALS}

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

        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop, number)
        await work()

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        raise Interrupted


async def _all(ledger: Ledger, asked: Wanted, attempt: str) -> None:
    """Examine all hosts, then have those that can do it do it."""
    async with _team(asked.scheduler, ledger.show) as team, ledger.written():
        carried, examined = Carried(), _Barrier(len(asked.hosts))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(host: FleetHost) -> None:
            async with AsyncExitStack() as stack:
                try:
                    if (lack := asked.lacks(host.name)) is not None:
                        raise Refused(lack)
                    async with gate:
                        found = await stack.enter_async_context(enlisted(host, team, carried))
                        about = await examine(
                            team, found, asked.command, carried, attempt, waits=asked.waits
                        )
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
    ledger: Ledger, asked: Wanted, team: Crew, member: Member, attempt: str
) -> None:
    """Have one host do it, keep what it gave, and let it forget that."""
    ledger.note(member.name, State.RUNNING)
    fleet = ledger.name
    key = f"{fleet}-{member.name}-{attempt}"
    request = task.Request(
        fleet=fleet, host=member.name, attempt=attempt, version=__version__,
        arguments=[asked.command, *asked.arguments, *_GIVEN[asked.command]],
        files={**asked.files, **asked.own_files.get(member.name, {})},
    )  # fmt: skip
    with sensible():
        said = await team.call(member, key, task.measured, request)
        document, status, last = said["document"], int(said["status"]), last_line(said["said"])
        files, took, beside = said["files"], float(said["seconds"]), float(said["worker_cpu_s"])
    if document is None or status not in task.MEASURED:
        state = State.REFUSED if status == _UNMET else State.FAILED
        if "is measuring on this host" in last:
            state = State.BUSY
        ledger.note(member.name, state, f"ended with {status}: {last}", status=status)
    else:
        await asyncio.to_thread(ledger.folder.keep, member.name, document, files)
        ledger.note(member.name, State.DONE, status=status, seconds=took, worker_cpu_s=beside)
    # Only then: what a killed fleet did not write down is fetched again.
    await ledger.kept()
    # What became of the host is written down; what it does not forget, `clean` removes.
    with suppress(*FAILURES):
        await team.call(member, f"{key}-forget", task.forgotten, fleet)
