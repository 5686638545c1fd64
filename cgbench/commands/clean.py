"""Remove what a killed cgbench left behind: containers, files, devices, swap and cgroups."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cgbench.engine import base_image
from cgbench.engine.engine import Engine
from cgbench.errors import CgbenchError, DockerUnavailable, ScratchError
from cgbench.host import lock
from cgbench.host.scratch import commands, leftovers, ownership


@dataclass(frozen=True)
class Removed:
    """How many of each were removed; `lent` are devices, swap and cgroups given back."""

    containers: int
    directories: int
    lent: int


def clean(*, force: bool = False) -> Removed:
    """Remove every trace; `force` also what a cgbench that still runs has started.

    Raises PreconditionError without rights or when another cgbench is measuring, and
    DockerUnavailable when no daemon answers: all but containers has been removed by then.
    """
    commands.require_root()
    with contextlib.nullcontext() if force else lock.exclusively():
        try:
            engine = Engine()
        except DockerUnavailable:
            remove_leftovers(None)
            raise
        try:
            return remove_leftovers(engine, force=force)
        finally:
            engine.close()


def remove_leftovers(engine: Engine | None, *, force: bool = False) -> Removed:
    """Remove containers, scratch directories, and what was lent.

    Containers of a living cgbench stay, as of one in another PID namespace, unless by `force`.
    One thing that cannot be removed does not save the others: the first error is raised when all
    have been tried.
    """
    refused: list[CgbenchError] = []
    containers = 0
    is_dead = (lambda owner: True) if force else ownership.is_dead
    found: list[str] = []
    with _noting(refused):
        found = [] if engine is None else engine.leftovers(is_dead=is_dead)
    for container in found:
        with _noting(refused):
            assert engine is not None
            engine.remove(container)
            containers += 1
    with _noting(refused):
        base_image.sweep(ownership.is_dead)
    directories = 0
    for path in lock.scratch_leftovers():
        with _noting(refused):
            _remove(path)
            directories += 1
    lock.forget_parents()
    lent: list[str] = []
    # Last: devices and cgroups are free only when no container uses them.
    with _noting(refused):
        lent = leftovers.give_back()
    if refused:
        raise refused[0]
    return Removed(containers, directories, len(lent))


@contextlib.contextmanager
def _noting(refused: list[CgbenchError]) -> Iterator[None]:
    try:
        yield
    except CgbenchError as error:
        refused.append(error)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        # Whoever made it has removed it just now.
        return
    except OSError as error:
        raise ScratchError(f"cannot remove {path}: {error.strerror or error}") from None
