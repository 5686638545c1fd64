"""Limits of single devices, which only `docker run` has: rates of reading and writing."""

from __future__ import annotations

from collections.abc import Mapping

from cgbench.spec import run_options

THROTTLES: Mapping[str, tuple[str, str]] = {
    field: (file, key) for field, file, key in run_options.THROTTLES.values()
}
"""Limits of single devices by field of HostConfig: the file of v1, and the key in `io.max`."""

Throttles = Mapping[str, Mapping[str, int]]
"""The rate of each device, as `7:0`, by field of HostConfig."""


def throttled(file: str, throttles: Throttles) -> str:
    """Return the text of a file that throttles devices: a line for each of them, in order."""
    devices = sorted({device for rates in throttles.values() for device in rates})
    if file != "io.max":
        field = next(field for field, (v1, _key) in THROTTLES.items() if v1 == file)
        rates = throttles.get(field, {})
        return "\n".join(f"{device} {rates[device]}" for device in devices if device in rates)
    lines = []
    for device in devices:
        words = [f"{key}={throttles.get(field, {}).get(device, 'max')}"
                 for field, (_v1, key) in THROTTLES.items()]  # fmt: skip
        lines.append(" ".join([device, *words]))
    return "\n".join(lines)


def declared(throttles: Throttles) -> str | None:
    """Return what is declared of single devices, in the words of v2."""
    said = [
        f"{device} {THROTTLES[field][1]}={rate}"
        for field, rates in throttles.items()
        for device, rate in sorted(rates.items())
    ]
    return ", ".join(said) or None
