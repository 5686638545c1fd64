"""Scratch block devices: a file of ours behind a loop device, under a chosen I/O scheduler."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench import programs
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import procfs
from cgbench.host.scratch import commands, ownership, scratch_file
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Leftover
from cgbench.spec.workload import CONTAINER_USER


@dataclass(frozen=True)
class BlockDevice:
    """A scratch device: its node, `major:minor`, and the I/O scheduler now in force.

    The node belongs to the user that stress containers run as. Without `direct_io`, which the file
    system under the file may refuse, reads may come from the page cache and not from the disk.
    """

    path: Path
    number: str
    scheduler: str
    direct_io: bool


@contextmanager
def block_device(
    size: int, scheduler: str | None, folder: Path = scratch_file.FOLDER, root: Path = ROOT
) -> Iterator[BlockDevice]:
    """Lend a block device of `size` bytes; None keeps the scheduler that the kernel chose.

    Its file is written, not sparse. Reads of holes do pass the scheduler and are accounted, but
    come back at 4 GB/s: then the CPUs are the bottleneck and not the device, and bfq cannot share
    it out. With weights 1 : 5, two readers got from 1 : 0.1 to 1 : 26 of a sparse one, and from
    1 : 2.3 to 1 : 5.0 of a written one, the latter with deep queues or bfq's strict_guarantees.

    Raises PreconditionError where the host cannot have it, ScratchError where it fails.
    """
    commands.require_root()
    with (
        scratch_file.lent(size, "a scratch device", folder, written=True, root=root) as held,
        attached(Path(held.subject), root) as name,
        _lent(name, held, root),
    ):
        device = _describe(name, root)
        require_unused(device.path, root)
        yield device if scheduler is None else set_scheduler(device, scheduler, root=root)


def set_scheduler(
    device: BlockDevice,
    name: str,
    attributes: Mapping[str, int] | None = None,
    root: Path = ROOT,
) -> BlockDevice:
    """Put a scratch device under another I/O scheduler, live, and return how it is now.

    `attributes` are the scheduler's own, such as bfq's `low_latency`, whose favour for new
    processes outweighs the weights of groups; the next scheduler begins with its defaults.

    Raises PreconditionError when the kernel has no such scheduler, or the device is not ours.
    """
    queue = root / "sys/block" / device.path.name / "queue"
    backing = backing_file(device.path.name, root)
    if backing is None or scratch_file.owner_of(backing) is None:
        raise PreconditionError(
            f"{device.path} is no scratch device of cgbench"
            + ("" if backing is None else f": it is in use for {backing}"),
            "Its scheduler stays as it is.",
        )
    if name not in _schedulers(queue)[1] and not (
        # Asked for by the alias that the kernel itself would use (kernel: block/elevator.c).
        commands.load_module(f"{name}-iosched") and name in _schedulers(queue)[1]
    ):
        raise PreconditionError(
            f"the kernel offers no I/O scheduler {name!r} for {device.path}: it has "
            f"{', '.join(_schedulers(queue)[1])}",
            f"Load it (modprobe {name}"
            + (")." if programs.find("modprobe") else ", from the package kmod)."),
        )
    commands.write(queue / "scheduler", name)
    offered = {one.name for one in (queue / "iosched").glob("*")}
    for attribute, value in (attributes or {}).items():
        # Compared with what is there, and never made into a path before that.
        if attribute not in offered:
            raise PreconditionError(
                f"the I/O scheduler {name} of {device.path} has no attribute {attribute!r}",
                f"It has: {', '.join(sorted(offered)) or 'none'}.",
            )
        commands.write(queue / "iosched" / attribute, str(value))
    return replace(device, scheduler=_schedulers(queue)[0])


def require_unused(device: Path, root: Path = ROOT) -> None:
    """Raise PreconditionError if a block device is mounted, swapped to or held by another one."""
    use = _use_of(device, root)
    if use is not None:
        raise PreconditionError(
            f"{device} is in use: {use}",
            "cgbench never takes a device that may hold data; leave it out to get a scratch one.",
        )


def _use_of(device: Path, root: Path) -> str | None:
    """Return what a block device is used for, None if for nothing."""
    try:
        about = device.stat()
        if not stat.S_ISBLK(about.st_mode):
            raise PreconditionError(f"{device} is not a block device", "Name one, as /dev/sdb.")
        number = f"{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}"
        numbers = _numbers(number, root)
        for mount in procfs.mounts(root / "proc"):
            if mount.device in numbers:
                return f"it is mounted at {mount.point}"
        # For a block device, O_EXCL without O_CREAT asks for exclusive use (open(2)).
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return "it is swapped to, or part of another device"
        raise PreconditionError(f"{device}: {error.strerror}", "Name a block device.") from error
    return None


def _numbers(number: str, root: Path) -> list[str]:
    """Return the `major:minor` of a device and of its partitions."""
    parts = (root / "sys/dev/block" / number).glob("*/partition")
    return [number, *((part.parent / "dev").read_text().strip() for part in parts)]


# Loop devices


@contextmanager
def attached(file: Path, root: Path = ROOT) -> Iterator[str]:
    """Lend a loop device on `file`; the value is its name, such as `loop0`."""
    try:
        yield _attach(file, root)
    finally:
        # Looked for, since an interrupt may come after losetup attached it and before it reported.
        with commands.undisturbed():
            _detach(file, root)


def _attach(file: Path, root: Path) -> str:
    if not (root / "dev/loop-control").exists() and not commands.load_module("loop"):
        raise PreconditionError(
            "the kernel offers no loop devices: /dev/loop-control is missing",
            "Load the module: modprobe loop (package kmod).",
        )
    try:
        node = commands.run("losetup", "--find", "--show", "--direct-io=on", file)
    except ScratchError:
        # A kernel before 5.8 may attach it and then refuse direct I/O.
        _detach(file, root)
        node = commands.run("losetup", "--find", "--show", file)
    return Path(node).name


def _detach(file: Path, root: Path) -> None:
    for name in loops_on(file, root):
        commands.run("losetup", "--detach", root / "dev" / name)
    # Whoever has the device open still, keeps it; the kernel then detaches it at the last close.
    commands.until(lambda: not loops_on(file, root))


def backing_file(name: str, root: Path = ROOT) -> Path | None:
    """Return the file behind a loop device, None if there is none."""
    text = commands.read(root / "sys/block" / name / "loop/backing_file")
    return None if text is None else Path(text.removesuffix(" (deleted)"))


def loops_on(file: Path, root: Path = ROOT) -> list[str]:
    """Return the names of the loop devices on `file`."""
    paths = sorted((root / "sys/block").glob("loop*"))
    return [path.name for path in paths if backing_file(path.name, root) == file]


def _describe(name: str, root: Path) -> BlockDevice:
    folder = root / "sys/block" / name
    return BlockDevice(
        path=root / "dev" / name,
        number=(folder / "dev").read_text().strip(),
        scheduler=_schedulers(folder / "queue")[0],
        direct_io=(folder / "loop/dio").read_text().strip() == "1",
    )


def _schedulers(queue: Path) -> tuple[str, list[str]]:
    """Return the scheduler in force and all that are offered: `none [bfq] kyber`."""
    words = (commands.read(queue / "scheduler") or "").split()
    chosen = next((word for word in words if word.startswith("[")), "[none]")
    return chosen.strip("[]"), [word.strip("[]") for word in words]


@contextmanager
def _lent(name: str, held: ownership.Lease, root: Path) -> Iterator[None]:
    """Let containers use a loop device; it keeps scheduler and owner when it is free again."""
    node = (root / "dev" / name).stat()
    known = held.amended(
        notes={
            **held.notes,
            "device": name,
            "scheduler": _schedulers(root / "sys/block" / name / "queue")[0],
            "owner": f"{node.st_uid}:{node.st_gid}:{stat.S_IMODE(node.st_mode):o}",
        }
    )
    try:
        _own(root / "dev" / name, CONTAINER_USER, node.st_gid, 0o600)
        yield
    finally:
        with commands.undisturbed():
            _restore(name, known.notes, root)


def _restore(name: str, notes: Mapping[str, str], root: Path) -> None:
    if "owner" in notes:
        user, group, mode = notes["owner"].split(":")
        _own(root / "dev" / name, int(user), int(group), int(mode, 8))
    if "scheduler" in notes:
        commands.write(root / "sys/block" / name / "queue/scheduler", notes["scheduler"])


def _own(node: Path, user: int, group: int, mode: int) -> None:
    try:
        os.chown(node, user, group)
        node.chmod(mode)
    except OSError as error:
        raise ScratchError(f"cannot change the owner of {node}: {error.strerror}") from error


# What a dead owner left


def leftovers(root: Path = ROOT) -> list[Leftover]:
    """Return the loop devices and device nodes whose owners are dead."""
    found = []
    notes = {one.subject: one.notes for one in ownership.abandoned(root) if one.kind == "file"}
    for path in sorted((root / "sys/block").glob("loop*")):
        file = backing_file(path.name, root)
        if file is not None and scratch_file.is_abandoned(file, root):
            found.append(_device_left(path.name, file, notes.get(str(file), {}), root))
    found += [
        _node_left(each["device"], each, root)
        for each in notes.values()
        if "device" in each and _is_lent(each["device"], root)
    ]
    return found


def _device_left(name: str, file: Path, notes: Mapping[str, str], root: Path) -> Leftover:
    def give_back() -> None:
        # Another cgbench may have been quicker, and the device be somebody else's by now.
        if name in loops_on(file, root):
            _restore(name, notes, root)
            _detach(file, root)

    return Leftover(f"loop device {root / 'dev' / name} on {file}", give_back)


def _is_lent(name: str, root: Path) -> bool:
    """Say whether a node still belongs to containers although its device is on no file of ours.

    So it is where the device was detached by hand: whoever uses it next would share it.
    """
    backing = backing_file(name, root)
    if backing is not None and scratch_file.owner_of(backing) is not None:
        return False
    try:
        node = (root / "dev" / name).lstat()
    except FileNotFoundError:
        return False
    return node.st_uid == CONTAINER_USER


def _node_left(name: str, notes: Mapping[str, str], root: Path) -> Leftover:
    def give_back() -> None:
        if _is_lent(name, root):
            _restore(name, {"owner": notes["owner"]}, root)

    return Leftover(f"owner of the device node {root / 'dev' / name}", give_back)
