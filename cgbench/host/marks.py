"""A process noted in a file: whoever reads it later can say whether that process is dead."""

from __future__ import annotations

import os
from pathlib import Path

from cgbench.host import procfs

ROOT = Path("/")
_GONE = ("Z", "X", "x")


def of_this_process(root: Path = ROOT) -> str | None:
    """Return a mark of this process, None where /proc does not show it."""
    seen = procfs.process(os.getpid(), root / "proc")
    if seen is None:
        return None
    return f"{_boot(root)} {_namespace(root)} {os.getpid()} {seen.started}"


def is_dead(mark: str, root: Path = ROOT) -> bool:
    """Say whether the process of a mark, made on this host, is certainly dead.

    It is after another boot; in another PID namespace nobody here can see it.
    """
    try:
        boot, namespace, pid, started = mark.split()
        number, ticks = int(pid), int(started)
    except ValueError:
        return False
    if boot != _boot(root):
        return True
    if namespace != _namespace(root):
        return False
    seen = procfs.process(number, root / "proc")
    return seen is None or seen.state in _GONE or seen.started != ticks


def _boot(root: Path) -> str:
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text().strip() or "-"
    except OSError:
        return "-"


def _namespace(root: Path) -> str:
    try:
        return str((root / "proc/self/ns/pid").readlink())
    except OSError:
        return "-"
