"""Run every test: those without containers on all CPUs, then those on real containers alone.

What measures a container must run beside nothing else; everything else may share the CPUs, in two
processes more than there are CPUs, which run while others wait. Its files lie in memory where
there is room. Each pytest gets the arguments. The exit status is the worst of all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

NOTHING_CHOSEN = 5
"""pytest's exit status where no test fits the arguments (pytest: ExitCode.NO_TESTS_COLLECTED)."""

ON_CONTAINERS = "docker and not lab"
"""By which marks pytest chooses the tests on real containers."""

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""More than all files of the tests without containers together."""

_SHARED_OUT = (sys.executable, "-m", "tests.shared_out")
_PYTEST = (sys.executable, "-m", "pytest")


def main(arguments: list[str]) -> int:
    """Run both parts, the second also after failures in the first."""
    statuses = [
        _on_all_cpus(["-m", "not docker and not lab", *arguments]),
        _to_its_end([*_PYTEST, "-m", ON_CONTAINERS, *arguments], os.environ),
    ]
    return max((status for status in statuses if status != NOTHING_CHOSEN), default=NOTHING_CHOSEN)


def quick_place() -> Path | None:
    """Return where files lie in memory, or None where that has too little room.

    Tests write thousands of small files, wait for each to be on the disk, and remove them.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    return MEMORY if roomy else None


def _on_all_cpus(arguments: list[str]) -> int:
    """Share tests out among processes; what the second and later print comes last."""
    with tempfile.TemporaryDirectory(prefix="tests-", dir=quick_place()) as folder:
        taken, temporary = Path(folder, "taken"), Path(folder, "tmp")
        taken.mkdir()
        temporary.mkdir()
        processes = len(os.sched_getaffinity(0)) + 2
        command = [*_SHARED_OUT, str(processes), str(taken), *arguments]
        environment = os.environ | {"TMPDIR": str(temporary)}
        return _to_its_end(command, environment)


def _to_its_end(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit status; also after Ctrl-C wait until it has ended."""
    with subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the tests, too: they end their commands and containers.
            process.wait()
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
