"""What systemd says of itself, where it runs."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress

from cgbench import programs
from cgbench.units import NS_PER_S, NS_PER_US


def reloaded_s() -> float | None:
    """Return how long ago systemd read its units anew, None where it does not say."""
    program = programs.find("systemctl")
    if program is None:
        return None
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        shown = subprocess.run(
            [program, "show", "--property=UnitsLoadFinishTimestampMonotonic", "--value"],
            env=programs.environment(), capture_output=True, text=True, timeout=2, check=True,
        )  # fmt: skip
        at_ns = int(shown.stdout) * NS_PER_US
        return (time.monotonic_ns() - at_ns) / NS_PER_S if at_ns else None
    return None
