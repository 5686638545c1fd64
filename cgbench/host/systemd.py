"""What systemd says of itself, where it runs."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from cgbench import programs
from cgbench.units import NS_PER_S, NS_PER_US

_LONGEST_S = 5.0

NONE = "none"
"""The version of systemd where the host's first process is another program."""


def release(root: Path = Path("/")) -> str | None:
    """Return the number of the systemd that runs this host: `257`.

    `none` where another program does (sd_booted(3)), None where systemd does not say.
    """
    if not (root / "run/systemd/system").is_dir():
        return NONE
    # Of the program that runs. One that was installed since may be newer.
    match = re.match(r"\d+", _shown("Version") or "")
    return None if match is None else match[0]


def reloaded_s() -> float | None:
    """Return how long ago systemd read its units anew, None where it does not say.

    `UnitsLoadFinishTimestamp` is that of the boot alone.
    """
    at_us = _number("UnitsLoadTimestampMonotonic")
    return None if not at_us else (time.monotonic_ns() - at_us * NS_PER_US) / NS_PER_S


def default_tasks() -> int | None:
    """Return how many tasks a unit may have of which nobody said it, None where it does not say."""
    return _number("DefaultTasksMax")


def _number(name: str) -> int | None:
    try:
        return int(_shown(name) or "")
    except ValueError:
        return None


def _shown(name: str) -> str | None:
    program = programs.find("systemctl")
    if program is None:
        return None
    try:
        shown = subprocess.run(
            [program, "show", f"--property={name}", "--value"], env=programs.environment(),
            capture_output=True, text=True, timeout=_LONGEST_S, check=True,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()
