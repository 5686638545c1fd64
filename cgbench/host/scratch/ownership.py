"""Who made which scratch device, swap or cgroup: written down before it exists.

A process that is killed cleans nothing up. Its leases, one file each under /run/cgbench, and the
names of its files show the next cgbench what to give back, and that its owner is dead.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from cgbench.errors import ScratchError
from cgbench.host import procfs
from cgbench.host.scratch.commands import ROOT

Kind = Literal["file", "zram", "group", "caps"]

_FOLDER = "run/cgbench"
_NAME = re.compile(r"^(?:file|zram|group|caps)-[0-9]+-[0-9]+-[0-9a-f]+\.json$")
_GONE = ("Z", "X", "x")


@dataclass(frozen=True)
class Owner:
    """A process; `started`, in clock ticks after boot, differs in a later one of the same id."""

    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}"

    def lives(self, root: Path = ROOT) -> bool:
        """Say whether the process still runs: a zombie does not."""
        seen = procfs.process(self.pid, root / "proc")
        return seen is not None and seen.state not in _GONE and seen.started == self.started


def this_process(root: Path = ROOT) -> Owner:
    """Return the owner of what this process makes."""
    seen = procfs.process(os.getpid(), root / "proc")
    if seen is None:
        raise ScratchError(f"{root / 'proc'} does not show this process", "Mount /proc.")
    return Owner(os.getpid(), seen.started)


@dataclass(frozen=True)
class Lease:
    """One thing that its owner made, or was about to make.

    `subject` is a file's path, a zram device's name or a group's CgroupParent; empty until the
    kernel has named it. The `caps` of a trial are no thing, only a promise of memory. `memory` is
    how many bytes of the host's memory it may come to hold. `notes` are what giving it back needs
    to know. `boot` is the boot it was made in.
    """

    record: Path
    kind: Kind
    subject: str
    owner: Owner
    boot: str
    memory: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)

    def amended(
        self, *, subject: str | None = None, notes: Mapping[str, str] | None = None
    ) -> Lease:
        """Write down what is known by now, and return it."""
        known = replace(
            self,
            subject=self.subject if subject is None else subject,
            notes=self.notes if notes is None else notes,
        )
        _write(known)
        return known

    def drop(self) -> None:
        """Forget it, since it has been given back."""
        self.record.unlink(missing_ok=True)


def take(
    kind: Kind,
    subject: str,
    *,
    memory: int = 0,
    notes: Mapping[str, str] | None = None,
    root: Path = ROOT,
) -> Lease:
    """Write down that this process is about to make something, and return the lease."""
    owner = this_process(root)
    record = root / _FOLDER / f"{kind}-{owner}-{secrets.token_hex(4)}.json"
    lease = Lease(record, kind, subject, owner, _boot(root), memory, notes or {})
    _write(lease)
    return lease


def every(root: Path = ROOT) -> list[Lease]:
    """Return all leases of this boot, whoever holds them; one that cannot be read is left out."""
    leases = []
    for record in sorted((root / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(record.read_text())
            content["owner"] = Owner(**content["owner"])
            leases.append(Lease(record, **content))
    # /run may be on a disk: what was in memory at another boot is gone, files are not.
    return [one for one in leases if one.kind == "file" or one.boot == _boot(root)]


def abandoned(root: Path = ROOT) -> list[Lease]:
    """Return the leases whose owners are dead."""
    return [one for one in every(root) if not one.owner.lives(root)]


def promised_memory(root: Path = ROOT) -> int:
    """Return the bytes of memory that what living owners made may come to hold."""
    return sum(one.memory for one in every(root) if one.owner.lives(root))


def sweep(root: Path = ROOT) -> None:
    """Forget every lease whose owner is dead, and what is no lease of this boot any more."""
    kept = {one.record for one in every(root) if one.owner.lives(root)}
    for record in (root / _FOLDER).glob("*"):
        name = record.name.removesuffix(".new")
        if record not in kept and _NAME.match(name) and not _owner_of_record(name).lives(root):
            record.unlink(missing_ok=True)


def _owner_of_record(name: str) -> Owner:
    _kind, pid, started, _random = name.split("-")
    return Owner(int(pid), int(started))


def _boot(root: Path) -> str:
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _write(lease: Lease) -> None:
    content = asdict(lease)
    del content["record"]
    new = lease.record.with_name(f"{lease.record.name}.new")
    try:
        lease.record.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(content))
        new.replace(lease.record)
    except OSError as error:
        raise ScratchError(
            f"cannot write {lease.record}: {error.strerror}",
            "Without it nothing could be given back after a crash.",
        ) from error


@dataclass(frozen=True)
class Leftover:
    """Something that a dead owner left; `give_back` removes it, or finds that it is gone."""

    description: str
    give_back: Callable[[], None]
