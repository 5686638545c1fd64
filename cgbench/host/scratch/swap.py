"""Scratch swap: what the host has already, compressed memory, or a file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import procfs
from cgbench.host.scratch import commands, headroom, loop_device, ownership, scratch_file
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Lease, Leftover
from cgbench.units import format_size

Kind = Literal["existing", "zram", "file"]

PREFERRED: Sequence[Kind] = ("existing", "zram", "file")

# mkswap(8) takes a page for its header: that much more makes `size` usable.
_HEADER = os.sysconf("SC_PAGE_SIZE")
# Where mkswap(8) writes it (kernel: union swap_header in include/linux/swap.h).
_UUID = slice(1036, 1052)
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
    folder: Path = scratch_file.FOLDER,
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
def _enabled(path: Path, root: Path, mark: str | None = None) -> Iterator[None]:
    try:
        commands.run("mkswap", *(() if mark is None else ("--uuid", mark)), path)
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
    mark = str(uuid.uuid4())
    notes = {
        "before": " ".join(_zram_devices(root)),
        "size": str(size + _HEADER),
        "uuid": mark,
    }
    held = ownership.take("zram", "", memory=size, notes=notes, root=root)
    try:
        held = held.amended(subject=f"zram{_hot_add(control)}")
        commands.write(root / "sys/block" / held.subject / "disksize", notes["size"])
        path = root / "dev" / held.subject
        with _enabled(path, root, mark):
            yield path
    finally:
        with commands.undisturbed():
            # Interrupted before its number was written down, it is looked for as `clean` does.
            for name in [held.subject] if held.subject else _zrams_of([held], root):
                if name in _zram_devices(root):
                    _remove_zram(name, root)
            held.drop()


def _hot_add(control: Path) -> int:
    """Make a zram device and return its number (kernel: admin-guide/blockdev/zram.rst)."""
    try:
        return int(control.read_text())
    except OSError as error:
        raise ScratchError(f"cannot read {control}: {error.strerror}") from error


def _zram_devices(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "sys/block").glob("zram*"))


def _zrams_of(leases: Sequence[Lease], root: Path) -> dict[str, Lease]:
    """Return the devices that leases are about; one that may be another's is left out.

    A number alone says nothing: once it is free, the kernel gives it to somebody else.
    """
    devices = _zram_devices(root)
    found = {
        one.subject: one
        for one in leases
        if one.subject in devices and _carries_mark(one.subject, one, root)
    }
    # Their owners died between making them and writing their names down; they have no size yet.
    unnamed = [one for one in leases if not one.subject]
    empty = {
        name
        for name in devices
        if name not in found and commands.read(root / "sys/block" / name / "disksize") == "0"
    }
    while True:
        certain = [
            (names.pop(), one)
            for one in unnamed
            if len(names := empty - {*one.notes.get("before", "").split()}) == 1
        ]
        if not certain:
            return found
        name, one = certain[0]
        found[name] = one
        empty.discard(name)
        unnamed.remove(one)


def _carries_mark(name: str, held: Lease, root: Path) -> bool:
    """Say whether a device has the UUID that its lease notes, or holds nothing at all."""
    size = commands.read(root / "sys/block" / name / "disksize")
    if size == "0":
        return True
    try:
        with (root / "dev" / name).open("rb") as device:
            header = device.read(_HEADER)
    except OSError:
        return False
    if not any(header):
        # Its owner died before it made the swap.
        return size == held.notes.get("size")
    mark = held.notes.get("uuid")
    return mark is not None and header[_UUID] == uuid.UUID(mark).bytes


def _remove_zram(name: str, root: Path) -> None:
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
        scratch_file.lent(size + _HEADER, "a swap file", folder, written=False, root=root) as held,
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
    devices = _zrams_of(_abandoned(root), root)
    paths = {Path("/dev", name) for name in devices}
    swaps = [
        # What is swapped out goes there, whoever it belongs to.
        Leftover(f"swap on {one.path} ({format_size(one.size)})", _off(one.path, root), True)
        for one in procfs.swaps(root / "proc")
        if one.path in paths or scratch_file.is_abandoned(_file_behind(one.path, root), root)
    ]
    return swaps + [_zram_left(name, one, root) for name, one in sorted(devices.items())]


def _abandoned(root: Path) -> list[Lease]:
    return [one for one in ownership.abandoned(root) if one.kind == "zram"]


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
        # Asked again: the number may be somebody else's by now.
        if _zrams_of(_abandoned(root), root).get(name) == held:
            _remove_zram(name, root)
            held.drop()

    return Leftover(f"zram device {root / 'dev' / name}", give_back)
