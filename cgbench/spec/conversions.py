"""What Docker and its runtimes make of an option's value before the kernel gets it."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Mapping

from cgbench.spec.option import DEVICE, Settings, Value, integer
from cgbench.units import parse_nanocpus, parse_size

DEFAULT_PERIOD_US = 100_000
"""The kernel's default bandwidth period (kernel: Documentation/scheduler/sched-bwc.rst)."""


def byte_size(value: Value) -> int:
    """Return a size in bytes, given as a number or as on the command line. Raises UnitError."""
    return parse_size(value) if isinstance(value, str) else integer(value)


def nanocpus(value: Value) -> int:
    """Return CPUs as the API's billionths of one. Raises UnitError."""
    return parse_nanocpus(str(value))


def bandwidth(settings: Settings) -> tuple[int | None, int]:
    """Return (quota or None for unlimited, period) in µs, as Docker converts its options.

    `--cpus` becomes a quota over the default period (moby: daemon/oci_linux.go).
    """
    period = int(settings.get("cpu-period", 0) or DEFAULT_PERIOD_US)
    if "cpus" in settings:
        return nanocpus(settings["cpus"]) * DEFAULT_PERIOD_US // 10**9, DEFAULT_PERIOD_US
    quota = int(settings.get("cpu-quota", 0) or -1)
    return (None if quota < 0 else quota), period


def shares_to_weight(shares: int) -> int:
    """Convert `cpu.shares` to `cpu.weight` by the linear formula of runc before 1.3.2."""
    return 1 + ((max(2, min(shares, 262144)) - 2) * 9999) // 262142


def shares_to_weight_quadratic(shares: int) -> int:
    """Convert `cpu.shares` to `cpu.weight` as opencontainers/cgroups v0.0.3 and crun 1.23 do."""
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    exponent = math.log2(shares)
    return math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612 - 7 / 34))


def conversion(shares: int, weight: str | None) -> str | None:
    """Say by which formula `shares` became a `cpu.weight`, None where both or neither fit."""
    linear = str(shares_to_weight(shares)) == weight
    quadratic = str(shares_to_weight_quadratic(shares)) == weight
    if linear == quadratic:
        return None
    if linear:
        return "linear, as in runc before 1.3.2 and crun before 1.23"
    return "quadratic, as in runc since 1.3.2 and crun since 1.23"


def cpu_max(settings: Settings) -> str:
    """Return the text of v2's `cpu.max`: quota and period in µs."""
    quota, period = bandwidth(settings)
    return f"{'max' if quota is None else quota} {period}"


def v1_quota(settings: Settings) -> str:
    """Return the text of v1's `cpu.cfs_quota_us`."""
    quota = bandwidth(settings)[0]
    return str(-1 if quota is None else quota)


def as_written(name: str) -> Callable[[Settings], str | None]:
    """Return what gives the option called `name` as it was written."""
    return lambda settings: str(settings[name]) if name in settings else None


def in_bytes(name: str, *, unlimited: str | None) -> Callable[[Settings], str | None]:
    """Return what gives the option called `name` in bytes, `unlimited` where it is negative."""

    def expected(settings: Settings) -> str | None:
        if name not in settings:
            return None
        limit = byte_size(settings[name])
        return unlimited if limit < 0 else str(limit)

    return expected


def v1_shares(settings: Settings) -> str | None:
    """Return the text of v1's `cpu.shares`, which the kernel clamps to 2 to 262144."""
    return (
        str(max(2, min(int(settings["cpu-shares"]), 262144))) if "cpu-shares" in settings else None
    )


def v2_weight(settings: Settings) -> str | None:
    """Return the text of v2's `cpu.weight` by the linear conversion."""
    return str(shares_to_weight(int(settings["cpu-shares"]))) if "cpu-shares" in settings else None


def v2_weight_quadratic(settings: Settings) -> str | None:
    """Return the text of v2's `cpu.weight` by the quadratic conversion."""
    if "cpu-shares" not in settings:
        return None
    return str(shares_to_weight_quadratic(int(settings["cpu-shares"])))


def v2_swap_max(settings: Settings) -> str | None:
    """Return the text of v2's `memory.swap.max`: memory and swap together, less the memory."""
    if "memory-swap" not in settings:
        return None
    swap = byte_size(settings["memory-swap"])
    return "max" if swap < 0 else str(swap - byte_size(settings.get("memory", 0)))


def v1_device(name: str) -> Callable[[Settings], str | None]:
    """Return what gives v1's line of the option called `name`: the device, and its rate."""

    def expected(settings: Settings) -> str | None:
        if name not in settings or DEVICE not in settings:
            return None
        return f"{settings[DEVICE]} {byte_size(settings[name])}"

    return expected


def v2_device(keys: Mapping[str, str]) -> Callable[[Settings], str | None]:
    """Return what gives the line of a device in `io.max`; `keys` are its words by option."""

    def expected(settings: Settings) -> str | None:
        if DEVICE not in settings or not keys.keys() & settings:
            return None
        words = [
            f"{key}={byte_size(settings[name]) if name in settings else 'max'}"
            for name, key in keys.items()
        ]
        return " ".join([str(settings[DEVICE]), *words])

    return expected


# Read back, v2 separates the weight for all devices from those for single ones (kernel:
# block/bfq-cgroup.c, block/blk-iocost.c); written, it takes the same words.


def v2_bfq_weight(settings: Settings) -> str | None:
    """Return the text of v2's `io.bfq.weight`."""
    return f"default {settings['blkio-weight']}" if "blkio-weight" in settings else None


def v2_io_weight(settings: Settings) -> str | None:
    """Return the text of v2's `io.weight`, which takes 1 to 10000 where the option takes to 1000.

    The conversion is that of runc's libcontainer (opencontainers/cgroups, utils.go).
    """
    if "blkio-weight" not in settings:
        return None
    return f"default {1 + (integer(settings['blkio-weight']) - 10) * 9999 // 990}"


def v2_pids(settings: Settings) -> str | None:
    """Return the text of `pids.max`."""
    if "pids-limit" not in settings:
        return None
    limit = int(settings["pids-limit"])
    return "max" if limit <= 0 else str(limit)


# An unlimited v1 counter reads as the largest multiple of a page below 2^63. It is compared where
# it is read, so this machine's pages are the ones meant.
V1_NO_LIMIT = str(2**63 - mmap.PAGESIZE)
