"""Every way in which a host spoils limits here behind Docker's back, with what must be said of it.

Only groups and processes of the containers that are measured are touched, and groups made here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.errors import CgroupError
from cgbench.host import cgroups, procfs
from cgbench.host.cgroups import Cgroup
from cgbench.records.verdict import Outcome
from tests.bench.short_options import Short
from tests.bench.spoiled import Expected, Kind, must
from tests.made.relay import Document, Relay, Reply, Spoiler, Update

PARTIAL, WRONG, REVERTED = Outcome.PARTIAL, Outcome.WRONG, Outcome.REVERTED
INCONCLUSIVE, INEFFECTIVE = Outcome.INCONCLUSIVE, Outcome.INEFFECTIVE

_GROUP = "/cgbench-spoiled"
_SOON_S = 0.3
_GONE_S = 10.0

_OTHER_SETS = {"0": "1", "1": "0", "0-1": "0"}
# What a group above allows that is too little for a value of each short experiment.
_TOO_LITTLE: Mapping[str, Mapping[str, str]] = {
    "cpuset-cpus": {"cpuset.cpus": "0"},
    "memory": {"memory.limit_in_bytes": str(32 * 2**20)},
    "memory-swap": {
        "memory.limit_in_bytes": str(32 * 2**20), "memory.memsw.limit_in_bytes": str(48 * 2**20),
    },
    "pids-limit": {"pids.max": "20"},
}  # fmt: skip


def process(relay: Relay, container: str) -> int:
    """Return a container's first process."""
    state = relay.docker.inspect(container)["State"]
    assert isinstance(state, dict)
    return int(state["Pid"])


def group(relay: Relay, container: str) -> Cgroup:
    """Return a container's group."""
    return cgroups.find(process(relay, container))


def files(short: Short, cgroup: Cgroup) -> list[Path]:
    """Return where a group keeps an option's value."""
    return [cgroup.path(one.controller, one.file) for one in short.option.kept_in(cgroup)][:1]


