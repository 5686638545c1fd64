"""What this host must offer for an experiment, and whether it does."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cgbench.errors import CgroupError, PreconditionError, UnitError
from cgbench.host import cgroups, io_control
from cgbench.host.description import cpus, memory_nodes
from cgbench.spec.precondition import Precondition
from cgbench.units import format_size

SCRATCH = Path("/dev/shm")
"""Where probes and samplers write while a trial runs: memory, so that no disk disturbs it."""

_MINIMUM_SCRATCH = 64 * 2**20


# Preconditions


# Asked of the top groups: which controllers cgbench's own group was given is its parent's choice.


def _has_cpu_bandwidth() -> bool:
    top = cgroups.at("/")
    # v2 has no list of features, but a cpu controller there has bandwidth control if the kernel
    # does, and may not have been given to any group yet.
    listed = (top.read("cpu", "cgroup.controllers") or "").split()
    return top.offers("cpu", "cpu.cfs_quota_us", "cpu.max") or "cpu" in listed


def _has_memory_controller() -> bool:
    top = cgroups.at("/")
    listed = (top.read("memory", "cgroup.controllers") or "").split()
    return top.offers("memory", "memory.limit_in_bytes", "memory.max") or "memory" in listed


def _has_swap_accounting() -> bool:
    return cgroups.at("/").offers("memory", "memory.memsw.limit_in_bytes", "memory.swap.max")


def _has_bfq() -> bool:
    if io_control.has_bfq():
        return True
    # Asked for by name, the kernel loads it.
    modules = Path("/lib/modules") / platform.release()
    return any(modules.rglob("bfq.ko*"))


def _has_real_time_groups() -> bool:
    return cgroups.at("/").offers("cpu", "cpu.rt_runtime_us")


_CHECKS: Mapping[Precondition, tuple[Callable[[], bool], str]] = {
    Precondition.CPU_BANDWIDTH: (
        _has_cpu_bandwidth,
        "the kernel offers no CPU bandwidth control (CONFIG_CFS_BANDWIDTH)",
    ),
    Precondition.TWO_CPUS: (lambda: cpus() >= 2, "the host has fewer than 2 CPUs"),
    Precondition.MEMORY_CONTROLLER: (
        _has_memory_controller,
        "the kernel's memory controller is off (cgroup_disable=memory?)",
    ),
    Precondition.SWAP: (
        _has_swap_accounting,
        "the kernel does not account swap (swapaccount=0, or no CONFIG_SWAP)",
    ),
    Precondition.BFQ: (_has_bfq, "no block device here offers the bfq scheduler"),
    Precondition.TWO_NODES: (
        # By these numbers, since an experiment names them.
        lambda: {0, 1} <= set(memory_nodes()),
        "the host has no memory nodes 0 and 1",
    ),
    Precondition.REAL_TIME: (
        _has_real_time_groups,
        "the kernel has no real-time budgets for groups (CONFIG_RT_GROUP_SCHED, cgroup v1)",
    ),
}


def preconditions(required: Iterable[Precondition]) -> dict[str, bool]:
    """Return for each precondition whether this host meets it."""
    found = {}
    for name in required:
        try:
            found[str(name)] = _CHECKS[name][0]()
        except (CgroupError, UnitError):
            found[str(name)] = False
    return found


def reason(name: Precondition) -> str:
    """Return what is missing where a precondition is not met."""
    return _CHECKS[name][1]


def require(required: Iterable[Precondition]) -> dict[str, bool]:
    """Return what `preconditions` does. Raises PreconditionError if one is not met."""
    found = preconditions(required)
    for name, met in found.items():
        if not met:
            raise PreconditionError(
                f"this host cannot do it: {reason(Precondition(name))}",
                f"The experiment requires {name!r}; `cgbench doctor` shows what this host offers.",
            )
    return found


def require_measurable(effective_user: int | None = None, scratch: Path = SCRATCH) -> None:
    """Raise PreconditionError unless this process may measure at all: root, with scratch space."""
    user = os.geteuid() if effective_user is None else effective_user
    if user != 0:
        raise PreconditionError(
            "cgbench must run as root to read cgroups on time and to make probe files",
            "Run it with sudo.",
        )
    try:
        free = shutil.disk_usage(scratch).free
    except OSError as error:
        raise PreconditionError(f"{scratch}: {error.strerror}", "Mount a tmpfs there.") from error
    if free < _MINIMUM_SCRATCH:
        raise PreconditionError(
            f"{scratch} has only {format_size(free)} free of the "
            f"{format_size(_MINIMUM_SCRATCH)} needed",
            "Remove what fills it; `cgbench clean` removes what cgbench left.",
        )
