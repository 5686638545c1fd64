"""One measuring cgbench on a host, and what a dead one left in memory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgbench.errors import PreconditionError
from cgbench.host.preconditions import SCRATCH

SCRATCH_PREFIX = "cgbench-"
LOCK = Path("/run/cgbench.lock")


@contextmanager
def exclusively(lock: Path = LOCK) -> Iterator[None]:
    """Hold the host for one measuring cgbench. Raises PreconditionError if another one does.

    The lock is the kernel's and vanishes with its holder, however it dies.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise PreconditionError(
                f"another cgbench (process {holder or 'unknown'}) is measuring on this host",
                "Wait until it has finished: two runs at once would disturb each other.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def scratch_leftovers(scratch: Path = SCRATCH) -> list[Path]:
    """Return the scratch directories of trials that ended without removing them."""
    return sorted(path for path in scratch.glob(f"{SCRATCH_PREFIX}*") if path.is_dir())
