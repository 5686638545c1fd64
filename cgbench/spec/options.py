"""The registry of `docker update` options: flag, API field, domain, interface file, expected value.

It says what *should* be in the kernel once Docker answers "ok". What was there is always measured.
Conversions follow runc's libcontainer and opencontainers/cgroups; interface files the kernel's
cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from cgbench.errors import OptionError
from cgbench.spec.conversions import (
    V1_NO_LIMIT,
    as_written,
    bandwidth,
    byte_size,
    cpu_max,
    in_bytes,
    nanocpus,
    v1_quota,
    v1_shares,
    v2_bfq_weight,
    v2_io_weight,
    v2_pids,
    v2_swap_max,
    v2_weight,
    v2_weight_quadratic,
)
from cgbench.spec.option import (
    CPU_WEIGHT,
    Interface,
    Option,
    Settings,
    cpu_list,
    integer,
    policy,
    restart,
)
from cgbench.spec.run_options import RUN_OPTIONS

_MIB = 2**20

# kernel: include/linux/threads.h, PID_MAX_LIMIT on 64 bit; pids.max takes no larger number.
_MOST_TASKS = 4_194_304
_NO_LISTS = ("x", "0-", "1-0", "0,,x")

_OPTIONS = (
    Option(
        "cpus", "NanoCpus", "cpu", "CPUs",
        "CPU time per period, as a number of CPUs",
        nanocpus,
        Interface("cpu", "cpu.cfs_quota_us", v1_quota),
        Interface("cpu", "cpu.max", cpu_max),
        lowest=10_000_000, highest_per_cpu=10**9, per_unit=10**9,
        v1_also=Interface(
            "cpu", "cpu.cfs_period_us", lambda settings: str(bandwidth(settings)[1])
        ),
        example="0.5", other="0.75",
        # systemd rounds quotas up to a hundredth of a CPU, and writes them again with any update.
        further=({"cpus": "0.015"},),
    ),
    Option(
        "cpu-quota", "CpuQuota", "cpu", "µs",
        "CPU time per period; beyond it the group is throttled until the next period",
        integer,
        Interface("cpu", "cpu.cfs_quota_us", v1_quota),
        Interface("cpu", "cpu.max", cpu_max),
        lowest=1000, lifted=-1,
        example=30_000, other=70_000,
        further=({"cpu-quota": 1500},),
    ),
    Option(
        "cpu-period", "CpuPeriod", "cpu", "µs",
        "length of the period in which the quota may be used",
        integer,
        Interface("cpu", "cpu.cfs_period_us", lambda settings: str(bandwidth(settings)[1])),
        Interface("cpu", "cpu.max", cpu_max),
        lowest=1000, highest=1_000_000,
        example=50_000, other=200_000,
        # systemd's default period is 100 ms, and it keeps others by themselves.
        further=({"cpu-period": 200_000, "cpu-quota": 60_000},),
    ),
    Option(
        "cpu-shares", "CpuShares", "cpu", "a weight",
        "share of a contended CPU, relative to other groups",
        integer,
        Interface("cpu", "cpu.shares", v1_shares),
        Interface("cpu", CPU_WEIGHT, v2_weight, v2_weight_quadratic),
        lowest=2, highest=262144,
        example=512, other=2048,
    ),
    Option(
        "cpuset-cpus", "CpusetCpus", "cpuset", "a CPU list",
        "CPUs the group may run on",
        cpu_list,
        Interface("cpuset", "cpuset.cpus", as_written("cpuset-cpus")),
        Interface("cpuset", "cpuset.cpus", as_written("cpuset-cpus")),
        malformed=_NO_LISTS,
        example="0", other="1",
    ),
    Option(
        "cpuset-mems", "CpusetMems", "cpuset", "a node list",
        "memory nodes the group may allocate from",
        cpu_list,
        Interface("cpuset", "cpuset.mems", as_written("cpuset-mems")),
        Interface("cpuset", "cpuset.mems", as_written("cpuset-mems")),
        malformed=_NO_LISTS,
        # Most hosts have one node: two spellings of it.
        example="0", other="0-0",
    ),
    Option(
        "cpu-rt-period", "CpuRealtimePeriod", "cpu", "µs",
        "period of the real-time budget",
        integer,
        Interface("cpu", "cpu.rt_period_us", as_written("cpu-rt-period")),
        None,
        lowest=1, highest=2**31,
        example=500_000, other=250_000,
    ),
    Option(
        "cpu-rt-runtime", "CpuRealtimeRuntime", "cpu", "µs",
        "real-time CPU time per real-time period",
        integer,
        Interface("cpu", "cpu.rt_runtime_us", as_written("cpu-rt-runtime")),
        None,
        lowest=0, highest=2**31,
        example=100_000, other=50_000,
    ),
    Option(
        "memory", "Memory", "memory", "bytes",
        "most memory the group may hold; beyond it reclaim, then the OOM killer",
        byte_size,
        Interface("memory", "memory.limit_in_bytes", in_bytes("memory", unlimited=V1_NO_LIMIT)),
        Interface("memory", "memory.max", in_bytes("memory", unlimited="max")),
        lowest=6 * _MIB, ceiling="memory-swap",
        example="64m", other="96m", beside={"memory-swap": "512m"},
    ),
    Option(
        "memory-reservation", "MemoryReservation", "memory", "bytes",
        "memory that reclaim tries to leave to the group",
        byte_size,
        Interface(
            "memory",
            "memory.soft_limit_in_bytes",
            in_bytes("memory-reservation", unlimited=V1_NO_LIMIT),
        ),
        Interface("memory", "memory.low", in_bytes("memory-reservation", unlimited="max")),
        lowest=6 * _MIB, ceiling="memory", lifted=-1,
        example="32m", other="48m",
    ),
    Option(
        "memory-swap", "MemorySwap", "memory", "bytes",
        "most memory and swap together",
        byte_size,
        Interface(
            "memory", "memory.memsw.limit_in_bytes", in_bytes("memory-swap", unlimited=V1_NO_LIMIT)
        ),
        Interface("memory", "memory.swap.max", v2_swap_max),
        lowest=6 * _MIB, floor="memory", lifted=-1,
        example="384m", other="448m", beside={"memory": "64m"},
        # No swap at all, which is a limit of 0 on v2.
        further=({"memory": "64m", "memory-swap": "64m"},),
    ),
    Option(
        "kernel-memory", "KernelMemory", "memory", "bytes",
        "most kernel memory; deprecated since Docker 20.10",
        byte_size,
        Interface(
            "memory", "memory.kmem.limit_in_bytes", in_bytes("kernel-memory", unlimited=V1_NO_LIMIT)
        ),
        None,
        lowest=6 * _MIB,
        example="64m", other="96m",
    ),
    Option(
        "blkio-weight", "BlkioWeight", "io", "a weight",
        "share of a contended block device, where its scheduler heeds weights",
        integer,
        # runc's order, in libcontainer's fs/blkio.go and fs2/io.go.
        Interface(
            "blkio", "blkio.weight", as_written("blkio-weight"),
            fallback=Interface("blkio", "blkio.bfq.weight", as_written("blkio-weight")),
        ),
        Interface(
            "io", "io.bfq.weight", v2_bfq_weight,
            fallback=Interface("io", "io.weight", v2_io_weight),
        ),
        lowest=10, highest=1000,
        example=300, other=700,
    ),
    Option(
        "pids-limit", "PidsLimit", "pids", "tasks",
        "most tasks in the group; beyond it fork fails",
        integer,
        Interface("pids", "pids.max", v2_pids),
        Interface("pids", "pids.max", v2_pids),
        lowest=1, highest=_MOST_TASKS, lifted=-1,
        example=64, other=128,
    ),
    Option(
        "restart", "RestartPolicy", "none", "a policy",
        "what Docker does when the container's first process ends",
        restart,
        None,
        None,
        choices=("no", "always", "unless-stopped", "on-failure", "on-failure:3"),
        malformed=("sometimes", "always:3", "no:1", "on-failure:-1"),
        encode=policy,
        example="on-failure:3", other="on-failure:5",
    ),
)  # fmt: skip

OPTIONS: Mapping[str, Option] = {option.name: option for option in _OPTIONS}
"""Every option of `docker update`, by name."""

KNOWN: Mapping[str, Option] = {**OPTIONS, **RUN_OPTIONS}
"""Every limit by name, also those that no update can set."""


def option(name: str) -> Option:
    """Return the option called `name`, with or without dashes in front, of update or not.

    Raises OptionError with the nearest name when there is none.
    """
    bare = name.removeprefix("--")
    if bare in KNOWN:
        return KNOWN[bare]
    near = difflib.get_close_matches(bare, KNOWN, 1)
    advice = f"Did you mean --{near[0]}?" if near else f"Known: {', '.join(KNOWN)}."
    raise OptionError(f"unknown option: {name}", advice)


def of_update(name: str) -> Option:
    """Return the option of `docker update` called `name`. Raises OptionError as `option` does."""
    found = option(name)
    if found.name not in OPTIONS:
        raise OptionError(f"docker update has no {found.flag}", f"Known: {', '.join(OPTIONS)}.")
    return found


def update_body(settings: Settings) -> dict[str, object]:
    """Return the body of an Engine API update request for the given options."""
    return {option(name).field: option(name).parse(value) for name, value in settings.items()}


def birth_body(settings: Settings, device: str | None) -> dict[str, object]:
    """Return what of HostConfig gives a new container options; `device` is that of its limits."""
    body: dict[str, object] = {}
    for name, value in settings.items():
        one = option(name)
        parsed = one.parse(value)
        body[one.field] = [{"Path": device, "Rate": parsed}] if one.per_device else parsed
    return body
