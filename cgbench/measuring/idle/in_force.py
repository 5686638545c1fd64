"""Since when do the kernel's files say what an update asked for? Pure functions over readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cgbench.errors import UnitError
from cgbench.records.idle_findings import When
from cgbench.spec.option import Interface, Option, Settings
from cgbench.units import parse_cpu_list

Files = Mapping[Interface, str]
"""The texts of an option's interface files, its own first; none where there is no cgroup."""


def should_say(files: Files, settings: Settings) -> dict[str, str | None]:
    """Return by file's name what `settings` ask for, None where nobody knows."""
    return {one.file: one.agreed(settings, text) for one, text in files.items()}


def _holds(option: Option, files: Files, settings: Settings) -> bool:
    """Say whether all files say what `settings` ask for."""
    wanted = should_say(files, settings)
    return all(same(option, text, wanted[one.file]) for one, text in files.items())


def judged(
    option: Option,
    settings: Settings,
    before: Mapping[str, str | None],
    readings: Sequence[tuple[When, Files]],
) -> tuple[When | None, bool]:
    """Return when `settings` came to be in force, and whether they were undone after that.

    `before` is what the files said before the update, by name, or should have. `readings` go from
    the answer on; those without files say nothing. Where the option's own file said the same
    before, or where nobody knows what it said, none of them shows anything either.
    """
    telling = [(when, files) for when, files in readings if files]
    if not telling:
        return None, False
    last = telling[-1][1]
    own = next(iter(last))
    was, wanted = before.get(own.file), should_say(last, settings)
    if was is None or None in wanted.values() or same(option, was, wanted[own.file]):
        return None, False
    held = [when for when, files in telling if _holds(option, files, settings)]
    if not held:
        return When.NEVER, False
    return held[0], not _holds(option, last, settings)


def same(option: Option, one: str, other: str | None) -> bool:
    """Say whether two texts of an option's file mean the same: of lists, the same numbers."""
    if other is None or one == other or option.controller != "cpuset":
        return one == other
    try:
        return parse_cpu_list(one) == parse_cpu_list(other)
    except UnitError:
        return False
