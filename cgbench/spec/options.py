"""The registry of `docker update` options: flag, API field, domain, interface file, expected value.

It says what *should* be in the kernel once Docker answers "ok". What was there is always measured.
Conversions follow runc's libcontainer and opencontainers/cgroups; interface files the kernel's
cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cgbench.errors import OptionError, UnitError
from cgbench.units import parse_cpu_list, parse_nanocpus, parse_size

Value = int | float | str
"""An option's value as written: a number, or text as on Docker's command line."""

Settings = Mapping[str, Value]
"""The options in force on one container, by flag without dashes."""

CPU_WEIGHT = "cpu.weight"
"""The file that shares are converted for."""

DEFAULT_PERIOD_US = 100_000
"""The kernel's default bandwidth period (kernel: Documentation/scheduler/sched-bwc.rst)."""


@dataclass(frozen=True)
class Interface:
    """Where the kernel keeps a limit: controller, file, and the text expected in it.

    `expected` gets every option set on the container, since one file may hold several
    (`cpu.max` is quota and period). It returns None where nothing is expected. `otherwise` is what
    runtimes that convert differently write for the same settings.
    """

    controller: str
    file: str
    expected: Callable[[Settings], str | None]
    otherwise: Callable[[Settings], str | None] | None = None

    def agreed(self, settings: Settings, found: str | None) -> str | None:
        """Return the text expected where `found` was read: of two that are right, that one."""
        other = None if self.otherwise is None else self.otherwise(settings)
        return other if other is not None and other == found else self.expected(settings)


class Hierarchies(Protocol):
    """What knows which cgroup version a controller lives on: a cgroup."""

    def version(self, controller: str) -> int:
        """Return 1 or 2. Raises CgroupError where the controller is nowhere."""


@dataclass(frozen=True)
class Option:
    """One flag of `docker update`.

    `parse` turns a written value into the API's, and `encode` does so without looking at it;
    `lowest` and `highest` bound what the daemon accepts, counted as the API counts, which makes
    `per_unit` of one `unit` (None: no such bound). `highest_per_cpu` bounds it by the host's CPUs;
    `floor` and `ceiling` name options whose value on the same container bounds it. `choices` are
    the accepted texts where there are few, `malformed` texts that look like values and are none.
    `lifted` is the value that removes the limit, None if there is none. `v1` and `v2` are the
    interfaces by cgroup version, None where the kernel has none; `v1_also` is a second one that
    the value needs.

    `example` and `other` are two different harmless values that every host with two CPUs takes and
    that are nobody's default; `beside` is what a container without limits needs set with them.
    """

    name: str
    field: str
    controller: str
    unit: str
    summary: str
    parse: Callable[[Value], object]
    v1: Interface | None
    v2: Interface | None
    example: Value = dataclasses.field(kw_only=True)
    other: Value = dataclasses.field(kw_only=True)
    beside: Settings = dataclasses.field(default_factory=dict, kw_only=True)
    lowest: int | None = None
    highest: int | None = None
    highest_per_cpu: int | None = None
    per_unit: int = 1
    floor: str | None = None
    ceiling: str | None = None
    choices: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()
    lifted: Value | None = None
    encode: Callable[[Value], object] = lambda value: value
    v1_also: Interface | None = None

    @property
    def flag(self) -> str:
        """The flag as typed."""
        return f"--{self.name}"

    def interface(self, version: int) -> Interface | None:
        """Return where a kernel with the given cgroup version keeps this limit."""
        return self.v1 if version == 1 else self.v2

    def interfaces(self, version: int) -> tuple[Interface, ...]:
        """Return every interface file whose content the value decides, its own first."""
        files = (self.v1, self.v1_also) if version == 1 else (self.v2,)
        return tuple(interface for interface in files if interface is not None)

    def kept_in(self, group: Hierarchies) -> tuple[Interface, ...]:
        """Return `interfaces` by the version that the controller lives on in a cgroup."""
        return self.interfaces(group.version(self.controller))

    @property
    def in_kernel(self) -> bool:
        """Whether any kernel has an interface file for it."""
        return self.v1 is not None or self.v2 is not None

    def check(self, value: Value) -> None:
        """Raise OptionError unless `value` is in the domain the daemon documents."""
        try:
            parsed = self.parse(value)
        except UnitError as error:
            raise OptionError(f"{self.flag} {value}: {error.message}", self.domain()) from None
        except (ValueError, TypeError) as error:
            raise OptionError(f"{self.flag} {value}: {error}", self.domain()) from None
        if not isinstance(parsed, int) or parsed == self.lifted:
            return
        if self.lowest is not None and parsed < self.lowest:
            below = self._bound(self.lowest)
            raise OptionError(f"{self.flag} {value} is below {below}", self.domain())
        if self.highest is not None and parsed > self.highest:
            above = self._bound(self.highest)
            raise OptionError(f"{self.flag} {value} is above {above}", self.domain())

    def domain(self) -> str:
        """Return the accepted values as one sentence."""
        lowest, highest = self._bound(self.lowest), self._bound(self.highest)
        bounds = {
            (True, True): f"from {lowest} to {highest}",
            (True, False): f"of at least {lowest}",
            (False, True): f"of at most {highest}",
            (False, False): "as Docker documents it",
        }[(self.lowest is not None, self.highest is not None)]
        lifted = "" if self.lifted is None else f"; {self.lifted} lifts it"
        return f"{self.flag} takes {self.unit} {bounds}{lifted}."

    def _bound(self, bound: int | None) -> str:
        return str(bound) if bound is None or self.per_unit == 1 else f"{bound / self.per_unit:g}"


