"""How a limit, and what a file of it says, is put into words."""

from __future__ import annotations

from collections.abc import Iterable

from cgbench.errors import UnitError
from cgbench.judging.seen import File, Moved
from cgbench.records.audit import ENDLESS, Amount, LimitName
from cgbench.units import format_size, parse_cpu_list
from cgbench.wording import count, significant


def cpu_set(text: str) -> tuple[int, ...]:
    """Return the CPUs of a list, none where it is no list."""
    try:
        return parse_cpu_list(text) if text else ()
    except UnitError:
        return ()


def amount(name: str, value: Amount) -> str:
    """Return a limit's value with its unit."""
    if isinstance(value, str):
        return f"CPU {value}" if name == "cpuset" else value
    if value == ENDLESS:
        # Docker keeps 0 for tasks, whether 0 or -1 lifted the limit.
        return "no limit" if name == "pids" else "no limit (-1)"
    if name.startswith("memory"):
        return format_size(value)
    if name == "cpus":
        return f"{significant(value, 3)} CPUs"
    return f"{value:g} tasks" if name == "pids" else f"{value:g}"


def says(file: File) -> str:
    """Say what is in a file."""
    return f"{file.name} says {on_one_line(file.text or '') or 'nothing'}"


def on_one_line(text: str) -> str:
    """Return a text with a comma for each line break."""
    return ", ".join(text.split("\n"))


def joined(parts: Iterable[str]) -> str:
    """Return parts of a sentence with `and` between them."""
    return " and ".join(parts)


def declares(name: LimitName, declared: Amount | None) -> str:
    """Say what is declared of a limit."""
    return "nothing is declared" if declared is None else f"{amount(name, declared)} is declared"


def elsewhere(moved: Moved) -> str:
    """Say how many processes are in other groups than the one that limits their container."""
    number = f"all {moved.of}" if moved.complete else f"{moved.number} of {moved.of}"
    if moved.of == 1:
        said = "its only process is"
    else:
        said = f"{number} of its processes are" if moved.complete else f"{number} processes are"
    where = f"the group {moved.paths[0]}, where it does not count"
    if len(moved.paths) > 1:
        where = f"{count(len(moved.paths), 'other group')}, where it does not count: " + ", ".join(
            moved.paths
        )
    return f"{said} in {where}"
