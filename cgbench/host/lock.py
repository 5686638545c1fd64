"""One measuring cgbench on a host, and what a dead one left in memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgbench.errors import PreconditionError
from cgbench.host.preconditions import SCRATCH

SCRATCH_PREFIX = "cgbench-"
LOCK = Path("/run/cgbench.lock")


@contextmanager
def exclusively(lock: Path = LOCK) -> Iterator[None]:
    """Hold the host for one measuring cgbench.

    The lock is the kernel's and vanishes with its holder, however it dies. Raises
    PreconditionError if another cgbench holds it, or where this one may not.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = "Run it with sudo." if isinstance(error, PermissionError) else None
        raise PreconditionError(f"cannot open the lock {lock}: {error.strerror}", advice) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise PreconditionError(
                f"another cgbench (process {holder or 'unknown'}) is measuring on this host",
                "Wait until it has finished: two runs at once would disturb each other.",
            ) from None
        # Only words for the next one: a full disk does not take the lock away.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder(name: str, scratch: Path = SCRATCH) -> Iterator[Path]:
    """Lend a directory in memory; its name begins with `name`, and nobody can guess it.

    Raises PreconditionError when it cannot be made.
    """
    # Everybody may write there: a name that is known could be taken before.
    folder = scratch / f"{name}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(mode=0o711)
    except OSError as error:
        raise PreconditionError(
            f"cannot make {folder}: {error.strerror}",
            "`cgbench doctor` shows what measuring needs.",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_leftovers(scratch: Path = SCRATCH) -> list[Path]:
    """Return the scratch directories of trials that ended without removing them.

    Everybody may write there, so what is not this user's own directory is not ours.
    """
    return sorted(path for path in scratch.glob(f"{SCRATCH_PREFIX}*") if _is_own_directory(path))


def _is_own_directory(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
