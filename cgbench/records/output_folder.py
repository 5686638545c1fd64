"""The folders that output goes to: opened step by step, so that no link leads elsewhere.

cgbench often runs as root in folders that others may write to, such as a checkout or /tmp.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cgbench.errors import StoreError

_PASSING = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40


@contextmanager
def opened(folder: Path, *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a folder; `make` makes what is missing of its path.

    On the way, links of root's or of this user's own are followed. Raises StoreError where another
    user's link is on the way, or the folder itself is a link.
    """
    here = os.open(folder.anchor or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parts = deque(folder.parts[1:] if folder.anchor else folder.parts)
        links = 0
        while parts:
            part = parts.popleft()
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            step = os.open(part, _PASSING, dir_fd=here)
            if stat.S_ISLNK(os.fstat(step).st_mode):
                try:
                    links += 1
                    _require_trusted(step, folder, last=not parts, links=links)
                    target = Path(os.readlink("", dir_fd=step))
                finally:
                    os.close(step)
                parts.extendleft(reversed(target.parts[1:] if target.anchor else target.parts))
                if not target.anchor:
                    continue
                step = os.open(target.anchor, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            os.close(here)
            here = step
        # A path descriptor can be neither listed nor synced.
        whole = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)
    try:
        yield whole
    finally:
        os.close(whole)


def _require_trusted(link: int, folder: Path, *, last: bool, links: int) -> None:
    owner = os.fstat(link).st_uid
    if last or links > _MOST_LINKS:
        raise StoreError(f"{folder} is a link", "Name the folder that it leads to.")
    if owner not in (0, os.geteuid()):
        raise StoreError(
            f"on the way to {folder} there is a link of user {owner}",
            "Name the folder that it leads to, or remove the link.",
        )
