"""Scratch swap: what the host has already, compressed memory, or a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import procfs
from cgbench.host.scratch import commands, headroom, loop_device, ownership
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Lease, Leftover
from cgbench.units import format_size

Kind = Literal["existing", "zram", "file"]

PREFERRED: Sequence[Kind] = ("existing", "zram", "file")

# mkswap(8) takes a page for its header: that much more makes `size` usable.
_HEADER = os.sysconf("SC_PAGE_SIZE")
# Above every swap that the host may have, so that what is measured is this one.
_PRIORITY = "32767"


@dataclass(frozen=True)
class Swap:
    """Swap that is switched on: where, how many bytes are free to use, and of what kind.

    A `zram` swap keeps what is swapped out in the host's memory, compressed; a `file` one on disk.
    """

    path: Path
    size: int
    kind: Kind


@contextmanager
def swap(
    size: int,
    folder: Path = loop_device.FOLDER,
    kinds: Sequence[Kind] = PREFERRED,
    root: Path = ROOT,
) -> Iterator[Swap]:
    """Lend `size` bytes of swap, of the first of `kinds` that this host can have.

    Switching it off again reads back what was swapped out, which needs that much free memory.

    Raises PreconditionError where no kind can be had, naming the reason for each.
    """
    commands.require_root()
    if size <= 0:
        raise PreconditionError(f"a swap of {size} bytes is impossible", "Ask for more than 0.")
    makers: dict[str, Callable[[], AbstractContextManager[Path]]] = {
        "zram": lambda: _zram(size, root),
        "file": lambda: _file(size, folder, root),
    }
    reasons: list[str] = []
    advice: str | None = None
    with ExitStack() as stack:
        for kind in kinds:
            if kind == "existing":
                if (found := _existing(size, root)) is not None:
                    yield found
                    return
                continue
            try:
                path = stack.enter_context(makers[kind]())
            except (PreconditionError, ScratchError) as error:
                reasons.append(f"{kind}: {error.message}")
                advice = error.advice
                continue
            yield Swap(path, size, kind)
            return
    raise PreconditionError(
        "; ".join([f"no swap of {format_size(size)} can be had", *reasons]),
        advice or "Switch on a swap of the host's own (swapon), or ask for less.",
    )


def _existing(size: int, root: Path) -> Swap | None:
    swaps = procfs.swaps(root / "proc")
    free = procfs.memory(root / "proc").get("SwapFree")
    if not swaps or free is None or free < size:
        return None
    return Swap(swaps[0].path, free, "existing")


@contextmanager
def _enabled(path: Path, root: Path) -> Iterator[None]:
    try:
        commands.run("mkswap", path)
        commands.run("swapon", "--priority", _PRIORITY, path)
        yield
    finally:
        with commands.undisturbed():
            _disable(path, root)


def _disable(path: Path, root: Path) -> None:
    if any(one.path == path for one in procfs.swaps(root / "proc")):
        commands.run("swapoff", path)


# zram


@contextmanager
def _zram(size: int, root: Path) -> Iterator[Path]:
    headroom.require_memory(size, "a swap in memory", root)
    control = root / "sys/class/zram-control/hot_add"
    if not control.exists() and not commands.load_module("zram", "num_devices=0"):
        raise PreconditionError("the kernel offers no zram", "Load it: modprobe zram.")
    # The number is known only once the device exists: whoever finds this lease without it looks
    # for a device that is not among these.
    before = " ".join(_zram_devices(root))
    held = ownership.take("zram", "", memory=size, notes={"before": before}, root=root)
    try:
        held = held.amended(subject=f"zram{_hot_add(control)}")
        commands.write(root / "sys/block" / held.subject / "disksize", str(size + _HEADER))
        path = root / "dev" / held.subject
        with _enabled(path, root):
            yield path
    finally:
        with commands.undisturbed():
            _remove_zram(held, root)
            held.drop()


def _hot_add(control: Path) -> int:
    """Make a zram device and return its number (kernel: admin-guide/blockdev/zram.rst)."""
    try:
        return int(control.read_text())
    except OSError as error:
        raise ScratchError(f"cannot read {control}: {error.strerror}") from error


def _zram_devices(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "sys/block").glob("zram*"))


def _zram_of(held: Lease, root: Path) -> str | None:
    """Return the device that a lease is about, None if it is gone or cannot be identified."""
    devices = _zram_devices(root)
    if held.subject:
        return held.subject if held.subject in devices else None
    # Its owner died between making it and writing its name down; it has no size yet then.
    new = [
        name
        for name in devices
        if name not in held.notes.get("before", "").split()
        and commands.read(root / "sys/block" / name / "disksize") == "0"
    ]
    return new[0] if len(new) == 1 else None


def _remove_zram(held: Lease, root: Path) -> None:
    name = _zram_of(held, root)
    if name is None:
        return
    control = root / "sys/class/zram-control/hot_remove"
    refusal: list[ScratchError] = []

    def removed() -> bool:
        try:
            commands.write(control, name.removeprefix("zram"))
        except ScratchError as error:
            refusal.append(error)
        return name not in _zram_devices(root)

    # Busy for a moment where udev looks at every device that swapoff has let go.
    if not commands.until(removed):
        raise refusal[-1]


# Files


@contextmanager
def _file(size: int, folder: Path, root: Path) -> Iterator[Path]:
    if folder.is_dir() and headroom.in_memory(folder, root):
        raise PreconditionError(
            f"{folder} is kept in memory, which can itself be swapped out",
            "Name a directory on a disk.",
        )
    with (
        loop_device.scratch_file(
            size + _HEADER, "a swap file", folder, written=False, root=root
        ) as held,
        ExitStack() as stack,
    ):
        path = Path(held.subject)
        try:
            stack.enter_context(_enabled(path, root))
        except ScratchError:
            # Not every file system takes swap files (overlay, FUSE); most carry a loop device.
            path = root / "dev" / stack.enter_context(loop_device.attached(path, root))
            stack.enter_context(_enabled(path, root))
        yield path


# What a dead owner left


def leftovers(root: Path = ROOT) -> list[Leftover]:
    """Return swaps and zram devices whose owners are dead, swaps first."""
    abandoned = [
        (one, _zram_of(one, root)) for one in ownership.abandoned(root) if one.kind == "zram"
    ]
    devices = {name: one for one, name in abandoned if name is not None}
    swaps = [
        Leftover(f"swap on {one.path} ({format_size(one.size)})", _off(one.path, root))
        for one in procfs.swaps(root / "proc")
        if one.path.name in devices or loop_device.is_abandoned(_file_behind(one.path, root), root)
    ]
    return swaps + [_zram_left(name, one, root) for name, one in sorted(devices.items())]


def _file_behind(path: Path, root: Path) -> Path:
    return loop_device.backing_file(path.name, root) or path


def _off(path: Path, root: Path) -> Callable[[], None]:
    file = _file_behind(path, root)

    def give_back() -> None:
        # A loop device may have been given back and be somebody else's by now.
        if _file_behind(path, root) == file:
            _disable(path, root)

    return give_back


def _zram_left(name: str, held: Lease, root: Path) -> Leftover:
    def give_back() -> None:
        if held.record.exists():
            _remove_zram(held, root)
            held.drop()

    return Leftover(f"zram device {root / 'dev' / name}", give_back)
