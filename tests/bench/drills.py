"""Tamper with containers in known ways, and see whether `audit` finds what was done, and where.

Containers of this process alone are touched, and a group that it makes. Exit status 1 if a finding
is not the one stated by hand, or an honest container has one. It needs root and the image.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.commands import audit
from cgbench.commands.chosen import Wanted
from cgbench.engine import image
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.host import cgroups, lock, procfs
from cgbench.host.cgroups import Cgroup
from cgbench.host.scratch import ownership
from cgbench.records.audit import Audited, Found
from cgbench.spec import workload
from cgbench.spec.options import option
from tests.bench.figure import Figure, at_most
from tests.bench.host_list import made, parent, removed

GROUP = "/cgbench-drilled"
MIB = 2**20
DEVICE = f"/dev/{min(one.name for one in Path('/sys/block').iterdir())}"
_LIVES_S = 300

Config = Mapping[str, object]
Spoil = Callable[[Cgroup, int], None]


@dataclass(frozen=True)
class Drill:
    """One container, what is done to it, and what must be found of which limit, bound by whom.

    `above` are files of a group that it is put below; its processes leave that of a controller;
    the `offline` CPU of the host is switched off meanwhile.
    """

    name: str
    config: Config
    limit: str
    finding: Found
    bound: str
    spoil: Spoil = lambda _cgroup, _pid: None
    above: Mapping[str, str] = field(default_factory=dict)
    leaves: str = ""
    offline: int | None = None


HONEST: Mapping[str, Config] = {
    "nothing": {},
    "cpus": {"NanoCpus": 500_000_000},
    "quota": {"CpuQuota": 30_000},
    "quota-and-period": {"CpuPeriod": 50_000, "CpuQuota": 20_000},
    "shares": {"CpuShares": 512},
    "least-shares": {"CpuShares": 2},
    "set": {"CpusetCpus": "0"},
    "whole-set": {"CpusetCpus": "0-1"},
    "memory": {"Memory": 64 * MIB},
    "memory-and-swap": {"Memory": 64 * MIB, "MemorySwap": 128 * MIB},
    "no-swap": {"Memory": 64 * MIB, "MemorySwap": 64 * MIB},
    "endless-swap": {"Memory": 64 * MIB, "MemorySwap": -1},
    "swappiness": {"Memory": 64 * MIB, "MemorySwappiness": 10},
    "no-killer": {"Memory": 64 * MIB, "OomKillDisable": True},
    "reservation": {"Memory": 64 * MIB, "MemoryReservation": 32 * MIB},
    "tasks": {"PidsLimit": 50},
    "endless-tasks": {"PidsLimit": -1},
    "device": {"BlkioDeviceReadBps": [{"Path": DEVICE, "Rate": 512 * MIB}]},
    "all": {
        "NanoCpus": 1_500_000_000, "CpuShares": 2048, "CpusetCpus": "0-1", "Memory": 96 * MIB,
        "MemorySwap": 192 * MIB, "MemoryReservation": 48 * MIB, "PidsLimit": 100,
    },
}  # fmt: skip
"""Containers of which nothing may be found."""


def written(name: str, text: str) -> Spoil:
    """Write a text into the own file of an option, past Docker."""

    def spoil(cgroup: Cgroup, _pid: int) -> None:
        interface = option(name).kept_in(cgroup)[0]
        cgroup.path(interface.controller, interface.file).write_text(text)

    return spoil


def past(controller: str, name: str, text: str) -> Spoil:
    """Write a text into a file that no option of Docker's is kept in."""

    def spoil(cgroup: Cgroup, _pid: int) -> None:
        cgroup.path(controller, name).write_text(text)

    return spoil


def throttled(version: int) -> Spoil:
    """Throttle a device past Docker."""

    def spoil(cgroup: Cgroup, _pid: int) -> None:
        number = Path(DEVICE).stat().st_rdev
        device, rate = f"{os.major(number)}:{os.minor(number)}", 100 * MIB
        if version == 1:
            text, file = f"{device} {rate}", "blkio.throttle.read_bps_device"
        else:
            text, file = f"{device} rbps={rate}", "io.max"
        cgroup.path("io", file).write_text(text)

    return spoil


