"""Files that the kernel keeps in memory, and that whoever reads them next is not charged for.

A group is charged for a page of a file when it reads it in. What another container has read before
is charged there, or nowhere that counts any more: a program that finds its files in memory seems to
need less of it than on a host where it is the first.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MOST_FILES = 300_000
"""More are not looked at."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def drop(folders: Iterable[Path]) -> int | None:
    """Drop what the page cache holds of the files below `folders`; return the bytes that stayed.

    What a process has mapped stays, and so does what is not written yet. None where not all could
    be looked at. Nothing is written, and no link is followed.
    """
    stayed = number = 0
    for folder in folders:
        if not folder.is_dir():
            return None
        for path in _files(folder):
            number += 1
            if number > MOST_FILES:
                return None
            try:
                stayed += _dropped(path)
            except FileNotFoundError:
                # It is gone by now, and so is what was kept of it.
                continue
            except OSError:
                return None
    return stayed


def _files(folder: Path) -> Iterator[str]:
    for place, _folders, names in os.walk(folder):
        for name in names:
            path = f"{place}/{name}"
            with suppress(FileNotFoundError):
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode) and found.st_size:
                    yield path


def _dropped(path: str) -> int:
    """Drop one file from the page cache and return how many bytes of it stayed there."""
    # It may have been exchanged for a pipe meanwhile, of which nobody writes the other end.
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        return resident(file)
    finally:
        os.close(file)


def resident(file: int) -> int:
    """Return how many bytes of an open file are in the page cache. Raises OSError."""
    size = os.fstat(file).st_size
    if not size:
        return 0
    # Never written to, since it is private: only such a mapping gives its address away.
    with mmap.mmap(file, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        view = ctypes.c_char.from_buffer(mapped)
        try:
            address = ctypes.c_void_p(ctypes.addressof(view))
            if _LIBC.mincore(address, ctypes.c_size_t(size), pages) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            # Else the mapping could not be closed.
            del view
    return mmap.PAGESIZE * sum(page & 1 for page in bytes(pages))