def _integer(value: Value) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    return int(value)


def _size(value: Value) -> int:
    return parse_size(value) if isinstance(value, str) else _integer(value)


def _nanocpus(value: Value) -> int:
    return parse_nanocpus(str(value))


def _cpu_list(value: Value) -> str:
    parse_cpu_list(str(value))
    return str(value)


def _policy(value: Value) -> dict[str, object]:
    # As docker/cli does: opts/opts.go, ParseRestartPolicy.
    name, _, count = str(value).partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _restart(value: Value) -> dict[str, object]:
    name, _, count = str(value).partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise ValueError("not no, always, unless-stopped or on-failure[:N]")
    if count and (name != "on-failure" or not count.isdigit()):
        raise ValueError("only on-failure takes a count")
    return _policy(value)


def bandwidth(settings: Settings) -> tuple[int | None, int]:
    """Return (quota or None for unlimited, period) in µs, as Docker converts its options.

    `--cpus` becomes a quota over the default period (moby: daemon/oci_linux.go).
    """
    period = int(settings.get("cpu-period", 0) or DEFAULT_PERIOD_US)
    if "cpus" in settings:
        return _nanocpus(settings["cpus"]) * DEFAULT_PERIOD_US // 10**9, DEFAULT_PERIOD_US
    quota = int(settings.get("cpu-quota", 0) or -1)
    return (None if quota < 0 else quota), period


def expected_cpus(settings: Settings, capacity: float) -> float:
    """Return the CPUs that a saturating workload should use, at most `capacity`."""
    quota, period = bandwidth(settings)
    limit = capacity if quota is None else quota / period
    # Not `if settings.get(...)`: CPU 0 alone may be written as the number 0.
    cpuset = parse_cpu_list(str(settings.get("cpuset-cpus", "")))
    if cpuset:
        limit = min(limit, len(cpuset))
    return min(limit, capacity)


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
    """Say by which formula a runtime made `shares` a `cpu.weight`, None where that is not told."""
    linear = str(shares_to_weight(shares)) == weight
    quadratic = str(shares_to_weight_quadratic(shares)) == weight
    if linear == quadratic:
        return None
    if linear:
        return "linear, as in runc before 1.3.2 and crun before 1.23"
    return "quadratic, as in runc since 1.3.2 and crun since 1.23"


def _cpu_max(settings: Settings) -> str:
    quota, period = bandwidth(settings)
    return f"{'max' if quota is None else quota} {period}"


def _v1_quota(settings: Settings) -> str:
    quota = bandwidth(settings)[0]
    return str(-1 if quota is None else quota)


def _text(name: str) -> Callable[[Settings], str | None]:
    return lambda settings: str(settings[name]) if name in settings else None


def _bytes(name: str, *, unlimited: str | None) -> Callable[[Settings], str | None]:
    def expected(settings: Settings) -> str | None:
        if name not in settings:
            return None
        size = _size(settings[name])
        return unlimited if size < 0 else str(size)

    return expected


