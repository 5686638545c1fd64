"""Containers of somebody else, made up: a daemon that lists them, and a host with their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from cgbench.commands import audit
from cgbench.commands.audit import Place
from cgbench.commands.chosen import Wanted
from cgbench.engine.engine import Engine
from cgbench.engine.event_feed import EventFeed
from cgbench.engine.facts import Inspected, Listed
from cgbench.errors import DockerUnavailable
from cgbench.records.audit import Audit
from cgbench.records.cause import DockerEvent, Past

MOUNTS = "34 24 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
MIB = 2**20
PID = 4242
STARTED = 1000.0


def identity(pid: int) -> str:
    """Return the identity of the container whose first process this is."""
    return f"{pid - PID}a" * 32


class Daemon:
    """Lists containers, and says of each what it is told to."""

    def __init__(self, **configs: Mapping[str, object] | None) -> None:
        self.configs = configs
        self.pids = {name: PID + at for at, name in enumerate(configs)}
        self.identities = {name: identity(pid) for name, pid in self.pids.items()}
        self.labels: dict[str, dict[str, str]] = {}
        self.states: dict[str, str] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        self.events: list[DockerEvent] = []
        self.feed = Feed()
        self.away = False
        self.closed = 0

    @property
    def chronicle(self) -> Daemon:
        return self

    def listed(self, *, stopped: bool = False) -> list[Listed]:
        return [
            Listed(self.identities[name], name, "image:1", self.states.get(name, "running"),
                   self.labels.get(name, {}))
            for name in self.configs
            if stopped or self.states.get(name, "running") == "running"
        ]  # fmt: skip

    def inspected(self, container_id: str) -> Inspected | None:
        name = next(one.name for one in self.listed(stopped=True)
                    if one.container_id == container_id)  # fmt: skip
        config = self.configs[name]
        return None if config is None else Inspected(self.pids[name], config)

    def inspected_ahead(
        self, container_ids: Iterable[str]
    ) -> Iterator[Callable[[], Inspected | None]]:
        return (partial(self.inspected, one) for one in container_ids)

    def past(self, container_id: str) -> Past | None:
        one = next(one for one in self.listed(stopped=True) if one.container_id == container_id)
        if self.configs[one.name] is None:
            return None
        return Past(
            id=container_id, name=one.name, status=one.state, started=STARTED,
            pid=self.pids[one.name] if one.state in ("running", "paused") else 0,
            **self.ends.get(one.name, {}),
        )  # fmt: skip

    def happened(self, container: str, since: float, until: float) -> tuple[DockerEvent, ...]:
        return tuple(
            one for one in self.events
            if container in (one.container_id, one.attributes.get("name"))
            and since <= one.at <= until
        )  # fmt: skip

    def follow(self) -> EventFeed:
        if self.away:
            raise DockerUnavailable("nobody answers")
        self.feed = Feed()
        return cast(EventFeed, self.feed)

    def close(self) -> None:
        self.closed += 1

    def happens(self, action: str, name: str, at: float = STARTED, **attributes: str) -> None:
        """Let something happen to a container."""
        event = DockerEvent(
            at=at, container_id=self.identities[name], action=action,
            attributes={"name": name, **attributes},
        )  # fmt: skip
        self.events.append(event)
        self.feed.events.append(event)


class Feed:
    """Follows nothing, and tells what it is given."""

    def __init__(self) -> None:
        self.events: list[DockerEvent] = []
        self.broken: str | None = None

    def take(self) -> list[DockerEvent]:
        taken, self.events = self.events, []
        return taken

    def close(self) -> None:
        pass


class Host:
    """A host with cgroup v2 under a directory, and a group for each container."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/mountinfo", MOUNTS)
        self.write("proc/meminfo", "MemTotal:  8388608 kB\n")
        self.write("sys/devices/system/cpu/online", "0-3\n")
        self.write("sys/block/vda/queue/scheduler", "[mq-deadline] none\n")
        self.write("sys/fs/cgroup/cgroup.procs", "")
        self.write("sys/fs/cgroup/docker/cgroup.procs", "")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def path(self, pid: int, file: str = "") -> Path:
        """Return a file of the group of a container."""
        return self.root / f"sys/fs/cgroup/docker/{identity(pid)}/{file}"

    def group(self, pid: int, **files: str) -> None:
        """Let a container's group have files whose names have `_` for the first dot."""
        self.write(f"proc/{pid}/cgroup", f"0::/docker/{identity(pid)}\n")
        self.write(f"proc/{pid}/status", "Cpus_allowed_list:\t0-3\n")
        folder = f"sys/fs/cgroup/docker/{identity(pid)}"
        self.write(f"{folder}/cgroup.procs", f"{pid}\n")
        usual = {
            "cpu_max": "max 100000", "cpu_weight": "100", "memory_max": "max",
            "memory_swap.max": "max", "memory_low": "0", "pids_max": "max", "cpuset_cpus": "",
            "cpuset_cpus.effective": "0-3", "memory_current": "1048576", "pids_current": "1",
            "cpu_stat": "usage_usec 5000000\nnr_periods 100\nnr_throttled 25\nthrottled_usec 5000",
            "memory_events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1", "pids_events": "max 7",
        }  # fmt: skip
        for file, text in (usual | files).items():
            self.write(f"{folder}/{file.replace('_', '.', 1)}", f"{text}\n")

    def audited(self, daemon: Daemon, wanted: Wanted | None = None, for_s: float = 0.0) -> Audit:
        place = Place(self.root / "proc", self.root)
        return audit.audit(
            wanted or Wanted(), cast(Engine, daemon), for_s, place, sleep=lambda _seconds: None
        )
