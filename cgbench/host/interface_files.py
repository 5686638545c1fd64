"""The text of an interface file, as values by column name."""

from __future__ import annotations

import re

from cgbench.host import procfs
from cgbench.spec.counters import PROCESS_STAT

Reading = int | str

ODD = "!not-understood"
"""Behind a file's name: the column that keeps, as text, the lines that are not understood."""

_DEVICE = re.compile(r"^[0-9]+:[0-9]+$")
# What a column of numbers can hold.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def parse(file: str, content: bytes, *, text: bool = False) -> dict[str, Reading]:
    """Return the values in an interface file's content, by column name.

    `text` keeps the content as it is, as one value: limits may read `max`. Of a process's `stat`
    the CPU it runs on is kept (`stat:PID.processor`). Otherwise one number,
    numbers in a row (one per CPU), flat-keyed lines (`key number`), v1's lines per device (`7:0
    Read number`), pressure lines (`some avg10=… total=n`, of which the total is kept),
    nested-keyed lines (`7:0 rbytes=n …`) and v1's lines per memory node (`anon=n N0=n …`, of which
    the total is not kept) are understood. An empty file gives nothing. Any other
    line gives no value and is kept as text in the column `file!not-understood`.
    """
    decoded = content.decode(errors="replace").strip()
    if text:
        return {file: decoded}
    if file == PROCESS_STAT:
        return _running_on(decoded)
    values: dict[str, Reading] = {}
    odd = []
    for line in decoded.splitlines():
        try:
            values |= _line(file, line)
        except ValueError:
            odd.append(line)
    if odd:
        values[file + ODD] = "\n".join(odd)
    return values


def _line(file: str, line: str) -> dict[str, Reading]:
    """Return the values of one line. Raises ValueError when it is not understood."""
    words = line.split()
    # A key and its number, as nearly all lines are.
    if len(words) == 2 and words[1].isdecimal() and not words[0].isdigit():
        return {f"{file}:{words[0]}": _number(words[1])}
    # Devices without figures stand alone, or in front of the next one (seen in io.stat with
    # kernels 5.15 and 6.1).
    while len(words) > 1 and _DEVICE.match(words[0]) and _DEVICE.match(words[1]):
        del words[0]
    if not words or (len(words) == 1 and _DEVICE.match(words[0])):
        return {}
    if len(words) == 1:
        return {file: _number(words[0])}
    if all(word.isdigit() for word in words):
        return {f"{file}:{index}": _number(word) for index, word in enumerate(words)}
    if all("=" in word for word in words[1:]):
        pairs = (word.partition("=") for word in words[1:])
        of = words[0].partition("=")[0]
        return {
            f"{file}:{of}.{key}": _number(number)
            for key, _, number in pairs
            if not key.startswith("avg")
        }
    if len(words) == 2:
        return {f"{file}:{words[0]}": _number(words[1])}
    if len(words) == 3:
        return {f"{file}:{words[0]}.{words[1]}": _number(words[2])}
    raise ValueError(line)


def number(text: str) -> int | None:
    """Return the number that is all of a text, None where it is none, or more than fits."""
    try:
        return _number(text)
    except ValueError:
        return None


def _number(word: str) -> int:
    number = int(word)
    if not _LOWEST <= number <= _HIGHEST:
        raise ValueError(word)
    return number


def _running_on(stat: str) -> dict[str, Reading]:
    """Return the CPU that a process runs or waits on, nothing while it sleeps."""
    seen = procfs.parse_stat(stat)
    if seen is None:
        return {PROCESS_STAT + ODD: stat}
    return {f"{PROCESS_STAT}:{seen.pid}.processor": seen.processor} if seen.state == "R" else {}
