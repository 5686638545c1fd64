"""Folders that only this user may write to, in places that others may write to as well."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cgbench.errors import PreconditionError


def is_own(path: Path) -> bool:
    """Say whether it is a directory of root's or this user's, no link, which no other may change.

    Asked before anything in it is believed or removed.
    """
    try:
        found = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid in (0, os.geteuid())
        and not found.st_mode & 0o022
    )


def require(path: Path, mode: int) -> Path:
    """Make a folder where there is none, and return its path.

    Raises PreconditionError where it cannot be made, or is not this user's alone.
    """
    try:
        path.mkdir(mode)
    except FileExistsError:
        pass  # Whose it is, and who may write to it, is asked below.
    except OSError as error:
        raise PreconditionError(
            f"cannot make {path}: {error.strerror}", "`cgbench doctor` shows what measuring needs."
        ) from None
    if not is_own(path):
        raise PreconditionError(
            f"{path} is no folder that only this user may write to",
            "Look at what is in it, then remove it; cgbench makes it anew.",
        )
    return path
