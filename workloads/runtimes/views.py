#!/usr/bin/env python3
"""What language runtimes think they may use: `views.py` prints a JSON line every second.

    second      since the start
    nproc       what coreutils' nproc prints, asked anew
    python      `cpu_count`, `process_cpu_count` (Python 3.13 and later) and `affinity`, the CPUs of
                sched_getaffinity(2)
    go          `gomaxprocs` and `num_cpu` of a process that lives as long as this one
    go_anew     the same of a process that was started for this line
    java        `available_processors` and `max_memory_bytes` of a process that lives as long as
                this one; it would take too long to start one for each line

What a runtime does not offer, or one that has died (as Java may for want of memory), is null.
`--every` is the number of seconds between two lines, `--lines` how many there are; without it,
they go on.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
_GO = (str(HERE / "view"),)
# The serial collector is the smallest, and has no threads that a limit makes fewer.
_JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", str(HERE))
_JAVA = (str(HERE / "java" / "bin" / "java"), *_JAVA_OPTIONS, "View")


class Living:
    """A process that answers each line it is sent with one line of JSON."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def view(self) -> object:
        """Return what it thinks now, None where it has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            return _parsed(self._process.stdout.readline())
        except BrokenPipeError:
            return None


def _parsed(line: str) -> object:
    return json.loads(line) if line.endswith("\n") else None


def _printed(*command: str) -> str:
    """Return what a program prints, nothing where it fails."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def _python() -> dict[str, int | None]:
    # Typed here, since it came with Python 3.13.
    process_cpu_count = getattr(os, "process_cpu_count", lambda: None)
    return {
        "cpu_count": os.cpu_count(),
        "process_cpu_count": process_cpu_count(),
        "affinity": len(os.sched_getaffinity(0)),
    }


def main() -> None:
    """Print lines."""
    parser = argparse.ArgumentParser(description="What language runtimes think they may use.")
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--lines", type=int)
    given = parser.parse_args()
    # As the first process of a container it would not hear of it otherwise.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    go, java = Living(_GO), Living(_JAVA)
    begin, printed = time.monotonic(), 0
    while given.lines is None or printed < given.lines:
        time.sleep(max(0.0, begin + printed * given.every - time.monotonic()))
        view = {
            "second": round(time.monotonic() - begin, 3),
            "nproc": _parsed(_printed("nproc")),
            "python": _python(),
            "go": go.view(),
            "go_anew": _parsed(_printed(*_GO, "once")),
            "java": java.view(),
        }
        print(json.dumps(view), flush=True)
        printed += 1


if __name__ == "__main__":
    main()
