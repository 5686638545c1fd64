"""Parse and print sizes, durations and CPU counts; plain SI numbers inside, text at the edges.

Sizes are bytes (int), durations nanoseconds (int), CPU counts nano-CPUs (int) or CPUs (float).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from decimal import Decimal

from cgbench.errors import UnitError

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000

# Docker's command line reads k, m, g, t as powers of 1024, with an optional b or ib behind.
_SIZE = re.compile(r"^(-?[0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(?:i?b)?$", re.IGNORECASE)
_SIZE_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_DURATION = re.compile(r"^(-?[0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|ms|s|m|h)$")
_DIGITS = re.compile(r"^[0-9]+$")
_DURATION_FACTORS = {
    "ns": 1,
    "us": NS_PER_US,
    "µs": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}

# CONFIG_NR_CPUS is at most this (kernel: arch/x86/Kconfig); a longer range would fill memory.
_MOST_CPUS = 8192
# Python reads a number of thousands of digits slowly or not at all.
_MOST_DIGITS = 20


def parse_size(text: str) -> int:
    """Return the bytes that `text` names, read as Docker reads it: `64m` is 64 × 2²⁰.

    Raises UnitError when it is not a size.
    """
    match = _SIZE.match(text.strip())
    if match is None:
        raise UnitError(f"not a size: {text!r}", "Write a number with b, k, m or g: 256m, 1g.")
    return int(Decimal(match[1]) * _SIZE_FACTORS[match[2].lower()])


def parse_duration(text: str) -> int:
    """Return the nanoseconds that `text` names: `2s`, `250ms`, `1.5m`.

    Raises UnitError when it is not a duration.
    """
    match = _DURATION.match(text.strip())
    if match is None:
        raise UnitError(
            f"not a duration: {text!r}", "Write a number with ms, s, m or h: 250ms, 6s."
        )
    return int(Decimal(match[1]) * _DURATION_FACTORS[match[2]])


def parse_nanocpus(text: str) -> int:
    """Return the nano-CPUs that `text` names: `0.5` is 500 000 000.

    Raises UnitError when it is not a CPU count, is finer than a nano-CPU, or does not fit
    into 64 bits.
    """
    try:
        value = Decimal(text.strip()) * NS_PER_S
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite() or value != value.to_integral_value():
        raise UnitError(f"not a number of CPUs: {text!r}", "Write a decimal number: 0.5, 2.")
    if abs(value) >= 2**63:
        raise UnitError(f"too many CPUs: {text!r}", f"No kernel has {_MOST_CPUS} CPUs.")
    return int(value)


def format_size(size: float) -> str:
    """Return `size` bytes as short text with a binary unit: `256 MiB`."""
    sign = "-" if size < 0 else ""
    value = abs(float(size))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{sign}{value:.4g} {unit}"
        value /= 1024
    return f"{sign}{value:.4g} TiB" if value < 1000 else f"{sign}{value:.0f} TiB"


def format_duration(ns: float) -> str:
    """Return `ns` nanoseconds as short text: `41.2 ms`, `6 s`, `2 min 5 s`."""
    sign = "-" if ns < 0 else ""
    value = abs(float(ns))
    # From 999.5 on, three digits would read 1e+03.
    if value < 999.5 * NS_PER_US:
        return f"{sign}{value / NS_PER_US:.3g} µs"
    if value < 999.5 * NS_PER_MS:
        return f"{sign}{value / NS_PER_MS:.3g} ms"
    seconds = value / NS_PER_S
    if seconds < 60:
        return f"{sign}{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{sign}{minutes} min {rest} s" if rest else f"{sign}{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours} h {minutes} min" if minutes else f"{sign}{hours} h"


@functools.lru_cache(maxsize=256)
def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Return the CPUs that a kernel list names, ascending: `0-2,5` is (0, 1, 2, 5).

    An empty list is valid. The format is that of cpuset(7). Raises UnitError when malformed.
    """
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        if max(len(first), len(last)) > _MOST_DIGITS:
            raise UnitError(f"not a CPU list: {text!r}", f"No kernel has {_MOST_CPUS} CPUs.")
        if not _DIGITS.match(first) or (last and not _DIGITS.match(last)) or (part.count("-") > 1):
            raise UnitError(f"not a CPU list: {text!r}", "Write numbers and ranges: 0,2-3.")
        low, high = int(first), int(last or first)
        if part.endswith("-") or high < low:
            raise UnitError(f"not a CPU list: {text!r}", "Write ranges upwards: 0-3.")
        if high >= _MOST_CPUS:
            raise UnitError(f"not a CPU list: {text!r}", f"No kernel has {_MOST_CPUS} CPUs.")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Iterable[int]) -> str:
    """Return CPUs as the kernel lists them: (0, 1, 2, 5) is `0-2,5`."""
    parts: list[list[int]] = []
    for number in sorted(set(cpus)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)