def bound_to(cpus: set[int]) -> Spoil:
    """Give all processes an affinity."""

    def spoil(_cgroup: Cgroup, pid: int) -> None:
        for one in procfs.family(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(one, cpus)

    return spoil


_DIFFERS, _UNDECLARED, _TIGHTER = Found.DIFFERS, Found.UNDECLARED, Found.TIGHTER_ABOVE
_V1_QUOTA, _V1_MEMORY = "cpu.cfs_quota_us", "memory.limit_in_bytes"


def _texts(version: int, name: str) -> str:
    """Return a text that is a limit, in the words of a cgroup version."""
    return {
        "cpus": ("20000", "20000 100000"),
        "cpu-shares": ("77", "7"),
        "cpuset-cpus": ("1", "1"),
        "memory": (str(40 * MIB), str(40 * MIB)),
        "memory-swap": (str(100 * MIB), str(20 * MIB)),
        "memory-reservation": (str(20 * MIB), str(20 * MIB)),
        "pids-limit": ("33", "33"),
    }[name][version - 1]


def _weighed(version: int) -> list[Drill]:
    """Return a weight for I/O that was written past Docker, where this kernel keeps any."""
    names = ("blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight")
    if not cgroups.at("/docker").offers("io", *names):
        return []
    text = "300" if version == 1 else "default 300"
    return [Drill("blkio-weight undeclared", {}, "io-weight", _UNDECLARED, "container",
                  written("blkio-weight", text))]  # fmt: skip


def systemd(engine: Engine) -> bool:
    """Say whether the daemon lets systemd make its groups."""
    return engine.describe()["cgroup_driver"] == "systemd"


def drills(version: int, left: Found, *, whole_host: bool = False) -> list[Drill]:
    """Return every drill of a host whose controllers are of a cgroup version.

    `left` is what must be found where all processes left their group. With `whole_host` also those
    that switch a CPU off.
    """
    declared: Mapping[str, tuple[str, Config]] = {
        "cpus": ("cpus", {"NanoCpus": 500_000_000}),
        "cpu-shares": ("cpu-weight", {"CpuShares": 512}),
        "cpuset-cpus": ("cpuset", {"CpusetCpus": "0"}),
        "memory": ("memory", {"Memory": 64 * MIB, "MemorySwap": 128 * MIB}),
        "memory-swap": ("memory-swap", {"Memory": 64 * MIB, "MemorySwap": 128 * MIB}),
        "memory-reservation": ("memory-reservation", {"MemoryReservation": 32 * MIB}),
        "pids-limit": ("pids", {"PidsLimit": 50}),
    }
    found = [
        Drill(f"{name} tampered", config, limit, _DIFFERS, "container",
              written(name, _texts(version, name)))
        for name, (limit, config) in declared.items()
    ]  # fmt: skip
    found += [
        Drill(f"{name} undeclared", {}, limit, _UNDECLARED, "container",
              written(name, _texts(version, name)))
        for name, (limit, _config) in declared.items()
        if name not in ("memory-swap",)
    ]  # fmt: skip
    found += [
        Drill("device tampered", HONEST["device"], "device-throttle", _DIFFERS, "container",
              throttled(version)),
        Drill("device undeclared", {}, "device-throttle", _UNDECLARED, "container",
              throttled(version)),
    ]  # fmt: skip
    found += [
        Drill("fewer tasks for its user", {
            "PidsLimit": 50, "Ulimits": [{"Name": "nproc", "Soft": 40, "Hard": 40}],
        }, "pids", _TIGHTER, "user"),
        *_weighed(version),
        Drill("a burst past Docker", {"NanoCpus": 500_000_000}, "cpus", _DIFFERS, "container",
              past("cpu", ("cpu.cfs_burst_us", "cpu.max.burst")[version - 1], "20000")),
        *(
            Drill(f"{what} that left", config, limit, left, nobody,
                  leaves=limit.removesuffix("s") if limit == "cpus" else limit)
            for what, config, limit, nobody in (
                ("tasks", {"PidsLimit": 50}, "pids", "none"),
                ("memory", {"Memory": 64 * MIB}, "memory", "host"),
                ("CPU time", {"NanoCpus": 500_000_000}, "cpus", "host"),
            )
        ),
    ]  # fmt: skip
    if version == 1:
        found += [
            Drill("nobody is killed, past Docker", {"Memory": 64 * MIB}, "memory", _DIFFERS,
                  "container", past("memory", "memory.oom_control", "1")),
            Drill("killed in spite of Docker", {"Memory": 64 * MIB, "OomKillDisable": True},
                  "memory", _DIFFERS, "container", past("memory", "memory.oom_control", "0")),
            Drill("swappiness tampered", {"Memory": 64 * MIB, "MemorySwappiness": 10}, "memory",
                  _DIFFERS, "container", past("memory", "memory.swappiness", "77")),
        ]  # fmt: skip
    little = (
        {_V1_QUOTA: "30000", _V1_MEMORY: str(32 * MIB), "pids.max": "20", "cpuset.cpus": "0"}
        if version == 1
        else {"cpu.max": "30000 100000", "memory.max": str(32 * MIB), "pids.max": "20",
              "cpuset.cpus": "0"}
    )  # fmt: skip
    memory = next(name for name in little if name.startswith("memory."))
    quota = next(name for name in little if name.startswith("cpu."))
    found += [
        Drill("memory below a narrow group", {"Memory": 64 * MIB}, "memory", _TIGHTER,
              "ancestor", above={memory: little[memory]}),
        Drill("tasks below a narrow group", {"PidsLimit": 50}, "pids", _TIGHTER, "ancestor",
              above={"pids.max": little["pids.max"]}),
        Drill("nothing declared below a quota", {}, "cpus", _TIGHTER, "ancestor",
              above={quota: little[quota]}),
        Drill("nothing declared below memory", {}, "memory", _TIGHTER, "ancestor",
              above={memory: little[memory]}),
        Drill("nothing declared below tasks", {}, "pids", _TIGHTER, "ancestor",
              above={"pids.max": little["pids.max"]}),
        Drill("nothing declared below a set", {}, "cpuset", _TIGHTER, "ancestor",
              above={"cpuset.cpus": "0"}),
        Drill("set and affinity", {"CpusetCpus": "0-1"}, "cpuset", _TIGHTER, "affinity",
              bound_to({1})),
        Drill("affinity alone", {}, "cpuset", _TIGHTER, "affinity", bound_to({0})),
        Drill("more CPUs than the set", {"NanoCpus": 2_000_000_000, "CpusetCpus": "1"}, "cpus",
              _TIGHTER, "container"),
        Drill("more CPUs than the affinity", {"NanoCpus": 1_500_000_000}, "cpus", _TIGHTER,
              "affinity", bound_to({0})),
    ]  # fmt: skip
    if whole_host:
        found += [
            Drill("a set with a CPU that is off", {"CpusetCpus": "0-1"}, "cpuset", _TIGHTER,
                  "host", offline=1),
            Drill("more CPUs than are on", {"NanoCpus": 1_500_000_000}, "cpus", _TIGHTER, "host",
                  offline=1),
        ]  # fmt: skip
    return found


@contextmanager
def switched_off(cpu: int) -> Iterator[None]:
    """Take a CPU from the host. On cgroup v1 every set loses it for good."""
    file = Path(f"/sys/devices/system/cpu/cpu{cpu}/online")
    file.write_text("0")
    try:
        yield
    finally:
        file.write_text("1")


@contextmanager
def running(engine: Engine, tag: str, number: int, drill: Drill) -> Iterator[str]:
    """Run a drill's container, spoiled, and yield its name."""
    with ExitStack() as stack:
        name, above = f"cgbench-drill-{os.getpid()}-{number}", None
        if drill.above:
            above = stack.enter_context(parent(GROUP, number, drill.above, systemd=systemd(engine)))
        elsewhere: Path | None = None
        if drill.leaves:
            folders = made(f"{GROUP}-{number}")
            stack.callback(removed, folders.values())
            elsewhere = folders.get(drill.leaves, folders.get(""))
        spec = ContainerSpec(
            name, tag, (), f"drill-{os.getpid()}", {}, None, None, _LIVES_S, None,
            str(ownership.this_process()),
            parent=above, raw={"PidsLimit": None, **drill.config},
        )  # fmt: skip
        container = stack.enter_context(engine.container(spec))
        inspected = engine.inspected(container)
        assert inspected is not None
        drill.spoil(cgroups.find(inspected.pid), inspected.pid)
        if drill.offline is not None:
            stack.enter_context(switched_off(drill.offline))
        if elsewhere is not None:
            for pid in procfs.family(inspected.pid):
                (elsewhere / "cgroup.procs").write_text(str(pid))
        yield name


def wrong(drill: Drill, found: Audited) -> str | None:
    """Say what is not as it must be, None if nothing."""
    one = next(limit for limit in found.limits if limit.limit == drill.limit)
    if (one.finding, one.bound_by.kind) != (drill.finding, drill.bound):
        return f"{one.finding.value}, bound by {one.bound_by.kind}: {one.reason}"
    if drill.above and GROUP[1:8] not in (one.bound_by.path or ""):
        return f"bound by {one.bound_by.path}"
    return None


def honest(engine: Engine, tag: str, times: int) -> tuple[int, list[str]]:
    """Run honest containers, all at once; return how many, and every finding on them."""
    with ExitStack() as stack:
        names = []
        for number in range(times):
            for at, (kind, config) in enumerate(HONEST.items()):
                drill = Drill(kind, config, "cpus", Found.IN_FORCE, "container")
                names.append(
                    stack.enter_context(running(engine, tag, 1000 * (number + 1) + at, drill))
                )
        found = audit.audit(Wanted(names), engine)
        bad = [f"{one.name}: {limit.limit} {limit.reason}" for one, limit in found.findings]
        bad += [f"{one.name}: {one.unread}" for one in found.containers if one.unread]
        print(f"{len(names)} honest containers audited in {found.seconds:.2f} s", flush=True)
        return len(names), bad


def measured(times: int, *, whole_host: bool = False) -> list[Figure]:
    """Run all drills, then honest containers; return what both come to."""
    engine, tag = Engine(), image.tag(workload.directory())
    try:
        # systemd removes a group that all have left, and where they are nothing holds their limit.
        left = _DIFFERS if systemd(engine) else Found.NO_EFFECT
        every = drills(cgroups.at("/").version("memory"), left, whole_host=whole_host)
        bad = []
        for number, drill in enumerate(every):
            with running(engine, tag, number, drill) as name:
                (found,) = audit.audit(Wanted([name]), engine).containers
            why = found.unread or wrong(drill, found)
            said = "ok " if why is None else "BAD"
            print(f"{said} {drill.name}: {drill.finding.value}{'' if why is None else f': {why}'}",
                  flush=True)  # fmt: skip
            bad += [drill.name] if why is not None else []
        count, findings = honest(engine, tag, times)
        for one in findings:
            print(f"BAD {one}")
        return [
            at_most(f"{len(every)} drills: wrong findings", 0, len(bad), digits=0),
            at_most(f"{count} honest containers: findings", 0, len(findings), digits=0),
        ]
    finally:
        engine.close()


def main() -> int:
    """Run the drills and print their figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.drills", description=__doc__)
    parser.add_argument("--times", type=int, default=7, help="honest containers of each kind")
    parser.add_argument(
        "--whole-host",
        action="store_true",
        help="also switch a CPU off: only in a machine that is yours, with v2",
    )
    given = parser.parse_args()
    with lock.exclusively():
        figures = measured(given.times, whole_host=given.whole_host)
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
