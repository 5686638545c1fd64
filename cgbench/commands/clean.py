"""Remove what a killed cgbench left behind: containers, files, devices, swap and cgroups."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass

from cgbench.engine import base_image
from cgbench.engine.engine import Engine
from cgbench.errors import DockerUnavailable
from cgbench.host import lock
from cgbench.host.scratch import leftovers


@dataclass(frozen=True)
class Removed:
    """How many of each were removed; `lent` are devices, swap and cgroups given back."""

    containers: int
    directories: int
    lent: int


def clean(*, force: bool = False) -> Removed:
    """Remove every trace; `force` also what a cgbench that still runs has started.

    Raises PreconditionError when one is measuring, DockerUnavailable when no daemon answers:
    devices and swap have been given back by then.
    """
    with contextlib.nullcontext() if force else lock.exclusively():
        try:
            engine = Engine()
        except DockerUnavailable:
            leftovers.give_back()
            raise
        try:
            return remove_leftovers(engine)
        finally:
            engine.close()


def remove_leftovers(engine: Engine) -> Removed:
    """Remove containers, scratch directories, and what was lent."""
    containers, directories = engine.leftovers(), lock.scratch_leftovers()
    base_image.sweep()
    for container in containers:
        engine.remove(container)
    for path in directories:
        # Whoever made it may remove it just now.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
    # Last: devices and cgroups are free only when no container uses them.
    return Removed(len(containers), len(directories), len(leftovers.give_back()))
