"""Describe the host, list what it lacks, and measure who else uses its CPUs."""

from __future__ import annotations

import fcntl
import gzip
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cgbench import __version__
from cgbench.engine.engine import Engine
from cgbench.errors import CgroupError, PreconditionError
from cgbench.host import cgroups, cpu_state
from cgbench.host.cpu_state import CpuState
from cgbench.records.run import Host
from cgbench.spec.experiment import Precondition
from cgbench.units import format_size, parse_cpu_list

SCRATCH = Path("/dev/shm")
"""Where probes and samplers write while a trial runs: memory, so that no disk disturbs it."""

SCRATCH_PREFIX = "cgbench-"
LOCK = Path("/run/cgbench.lock")

_MINIMUM_SCRATCH = 64 * 2**20


def describe(engine: Engine) -> Host:
    """Return the host as it is now."""
    docker = engine.describe()
    return Host(
        hostname=platform.node(),
        kernel=platform.release(),
        os=docker["os"],
        cpu_model=_cpu_model(),
        cpus=cpus(),
        memory_bytes=psutil.virtual_memory().total,
        swap_bytes=psutil.swap_memory().total,
        cgroup=cgroups.layout(),
        cgroup_driver=docker["cgroup_driver"],
        docker=docker["version"],
        docker_api=docker["api"],
        runc=docker["runc"],
        storage_driver=docker["storage_driver"],
        timer_hz=timer_hz(),
        clock=_clock_source(),
        python=platform.python_version(),
        cgbench=__version__,
    )


def cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0))


def _cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _clock_source() -> str:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return path.read_text().strip() if path.exists() else "unknown"


def timer_hz(boot: Path = Path("/boot"), proc: Path = Path("/proc")) -> int | None:
    """Return the kernel's CONFIG_HZ, None where its configuration is nowhere to be read.

    A quota shorter than one tick can be overrun by up to a tick.
    """
    packed, plain = proc / "config.gz", boot / f"config-{platform.release()}"
    try:
        text = (
            gzip.decompress(packed.read_bytes()).decode() if packed.exists() else plain.read_text()
        )
    except OSError:
        return None
    match = re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE)
    return int(match[1]) if match else None


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
    schedulers = Path("/sys/block").glob("*/queue/scheduler")
    if any("bfq" in path.read_text() for path in schedulers):
        return True
    modules = Path("/lib/modules") / platform.release()
    return any(modules.rglob("bfq.ko*"))


def _has_two_nodes() -> bool:
    nodes = Path("/sys/devices/system/node/has_memory")
    return nodes.exists() and len(parse_cpu_list(nodes.read_text())) >= 2


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
    Precondition.TWO_NODES: (_has_two_nodes, "the host has a single memory node"),
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
        except CgroupError:
            found[str(name)] = False
    return found


def reason(name: Precondition) -> str:
    """Return what is amiss where a precondition is not met."""
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


@contextmanager
def exclusively(lock: Path = LOCK) -> Iterator[None]:
    """Hold the host for one measuring cgbench. Raises PreconditionError if another one does.

    The lock is the kernel's and vanishes with its holder, however it dies.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise PreconditionError(
                f"another cgbench (process {holder or 'unknown'}) is measuring on this host",
                "Wait until it has finished: two runs at once would disturb each other.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def scratch_leftovers(scratch: Path = SCRATCH) -> list[Path]:
    """Return the scratch directories of trials that ended without removing them."""
    return sorted(path for path in scratch.glob(f"{SCRATCH_PREFIX}*") if path.is_dir())


# Noise


@dataclass(frozen=True)
class CpuTimes:
    """CPU-seconds since boot: busy and stolen on all CPUs, and used by cgbench and the daemon."""

    t_ns: int
    busy_s: float
    steal_s: float
    cgbench_s: float
    daemon_s: float | None
    state: CpuState


def daemon_processes() -> list[psutil.Process]:
    """Return the processes of the Docker daemon and containerd, without their shims."""
    return [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] in ("dockerd", "containerd")
    ]


def cpu_times(daemons: Iterable[psutil.Process]) -> CpuTimes:
    """Read how much CPU time was used until now, by whom."""
    times = psutil.cpu_times()
    # guest time is contained in user time already.
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    own = os.times()
    daemon: float | None = 0.0
    for process in daemons:
        try:
            used = process.cpu_times()
        except psutil.Error:
            daemon = None
            break
        assert daemon is not None
        daemon += used.user + used.system
    return CpuTimes(
        time.monotonic_ns(),
        busy,
        times.steal,
        own.user + own.system + own.children_user + own.children_system,
        daemon or None,
        cpu_state.read(),
    )
