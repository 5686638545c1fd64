"""A row of the atlas as it is measured in a guest: begun once, and gone on with where it was left.

What measures runs in the guest on its own. Whoever waits for it may be ended: the guest is then
suspended, and goes on when the row is asked for again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from cgbench.records import rules, truth
from cgbench.spec.model import Model
from tests.lab import by_hand, disks, qemu
from tests.lab import host as hosts
from tests.lab.guests import beside, claimed, left
from tests.lab.host import LabError, LabHost
from tests.lab.machine import Machine

PACKAGES = ("docker.io", "runc", "crun", "podman", "containerd", "systemd", "libc6")
_FOLDER = "/root/row"
_BEGUN = "row.json"
_RUNNING = "running"
_ANSWER_TIMEOUT_S = 300.0
_LONGEST_S = 6 * 3600.0
MEASURED = (0, 1, 3)
"""How `cgbench verify` ends: as declared; some option is not; something was left open."""


@dataclass(frozen=True)
class Measured:
    """A truth table as text, and packages with their versions as dpkg-query prints them.

    `disagreements` are where a shell in the guest says something else.
    """

    table: str
    packages: str
    disagreements: tuple[str, ...] = ()


class Begun(Model):
    """A host on a disk that is measured since `at`, by `rules`, the verdicts alone if `quick`.

    `qemu` is what its memory depends on.
    """

    at: str
    host: LabHost
    disk: str
    qemu: str
    quick: bool
    rules: str

    @classmethod
    def now(cls, machine: Machine, *, quick: bool) -> Begun:
        """Return what is asked for when it begins now."""
        return cls(
            at=datetime.now(UTC).isoformat(timespec="seconds"), host=machine.host,
            disk=disks.digest(machine.host), quick=quick, rules=rules.digest(),
            qemu=qemu.digest(machine.host, machine.disk, counted=machine.counted),
        )  # fmt: skip

    def serves(self, asked: Begun) -> bool:
        """Say whether it is what is asked for, whenever it began."""
        return self.model_copy(update={"at": asked.at}) == asked


def measured(name: str, *, quick: bool, boot: Callable[[LabHost], Machine] = beside) -> Measured:
    """Measure a host of the lab in a guest, which is ended then; one that was suspended goes on.

    Raises LabError, with the console's text left where it failed. The guest is suspended where
    this process is ended meanwhile.
    """
    qemu.require()
    host = hosts.load(name)
    with claimed(host):
        return _measured(host, quick=quick, boot=boot)


def _measured(host: LabHost, *, quick: bool, boot: Callable[[LabHost], Machine]) -> Measured:
    machine = left(host)
    asked = Begun.now(machine, quick=quick)
    if not _goes_on(machine, asked):
        machine.stop()
        machine = boot(host)
        # The disk may be another now.
        _begin(machine, Begun.now(machine, quick=quick))
    try:
        if machine.suspended:
            machine.resume()
        found = _finished(machine)
    except (KeyboardInterrupt, SystemExit):
        machine.suspend()
        print(f"{host.name}: suspended; it goes on when it is asked for again", flush=True)
        raise
    except BaseException:
        machine.stop(keep_logs=True)
        raise
    machine.stop()
    return found


def _goes_on(machine: Machine, asked: Begun) -> bool:
    begun = _begun(machine)
    if begun is None or not (machine.suspended or machine.pid() is not None):
        return False
    serves = begun.serves(asked)
    then = "goes on" if serves else "is left, for what is asked for is not that"
    print(f"{asked.host.name}: what was begun at {begun.at} {then}", flush=True)
    return serves


def _begun(machine: Machine) -> Begun | None:
    try:
        return Begun.model_validate_json((machine.state / _BEGUN).read_text())
    except (OSError, ValidationError):
        return None


def _begin(machine: Machine, asked: Begun) -> None:
    """Have the guest measure on its own, whoever waits for it."""
    more = "--quick" if asked.quick else "--interactions"
    if not asked.quick and machine.host.engine == "docker":
        # Podman has no daemon that could be restarted.
        more += " --disturb-daemon"
    verify = f"cgbench verify {more} --no-report --results results --json truth.json"
    try:
        machine.read(
            f"mkdir {_FOLDER} && cd {_FOLDER} && "
            f"{{ setsid sh -c '{verify} >log 2>&1; echo $? >status' </dev/null >/dev/null 2>&1 & "
            "echo $! >pid; }", _ANSWER_TIMEOUT_S,
        )  # fmt: skip
    except BaseException:
        machine.stop(keep_logs=True)
        raise
    (machine.state / _BEGUN).write_text(asked.model_dump_json())


def _awaited(machine: Machine) -> str:
    """Show what the guest prints until it has measured, and return its exit status."""
    limit = time.monotonic() + _LONGEST_S
    while time.monotonic() < limit:
        machine.ssh(
            f"cd {_FOLDER} && tail --lines=+1 --follow --pid=$(cat pid) log", _LONGEST_S, shown=True
        )
        if machine.pid() is None:
            raise LabError(f"the guest ended meanwhile. {machine.last_words()}")
        said = machine.read(
            f"cd {_FOLDER}; cat status || {{ kill -0 $(cat pid) && echo {_RUNNING}; }}",
            _ANSWER_TIMEOUT_S,
        ).strip()  # fmt: skip
        # Else the connection alone has ended.
        if said != _RUNNING:
            return said
    raise LabError(f"not measured within {_LONGEST_S / 3600:g} h")


def _finished(machine: Machine) -> Measured:
    """Wait for what the guest measures, show what it prints, and return it."""
    status = _awaited(machine)
    if status not in map(str, MEASURED):
        raise LabError(f"`cgbench verify` ended with {status}")
    listed = machine.read(
        f"dpkg-query -W {' '.join(PACKAGES)} 2>/dev/null || true", _ANSWER_TIMEOUT_S
    )
    # One that is known and not installed has no version.
    installed = [line for line in listed.splitlines() if len(line.split()) == 2]
    packages = "".join(f"{line}\n" for line in installed)
    document = json.loads(machine.read(f"cat {_FOLDER}/truth.json", _ANSWER_TIMEOUT_S))
    begun = _begun(machine)
    if begun is not None:
        # A guest's clock that skips idle time is hours ahead of the day.
        document |= {"started": begun.at}
    table = truth.parsed(document, Path("truth.json"))
    return Measured(json.dumps(document), packages, tuple(by_hand.disagreements(machine, table)))
