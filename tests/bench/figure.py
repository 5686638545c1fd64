"""One line of the bench's table: what was measured, against which bar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value, its bar, and whether it was met; `met` None means that it is only shown."""

    name: str
    bar: str
    value: str
    met: bool | None

    def line(self) -> str:
        verdict = {True: "met", False: "MISSED", None: "shown"}[self.met]
        return f"{self.name:<46} {self.bar:>9} {self.value:>12}  {verdict}"


def at_most(name: str, bar: float, value: float, unit: str = "", digits: int = 2) -> Figure:
    # What numpy compares is no bool of Python: `is False` would not find it.
    return Figure(name, f"<= {bar:g}{unit}", f"{value:.{digits}f}{unit}", bool(value <= bar))


def at_least(name: str, bar: float, value: float, unit: str = "", digits: int = 1) -> Figure:
    """Expected rather than promised: never a failure."""
    return Figure(name, f">= {bar:g}{unit}", f"{value:.{digits}f}{unit}", None)


def no_less(name: str, bar: float, value: float, unit: str = "", digits: int = 0) -> Figure:
    """Promised."""
    return Figure(name, f">= {bar:g}{unit}", f"{value:.{digits}f}{unit}", bool(value >= bar))
