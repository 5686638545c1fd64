"""One cgroup that is read again and again: its files stay open, and only what changed is told."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_LONGEST = 4096
_MOST = 2**20

Texts = dict[str, tuple[bytes | None, bytes]]
"""The texts of files that changed, before and after; at the first look there is none before."""


class WatchedGroup:
    """Interface files of one group, by a name for each; those that are absent are left out.

    `texts` are those of the last look. Without `keep`, or where no more files may be open, they are
    opened each time.
    """

    def __init__(self, files: Mapping[str, Path], *, keep: bool = True) -> None:
        self.texts: dict[str, bytes] = {}
        self._paths = dict(files)
        self._open: dict[str, int] = {}
        for name, path in files.items():
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    continue
                del self._paths[name]
                continue
            if keep:
                self._open[name] = descriptor
            else:
                os.close(descriptor)

    @property
    def names(self) -> Iterable[str]:
        """The names of the files that are there."""
        return self._paths.keys()

    @property
    def kept_open(self) -> int:
        """How many of them are open."""
        return len(self._open)

    def look(self) -> Texts | None:
        """Return the texts that changed since the last look; None where the group is gone."""
        changed: Texts = {}
        texts, opened = self.texts, self._open
        gone = 0
        for name, path in self._paths.items():
            try:
                at = opened.get(name)
                text = _read_once(path) if at is None else os.pread(at, _LONGEST, 0)
            except OSError:
                # Some files refuse to be read at times; a group that is gone refuses all.
                gone += 1
                continue
            before = texts.get(name)
            if before != text:
                changed[name] = (before, text)
                texts[name] = text
        return None if gone and gone == len(self._paths) else changed

    def close(self) -> None:
        """Close its files."""
        for descriptor in self._open.values():
            with suppress(OSError):
                os.close(descriptor)
        self._open.clear()


def may_open() -> int:
    """Let this process have as many files open as it may without asking, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return _MOST if soft == resource.RLIM_INFINITY else soft


def _read_once(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)
