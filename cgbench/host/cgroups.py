"""Find and read a process's cgroup interface files: v1, v2 and hybrid, under a given root.

Paths come from /proc/<pid>/cgroup and /proc/<pid>/mountinfo, so no layout, driver or mount point is
assumed. Formats are those of the kernel's cgroup-v1 and cgroup-v2 documents. Nothing is converted:
values keep the kernel's names and units, and `Counter` says how to get SI units from them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Literal

from cgbench.errors import CgroupError, UnitError
from cgbench.host import procfs
from cgbench.spec.counters import NODE_STAT, V1_COUNTERS, V2_COUNTERS, Counter
from cgbench.units import parse_cpu_list

# Read slowly beside the counters, where the kernel offers them.
_SLOW_FILES = (
    ("unified", "cpu.pressure"),
    ("unified", "memory.pressure"),
    ("unified", "io.pressure"),
    ("memory", "memory.stat"),
    ("io", "io.stat"),
)
# Of all files that root may read and write, these hold limits ...
_LIMIT = re.compile(r"^(cpu|cpuset|memory|blkio|io|pids)\.")
# ... except those which count, and are writable only to be reset or watched.
_COUNTS = re.compile(r"(\.pressure|\.peak|failcnt|max_usage_in_bytes)$")


@dataclass(frozen=True)
class Cgroup:
    """The directories of one cgroup, by controller; `unified` is the v2 one, if there is any."""

    directories: Mapping[str, Path]
    unified: Path | None

    def of(self, controllers: str) -> Cgroup:
        """Return it in one hierarchy alone, by its controllers; v2 has none."""
        if not controllers:
            return Cgroup({}, self.unified)
        names = controllers.split(",")
        return Cgroup({one: self.directories[one] for one in names if one in self.directories},
                      None)  # fmt: skip

    def version(self, controller: str) -> int:
        """Return the cgroup version that `controller` lives on. Raises CgroupError if absent."""
        if controller in self.directories:
            return 1
        if self.unified is not None:
            return 2
        raise CgroupError(
            f"this kernel offers no {controller} controller", "See /proc/cgroups for what it has."
        )

    def path(self, controller: str, file: str) -> Path:
        """Return the path of an interface file; it need not exist.

        Raises CgroupError when the controller is nowhere.
        """
        return Path(self.name(controller, file))

    def name(self, controller: str, file: str) -> str:
        """Return the same as text: to make a path of each of thousands takes as long as to read it.

        Raises CgroupError when the controller is nowhere.
        """
        folder = self._folders.get(controller) or self._folders.get("")
        if folder is None:
            self.version(controller)
        return f"{folder}/{file}"

    @cached_property
    def _folders(self) -> dict[str, str]:
        """Its directories as text; v2's has no controller's name."""
        unified = {} if self.unified is None else {"": str(self.unified)}
        return {**unified, **{one: str(place) for one, place in self.directories.items()}}

    def read(self, controller: str, file: str) -> str | None:
        """Return a file's content without its last newline, None where there is no such file."""
        name = self.name(controller, file)
        try:
            return procfs.content(name).decode(errors="replace").rstrip("\n")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                return None
            raise CgroupError(f"{name}: {error.strerror}") from error

    def known_counters(self) -> Iterator[Counter]:
        """Yield the counters of the controllers here; not every kernel has the file of each."""
        for version, counters in ((1, V1_COUNTERS), (2, V2_COUNTERS)):
            for counter in counters:
                offered = counter.controller in self.directories or self.unified is not None
                if offered and self.version(counter.controller) == version:
                    yield counter

    def counters(self) -> tuple[Counter, ...]:
        """Return the counters whose files this cgroup has."""
        return tuple(
            one for one in self.known_counters() if self.path(one.controller, one.file).exists()
        )

    def node_stat(self) -> tuple[Path, int] | None:
        """Return the file that says how much memory lies on which node, and what it counts in.

        That is in bytes. None where the kernel keeps no such file.
        """
        try:
            path, version = self.path("memory", NODE_STAT), self.version("memory")
        except CgroupError:
            return None
        unit = os.sysconf("SC_PAGE_SIZE") if version == 1 else 1
        return (path, unit) if path.exists() else None

    def limit_files(self) -> dict[str, Path]:
        """Return every file of this cgroup that holds a limit or another setting, by its name."""
        found = {}
        for path in (path for folder in self.everywhere() for path in folder.glob("*.*")):
            if not _LIMIT.match(path.name) or _COUNTS.search(path.name):
                continue
            if (mode := path.stat().st_mode) & 0o400 and mode & 0o200 and path.is_file():
                found[path.name] = path
        return found

    def offered(self, what: Literal["cpus", "mems"]) -> tuple[int, ...]:
        """Return the CPUs or memory nodes that this cgroup may use now.

        Raises CgroupError where there is no cpuset controller.
        """
        # v2, v1 since Linux 3.17, older v1.
        for file in (f"cpuset.{what}.effective", f"cpuset.effective_{what}", f"cpuset.{what}"):
            if text := self.read("cpuset", file):
                try:
                    return parse_cpu_list(text)
                except UnitError as error:
                    raise CgroupError(f"{self.path('cpuset', file)}: {error.message}") from None
        raise CgroupError(f"{self.path('cpuset', f'cpuset.{what}')}: nothing is offered")

    def offers(self, controller: str, *files: str) -> bool:
        """Say whether groups here may have one of the `files`, v1's or v2's, of a controller.

        v2 keeps most files from the top group, so those right below it are looked at, too. Raises
        CgroupError when the controller is nowhere.
        """
        here = self.path(controller, ".")
        below = here.glob("*/") if self.version(controller) == 2 else ()
        return any((group / file).exists() for group in (here, *below) for file in files)

    def processes(self) -> tuple[int, ...]:
        """Return the processes in this cgroup; none if it is gone."""
        for folder in self.everywhere():
            try:
                words = procfs.content(f"{folder}/cgroup.procs").decode(errors="replace").split()
            except OSError:
                continue
            return tuple(int(word) for word in words if word.isdecimal())
        return ()

    def everywhere(self) -> list[Path]:
        """Return the group's directory in each hierarchy, existing or not, each one once."""
        return list(self._everywhere)

    @cached_property
    def _everywhere(self) -> tuple[Path, ...]:
        unified = () if self.unified is None else (self.unified,)
        return tuple(sorted({*self.directories.values(), *unified}, key=attrgetter("parts")))

    def cover_descendants(self) -> None:
        """Let the memory limit count the groups below, which v1 left to choice until Linux 5.11."""
        choice = self.path("memory", "memory.use_hierarchy")
        if choice.exists() and choice.read_text().strip() == "0":
            choice.write_text("1")

    def slow_files(self) -> tuple[Path, ...]:
        """Return the files worth a slow reading that this cgroup has: pressure and memory.stat."""
        folders = dict(self.directories)
        if self.unified is not None:
            folders["unified"] = self.unified
            if not self.directories:
                folders |= {"memory": self.unified, "io": self.unified}
        paths = (folders[where] / file for where, file in _SLOW_FILES if where in folders)
        return tuple(path for path in paths if path.exists())


