"""Files that appear whole, beside no link: written under a random name, synced and renamed."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cgbench.errors import StoreError
from cgbench.records import output_folder

_ELSEWHERE = "Choose another place with --results."
_ANOTHER = "Choose another place."
_NEW = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# As open() has it; the umask takes from it.
_MODE = 0o666


def write_file(path: Path, text: str) -> Path:
    """Write a file whole, with its directories, and return its path.

    Raises StoreError when it cannot be written.
    """
    with explained(path), output_folder.opened(path.parent, make=True):
        pass
    with whole(path) as file:
        file.write(text.encode())
    return path


def write_named(path: Path, text: str) -> Path:
    """Write a file whole that somebody named, in a folder that is there, and return its path.

    Raises StoreError when it cannot be written, or there is no such folder: that is mostly a slip.
    """
    _require_folder(path)
    with whole(path, _ANOTHER) as file:
        file.write(text.encode())
    return path


def require_writable(path: Path) -> None:
    """Raise StoreError unless a file that somebody named can be written now; it is left as it is.

    For whoever measures for minutes first. A file of another name is made and removed: permissions
    alone do not tell of a file system that takes nothing.
    """
    _require_folder(path)
    trial = f".{secrets.token_hex(8)}.partial"
    with explained(path, _ANOTHER), output_folder.opened(path.parent) as folder:
        _require_regular(path, folder)
        os.close(os.open(trial, os.O_WRONLY | os.O_EXCL | _NEW, _MODE, dir_fd=folder))
        os.unlink(trial, dir_fd=folder)


def append_file(path: Path, text: str) -> None:
    """Append to a file that others write to as well. Raises StoreError when it cannot be."""
    with appending(path) as descriptor:
        rest = text.encode()
        while rest:
            rest = rest[os.write(descriptor, rest) :]


@contextmanager
def appending(path: Path) -> Iterator[int]:
    """Yield the descriptor of a file to read, cut and append to; it is made where it is missing.

    Raises StoreError where that fails, or it is no regular file.
    """
    with explained(path), output_folder.opened(path.parent) as folder:
        is_new = _require_regular(path, folder)
        descriptor = os.open(path.name, os.O_RDWR | os.O_APPEND | _NEW, _MODE, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        if is_new:
            _sync(folder)


@contextmanager
def whole(final: Path, advice: str = _ELSEWHERE) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which takes the place of `final` once it is synced.

    Raises StoreError, with `advice`, when it cannot be written; a link is not followed, and
    nothing but a regular file is replaced.
    """
    # Nobody can guess it, and nothing that is there is opened.
    partial = f".{secrets.token_hex(8)}.partial"
    with explained(final, advice), output_folder.opened(final.parent) as folder:
        _require_regular(final, folder)
        descriptor = os.open(partial, os.O_WRONLY | os.O_EXCL | _NEW, _MODE, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            os.replace(partial, final.name, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=folder)


@contextmanager
def explained(path: Path, advice: str = _ELSEWHERE) -> Iterator[None]:
    """Turn an error of writing `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"disk full while writing {path}",
                "Free some space; finished trials are kept, go on with --resume.",
            ) from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}", advice) from error


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"cannot write {path}: there is no folder {path.parent}", "Make it first.")


def _require_regular(path: Path, folder: int) -> bool:
    """Say whether a file is missing. Raises StoreError where something else has its name."""
    try:
        mode = os.lstat(path.name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
        raise StoreError(f"cannot write {path}: it is {kind}", "Name another file.")
    return False


def _sync(folder: int) -> None:
    """Make a new name last through a power cut."""
    try:
        os.fsync(folder)
    except OSError as error:
        # Some file systems, such as FUSE's, have nothing to sync there.
        if error.errno != errno.EINVAL:
            raise
