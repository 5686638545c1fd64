"""What the host keeps for itself, whatever is asked: a tenth of its memory and of its disk."""

from __future__ import annotations

import os
from pathlib import Path

from cgbench.errors import PreconditionError
from cgbench.host import procfs
from cgbench.host.scratch import ownership
from cgbench.host.scratch.commands import ROOT
from cgbench.units import format_size

KEPT_PCT = 10
"""How much of its memory, and of a scratch file system, the host keeps free."""

_IN_MEMORY = ("tmpfs", "ramfs")


def require_memory(size: int, purpose: str, root: Path = ROOT) -> None:
    """Raise PreconditionError unless the host could give `size` bytes of memory to `purpose`.

    What other leases were promised counts as used, since their owners may claim it any time.
    """
    info = procfs.memory(root / "proc")
    if not {"MemAvailable", "MemTotal"} <= set(info):
        raise PreconditionError(
            f"{root / 'proc/meminfo'} does not say how much memory is available", "Mount /proc."
        )
    promised = ownership.promised_memory(root)
    _require(
        f"{purpose} of {format_size(size)}",
        size,
        info["MemAvailable"] - promised,
        info["MemTotal"],
        "of its memory" + (f" ({format_size(promised)} are promised already)" if promised else ""),
    )


def require_disk(size: int, purpose: str, folder: Path, root: Path = ROOT) -> None:
    """Raise PreconditionError unless `folder` has room for a file of `size` bytes."""
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise PreconditionError(
            f"{folder}: {error.strerror}", "Scratch files need a directory on a disk."
        ) from error
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    _require(
        f"{purpose} of {format_size(size)}", size, free, total, f"of the file system at {folder}"
    )
    if in_memory(folder, root):
        require_memory(size, purpose, root)


def in_memory(folder: Path, root: Path = ROOT) -> bool:
    """Say whether files in `folder` are kept in memory (tmpfs, ramfs)."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = (mount.kind for mount in procfs.mounts(root / "proc") if mount.device == number)
    return next(kinds, None) in _IN_MEMORY


def _require(what: str, size: int, free: int, total: int, where: str) -> None:
    if size <= 0:
        raise PreconditionError(f"{what} is impossible", "Ask for a positive size.")
    kept = total * KEPT_PCT // 100
    if free - size < kept:
        raise PreconditionError(
            f"{what} does not fit: the host has {format_size(max(free, 0))} free and keeps "
            f"{format_size(kept)}, {KEPT_PCT} % {where}",
            f"At most {format_size(max(free - kept, 0))} can be had; `cgbench clean` removes "
            "what a killed cgbench left.",
        )