def find(
    pid: int,
    proc: Path = Path("/proc"),
    root: Path = Path("/"),
    mounted: Mapping[str, tuple[str, str]] | None = None,
) -> Cgroup:
    """Return the cgroup of process `pid`.

    `proc` and `root` may point elsewhere, for a captured tree; `mounted` are `mount_points` that
    are known already, for many processes. Raises CgroupError when there is no such process, or its
    cgroup is not mounted here.
    """
    places = mount_points(proc) if mounted is None else mounted
    directories: dict[str, Path] = {}
    unified: Path | None = None
    for controllers, inside in memberships(pid, proc):
        for controller in controllers.split(",") if controllers else [""]:
            place = places.get(controller)
            if place is None or controller.startswith("name="):
                continue
            directory = root / below(place, inside).lstrip("/")
            if controller:
                directories[controller] = directory
            else:
                unified = directory
    if not directories and (unified is None or not unified.is_dir()):
        raise CgroupError(
            f"process {pid} has no cgroup that is mounted here",
            "Run cgbench on the host itself, not inside a container.",
        )
    # v1's blkio is v2's io: one name for both.
    if "blkio" in directories:
        directories["io"] = directories["blkio"]
    return Cgroup(directories, unified if unified is not None and unified.is_dir() else None)


def paths_of(pid: int, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Return the path of process `pid`'s group in each hierarchy, as the kernel says it.

    Raises CgroupError when there is no such process.
    """
    return tuple(inside for _controllers, inside in memberships(pid, proc))


def home(pid: int, proc: Path = Path("/proc")) -> dict[str, str]:
    """Return in which group of each hierarchy that can limit it a process is.

    A key has the controllers of a hierarchy of v1; it is empty for v2, which counts where no other
    does. Raises CgroupError when there is no such process.
    """
    return limiting(memberships(pid, proc))


def limiting(members: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return those of a process's memberships that can limit it, as `home` does."""
    found = dict(members)
    by_v1 = {key: path for key, path in found.items() if key and not key.startswith("name=")}
    return by_v1 or {key: path for key, path in found.items() if not key}


def memberships(pid: int, proc: Path) -> list[tuple[str, str]]:
    """Return the controllers and the path of each line of /proc/PID/cgroup, see cgroups(7).

    Raises CgroupError when there is no such process.
    """
    try:
        lines = procfs.lines(proc / str(pid) / "cgroup")
    except OSError as error:
        raise CgroupError(f"{error.filename}: {error.strerror}") from error
    found = []
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) != 3:
            raise CgroupError(f"{proc}/{pid}/cgroup: malformed line {line!r}")
        found.append((parts[1], parts[2]))
    return found


