"""The text of an interface file, as values by column name."""

from __future__ import annotations

import re

from cgbench.errors import CgroupError
from cgbench.host import procfs
from cgbench.spec.counters import PROCESS_STAT

Reading = int | str

_DEVICE = re.compile(r"^[0-9]+:[0-9]+$")


def parse(file: str, content: bytes, *, text: bool = False) -> dict[str, Reading]:
    """Return the values in an interface file's content, by column name.

    `text` keeps the content as it is, as one value: limits may read `max`. Of a process's `stat`
    the CPU it runs on is kept (`stat:PID.processor`). Otherwise one number,
    numbers in a row (one per CPU), flat-keyed lines (`key number`), v1's lines per device (`7:0
    Read number`), pressure lines (`some avg10=… total=n`, of which the total is kept) and
    nested-keyed lines (`7:0 rbytes=n …`) are understood. An empty file gives nothing. Raises
    CgroupError on anything else, naming the file.
    """
    decoded = content.decode(errors="replace").strip()
    if text:
        return {file: decoded}
    if file == PROCESS_STAT:
        return _running_on(decoded)
    if not decoded:
        return {}
    values: dict[str, Reading] = {}
    try:
        for line in decoded.splitlines():
            words = line.split()
            # Devices without figures stand alone, or in front of the next one (seen in io.stat
            # with kernels 5.15 and 6.1).
            while len(words) > 1 and _DEVICE.match(words[0]) and _DEVICE.match(words[1]):
                del words[0]
            if len(words) == 1 and _DEVICE.match(words[0]):
                continue
            if len(words) == 1:
                values[file] = int(words[0])
            elif all(word.isdigit() for word in words):
                values |= {f"{file}:{index}": int(word) for index, word in enumerate(words)}
            elif all("=" in word for word in words[1:]):
                for word in words[1:]:
                    key, _, number = word.partition("=")
                    if not key.startswith("avg"):
                        values[f"{file}:{words[0]}.{key}"] = int(number)
            elif len(words) == 2:
                values[f"{file}:{words[0]}"] = int(words[1])
            elif len(words) == 3:
                values[f"{file}:{words[0]}.{words[1]}"] = int(words[2])
            else:
                raise ValueError(line)
    except ValueError as error:
        raise CgroupError(f"{file}: not understood: {decoded[:80]!r}") from error
    return values


def _running_on(stat: str) -> dict[str, Reading]:
    """Return the CPU that a process runs or waits on, nothing while it sleeps."""
    seen = procfs.parse_stat(stat)
    if seen is None:
        raise CgroupError(f"{PROCESS_STAT}: not understood: {stat[:80]!r}")
    return {f"{PROCESS_STAT}:{seen.pid}.processor": seen.processor} if seen.state == "R" else {}
