"""Scratch devices, swap and cgroups: made, found again after a crash, given back.

Everything here is lent by a context manager and given back on the way out, whatever happened. What
a killed cgbench could not give back is found by name and by lease, and only once its owner is dead.
"""

from __future__ import annotations

import os
from pathlib import Path

from cgbench.errors import CgbenchError, NotGivenBack, Refusal, ScratchError
from cgbench.host.scratch import commands, loop_device, ownership, scratch_file
from cgbench.host.scratch import memory_group as groups
from cgbench.host.scratch import swap as swap_space
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.loop_device import (
    BlockDevice,
    block_device,
    require_unused,
    set_scheduler,
)
from cgbench.host.scratch.memory_group import memory_group
from cgbench.host.scratch.ownership import Leftover
from cgbench.host.scratch.swap import Swap, swap

__all__ = [
    "BlockDevice",
    "Swap",
    "block_device",
    "give_back",
    "leftovers",
    "memory_group",
    "require_unused",
    "set_scheduler",
    "swap",
]


def leftovers(root: Path = ROOT) -> list[str]:
    """Describe everything that killed cgbenches left; needs no rights."""
    return [one.description for one in _found(root)]


def give_back(root: Path = ROOT) -> list[str]:
    """Remove everything that `leftovers` describes, and return the descriptions.

    What living processes hold stays. One thing that cannot be removed does not save the others.

    Raises NotGivenBack where something cannot be removed, PreconditionError without rights.
    """
    if _found(root):
        commands.require_root()
    elif not os.access(root / "run", os.W_OK):
        return []
    removed: list[str] = []
    refused: list[tuple[Leftover, CgbenchError]] = []

    def done() -> bool:
        refused.clear()
        for one in _found(root):
            try:
                one.give_back()
                removed.append(one.description)
            except CgbenchError as error:
                refused.append((one, error))
        return not refused

    # A program that the dead one had started, such as swapon, may outlive it for a moment.
    if not commands.until(done):
        refusals = [
            Refusal(
                ScratchError(f"cannot remove {one.description}: {cause.message}", cause.advice),
                one.is_shared,
            )
            for one, cause in refused
        ]
        first = refusals[0].error
        more = f" ({len(refusals) - 1} more besides)" if len(refusals) > 1 else ""
        raise NotGivenBack(
            first.message + more, first.advice, refusals, list(dict.fromkeys(removed))
        ) from refused[0][1]
    ownership.sweep(root)
    return list(dict.fromkeys(removed))


def _found(root: Path) -> list[Leftover]:
    # Swap first: neither its device nor its file can go while it is on.
    rooms = (swap_space, loop_device, scratch_file, groups)
    return [one for room in rooms for one in room.leftovers(root)]
