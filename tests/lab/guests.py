"""The guests of the lab: this user's one, and those that run beside one another."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import ahead, disks, qemu
from tests.lab import host as hosts
from tests.lab.disks import cache
from tests.lab.host import DEFAULT, LabError, LabHost
from tests.lab.machine import Machine


def machine() -> Machine:
    """Return this user's one machine, as it was booted; the default host where none was."""
    state = cache() / "running"
    named = state / "host"
    return _at(state, hosts.load(named.read_text() if named.exists() else DEFAULT))


def left(host: LabHost) -> Machine:
    """Return the machine of a host that `beside` booted, whatever has become of it."""
    return _at(_state(host), host)


@contextmanager
def claimed(host: LabHost) -> Iterator[None]:
    """Have the machine of a host that `beside` boots to oneself; LabError if another has it."""
    cache().mkdir(parents=True, exist_ok=True)
    with _state(host).with_suffix(".claimed").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                "another process measures it: wait for that one, or end it to suspend the guest"
            ) from None
        yield


def _state(host: LabHost) -> Path:
    return cache() / f"beside-{host.name}"


def _at(state: Path, host: LabHost) -> Machine:
    disk = state / "disk"
    return Machine(
        Path(disk.read_text()) if disk.exists() else cache() / disks.digest(host), state, host
    )


def booted(name: str = DEFAULT) -> Machine:
    """Boot the host called `name`, with its disk built and what it needs packed before."""
    qemu.require()
    host = hosts.load(name)
    running = machine().pid()
    if running is not None:
        raise LabError(f"a lab runs already (process {running}); make lab-stop ends it")
    return _booted(host, cache() / "running")


def beside(host: LabHost) -> Machine:
    """Boot a host beside others, in a folder of its own; whoever boots it has to stop it."""
    qemu.require()
    return _booted(host, _state(host))


def _booted(host: LabHost, state: Path) -> Machine:
    cache().mkdir(parents=True, exist_ok=True)
    # Disks, and what each guest is to get, are made in one place.
    with (cache() / "making").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # What cannot be had is said before a disk is built.
        cargo = disks.packed(host)
        found = Machine(disks.built(host), state, host)
        layer = ahead.stocked(host, found.disk, cargo)
        saved = ahead.booted(host, found.disk, cargo, layer) if found.counted else None
        found.prepare(cargo, layer, saved)
    found.boot(saved / qemu.MEMORY if saved else None)
    found.set_up()
    return found
