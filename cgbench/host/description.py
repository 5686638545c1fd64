"""Describe the host, list what it lacks, and measure who else uses its CPUs."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cgbench import __version__
from cgbench.host import cgroups, io_control, procfs, systemd
from cgbench.units import format_cpu_list, parse_cpu_list

if TYPE_CHECKING:
    from cgbench.records.host import Host

# The number of the clock in the kernel's linux/time.h, which Python's `time` does not name.
_CLOCK_MONOTONIC_COARSE = 6
_FASTEST_TIMER_HZ = 1024


def describe(docker: Mapping[str, str]) -> Host:
    """Return the host as it is now; `docker` is what `Daemon.describe` returns."""
    # Here and not above: an audit asks this module for the host's name and CPUs alone.
    import psutil

    from cgbench.records.host import Host

    return Host(
        hostname=hostname(),
        kernel=platform.release(),
        os=docker["os"],
        cpu_model=cpu_model(),
        cpus=cpus(),
        cpu_list=format_cpu_list(cpu_numbers()),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        memory_bytes=psutil.virtual_memory().total,
        swap_bytes=psutil.swap_memory().total,
        cgroup=cgroups.layout(),
        cgroup_driver=docker["cgroup_driver"],
        docker=docker["version"],
        docker_api=docker["api"],
        engine=docker.get("engine"),
        runc=docker["runc"],
        runtime=docker.get("runtime"),
        systemd=systemd.release(),
        io_control=io_control.found(),
        memory_nodes=len(memory_nodes()),
        storage_driver=docker["storage_driver"],
        timer_hz=timer_hz(),
        clock=_clock_source(),
        python=platform.python_version(),
        cgbench=__version__,
    )


def hostname() -> str:
    """Return the name of this host."""
    return platform.node()


def cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(cpu_numbers())


def cpu_numbers() -> tuple[int, ...]:
    """Return the numbers of the CPUs that are online and that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def memory_nodes(system: Path = Path("/sys")) -> tuple[int, ...]:
    """Return the numbers of the nodes that have memory; a kernel without NUMA knows of one, 0."""
    listed = system / "devices/system/node/has_memory"
    return (parse_cpu_list(listed.read_text()) if listed.exists() else ()) or (0,)


def cpu_model(root: Path = Path("/")) -> str:
    """Return the best name that the system has for its CPUs, `unknown` where it has none.

    x86 and s390 give a name in /proc/cpuinfo, POWER calls it `cpu`, RISC-V `uarch`. arm64 gives
    numbers: of the designer and the part (MIDR_EL1). A device tree may name the board instead.
    """
    proc = root / "proc"
    for key in ("model name", "Model", "cpu", "uarch"):
        if names := procfs.cpu_info(key, proc):
            return names[0]
    implementers, parts = (procfs.cpu_info(f"CPU {key}", proc) for key in ("implementer", "part"))
    if implementers and parts:
        return f"{platform.machine()} implementer {implementers[0]} part {parts[0]}"
    board = proc / "device-tree/model"
    text = board.read_text(errors="replace").strip("\0\n ") if board.exists() else ""
    return text or "unknown"


def _clock_source() -> str:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return path.read_text().strip() if path.exists() else "unknown"


def timer_hz(
    boot: Path = Path("/boot"),
    proc: Path = Path("/proc"),
    resolution: Callable[[int], float] = time.clock_getres,
) -> int | None:
    """Return the kernel's CONFIG_HZ, None where neither its configuration nor its clock shows it.

    A quota shorter than one tick can be overrun by up to a tick.
    """
    # Here and not above, as above.
    import gzip

    packed, plain = proc / "config.gz", boot / f"config-{platform.release()}"
    try:
        text = (
            gzip.decompress(packed.read_bytes()).decode(errors="replace")
            if packed.exists()
            else plain.read_text(errors="replace")
        )
    except OSError:
        text = ""
    match = re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE)
    return int(match[1]) if match else _coarse_clock_hz(resolution)


def _coarse_clock_hz(resolution: Callable[[int], float]) -> int | None:
    """Return how often the coarse clock is set: at each tick (clock_getres(2))."""
    try:
        hz = round(1 / resolution(_CLOCK_MONOTONIC_COARSE))
    except (OSError, ZeroDivisionError):
        return None
    # A kernel that is emulated in user space has no coarse clock and gives a fine one for it.
    return hz if hz <= _FASTEST_TIMER_HZ else None
