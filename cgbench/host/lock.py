"""One measuring cgbench on a host, and what a dead one left in memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cgbench.errors import PreconditionError
from cgbench.host import own_folder, procfs
from cgbench.host.preconditions import SCRATCH
from cgbench.units import NS_PER_S, format_duration

SCRATCH_PREFIX = "cgbench-"
PARENT = "cgbench"
"""Where scratch folders are made, below a place that everybody may write to."""

_OTHER_PARENT = re.compile(r"^cgbench\.[0-9a-f]{8}$")
_FOLDER = re.compile(r"^cgbench-.+-[0-9]{4}-[0-9a-f]{8}$")
LOCK = Path("/run/cgbench.lock")
_LOOK_EVERY_S = 0.5


@contextmanager
def exclusively(
    lock: Path = LOCK,
    wait_s: float | None = None,
    waiting: Callable[[str], None] = lambda _line: None,
) -> Iterator[None]:
    """Hold the host for one measuring cgbench.

    The lock is the kernel's and vanishes with its holder, however it dies. One that holds it is
    waited for up to `wait_s`, and `waiting` is told so once; None where nobody can ask for that.
    Raises PreconditionError if it holds it longer, or where this one may not.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = "Run it with sudo." if isinstance(error, PermissionError) else None
        raise PreconditionError(f"cannot open the lock {lock}: {error.strerror}", advice) from None
    try:
        _take(descriptor, wait_s, waiting)
        # Only words for the next one: a full disk does not take the lock away.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(lock: Path = LOCK, proc: Path = procfs.PROC) -> int | None:
    """Return the process that holds the host now, None if none does; the lock is not touched."""
    try:
        inode = lock.stat().st_ino
        lines = procfs.lines(proc / "locks")
    except OSError:
        return None
    for line in lines:
        # Number: type, strictness, access, process, device and inode, range: see proc(5).
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4]) if words[4].isdecimal() else None
    return None


def _take(descriptor: int, wait_s: float | None, waiting: Callable[[str], None]) -> None:
    patience_s, told = wait_s or 0.0, False
    end = time.monotonic() + patience_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            busy = f"another cgbench (process {holder or 'unknown'}) is measuring on this host"
            if time.monotonic() >= end:
                how = "" if wait_s is None else ", as a longer --wait does" * bool(wait_s) or (
                    ", as --wait 10m does"
                )  # fmt: skip
                raise PreconditionError(
                    busy,
                    f"Wait until it has finished{how}: two runs at once would disturb each other.",
                ) from None
        if not told:
            waiting(f"{busy}: waiting for up to {format_duration(int(patience_s * NS_PER_S))}")
            told = True
        time.sleep(min(_LOOK_EVERY_S, max(0.0, end - time.monotonic())))


@contextmanager
def scratch_folder(name: str, scratch: Path = SCRATCH) -> Iterator[Path]:
    """Lend a directory in memory; its name begins with `name`, and nobody else can list it.

    Raises PreconditionError when it cannot be made.
    """
    folder = _parent(scratch) / f"{name}-{secrets.token_hex(4)}"
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
        forget_parents(scratch)


def scratch_leftovers(scratch: Path = SCRATCH) -> list[Path]:
    """Return the scratch directories of trials that ended without removing them.

    Everybody may write to `scratch`, so what is not this user's own directory is not ours, nor what
    has a name of another form, such as results that are kept there. An older cgbench made them
    beside each other.
    """
    found = [path for parent in (scratch, *_parents(scratch)) for path in parent.glob("cgbench-*")]
    return sorted(path for path in found if _FOLDER.match(path.name) and own_folder.is_own(path))


def left_alone(scratch: Path = SCRATCH) -> list[Path]:
    """Return what is named like ours and is not: neither a trial's folder nor where they lie."""
    ours = {*scratch_leftovers(scratch), *_parents(scratch)}
    return sorted(
        path
        for parent in (scratch, *_parents(scratch))
        for path in parent.glob(f"{PARENT}*")
        if path not in ours
    )


def forget_parents(scratch: Path = SCRATCH) -> None:
    """Remove the folders that scratch folders were in, as far as they are empty."""
    for parent in _parents(scratch):
        with contextlib.suppress(OSError):
            parent.rmdir()


def _parent(scratch: Path) -> Path:
    """Return the folder that scratch folders are made in; only this user may list it."""
    known = _parents(scratch)
    if known:
        return known[0]
    if not os.path.lexists(scratch / PARENT):
        return own_folder.require(scratch / PARENT, 0o711)
    # Another user took the name, which stops nobody.
    return own_folder.require(scratch / f"{PARENT}.{secrets.token_hex(4)}", 0o711)


def _parents(scratch: Path) -> list[Path]:
    """Return the folders of ours that scratch folders are in; more than one by another's doing."""
    named = [path for path in scratch.glob(f"{PARENT}.*") if _OTHER_PARENT.match(path.name)]
    return [path for path in (scratch / PARENT, *sorted(named)) if own_folder.is_own(path)]
