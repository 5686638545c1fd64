"""Run the whole suite some times beside a process that keeps one CPU busy: `make test-beside`.

Exit status 1 if a test failed. How long a run took is printed and not judged: with half of this
host's CPU time gone it says nothing of the suite. The busy process ends with this one, whatever
becomes of it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# With its parent gone it has nobody to be busy for: 1 is PR_SET_PDEATHSIG.
_BUSY = "while True: pass"
_SUMMARY = re.compile(r"(=+ )?(no tests ran|\d+ (passed|failed|error|skipped|deselected)).* in ")


@dataclass(frozen=True)
class Run:
    """One run of the suite: what pytest printed last, which tests failed, how long it took."""

    status: int
    summary: str
    failures: tuple[str, ...]
    minutes: float

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return self.status == 0


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep one CPU busy meanwhile; the scheduler chooses which."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BUSY], preexec_fn=_die_with_parent, start_new_session=True
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def suite(arguments: list[str]) -> Run:
    """Run the suite once, as `make test` does, and show what it prints."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "tests", *arguments]
    failures: list[str] = []
    summaries: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                if line.startswith(("FAILED ", "ERROR ")):
                    failures.append(line.strip())
                elif _SUMMARY.match(line.strip()):
                    summaries.append(line.strip().strip("= "))
        except BaseException:
            # Else whoever ends this one would wait for the suite's end.
            process.terminate()
            raise
    minutes = (time.monotonic() - begin) / 60
    return Run(
        process.returncode,
        "; ".join(summaries) or "pytest printed no summary",
        tuple(failures),
        minutes,
    )


def main() -> int:
    """Run the suite N times and print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=5, help="runs of the suite (5)")
    chosen, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with busy():
        runs = [suite(arguments) for _ in range(chosen.times)]
    print("\nBeside a process that keeps one CPU busy:")
    for number, run in enumerate(runs, 1):
        print(f"  run {number}: {run.minutes:.1f} min, {run.summary}")
        for failure in run.failures:
            print(f"    {failure}")
    good = sum(run.good for run in runs)
    print(f"{good} of {len(runs)} runs passed")
    return 0 if good == len(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
