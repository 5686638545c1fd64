"""Describe the host, list what it lacks, and measure who else uses its CPUs."""

from __future__ import annotations

import gzip
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import psutil

from cgbench import __version__
from cgbench.host import cgroups
from cgbench.records.run import Host


def describe(docker: Mapping[str, str]) -> Host:
    """Return the host as it is now; `docker` is what `Daemon.describe` returns."""
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
