"""Where the CPU time of the host goes while a phase is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgbench.host import counts, cpu_time
from cgbench.host.cpu_time import HostUse
from cgbench.measuring.container import Running
from cgbench.records.account import Account, ProcessUse
from cgbench.units import NS_PER_S

# A process that used less of a CPU than this is not worth its name.
_LEAST_CPUS = 0.005
_NAMED = 3


@dataclass(frozen=True)
class Opened:
    """What the host and the containers had used when a phase began."""

    host: HostUse
    containers: Mapping[str, int | None]


def opened(containers: Sequence[Running]) -> Opened:
    """Read what was used until now."""
    return Opened(cpu_time.host_use(), _used(containers))


def closed(begun: Opened, containers: Sequence[Running], daemons: frozenset[int]) -> Account | None:
    """Return where CPU time went since; None where CPUs came or went, or a clock went back.

    `daemons` are the numbers of the daemon's processes.
    """
    used, now = _used(containers), cpu_time.host_use()
    before, own = begun.host, begun.host.own | now.own
    grown_s = {
        process: process.used_s - (before.processes[key].used_s if key in before.processes else 0.0)
        for key, process in now.processes.items()
    }
    if before.cpus != now.cpus or now.idle_s < before.idle_s or now.steal_s < before.steal_s:
        return None
    by_daemon = [grown for process, grown in grown_s.items() if process.pid in daemons]
    inside = {pid for one in containers for pid in one.cgroup.processes()}
    least_s = _LEAST_CPUS * (now.t_ns - before.t_ns) / NS_PER_S
    others = [
        ProcessUse(pid=process.pid, name=process.name, cpu_s=grown)
        for process, grown in grown_s.items()
        if process.pid not in own | daemons | inside and grown >= least_s
    ]
    slowed = None
    if before.throttles is not None and now.throttles is not None:
        slowed = max(0, now.throttles - before.throttles)
    return Account(
        t_begin_ns=before.t_ns,
        t_end_ns=now.t_ns,
        cpus=now.cpus,
        idle_cpu_s=now.idle_s - before.idle_s,
        steal_cpu_s=now.steal_s - before.steal_s,
        cgbench_cpu_s=max(0.0, sum(s for process, s in grown_s.items() if process.pid in own)),
        daemon_cpu_s=max(0.0, sum(by_daemon)) if len(by_daemon) == len(daemons) > 0 else None,
        containers={role: _grown_s(begun.containers.get(role), used[role]) for role in used},
        largest=tuple(sorted(others, key=lambda one: -one.cpu_s)[:_NAMED]),
        slowed=slowed,
    )


def _used(containers: Sequence[Running]) -> dict[str, int | None]:
    return {one.spec.role: counts.counters(one.cgroup).get("usage_ns") for one in containers}


def _grown_s(before: int | None, after: int | None) -> float | None:
    """Return by how many seconds a counter grew, None where it went back: its group is another."""
    return (
        None if before is None or after is None or after < before else (after - before) / NS_PER_S
    )
