"""Run every test: those without containers on all CPUs, then those on real containers alone.

What measures a container must run beside nothing else; everything else may share the CPUs. pytest
gets the arguments both times. The exit status is pytest's worst.
"""

from __future__ import annotations

import subprocess
import sys

PARTS = (
    ("-n", "auto", "--dist", "worksteal", "-m", "not docker and not lab"),
    ("-m", "docker and not lab"),
)
NOTHING_CHOSEN = 5
"""pytest's exit status where no test fits the arguments (pytest: ExitCode.NO_TESTS_COLLECTED)."""


def main(arguments: list[str]) -> int:
    """Run both parts, the second also after failures in the first."""
    statuses = [
        subprocess.run([sys.executable, "-m", "pytest", *part, *arguments], check=False).returncode
        for part in PARTS
    ]
    return max((status for status in statuses if status != NOTHING_CHOSEN), default=NOTHING_CHOSEN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
