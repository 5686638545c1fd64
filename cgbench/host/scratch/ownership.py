"""Who made which scratch device, swap or cgroup: written down before it exists.

A process that is killed cleans nothing up. Its leases, one file each under /run/cgbench, and the
names of its files show the next cgbench what to give back, and that its owner is dead.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from cgbench.errors import ScratchError
from cgbench.host import own_folder, procfs
from cgbench.host.scratch.commands import ROOT

Kind = Literal["file", "zram", "group", "caps"]

_FOLDER = "run/cgbench"
OWNER = r"[0-9]+-[0-9]+(?:-[0-9a-f]{8}-[0-9]+)?"
"""How an owner stands in a name: its process, and since when, in which boot and PID namespace."""

_NAME = re.compile(rf"^(?:file|zram|group|caps)-({OWNER})-[0-9a-f]+\.json$")
_GONE = ("Z", "X", "x")
# The kernel's number of the first PID namespace, which shows the processes of all others
# (kernel: include/linux/proc_ns.h).
_FIRST_SPACE = 0xEFFF_FFFC


@dataclass(frozen=True)
class Owner:
    """A process; `started`, in clock ticks after boot, differs in a later one of the same id.

    `boot` are the first letters of its boot's id, `space` is its PID namespace; an older cgbench
    left them out.
    """

    pid: int
    started: int
    boot: str = ""
    space: int = 0

    def __str__(self) -> str:
        place = f"-{self.boot}-{self.space}" if self.boot else ""
        return f"{self.pid}-{self.started}{place}"

    def lives(self, root: Path = ROOT) -> bool:
        """Say whether the process may still run: a zombie does not.

        One of another PID namespace may, unless this one shows all processes and none is there.
        """
        if self.boot and self.boot != _boot(root)[:8]:
            return False
        here = _space(root / "proc/self")
        if self.space and here and self.space != here:
            return here != _FIRST_SPACE or self.space in _spaces(root)
        seen = procfs.process(self.pid, root / "proc")
        return seen is not None and seen.state not in _GONE and seen.started == self.started


def owner(text: str) -> Owner:
    """Return the owner that `OWNER` matched."""
    pid, started, *place = text.split("-")
    boot, space = place or ("", "0")
    return Owner(int(pid), int(started), boot, int(space))


def owner_in(name: str) -> Owner | None:
    """Return the owner that stands in the name of a file or folder, None where there is none."""
    found = re.search(rf"-({OWNER})-", name)
    return None if found is None else owner(found[1])


def is_dead(text: str, root: Path = ROOT) -> bool:
    """Say whether a name has an owner, and that has died."""
    if text.isdecimal():
        # As an older cgbench named the folders in which it built its image.
        return procfs.process(int(text), root / "proc") is None
    return re.fullmatch(OWNER, text) is not None and not owner(text).lives(root)


def _space(process: Path) -> int:
    """Return the PID namespace of a process, 0 where it cannot be read."""
    try:
        return int((process / "ns/pid").readlink().name.removeprefix("pid:[").removesuffix("]"))
    except (OSError, ValueError):
        return 0


def _spaces(root: Path) -> set[int]:
    """Return the PID namespaces of all processes that are shown here."""
    return {_space(path) for path in (root / "proc").glob("[0-9]*")}


def this_process(root: Path = ROOT) -> Owner:
    """Return the owner of what this process makes."""
    seen = procfs.process(os.getpid(), root / "proc")
    if seen is None:
        raise ScratchError(f"{root / 'proc'} does not show this process", "Mount /proc.")
    boot = _boot(root)[:8]
    return Owner(os.getpid(), seen.started, boot, _space(root / "proc/self") if boot else 0)


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

    def is_of_this_boot(self, root: Path = ROOT) -> bool:
        """Say whether it was made since the host was started."""
        return self.boot == _boot(root)

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
    holder = this_process(root)
    record = root / _FOLDER / f"{kind}-{holder}-{secrets.token_hex(4)}.json"
    lease = Lease(record, kind, subject, holder, _boot(root), memory, notes or {})
    _write(lease)
    return lease


def every(root: Path = ROOT) -> list[Lease]:
    """Return all leases of this boot, whoever holds them; one that cannot be read is left out."""
    leases: list[Lease] = []
    if not own_folder.is_own(root / _FOLDER):
        return leases
    for record in sorted((root / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if not _is_own(record):
                continue
            content = json.loads(record.read_text())
            content["owner"] = Owner(**content["owner"])
            leases.append(Lease(record, **content))
    # /run may be on a disk: what was in memory at another boot is gone, files are not.
    return [one for one in leases if one.kind == "file" or one.is_of_this_boot(root)]


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
        named = _NAME.match(record.name.removesuffix(".new"))
        if record not in kept and named and not owner(named[1]).lives(root):
            record.unlink(missing_ok=True)


def left_alone(root: Path = ROOT) -> list[Path]:
    """Return what lies among the leases and is none that can be read."""
    read = {one.record for one in every(root)}
    return sorted(path for path in (root / _FOLDER).glob("*") if path not in read)


def _is_own(record: Path) -> bool:
    """Say whether a lease was written by root or this user, and by nobody else."""
    found = record.lstat()
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid in (0, os.geteuid())
        and not found.st_mode & 0o022
    )


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
        own_folder.require(lease.record.parent, 0o755)
        new.write_text(json.dumps(content))
        new.replace(lease.record)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise ScratchError(
            f"cannot write {lease.record}: {error.strerror}",
            "Without it nothing could be given back after a crash.",
        ) from error


@dataclass(frozen=True)
class Leftover:
    """Something that a dead owner left; `give_back` removes it, or finds that it is gone.

    What `is_shared` is met by every measurement; all else has a name that no other run takes.
    """

    description: str
    give_back: Callable[[], None]
    is_shared: bool = False
