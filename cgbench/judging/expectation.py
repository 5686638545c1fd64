"""What every container should get in a phase, if all declared limits are obeyed.

This says only what should happen, by the kernel's documents; what did is always measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cgbench.spec.container import Container
from cgbench.spec.conversions import bandwidth
from cgbench.spec.fields import Moves
from cgbench.spec.option import Settings
from cgbench.spec.reach import REACHED, Reach, in_bytes
from cgbench.units import parse_cpu_list

DEFAULT_SHARES = 1024
DEFAULT_BLKIO_WEIGHT = 100


@dataclass(frozen=True)
class Work:
    """What a workload does: its probe, or what alone it does with a device, in which blocks."""

    probe: str | None = None
    moves: Moves | None = None
    block: int | None = None


UNSPLIT = 128 * 1024
"""Requests of up to so many bytes reach any device whole (kernel: max_sectors_kb); how many become
of a larger one is the device's affair.
"""

NO_WORK = Work()
"""A workload of which nothing is known."""


@dataclass(frozen=True)
class Load:
    """What one container tries to use: `workers` that never sleep, bytes to hold, tasks to start.

    `workers` is None where how much CPU it would use is not known.
    `tasks_let_in` is the highest limit on tasks since it began: a lower one kills nobody.
    `exit_status` is that of a container that ends by itself. `grouped` ones share a parent's
    memory. `usable` are the CPUs that its processes were seen to be let on, None if not known.
    `work` is what its workload does.
    """

    settings: Settings
    workers: int | None
    size: int = 0
    tasks: int = 0
    tasks_let_in: int = 0
    exit_status: int = 0
    grouped: bool = False
    usable: tuple[int, ...] | None = None
    work: Work = NO_WORK

    @property
    def reach(self) -> Reach:
        """What it comes up to in time."""
        return Reach(self.settings, self.size, self.tasks, self.tasks_let_in, self.exit_status)


def load_of(spec: Container, settings: Settings, tasks_let_in: int, work: Work) -> Load:
    """Return what a container of an experiment tries to use, by what its workload does."""
    return Load(
        settings=settings,
        workers=spec.workers if work.probe == "spin" else None,
        size=spec.charged,
        tasks=spec.count,
        tasks_let_in=tasks_let_in,
        exit_status=spec.count,
        grouped=spec.group,
        work=work,
    )


@dataclass(frozen=True)
class Situation:
    """All containers of a phase by role, on these CPUs of a host; `group` is a parent's cap."""

    loads: Mapping[str, Load]
    cpus: tuple[int, ...]
    group: int | None = None

    def expected(self, metric: str, role: str) -> float | None:
        """Return what `metric` should be for the container `role`, None if nothing is expected."""
        load = self.loads[role]
        settings = load.settings
        if metric in ("cpus_used", "probe_cpus"):
            return self._cpus().get(role)
        if metric == "cpu_share_pct":
            shares = self._cpus()
            total = sum(shares.get(rival, 0.0) for rival in self.rivals(role))
            return 100 * shares[role] / total if role in shares and total else None
        if metric in ("off_mask_cpu_ms", "off_mask_pct"):
            return 0.0 if settings.get("cpuset-cpus") else None
        if metric == "off_nodes_bytes":
            return 0.0 if settings.get("cpuset-mems") else None
        if metric == "set_cpus_used":
            return self._set_used(load)
        if metric in REACHED:
            return load.reach.of(metric)
        if metric == "memory_kept_bytes":
            return self._kept(load)
        if metric == "io_share_pct":
            return self._io_share_pct(role)
        if metric == "io_bytes_per_s":
            return _throttled(load)
        return None

    def rivals(self, role: str) -> tuple[str, ...]:
        """Return the containers, itself included, that may run on just the CPUs that it may."""
        return tuple(name for name in self.loads if self._mask(name) == self._mask(role))

    def _mask(self, role: str) -> tuple[int, ...]:
        """Return the CPUs that a container may use, as far as they are offered if that is known."""
        load = self.loads[role]
        declared = _declared(load) or self.cpus
        offered = tuple(cpu for cpu in declared if load.usable is None or cpu in load.usable)
        return offered or declared

    def _set_used(self, load: Load) -> float | None:
        """Return how many CPUs of its set a workload uses, None where it would not use each."""
        declared = _declared(load)
        if declared is None or load.workers is None or len(self.loads) > 1:
            return None
        quota, period = bandwidth(load.settings)
        wanted = load.workers if quota is None else min(load.workers, quota / period)
        return float(len(declared)) if wanted >= len(declared) else None

    def _kept(self, load: Load) -> float | None:
        """Return the memory that a container keeps while its rivals want it, None if they do not.

        What it holds beyond its reservation moves between them from moment to moment. A
        reservation above its own limit protects no more than the limit lets it have; what becomes
        of one of all that the group may hold is not known.
        """
        reserved = in_bytes(load.settings.get("memory-reservation"))
        if self.group is None or not load.grouped or reserved is None:
            return None
        limit = in_bytes(load.settings.get("memory"))
        kept = min(reserved, load.size, reserved if limit is None else limit)
        return float(kept) if kept < self.group else None

    def _io_share_pct(self, role: str) -> float | None:
        weights = {
            name: int(load.settings.get("blkio-weight", 0) or DEFAULT_BLKIO_WEIGHT)
            for name, load in self.loads.items()
        }
        if len(weights) < 2 or not any(
            "blkio-weight" in one.settings for one in self.loads.values()
        ):
            return None
        return 100 * weights[role] / sum(weights.values())

    def _cpus(self) -> dict[str, float]:
        """Share the CPUs out by weight, no container getting more than it can use.

        Weighted max-min fairness within each set of containers that name the same CPUs; where
        sets differ and overlap nothing simple can be said, and they are left out.
        """
        groups: dict[tuple[int, ...], list[str]] = {}
        for role in self.loads:
            groups.setdefault(self._mask(role), []).append(role)
        shares: dict[str, float] = {}
        for mask, roles in groups.items():
            others = [set(other) for other in groups if other != mask]
            known = all(self.loads[role].workers is not None for role in roles)
            if known and not any(set(mask) & other for other in others):
                shares |= self._shared_out(len(mask), roles)
        return shares

    def _shared_out(self, capacity: float, roles: list[str]) -> dict[str, float]:
        demand = {role: self._demand(role, capacity) for role in roles}
        weight = {
            role: max(2, int(self.loads[role].settings.get("cpu-shares", 0) or DEFAULT_SHARES))
            for role in roles
        }
        given = dict.fromkeys(roles, 0.0)
        open_roles, left = set(roles), capacity
        while open_roles and left > 1e-12:
            total = sum(weight[role] for role in open_roles)
            offer = {role: left * weight[role] / total for role in open_roles}
            full = {role for role in open_roles if given[role] + offer[role] >= demand[role]}
            # Who wants less than its part frees the rest for the others: settle those first.
            for role in full or open_roles:
                took = min(offer[role], demand[role] - given[role])
                given[role] += took
                left -= took
            if not full:
                break
            open_roles -= full
        return given

    def _demand(self, role: str, capacity: float) -> float:
        load = self.loads[role]
        assert load.workers is not None
        quota, period = bandwidth(load.settings)
        limit = capacity if quota is None else quota / period
        return min(float(load.workers), limit, capacity)


def _throttled(load: Load) -> float | None:
    """Return the rate that its limits leave to a workload that only reads or only writes.

    None where nothing limits it, or only requests of a size that is not known.
    """
    direction = {"reads": "read", "writes": "write"}.get(load.work.moves or "")
    rate = in_bytes(load.settings.get(f"device-{direction}-bps"))
    requests = in_bytes(load.settings.get(f"device-{direction}-iops"))
    if requests is None:
        return None if rate is None else float(rate)
    if load.work.block is None or load.work.block > UNSPLIT:
        return None
    by_requests = float(requests * load.work.block)
    return by_requests if rate is None else min(float(rate), by_requests)


def _declared(load: Load) -> tuple[int, ...] | None:
    """Return the set of CPUs that is declared on a container, None if none is."""
    text = str(load.settings.get("cpuset-cpus") or "")
    return parse_cpu_list(text) if text else None
