"""Scratch files, behind loop devices or as swap: with all their blocks, known again by inode."""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cgbench.errors import ScratchError
from cgbench.host.scratch import commands, headroom, ownership
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Lease, Leftover, Owner
from cgbench.units import format_size

PREFIX = "cgbench-scratch-"
FOLDER = Path("/var/tmp")
"""Where scratch files go: on a disk, unlike /tmp and /dev/shm, which may be memory."""

_NAME = re.compile(rf"^{PREFIX}({ownership.OWNER})-[0-9a-f]+$")
_CHUNK = 2**20


@contextmanager
def lent(
    size: int, purpose: str, folder: Path, *, written: bool, root: Path = ROOT
) -> Iterator[Lease]:
    """Lend a file of `size` bytes whose blocks are all allocated; `written`: with random data.

    Raises PreconditionError if the host would not keep enough free space.
    """
    headroom.require_disk(size, purpose, folder, root)
    owner = ownership.this_process(root)
    path = folder.resolve() / f"{PREFIX}{owner}-{secrets.token_hex(4)}"
    held = ownership.take("file", str(path), root=root)
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                held = held.amended(notes={"file": _identity(os.fstat(descriptor))})
                _fill(file, size, written)
        except OSError as error:
            raise ScratchError(f"cannot write {path}: {error.strerror}") from error
        yield held
    finally:
        with commands.undisturbed():
            if not _is_replaced(path, held, root):
                _remove(path)
            held.drop()


def _fill(file: io.FileIO, size: int, written: bool) -> None:
    os.posix_fallocate(file.fileno(), 0, size)
    if not written:
        return
    # One chunk again and again: random, so that no file system compresses it into a hole.
    chunk = os.urandom(_CHUNK)
    for offset in range(0, size, _CHUNK):
        file.write(chunk[: size - offset])
    os.fsync(file.fileno())
    # The device shall read from the disk, also where direct I/O is refused.
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ScratchError(f"cannot remove {path}: {error.strerror}") from error


def _identity(status: os.stat_result) -> str:
    """Return what distinguishes a file from another one of the same name."""
    return f"{status.st_dev}:{status.st_ino}"


def _is_replaced(path: Path, held: Lease | None, root: Path) -> bool:
    """Say whether a file is not the one that its lease notes, so that it is somebody else's.

    After another boot the number of the file system says nothing. Without a lease, as after a boot
    that emptied /run, or where its owner died before it made a note, nobody can say.
    """
    noted = "" if held is None else held.notes.get("file", "")
    try:
        found = _identity(path.lstat())
    except FileNotFoundError:
        return False
    if held is not None and not held.is_of_this_boot(root):
        noted, found = noted.partition(":")[2], found.partition(":")[2]
    return bool(noted) and noted != found


def owner_of(path: Path) -> Owner | None:
    """Return who made a scratch file, None if it is not ours."""
    match = _NAME.match(path.name)
    return None if match is None else ownership.owner(match[1])


def is_abandoned(file: Path, root: Path = ROOT) -> bool:
    """Say whether `file` is a scratch file of ours whose owner is dead, and no other one."""
    owner = owner_of(file)
    if owner is None or owner.lives(root):
        return False
    return not _is_replaced(file, _leases(root).get(str(file)), root)


def _leases(root: Path) -> dict[str, Lease]:
    return {one.subject: one for one in ownership.abandoned(root) if one.kind == "file"}


def leftovers(root: Path = ROOT) -> list[Leftover]:
    """Return the scratch files whose owners are dead."""
    folder = root / FOLDER.relative_to("/")
    found = []
    for file in sorted({*folder.glob(f"{PREFIX}*"), *map(Path, _leases(root))}):
        if is_abandoned(file, root) and _is_made_by_us(file):
            with suppress(FileNotFoundError):
                found.append(_left(file, root))
    return found


def _is_made_by_us(file: Path) -> bool:
    """Say whether it is a file of root's or this user's: everybody may write to the folder."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid())


def _left(file: Path, root: Path) -> Leftover:
    size = format_size(file.stat().st_size)

    def give_back() -> None:
        # Asked again: the name may be somebody else's by now.
        if is_abandoned(file, root):
            _remove(file)

    return Leftover(f"scratch file {file} ({size})", give_back)
