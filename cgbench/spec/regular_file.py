"""The bytes of a file: of a regular one only, and of no more than a limit."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgbench.units import format_size


def content(path: Path, most: int) -> bytes:
    """Return what is in a file of at most `most` bytes; links are followed.

    Raises OSError, whose `strerror` says what is wrong: also for a directory, for a pipe or a
    device, which could be waited for without end, and for a file that is too large.
    """
    _require_regular(path, path.stat().st_mode)
    # Not blocking: a pipe may have taken its place in the meantime.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        _require_regular(path, found.st_mode)
        # The kernel's own files say 0 bytes and hold more.
        data = b"" if found.st_size > most else file.read(most + 1)
        if found.st_size > most or len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {format_size(most)}", str(path))
        return data


@contextmanager
def opened(path: Path, most: int) -> Iterator[tuple[str, int]]:
    """Yield a path to the file that is open, for those who open it themselves, and its size.

    Whatever takes the place of the file meanwhile is not read. Raises OSError as `content` does.
    """
    _require_regular(path, path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        _require_regular(path, found.st_mode)
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"larger than {format_size(most)}", str(path))
        yield f"/dev/fd/{descriptor}", found.st_size
    finally:
        os.close(descriptor)


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
