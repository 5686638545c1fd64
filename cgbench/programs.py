"""Where the host's programs are: root runs those of the host's own directories, and no others.

The PATH that sudo hands on may be the caller's. It imports nothing of cgbench, so that everything
may use it.
"""

from __future__ import annotations

import os
import shutil

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
"""The directories that only root may write to; those of Debian's packages come first."""


def path() -> str:
    """Return the PATH to search: for another user than root, the caller's follows the system's."""
    return SYSTEM if os.geteuid() == 0 else f"{SYSTEM}:{os.environ.get('PATH', os.defpath)}"


def find(name: str) -> str | None:
    """Return where a program is, None where it is not installed."""
    return shutil.which(name, path=path())


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a program to run, which finds others as `find` does."""
    return {**os.environ, **more, "PATH": path()}
