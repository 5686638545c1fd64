"""A parent cgroup of our own, which caps the memory of all containers below it, and maybe more."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from cgbench import programs
from cgbench.errors import CgroupError, PreconditionError, ScratchError
from cgbench.host import cgroups
from cgbench.host.cgroups import Cgroup
from cgbench.host.scratch import commands, headroom, ownership
from cgbench.host.scratch.commands import ROOT
from cgbench.host.scratch.ownership import Leftover
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.options import option

PREFIX = "cgbench-"

EMPTY_WITHIN_S = 20.0
"""For how long a group is waited for whose containers are gone.

Podman tidies up after each in a process that lies in the group itself and outlives the answer; on
an emulated CPU that took more than 2 s.
"""

_SLICE = ".slice"
# systemd.slice(5): the dash says that `cgbench-x.slice` lies inside of this one.
_ALL_SLICES = "cgbench.slice"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def memory_group(
    name: str,
    limit: int,
    driver: str,
    root: Path = ROOT,
    beside: Settings = MappingProxyType({}),
) -> Iterator[str]:
    """Lend a cgroup that holds at most `limit` bytes; the value is for Docker's `CgroupParent`.

    `beside` are other limits of it, by options of Docker's: CPU time and tasks.

    Swap is not capped by it. Docker makes a directory of the same name in every v1 hierarchy; all
    of them go in the end, when the containers are gone. `driver` is the daemon's cgroup driver.

    Raises PreconditionError if it exists already, or the host would not keep enough memory.
    """
    commands.require_root()
    if not _NAME.match(name):
        raise PreconditionError(
            f"not a name for a memory group: {name!r}", "Use letters, digits, _, . and -."
        )
    headroom.require_memory(limit, "a memory group", root)
    parent = _parent(name, driver)
    existing = _directories(parent, root)
    if existing:
        raise PreconditionError(
            f"the memory group {parent} exists already: {existing[-1]}",
            "`cgbench clean` removes what a killed cgbench left.",
        )
    held = ownership.take("group", parent, memory=limit, root=root)
    try:
        _make(parent, limit, root)
        for name, value in beside.items():
            _limit(parent, name, {**beside, name: value}, root)
        yield parent
    finally:
        with commands.undisturbed():
            # Dropped first: should a container still be in it, `cgbench clean` may remove it later.
            held.drop()
            _remove(parent, root)


def _parent(name: str, driver: str) -> str:
    """Return what Docker calls the group: a path, or a slice that systemd knows."""
    if driver == "systemd":
        # A dash in a slice's name would open yet another level.
        return f"{PREFIX}{name.replace('-', '_')}{_SLICE}"
    return f"/{PREFIX}{name}"


def _path(parent: str) -> PurePosixPath:
    """Return where a group is, from the top of each hierarchy."""
    if parent.endswith(_SLICE):
        return PurePosixPath("/", _ALL_SLICES, parent)
    return PurePosixPath(parent)


def _group(path: PurePosixPath, root: Path) -> Cgroup:
    return cgroups.at(str(path), proc=root / "proc", root=root)


def _make(parent: str, limit: int, root: Path) -> None:
    group = _group(_path(parent), root)
    interface = option("memory").kept_in(group)[0]
    file = group.path(interface.controller, interface.file)
    if parent.endswith(_SLICE):
        # MemoryMax is turned into the older limit where systemd runs on v1 (systemd.resource-
        # control(5)). Runtime: nothing of it survives a boot.
        commands.run("systemctl", "set-property", "--runtime", parent, f"MemoryMax={limit}")
        commands.run("systemctl", "start", parent)
    else:
        try:
            file.parent.mkdir()
        except OSError as error:
            raise ScratchError(f"cannot make {file.parent}: {error.strerror}") from error
        _require_interface(file)
        group.cover_descendants()
        commands.write(file, str(limit))
    held = file.read_text().strip() if file.exists() else "nothing"
    # The kernel counts whole pages.
    if held != str(limit // _PAGE * _PAGE):
        raise ScratchError(f"{file} holds {held} after {limit} was written to it")


def _limit(parent: str, name: str, settings: Settings, root: Path) -> None:
    """Give a group one more limit. Raises ScratchError where the kernel does not take it."""
    group = _group(_path(parent), root)
    interface = option(name).kept_in(group)[0]
    file, wanted = group.path(interface.controller, interface.file), interface.expected(settings)
    if parent.endswith(_SLICE):
        quota, period = bandwidth(settings)
        asked = (
            f"TasksMax={option(name).parse(settings[name])}"
            if name == "pids-limit"
            else f"CPUQuota={100 * (quota or 0) / period:g}%"
        )
        commands.run("systemctl", "set-property", "--runtime", parent, asked)
    else:
        with suppress(FileExistsError):
            file.parent.mkdir()
        _require_interface(file)
        commands.write(file, str(wanted))
    held = file.read_text().strip() if file.exists() else "nothing"
    if held != wanted:
        raise ScratchError(f"{file} holds {held} after {wanted} was written to it")


def _require_interface(file: Path) -> None:
    if not file.exists():
        raise PreconditionError(
            f"{file} is missing: its controller is off for groups of the first level",
            "Start any container: Docker enables it for all of them.",
        )


# Giving back


def _directories(parent: str, root: Path) -> list[Path]:
    """Return the group's directory in every hierarchy that has one."""
    return [place for place in _group(_path(parent), root).everywhere() if place.is_dir()]


