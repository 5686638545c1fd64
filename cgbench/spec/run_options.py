"""The registry of limits that no update can set: of `docker run` alone, or of the kernel alone."""

from __future__ import annotations

from collections.abc import Mapping

from cgbench.spec.conversions import as_written, byte_size, v1_device, v2_device
from cgbench.spec.fields import Via
from cgbench.spec.option import Interface, Option, Value, integer

_AT_BIRTH: tuple[Via, ...] = ("run", "cgroupfs")

THROTTLES: Mapping[str, tuple[str, str, str]] = {
    "device-read-bps": ("BlkioDeviceReadBps", "blkio.throttle.read_bps_device", "rbps"),
    "device-write-bps": ("BlkioDeviceWriteBps", "blkio.throttle.write_bps_device", "wbps"),
    "device-read-iops": ("BlkioDeviceReadIOps", "blkio.throttle.read_iops_device", "riops"),
    "device-write-iops": ("BlkioDeviceWriteIOps", "blkio.throttle.write_iops_device", "wiops"),
}
"""Limits of single devices: the field of HostConfig, the file of v1, and the key in `io.max`."""

_IO_MAX = Interface("io", "io.max", v2_device({one: key for one, (_, _, key) in THROTTLES.items()}))


def _throttle(name: str, what: str, value: tuple[Value, Value]) -> Option:
    field, file, _key = THROTTLES[name]
    in_bytes = name.endswith("bps")
    return Option(
        name, field, "io", "bytes/s" if in_bytes else "requests/s",
        f"most {what} a second, of one device",
        byte_size if in_bytes else integer,
        Interface("blkio", file, v1_device(name)),
        _IO_MAX,
        lowest=1, ways=_AT_BIRTH, per_device=True,
        example=value[0], other=value[1],
    )  # fmt: skip


_OPTIONS = (
    _throttle("device-read-bps", "bytes read", ("4m", "8m")),
    _throttle("device-write-bps", "bytes written", ("4m", "8m")),
    _throttle("device-read-iops", "requests to read", (64, 128)),
    _throttle("device-write-iops", "requests to write", (64, 128)),
    Option(
        "memory-swappiness", "MemorySwappiness", "memory", "percent",
        "how readily reclaim swaps out anonymous pages, rather than to drop pages of files",
        integer,
        Interface("memory", "memory.swappiness", as_written("memory-swappiness")),
        None,
        lowest=0, highest=100, ways=_AT_BIRTH,
        example=10, other=80,
    ),
    Option(
        "shm-size", "ShmSize", "none", "bytes",
        "most bytes of files in /dev/shm, which are charged as memory",
        byte_size,
        None,
        None,
        lowest=4096, ways=("run",),
        example="32m", other="48m",
    ),
    # Docker has no flag for it.
    Option(
        "cpu-burst", "", "cpu", "µs",
        "unused quota that a group may save up for a later period",
        integer,
        Interface("cpu", "cpu.cfs_burst_us", as_written("cpu-burst")),
        Interface("cpu", "cpu.max.burst", as_written("cpu-burst")),
        lowest=0, ways=("cgroupfs",),
        example=10_000, other=20_000,
    ),
)  # fmt: skip

RUN_OPTIONS: Mapping[str, Option] = {option.name: option for option in _OPTIONS}
"""Every such limit, by name."""
