"""Numbers as a sentence or a table shows them: bounds rounded up, signs, units, plurals."""

from __future__ import annotations

import math

from cgbench.units import NS_PER_MS, format_duration, format_size

MINUS = "−"


def percent_bound(value: float) -> str:
    """Return a bound that |`value`| percent does not exceed, in as many digits as it deserves."""
    size = abs(value)
    if size >= 10:
        return f"{math.ceil(round(size, 6))} %"
    # Rounded first, so that 0.3 in binary does not become 0.4.
    return f"{max(0.1, math.ceil(round(size * 10, 6)) / 10):.1f} %"


def whole_percent(value: float) -> str:
    """Return a share in whole percent; 0 and 100 are said of nothing and of all alone."""
    if 0 < value < 1:
        return "<1 %"
    if 99 < value < 100:
        return ">99 %"
    return f"{value:.0f} %"


def signed_percent(value: float) -> str:
    """Return a percentage with its sign, whole from 10 on: `+0.31 %`, `−34 %`."""
    text = f"{abs(value):.0f}" if abs(value) >= 9.95 else f"{abs(value):.2f}"
    sign = "" if float(text) == 0 else MINUS if value < 0 else "+"
    return f"{sign}{text} %"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign; what rounds to nothing is `+0`, and never `-0`."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def milliseconds(value: float) -> str:
    """Return milliseconds as a duration with its unit: `41.2 ms`, `1.02 s`."""
    return format_duration(value * NS_PER_MS)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, in the plural unless it is one."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def significant(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits and no exponent: `0.09921`, `1234`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}".replace("-", MINUS)


def amount(value: float, unit: str, digits: int = 4) -> str:
    """Return a number for a table whose head has the unit; bytes get their own."""
    return format_size(value) if unit == "bytes" else significant(value, digits)


# From here on digits are set apart in threes.
_MANY = 10_000


def quantity(value: float, unit: str) -> str:
    """Return a number with its unit for a sentence: `0.997 CPUs`, `256 MiB/s`, `25,000 1/s`."""
    if unit in ("bytes", "bytes/s"):
        return f"{format_size(value)}{unit.removeprefix('bytes')}"
    number = significant(value, 3)
    if abs(value) >= _MANY:
        number = f"{round(value):,}".replace("-", MINUS)
    return f"{number} {unit.removesuffix('s') if unit == 'CPUs' and value == 1 else unit}"


def around(below: str, above: str) -> str:
    """Say how far a band reaches, given both ways in words: `±2 %`, `−512 KiB +256 KiB`."""
    return f"±{below}" if below == above else f"{MINUS}{below} +{above}"


def capitalised(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it was."""
    return text[:1].upper() + text[1:]
