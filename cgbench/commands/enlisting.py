"""One host of a fleet, from its address to a worker that can measure there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cgbench import __version__
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import CgbenchError
from cgbench.fleet import bundle, reach, task
from cgbench.fleet.crew import Crew, Lost, Member
from cgbench.fleet.reach import Facts, NotReached, Refused
from cgbench.foreign import one_line
from cgbench.records.fleet import CommandName, State
from cgbench.records.host import Host
from cgbench.spec import workload
from cgbench.spec.host_list import FleetHost
from cgbench.units import NS_PER_S, format_duration


class Busy(Exception):
    """Another cgbench measures on the host."""


FAILURES = (NotReached, Refused, Lost, Busy, RuntimeError)
"""Everything by which a host can drop out; each message is one line."""

_STATES = {
    NotReached: State.UNREACHABLE,
    Refused: State.REFUSED,
    Lost: State.LOST,
    Busy: State.BUSY,
}
_CLOCK_S = 60.0
_CARRY_IMAGE_S = 900.0
_OLDEST_PYTHON = (3, 11)
_SYSTEM_PYTHON = "python3"


def state_after(error: Exception, otherwise: State) -> State:
    """Return where a host is after an error; a line that is lost at work is a host that is lost."""
    found = next((state for kind, state in _STATES.items() if isinstance(error, kind)), otherwise)
    at_work = otherwise is State.FAILED
    return State.LOST if found is State.UNREACHABLE and at_work else found


@dataclass(frozen=True)
class Enlisted:
    """A host with its worker; `line` and `command`, which runs its Python, where it is by ssh."""

    member: Member
    line: reach.Line | None = None
    command: tuple[str, ...] = ()


@dataclass
class Carried:
    """What is brought to hosts, made once for all of them and when first needed."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wheels: dict[tuple[object, ...], tuple[Path, ...]] = field(default_factory=dict)
    saved: bytes | None = None

    async def wheels_for(self, facts: Facts) -> tuple[Path, ...]:
        """Return wheels for a host. Raises Refused where they cannot be had."""
        kind = (facts.python, facts.machine)
        async with self.lock:
            if kind not in self.wheels:
                try:
                    self.wheels[kind] = await asyncio.to_thread(bundle.wheels, facts)
                except CgbenchError as error:
                    raise Refused(error.message) from None
            return self.wheels[kind]

    async def image(self) -> bytes:
        """Return the image as `docker save` writes it. Raises Refused where this host has none."""
        async with self.lock:
            if self.saved is None:
                try:
                    self.saved = await asyncio.to_thread(_saved_image)
                except CgbenchError as error:
                    raise Refused(f"the image is neither there nor here: {error.message}") from None
            return self.saved


def _saved_image() -> bytes:
    engine = Engine()
    try:
        return b"".join(engine.images.saved(image.tag(workload.directory())))
    finally:
        engine.close()


@asynccontextmanager
async def enlisted(host: FleetHost, team: Crew, carried: Carried) -> AsyncIterator[Enlisted]:
    """Lend a host's worker: one that the cluster has, or one that is started over ssh.

    Raises NotReached or Refused.
    """
    if not team.is_own:
        if not team.has(host.name):
            raise NotReached(f"the scheduler has no worker that is called {host.name}")
        yield Enlisted(Member(host.name, None))
        return
    async with reach.reached(host) as line:
        python = host.python or _SYSTEM_PYTHON
        facts = await reach.facts(line, python, time.time())
        _require_fit(facts)
        command = [python, "-P", "-m"]
        if host.python is None:
            folder = await bundle.carry(line, python, facts, await carried.wheels_for(facts))
            command = ["env", f"PYTHONPATH={folder}", *command]
        async with team.member(host, line, [*command, "cgbench.fleet.worker"]) as member:
            yield Enlisted(member, line, tuple(command))


def _require_fit(facts: Facts) -> None:
    if facts.python < _OLDEST_PYTHON:
        has, needs = (".".join(map(str, one)) for one in (facts.python, _OLDEST_PYTHON))
        raise Refused(f"its Python is {has}, and cgbench needs {needs}: name another in the file")
    if abs(facts.behind_s) > _CLOCK_S:
        off = format_duration(int(abs(facts.behind_s) * NS_PER_S))
        way = "behind" if facts.behind_s > 0 else "ahead of"
        raise Refused(f"its clock is {off} {way} this host's: set one of them")


async def examine(
    team: Crew, found: Enlisted, command: CommandName, carried: Carried, attempt: str,
    *, waits: bool = False,
) -> Host | None:  # fmt: skip
    """Ask a host whether it can do it, and bring the image where that is all it lacks.

    Raises Refused, Lost, or Busy, unless the command `waits` for another cgbench there.
    """
    key = f"cgbench-examined-{found.member.name}-{attempt}"
    said = await team.call(found.member, key, task.examined)
    with sensible():
        if said["version"] != __version__:
            raise Refused(f"it has cgbench {said['version']}, and this is {__version__}: not mixed")
        bad, described = _bad(said, command, waits=waits)
    if bad.keys() == {"image"} and found.line is not None:
        await reach.run(
            found.line, [*found.command, "cgbench", "image", "load", "-"],
            given=await carried.image(), limit_s=_CARRY_IMAGE_S,
        )  # fmt: skip
        said = await team.call(found.member, f"{key}-again", task.examined)
        with sensible():
            bad, described = _bad(said, command, waits=waits)
    for name, text in bad.items():
        raise Busy(text) if name == _OTHER else Refused(f"{name}: {text}")
    return described


@contextmanager
def sensible() -> Iterator[None]:
    """Take a host's answer that is none of this cgbench's for a failure of that host.

    Raises RuntimeError.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RuntimeError(
            f"its answer makes no sense: {type(error).__name__}: {one_line(str(error), 200)}"
        ) from None


def last_line(said: str) -> str:
    """Return the last line that a host's command said."""
    return (str(said).strip().splitlines() or ["nothing was said"])[-1]


_OTHER = "another cgbench"


def _bad(
    said: task.Examined, command: CommandName, *, waits: bool
) -> tuple[dict[str, str], Host | None]:
    """Return what keeps a host from a command, by name, and the host where Docker answers there."""
    if said["doctor"] is None:
        return {"cgbench doctor": last_line(said["said"])}, None
    doctor = json.loads(said["doctor"])
    findings = {str(one["name"]): one for one in doctor["findings"]}
    matters = ("Docker",) if command == "audit" else tuple(findings)
    bad = {
        name: str(one["text"])
        for name, one in findings.items()
        if name in matters and one["status"] == "bad"
    }
    if command != "audit" and not waits and _OTHER in findings:
        bad[_OTHER] = str(findings[_OTHER]["text"])
    return bad, None if doctor["host"] is None else Host.model_validate(doctor["host"])