def other(file: Path) -> str:
    """Return another text that a file takes: three quarters of a number, or another set of CPUs."""
    text = file.read_text().strip()
    if file.name.startswith("cpuset."):
        return _OTHER_SETS[text]
    first, *rest = text.split()
    return " ".join([str(int(first) * 3 // 4), *rest])


@dataclass
class Writer(Spoiler):
    """Writes other texts into an option's file: after each update, once or again and again."""

    short: Short
    after_s: float
    every_s: float | None = None
    text: Callable[[Path], str] = other

    def update(self, update: Update) -> Reply:
        """Pass an update on, and write behind its back."""
        reply = update.apply()
        if reply.ok and self.after_s:
            update.later(self.after_s, lambda: self._write(update))
        elif reply.ok:
            self._write(update)
        return reply

    def _write(self, update: Update) -> None:
        # Once the container has ended there is nothing to spoil.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, CgroupError):
            for file in files(self.short, group(update.relay, update.container)):
                file.write_text(self.text(file))
            if self.every_s is not None:
                update.later(self.every_s, lambda: self._write(update))


@dataclass
class Above(Spoiler):
    """Puts containers below a group that allows too little, at once or from the `number`th update.

    It is made in every hierarchy, and removed with what is left of the containers.
    """

    short: Short
    number: int = 0

    @contextmanager
    def around(self, relay: Relay) -> Iterator[None]:
        """Make the group, and remove it again."""
        self._folders = made(_GROUP)
        try:
            if not self.number:
                self._allow_little()
            yield
        finally:
            removed(self._folders.values())

    def created(self, relay: Relay, document: Document) -> Document:
        """Put a container below the group."""
        config = document.get("HostConfig")
        # One without settings is only looked into, and never started.
        if not isinstance(config, dict):
            return document
        # It begins on the CPUs that are there, as one that was started without a set.
        below = {"CgroupParent": _GROUP, "CpusetCpus": ""}
        return document | {"HostConfig": config | below}

    def update(self, update: Update) -> Reply:
        """Pass an update on; lower the limit above after the one that was chosen."""
        reply = update.apply()
        if update.number == self.number:
            self._allow_little()
        return reply

    def _allow_little(self) -> None:
        for file, text in _TOO_LITTLE[self.short.name].items():
            (self._folders[file.partition(".")[0]] / file).write_text(text)


@dataclass
class Mover(Spoiler):
    """Moves all processes of a container into another group of the option's controller."""

    short: Short
    folders: dict[str, Path] = field(default_factory=dict)

    @contextmanager
    def around(self, relay: Relay) -> Iterator[None]:
        """Make the other group, and remove it once the containers have gone."""
        self.folders = made(_GROUP)
        try:
            yield
        finally:
            removed(self.folders.values())

    def update(self, update: Update) -> Reply:
        """Pass an update on, and move what it should limit."""
        reply = update.apply()
        place = self.folders[self.short.option.controller] / "cgroup.procs"
        for pid in procfs.family(process(update.relay, update.container)):
            with contextlib.suppress(ProcessLookupError):
                place.write_text(str(pid))
        return reply


@dataclass
class Binder(Spoiler):
    """Gives all processes of a container an affinity, as one that they would have inherited."""

    cpus: frozenset[int]

    def update(self, update: Update) -> Reply:
        """Pass an update on, and bind what may use more."""
        reply = update.apply()
        for pid in procfs.family(process(update.relay, update.container)):
            with contextlib.suppress(ProcessLookupError, OSError):
                os.sched_setaffinity(pid, self.cpus)
        return reply


@dataclass
class Meddler(Spoiler):
    """Does something to the container itself, as another user of the daemon would."""

    request: str

    def update(self, update: Update) -> Reply:
        """Pass an update on, and meddle soon after the first one."""
        reply = update.apply()
        if update.number == 1:
            update.later(_SOON_S, lambda: self._meddle(update))
        return reply

    def _meddle(self, update: Update) -> None:
        for one in self.request.split(", "):
            method, what = ("DELETE", "?force=1") if one == "remove" else ("POST", f"/{one}")
            done = update.relay.docker.ask(method, f"/containers/{update.container}{what}")
            assert done.ok, done.body
            time.sleep(_SOON_S)


def folders(path: str) -> dict[str, Path]:
    """Return the folders of a group by controller."""
    group = cgroups.at(path)
    found = dict(group.directories)
    if group.unified is not None:
        found[""] = group.unified
    return found


def made(path: str) -> dict[str, Path]:
    """Make a group in every hierarchy that limits anything; return its folders by controller."""
    found = folders(path)
    for folder in set(found.values()):
        folder.mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):
            # On v1 a new group has none; on v2 the top has no such file, and a group all of them.
            if (folder / file).exists() and (folder.parent / file).exists():
                (folder / file).write_text((folder.parent / file).read_text())
    return found


def narrowed(places: Mapping[str, Path], files: Mapping[str, str]) -> None:
    """Write texts to the files of a group, by their names."""
    for file, text in files.items():
        folder = places.get(file.partition(".")[0], places.get(""))
        assert folder is not None
        (folder / file).write_text(text)


@contextlib.contextmanager
def narrow(path: str, files: Mapping[str, str]) -> Iterator[str]:
    """Lend a group with texts in its files, by their names."""
    places = made(path)
    try:
        narrowed(places, files)
        yield path
    finally:
        removed(places.values())


def _property(file: str, text: str) -> str:
    """Return what systemd calls a text in a file of a group."""
    if file == "cpu.max":
        quota, period = text.split()
        return f"CPUQuota={100 * int(quota) / int(period):g}%"
    names = {
        "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
        "cpuset.cpus": "AllowedCPUs",
    }  # fmt: skip
    return f"{names[file]}={text}"


@contextlib.contextmanager
def narrow_slice(unit: str, files: Mapping[str, str]) -> Iterator[str]:
    """Lend a slice with texts in its files, by their names.

    systemd resets what others write there, at once or later: it must be told.
    """
    texts = [_property(file, text) for file, text in files.items()]
    subprocess.run(["systemctl", "set-property", "--runtime", unit, *texts], check=True)
    try:
        yield unit
    finally:
        for what in ("stop", "revert"):
            subprocess.run(["systemctl", what, unit], check=True, capture_output=True)


def parent(
    group: str, number: int, files: Mapping[str, str], *, systemd: bool
) -> AbstractContextManager[str]:
    """Lend a group with texts in its files as Docker takes it for a parent, with either driver."""
    if systemd:
        return narrow_slice(f"{group[1:].replace('-', '')}{number}.slice", files)
    return narrow(f"{group}-{number}", files)


def removed(folders: Iterable[Path]) -> None:
    """Remove groups, as soon as what was in them has ended."""
    limit = time.monotonic() + _GONE_S
    for folder in set(folders):
        while folder.exists():
            try:
                for below in (*folder.glob("*/"), folder):
                    below.rmdir()
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)


def _in_kernel(short: Short) -> str | None:
    return short.unable or (None if short.in_kernel else "no kernel has a file for it")


def _only(reason: str, *options: str) -> Callable[[Short], str | None]:
    return lambda short: None if short.name in options else reason


def _bound(short: Short) -> str | None:
    if short.name in ("cpus", "cpu-quota", "cpu-period"):
        return "cgroup v1 takes no quota beyond that of a group above, not even with `docker run`"
    return None if short.name in _TOO_LITTLE else "no limit of a group above can bind it"


def _above(short: Short) -> Expected:
    if short.name == "cpuset-cpus":
        # The kernel refuses a CPU that the group above lacks.
        return must(PARTIAL, says="2 were refused")
    return must(WRONG, INEFFECTIVE, says=f"of {_GROUP} is ")


def _meddling(name: str, does: str, request: str, says: str) -> Kind:
    return Kind(
        name, does, lambda _short: Meddler(request), lambda _short: must(INCONCLUSIVE, says=says),
        _only("it is the same for all options", "cpu-quota", "memory-swap", "pids-limit"),
    )  # fmt: skip


_CPU = ("cpus", "cpu-quota", "cpu-period", "cpu-shares", "cpuset-cpus")
_MOVED = (*_CPU, "memory", "memory-swap", "pids-limit")

KINDS: tuple[Kind, ...] = (
    Kind(
        "written soon", "another writes another value 300 ms after the answer",
        lambda short: Writer(short, _SOON_S), lambda _short: must(REVERTED), _in_kernel,
    ),
    Kind(
        "written first", "another writes another value before the answer",
        lambda short: Writer(short, 0.0), lambda _short: must(REVERTED, WRONG), _in_kernel,
    ),
    Kind(
        "rewritten", "another writes the same quota again 50 times a second",
        lambda short: Writer(short, 0.02, 0.02, lambda file: file.read_text().strip()),
        lambda _short: must(WRONG, INEFFECTIVE), _only("it has no quota", "cpus", "cpu-quota"),
    ),
    Kind(
        "narrow above", "a group above allows less from the beginning",
        Above, _above, _bound,
    ),
    Kind(
        "lowered above", "the limit of a group above is lowered at the first update",
        lambda short: Above(short, 1), _above,
        lambda short: _bound(short) or _only(
            "the kernel does not take a CPU from a group whose children use it",
            *(set(_TOO_LITTLE) - {"cpuset-cpus"}),
        )(short),
    ),
    Kind(
        "moved out", "all processes are moved into another group",
        Mover, lambda _short: must(WRONG, says=f"in the group {_GROUP}"),
        _only("its group is not that of the container alone", *_MOVED),
    ),
    Kind(
        "bound", "the processes may use CPU 0 only, by their affinity",
        lambda _short: Binder(frozenset({0})),
        lambda _short: must(WRONG, says="of the set 0-1 only CPU 0 can be used: Cpus_allowed_list"),
        _only("it says nothing of CPUs", "cpuset-cpus"),
    ),
    _meddling("killed", "another kills the container", "kill", "."),
    _meddling("removed", "another removes the container", "remove", "."),
    _meddling("restarted", "another restarts the container", "restart?t=0", "."),
    _meddling("paused", "another pauses the container", "pause, unpause", "."),
)  # fmt: skip
"""All kinds, by what they do to a container or its host."""
