"""Remove what a killed cgbench left behind: containers, files, devices, swap and cgroups."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench.commands import left_alone
from cgbench.engine import base_image
from cgbench.engine.engine import Engine
from cgbench.errors import (
    CgbenchError,
    DockerUnavailable,
    NotGivenBack,
    PreconditionError,
    ScratchError,
)
from cgbench.foreign import one_line
from cgbench.host import lock
from cgbench.host.scratch import commands, leftovers, ownership


@dataclass(frozen=True)
class Kept:
    """One thing that could not be removed, and whether it would disturb a measurement."""

    error: CgbenchError
    in_the_way: bool

    def __str__(self) -> str:
        return one_line(
            " ".join(filter(None, (self.error.message.rstrip(".") + ".", self.error.advice)))
        )


@dataclass(frozen=True)
class Removed:
    """How many of each were removed; `lent` are devices, swap and cgroups given back.

    `left_alone` names in a line each what carries cgbench's name and is not cgbench's to remove.
    """

    containers: int
    directories: int
    lent: int
    kept: tuple[Kept, ...] = ()
    left_alone: tuple[str, ...] = ()
    networks: int = 0


def clean(*, force: bool = False) -> Removed:
    """Remove every trace; `force` also what a cgbench that still runs has started.

    Raises PreconditionError without rights or when another cgbench is measuring, and
    DockerUnavailable when no daemon answers: all but containers has been removed by then.
    """
    commands.require_root()
    with contextlib.nullcontext() if force else lock.exclusively():
        try:
            engine = Engine()
        except DockerUnavailable as error:
            for one in remove_leftovers(None).kept:
                error.add_note(str(one))
            for line in left_alone.named(None):
                error.add_note(f"left alone: {line}")
            raise
        try:
            removed = remove_leftovers(engine, force=force)
            return replace(removed, left_alone=left_alone.named(engine))
        finally:
            engine.close()


def make_room(engine: Engine) -> list[str]:
    """Remove what a dead cgbench left; return a line for each thing that stays and disturbs not.

    Raises PreconditionError for the first that stays and would disturb a measurement.
    """
    kept = remove_leftovers(engine).kept
    for one in kept:
        if one.in_the_way:
            raise PreconditionError(
                f"{one.error.message}; what is measured now would meet it", one.error.advice
            ) from one.error
    return [str(one) for one in kept]


def remove_leftovers(engine: Engine | None, *, force: bool = False) -> Removed:
    """Remove containers, networks, scratch directories, and what was lent.

    Containers of a living cgbench stay, as of one in another PID namespace, unless by `force`.
    One thing that cannot be removed does not save the others.
    """
    kept: list[Kept] = []
    containers = 0 if engine is None else _remove_containers(engine, kept, force=force)
    networks = 0 if engine is None else _remove_networks(engine, kept, force=force)
    base_image.sweep(ownership.is_dead)
    directories = 0
    for path in lock.scratch_leftovers():
        try:
            _remove(path)
            directories += 1
        except ScratchError as error:
            # Of no name that another trial takes; the memory it holds is asked for anew.
            kept.append(Kept(error, in_the_way=False))
    lock.forget_parents()
    lent = 0
    # Last: devices and cgroups are free only when no container uses them.
    try:
        lent = len(leftovers.give_back())
    except NotGivenBack as refused:
        lent = len(refused.removed)
        kept += [Kept(one.error, one.is_shared) for one in refused.refusals]
    except CgbenchError as error:
        kept.append(Kept(error, in_the_way=True))
    return Removed(containers, directories, lent, tuple(kept), networks=networks)


def _remove_containers(engine: Engine, kept: list[Kept], *, force: bool) -> int:
    """Remove containers, note those that stay, and return how many went."""
    is_dead = (lambda owner: True) if force else ownership.is_dead
    try:
        found = engine.leftovers(is_dead=is_dead)
    except CgbenchError as error:
        kept.append(Kept(error, in_the_way=True))
        return 0
    removed = 0
    for container in found:
        try:
            engine.remove(container)
            removed += 1
        except CgbenchError as error:
            kept.append(Kept(error, in_the_way=_may_run(engine, container)))
    return removed


def _remove_networks(engine: Engine, kept: list[Kept], *, force: bool) -> int:
    """Remove networks, note those that stay, and return how many went."""
    removed = 0
    try:
        for network in engine.networks.leftovers((lambda _: True) if force else ownership.is_dead):
            engine.networks.remove(network)
            removed += 1
    except CgbenchError as error:
        kept.append(Kept(error, in_the_way=False))
    return removed


def _may_run(engine: Engine, container: str) -> bool:
    try:
        state = engine.state(container)
    except CgbenchError:
        return True
    return state is not None and state.running


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        # Whoever made it has removed it just now.
        return
    except OSError as error:
        raise ScratchError(f"cannot remove {path}: {error.strerror or error}") from None
