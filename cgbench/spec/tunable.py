"""The limits whose smallest sufficient value can be searched for, and how each is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cgbench.errors import OptionError, UnitError
from cgbench.spec.option import Value
from cgbench.units import format_size, parse_nanocpus, parse_size

_DIGITS = 3
_MEMORY_STEP = 64 * 1024


@dataclass(frozen=True)
class Tunable:
    """One limit: `least` is the smallest value that Docker takes, in `unit`.

    `parse` reads what a user types, `fitted` rounds to a value worth trying, `settings` are the
    options that set it, and `words` show it.
    """

    name: str
    option: str
    unit: str
    least: float
    parse: Callable[[str], float]
    fitted: Callable[[float], float]
    settings: Callable[[float], Mapping[str, Value]]
    words: Callable[[float], str]


def _digits(value: float) -> float:
    """Return a value with as many digits as make a difference of less than one percent."""
    if value <= 0:
        return value
    places = _DIGITS - 1 - math.floor(math.log10(value))
    return round(value, places)


def _cpus(text: str) -> float:
    return parse_nanocpus(text) / 1e9


def _cpus_in_words(value: float) -> str:
    return "1 CPU" if value == 1 else f"{value:.3g} CPUs"


def _tasks(text: str) -> float:
    if not text.isdecimal():
        raise UnitError(f"{text}: no whole number of tasks", "For example: 64.")
    return float(text)


def _memory_settings(value: float) -> Mapping[str, Value]:
    # Both together: else a limit of swap that is lower than the memory's is refused.
    return {"memory": int(value), "memory-swap": int(value)}


TUNABLE: Mapping[str, Tunable] = {
    one.name: one
    for one in (
        Tunable(
            "cpus", "cpus", "CPUs", 0.01, _cpus, _digits,
            lambda value: {"cpus": f"{value:.9g}"}, _cpus_in_words,
        ),
        Tunable(
            "memory", "memory", "bytes", 6 * 2**20, lambda text: float(parse_size(text)),
            lambda value: float(round(value / _MEMORY_STEP) * _MEMORY_STEP),
            _memory_settings, format_size,
        ),
        Tunable(
            "pids", "pids-limit", "tasks", 2, _tasks, lambda value: float(round(value)),
            lambda value: {"pids-limit": int(value)}, lambda value: f"{value:g} tasks",
        ),
    )
}  # fmt: skip
"""Every such limit, by its name."""


def tunable(name: str) -> Tunable:
    """Return a limit by its name. Raises OptionError with those there are."""
    if name not in TUNABLE:
        raise OptionError(f"--limit {name}: cannot be searched", f"Limits: {', '.join(TUNABLE)}.")
    return TUNABLE[name]


def value(limit: Tunable, key: str, text: str) -> float:
    """Read a value of a limit that the option `key` gives. Raises OptionError."""
    try:
        found = limit.parse(text)
    except UnitError as error:
        raise OptionError(f"{key} {text}: {error.message}", error.advice) from None
    if found < limit.least:
        raise OptionError(
            f"{key} {text}: Docker takes no less than {limit.words(limit.least)}",
            f"Write {key} {limit.words(limit.least).split(maxsplit=1)[0]} or more.",
        )
    return found
