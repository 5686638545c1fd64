"""What carries cgbench's name but not its mark: named, and never removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.errors import EngineError
from cgbench.foreign import one_line
from cgbench.host import lock
from cgbench.host.preconditions import SCRATCH
from cgbench.host.scratch import memory_group, ownership, scratch_file
from cgbench.host.scratch.commands import ROOT

_LIVES = "its cgbench may still run"


def named(engine: Engine | None, root: Path = ROOT, scratch: Path = SCRATCH) -> tuple[str, ...]:
    """Return a line for each thing that is left alone, with the reason.

    Containers are among them where a daemon answers.
    """
    folder = root / scratch_file.FOLDER.relative_to("/")
    found = [
        *(() if engine is None else _containers(engine)),
        *((path, _why(path, root)) for path in lock.left_alone(scratch)),
        *((path, _why(path, root)) for path in sorted(folder.glob(f"{lock.SCRATCH_PREFIX}*"))),
        *((path, _why(path, root)) for path in ownership.left_alone(root)),
        *(
            (
                f"memory group {name}",
                "processes are in it, or its cgbench may still run",
            )
            for name in memory_group.names(root)
        ),
    ]
    return tuple(one_line(f"{what}: {why}") for what, why in found)


def _containers(engine: Engine) -> Iterator[tuple[str, str]]:
    try:
        listed = engine.named_alike()
    except EngineError as error:
        yield "containers", f"the daemon did not list them: {error.message}"
        return
    for one in listed:
        if not one.marked:
            yield f"container {one.name}", "it does not carry cgbench's label"
        elif one.owner and not ownership.is_dead(one.owner):
            yield f"container {one.name}", _LIVES


def _why(path: Path, root: Path) -> str:
    """Say why a file or folder is no leftover."""
    try:
        status = path.lstat()
    except OSError as error:
        return f"{error.strerror}"
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    owner = ownership.owner_in(path.name)
    if owner is not None and owner.lives(root):
        return _LIVES
    return "its name, kind, mode or inode is not that of what cgbench makes"
