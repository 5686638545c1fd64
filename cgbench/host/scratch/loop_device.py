"""Scratch block devices: a file of ours behind a loop device, under a chosen I/O scheduler."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench import programs
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import procfs
from cgbench.host.scratch import commands, headroom, ownership
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Leftover, Owner
from cgbench.spec.workload import CONTAINER_USER
from cgbench.units import format_size

PREFIX = "cgbench-scratch-"
FOLDER = Path("/var/tmp")
"""Where scratch files go: on a disk, unlike /tmp and /dev/shm, which may be memory."""

_NAME = re.compile(rf"^{PREFIX}({ownership.OWNER})-[0-9a-f]+$")
_CHUNK = 2**20


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
    size: int, scheduler: str | None, folder: Path = FOLDER, root: Path = ROOT
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
        scratch_file(size, "a scratch device", folder, written=True, root=root) as held,
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
    if backing is None or owner_of(backing) is None:
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


# Files


@contextmanager
def scratch_file(
    size: int, purpose: str, folder: Path, *, written: bool, root: Path = ROOT
) -> Iterator[ownership.Lease]:
    """Lend a file of `size` bytes whose blocks are all allocated; `written`: with random data.

    Raises PreconditionError if the host would not keep enough free space.
    """
    headroom.require_disk(size, purpose, folder, root)
    owner = ownership.this_process(root)
    path = folder.resolve() / f"{PREFIX}{owner}-{secrets.token_hex(4)}"
    held = ownership.take("file", str(path), root=root)
    try:
        try:
            _fill(path, size, written)
        except OSError as error:
            raise ScratchError(f"cannot write {path}: {error.strerror}") from error
        yield held
    finally:
        with commands.undisturbed():
            _remove(path)
            held.drop()


def _fill(path: Path, size: int, written: bool) -> None:
    # One chunk again and again: random, so that no file system compresses it into a hole.
    chunk = os.urandom(_CHUNK)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        os.posix_fallocate(descriptor, 0, size)
        if not written:
            return
        for offset in range(0, size, _CHUNK):
            file.write(chunk[: size - offset])
        os.fsync(descriptor)
        # The device shall read from the disk, also where direct I/O is refused.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ScratchError(f"cannot remove {path}: {error.strerror}") from error


def owner_of(path: Path) -> Owner | None:
    """Return who made a scratch file, None if it is not ours."""
    match = _NAME.match(path.name)
    return None if match is None else ownership.owner(match[1])


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
    """Return the loop devices and scratch files whose owners are dead, devices first."""
    found = []
    notes = {one.subject: one.notes for one in ownership.abandoned(root) if one.kind == "file"}
    for path in sorted((root / "sys/block").glob("loop*")):
        file = backing_file(path.name, root)
        if file is not None and is_abandoned(file, root):
            found.append(_device_left(path.name, file, notes.get(str(file), {}), root))
    found += [
        _node_left(each["device"], each, root)
        for each in notes.values()
        if "device" in each and _is_lent(each["device"], root)
    ]
    folder = root / FOLDER.relative_to("/")
    files = {*folder.glob(f"{PREFIX}*"), *map(Path, notes)}
    for file in sorted(files):
        if is_abandoned(file, root) and _is_made_by_us(file):
            with suppress(FileNotFoundError):
                found.append(_file_left(file))
    return found


def _is_made_by_us(file: Path) -> bool:
    """Say whether it is a file of root's or this user's: everybody may write to the folder."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid())


def is_abandoned(file: Path, root: Path = ROOT) -> bool:
    """Say whether `file` is a scratch file of ours whose owner is dead."""
    owner = owner_of(file)
    return owner is not None and not owner.lives(root)


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
    if backing is not None and owner_of(backing) is not None:
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


def _file_left(file: Path) -> Leftover:
    size = format_size(file.stat().st_size)
    return Leftover(f"scratch file {file} ({size})", lambda: _remove(file))