def _v1_shares(settings: Settings) -> str | None:
    return (
        str(max(2, min(int(settings["cpu-shares"]), 262144))) if "cpu-shares" in settings else None
    )


def _v2_weight(settings: Settings) -> str | None:
    return str(shares_to_weight(int(settings["cpu-shares"]))) if "cpu-shares" in settings else None


def _v2_weight_quadratic(settings: Settings) -> str | None:
    if "cpu-shares" not in settings:
        return None
    return str(shares_to_weight_quadratic(int(settings["cpu-shares"])))


def _v2_swap_max(settings: Settings) -> str | None:
    if "memory-swap" not in settings:
        return None
    swap = _size(settings["memory-swap"])
    return "max" if swap < 0 else str(swap - _size(settings.get("memory", 0)))


def _v2_io_weight(settings: Settings) -> str | None:
    # Read back, v2 tells the weight for all devices from those for single ones (kernel:
    # block/bfq-cgroup.c); written, it takes the same words.
    return f"default {settings['blkio-weight']}" if "blkio-weight" in settings else None


def _v2_pids(settings: Settings) -> str | None:
    if "pids-limit" not in settings:
        return None
    limit = int(settings["pids-limit"])
    return "max" if limit <= 0 else str(limit)


# An unlimited v1 counter reads as the largest multiple of a page below 2^63.
_V1_NO_LIMIT = str(2**63 // 4096 * 4096 - 4096)
_MIB = 2**20

# kernel: include/linux/threads.h, PID_MAX_LIMIT on 64 bit; pids.max takes no larger number.
_MOST_TASKS = 4_194_304
_NO_LISTS = ("x", "0-", "1-0", "0,,x")

_OPTIONS = (
    Option(
        "cpus", "NanoCpus", "cpu", "CPUs",
        "CPU time per period, as a number of CPUs",
        _nanocpus,
        Interface("cpu", "cpu.cfs_quota_us", _v1_quota),
        Interface("cpu", "cpu.max", _cpu_max),
        lowest=10_000_000, highest_per_cpu=10**9, per_unit=10**9,
        v1_also=Interface(
            "cpu", "cpu.cfs_period_us", lambda settings: str(bandwidth(settings)[1])
        ),
        example="0.5", other="0.75",
    ),
    Option(
        "cpu-quota", "CpuQuota", "cpu", "µs",
        "CPU time per period; beyond it the group is throttled until the next period",
        _integer,
        Interface("cpu", "cpu.cfs_quota_us", _v1_quota),
        Interface("cpu", "cpu.max", _cpu_max),
        lowest=1000, lifted=-1,
        example=30_000, other=70_000,
    ),
    Option(
        "cpu-period", "CpuPeriod", "cpu", "µs",
        "length of the period in which the quota may be used",
        _integer,
        Interface("cpu", "cpu.cfs_period_us", lambda settings: str(bandwidth(settings)[1])),
        Interface("cpu", "cpu.max", _cpu_max),
        lowest=1000, highest=1_000_000,
        example=50_000, other=200_000,
    ),
    Option(
        "cpu-shares", "CpuShares", "cpu", "a weight",
        "share of a contended CPU, relative to other groups",
        _integer,
        Interface("cpu", "cpu.shares", _v1_shares),
        Interface("cpu", CPU_WEIGHT, _v2_weight, _v2_weight_quadratic),
        lowest=2, highest=262144,
        example=512, other=2048,
    ),
    Option(
        "cpuset-cpus", "CpusetCpus", "cpuset", "a CPU list",
        "CPUs the group may run on",
        _cpu_list,
        Interface("cpuset", "cpuset.cpus", _text("cpuset-cpus")),
        Interface("cpuset", "cpuset.cpus", _text("cpuset-cpus")),
        malformed=_NO_LISTS,
        example="0", other="1",
    ),
    Option(
        "cpuset-mems", "CpusetMems", "cpuset", "a node list",
        "memory nodes the group may allocate from",
        _cpu_list,
        Interface("cpuset", "cpuset.mems", _text("cpuset-mems")),
        Interface("cpuset", "cpuset.mems", _text("cpuset-mems")),
        malformed=_NO_LISTS,
        # Most hosts have one node: two spellings of it.
        example="0", other="0-0",
    ),
    Option(
        "cpu-rt-period", "CpuRealtimePeriod", "cpu", "µs",
        "period of the real-time budget",
        _integer,
        Interface("cpu", "cpu.rt_period_us", _text("cpu-rt-period")),
        None,
        lowest=1, highest=2**31,
        example=500_000, other=250_000,
    ),
    Option(
        "cpu-rt-runtime", "CpuRealtimeRuntime", "cpu", "µs",
        "real-time CPU time per real-time period",
        _integer,
        Interface("cpu", "cpu.rt_runtime_us", _text("cpu-rt-runtime")),
        None,
        lowest=0, highest=2**31,
        example=100_000, other=50_000,
    ),
    Option(
        "memory", "Memory", "memory", "bytes",
        "most memory the group may hold; beyond it reclaim, then the OOM killer",
        _size,
        Interface("memory", "memory.limit_in_bytes", _bytes("memory", unlimited=_V1_NO_LIMIT)),
        Interface("memory", "memory.max", _bytes("memory", unlimited="max")),
        lowest=6 * _MIB, ceiling="memory-swap",
        example="64m", other="96m", beside={"memory-swap": "512m"},
    ),
    Option(
        "memory-reservation", "MemoryReservation", "memory", "bytes",
        "memory that reclaim tries to leave to the group",
        _size,
        Interface(
            "memory",
            "memory.soft_limit_in_bytes",
            _bytes("memory-reservation", unlimited=_V1_NO_LIMIT),
        ),
        Interface("memory", "memory.low", _bytes("memory-reservation", unlimited="max")),
        lowest=6 * _MIB, ceiling="memory", lifted=-1,
        example="32m", other="48m",
    ),
    Option(
        "memory-swap", "MemorySwap", "memory", "bytes",
        "most memory and swap together",
        _size,
        Interface(
            "memory", "memory.memsw.limit_in_bytes", _bytes("memory-swap", unlimited=_V1_NO_LIMIT)
        ),
        Interface("memory", "memory.swap.max", _v2_swap_max),
        lowest=6 * _MIB, floor="memory", lifted=-1,
        example="384m", other="448m", beside={"memory": "64m"},
    ),
    Option(
        "kernel-memory", "KernelMemory", "memory", "bytes",
        "most kernel memory; deprecated since Docker 20.10",
        _size,
        Interface(
            "memory", "memory.kmem.limit_in_bytes", _bytes("kernel-memory", unlimited=_V1_NO_LIMIT)
        ),
        None,
        lowest=6 * _MIB,
        example="64m", other="96m",
    ),
    Option(
        "blkio-weight", "BlkioWeight", "io", "a weight",
        "share of a contended block device, where its scheduler heeds weights",
        _integer,
        Interface("blkio", "blkio.bfq.weight", _text("blkio-weight")),
        Interface("io", "io.bfq.weight", _v2_io_weight),
        lowest=10, highest=1000,
        example=300, other=700,
    ),
    Option(
        "pids-limit", "PidsLimit", "pids", "tasks",
        "most tasks in the group; beyond it fork fails",
        _integer,
        Interface("pids", "pids.max", _v2_pids),
        Interface("pids", "pids.max", _v2_pids),
        lowest=1, highest=_MOST_TASKS, lifted=-1,
        example=64, other=128,
    ),
    Option(
        "restart", "RestartPolicy", "none", "a policy",
        "what Docker does when the container's first process ends",
        _restart,
        None,
        None,
        choices=("no", "always", "unless-stopped", "on-failure", "on-failure:3"),
        malformed=("sometimes", "always:3", "no:1", "on-failure:-1"),
        encode=_policy,
        example="on-failure:3", other="on-failure:5",
    ),
)  # fmt: skip

OPTIONS: Mapping[str, Option] = {option.name: option for option in _OPTIONS}
"""Every option of `docker update`, by name."""


def option(name: str) -> Option:
    """Return the option called `name`, with or without dashes in front.

    Raises OptionError with the nearest name when there is none.
    """
    bare = name.removeprefix("--")
    if bare in OPTIONS:
        return OPTIONS[bare]
    near = difflib.get_close_matches(bare, OPTIONS, 1)
    advice = f"Did you mean --{near[0]}?" if near else f"Known: {', '.join(OPTIONS)}."
    raise OptionError(f"unknown option: {name}", advice)


def update_body(settings: Settings) -> dict[str, object]:
    """Return the body of an Engine API update request for the given options."""
    return {option(name).field: option(name).parse(value) for name, value in settings.items()}
