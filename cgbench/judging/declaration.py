"""What `docker inspect` declares of a container's limits, as options of the registry."""

from __future__ import annotations

from collections.abc import Mapping

from cgbench.spec.option import Value
from cgbench.spec.options import option


def declared_by(config: Mapping[str, object]) -> dict[str, Value]:
    """Return the limits in what `docker inspect` calls HostConfig, as options of the registry."""
    found: dict[str, Value] = {}
    nano = _number(config, "NanoCpus")
    if nano > 0:
        found["cpus"] = f"{nano // 10**9}.{nano % 10**9:09d}".rstrip("0").rstrip(".")
    for name, key in (
        ("cpu-quota", "CpuQuota"), ("cpu-period", "CpuPeriod"), ("cpu-shares", "CpuShares"),
        ("memory", "Memory"), ("memory-swap", "MemorySwap"),
        ("memory-reservation", "MemoryReservation"), ("blkio-weight", "BlkioWeight"),
        ("pids-limit", "PidsLimit"), ("kernel-memory", "KernelMemory"),
        ("cpu-rt-period", "CpuRealtimePeriod"), ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ):  # fmt: skip
        value = _number(config, key)
        # What lifts a limit declares that there is none; 0 is what no one wrote anything for.
        if value > 0 or (value < 0 and value == option(name).lifted):
            found[name] = value
    # Docker keeps 0 where an update lifted the limit, and null where nobody ever set one.
    if config.get("PidsLimit") == 0 and config.get("PidsLimit") is not False:
        found["pids-limit"] = -1
    swappiness = config.get("MemorySwappiness")
    # None or -1 is what the groups above have.
    if isinstance(swappiness, int) and not isinstance(swappiness, bool) and swappiness >= 0:
        found["memory-swappiness"] = swappiness
    if config.get("OomKillDisable") is True:
        found["oom-kill-disable"] = 1
    for name, key in (("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems")):
        if chosen := config.get(key):
            found[name] = str(chosen)
    return found


def _number(config: Mapping[str, object], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