def at(path: str, proc: Path = Path("/proc"), root: Path = Path("/")) -> Cgroup:
    """Return the cgroup at `path` from the top of every hierarchy; it need not exist.

    Hierarchies without a controller are there too, such as systemd's, as `name=systemd`. Raises
    CgroupError when none is mounted.
    """
    directories = {
        controller: root / mount_point.lstrip("/") / path.lstrip("/")
        for controller, (_inside, mount_point) in mount_points(proc).items()
    }
    if not directories:
        raise CgroupError("no cgroup hierarchy is mounted", "cgbench needs a Linux host.")
    unified = directories.pop("", None)
    if "blkio" in directories:
        directories["io"] = directories["blkio"]
    return Cgroup(directories, unified)


def mount_points(proc: Path) -> dict[str, tuple[str, str]]:
    """Return controller → (root within the hierarchy, mount point); "" stands for v2.

    Raises CgroupError where mounts cannot be read.
    """
    try:
        mounts = procfs.mounts(proc)
    except OSError as error:
        raise CgroupError(f"{error.filename}: {error.strerror}") from error
    places: dict[str, tuple[str, str]] = {}
    for mount in mounts:
        if mount.kind == "cgroup2":
            places.setdefault("", (mount.root, mount.point))
        elif mount.kind == "cgroup":
            for controller in mount.options:
                places.setdefault(controller, (mount.root, mount.point))
    return places


def below(place: tuple[str, str], inside: str) -> str:
    """Return where a group is, by the path that the kernel says, below one of `mount_points`."""
    mounted_root, mount_point = place
    if mounted_root != "/" and f"{inside}/".startswith(f"{mounted_root}/"):
        inside = inside[len(mounted_root) :]
    return f"{mount_point}/{inside.lstrip('/')}"


def upwards(folder: Path) -> Iterator[Path]:
    """Yield a group's directory and those above it, up to the one where its hierarchy is mounted.

    Above that no directory is a group.
    """
    yield folder
    for place in folder.parents:
        if not (place / "cgroup.procs").exists():
            return
        yield place


def layout(proc: Path = Path("/proc")) -> Literal["v1", "v2", "hybrid"]:
    """Return `v1`, `v2` or `hybrid`: which hierarchies are mounted on this host.

    Raises CgroupError when none is.
    """
    places = mount_points(proc)
    unified = "" in places
    if unified and len(places) == 1:
        return "v2"
    if places:
        return "hybrid" if unified else "v1"
    raise CgroupError("no cgroup hierarchy is mounted", "cgbench needs a Linux host with cgroups.")