def _tree(directories: list[Path]) -> list[Path]:
    """Return the directories and all below them, the deepest first."""
    below = [path for top in directories for path in top.rglob("*") if path.is_dir()]
    return sorted([*directories, *below], key=lambda path: -len(path.parts))


def _is_empty(parent: str, root: Path) -> bool:
    """Say whether no process is in the group, nor in any group below it."""
    for directory in _tree(_directories(parent, root)):
        try:
            if (directory / "cgroup.procs").read_text().strip():
                return False
        except FileNotFoundError:
            continue
        except OSError:
            # The processes of a threaded group cannot be read, but there are some.
            return False
    return True


def _remove(parent: str, root: Path) -> None:
    """Remove a group from every hierarchy. Raises CgroupError if a process is still in it."""

    def gone() -> bool:
        for directory in _tree(_directories(parent, root)):
            with suppress(OSError):
                directory.rmdir()
        return not _directories(parent, root)

    # The kernel lets a group go a moment after its last process has ended.
    if not commands.until(lambda: _is_empty(parent, root), EMPTY_WITHIN_S):
        raise CgroupError(
            f"the memory group {parent} still holds processes",
            "Remove its containers, then run `cgbench clean`.",
        )
    if parent.endswith(_SLICE) and programs.find("systemctl"):
        commands.run("systemctl", "stop", parent)
        commands.run("systemctl", "revert", parent)
    if not commands.until(gone):
        raise CgroupError(
            f"cannot remove {_directories(parent, root)[-1]}: it is busy",
            "Run `cgbench clean` once nothing uses it.",
        )
    if parent.endswith(_SLICE) and not names(root):
        _remove_slice_of_all(root)


def _remove_slice_of_all(root: Path) -> None:
    """Remove the slice that all of ours lie in, unless there is anything else in it."""
    places = _group(PurePosixPath("/", _ALL_SLICES), root).everywhere()
    if any(_is_used(place) for place in places):
        return
    if programs.find("systemctl"):
        commands.run("systemctl", "stop", _ALL_SLICES)
    for place in places:
        with suppress(OSError):
            place.rmdir()


def _is_used(directory: Path) -> bool:
    """Say whether a group has processes or groups in it: stopping its slice would end them."""
    if any(path.is_dir() for path in directory.glob("*")):
        return True
    try:
        return bool((directory / "cgroup.procs").read_text().strip())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def names(root: Path) -> list[str]:
    """Return every group of ours that has a directory in some hierarchy."""
    try:
        places = _group(PurePosixPath("/"), root).everywhere()
    except CgroupError:
        return []
    found = set()
    for place in places:
        found |= {f"/{path.name}" for path in place.glob(f"{PREFIX}*") if path.is_dir()}
        found |= {path.name for path in (place / _ALL_SLICES).glob(f"{PREFIX}*{_SLICE}")}
    return sorted(found)


def leftovers(root: Path = ROOT) -> list[Leftover]:
    """Return the memory groups that nobody holds and nothing is in."""
    held = {one.subject for one in ownership.every(root) if one.owner.lives(root)}
    return [
        Leftover(f"memory group {name}", _giving_back(name, root))
        for name in names(root)
        if name not in held and _is_empty(name, root)
    ]


def _giving_back(name: str, root: Path) -> Callable[[], None]:
    return lambda: _remove(name, root)
