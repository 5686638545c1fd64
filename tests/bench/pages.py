"""How long the report of ten million samples takes, how much memory, and how large it is."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment_file
from cgbench.units import NS_PER_S
from tests.bench.figure import Figure, at_most
from tests.made.run_builder import MadeUp, make

SAMPLES = 10**7
EXPERIMENT = "cpu-quota-sweep"
MIB = 2**20


@dataclass(frozen=True)
class Report:
    """What the report of a run took: seconds, the most memory in bytes, and its size."""

    seconds: float
    memory: int
    size: int


def figures(scratch: Path) -> list[Figure]:
    """Make runs of that many samples on paper, and report each in a process of its own."""
    many, samples = reported(scratch, trials=20)
    one, _ = reported(scratch, trials=1)
    return [
        at_most(f"report of {samples / 1e6:.1f} million samples: time", 5, many.seconds, " s", 1),
        at_most("  most memory", 420, many.memory / MIB, " MiB", 0),
        at_most("  size", 6, many.size / MIB, " MiB"),
        at_most("  most memory, all in one trial", 1000, one.memory / 1e6, " MB", 0),
    ]


def reported(scratch: Path, trials: int) -> tuple[Report, int]:
    """Return what the report of a run with so many trials took, and how many samples it has."""
    folder = scratch / f"pages-{trials}"
    # By a process of its own: a child begins with the most memory its parent ever had.
    subprocess.run([sys.executable, "-m", "tests.bench.pages", folder, str(trials)], check=True)
    (path,) = folder.glob(f"{EXPERIMENT}/*")
    page = scratch / "report.html"
    begin = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "cgbench", "report", str(path), "-o", str(page)],
        stdout=subprocess.DEVNULL,
    )
    _pid, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"cgbench report ended with {child.returncode}")
    samples = sum(trial.n_samples for trial in RunDirectory(path).trials())
    return Report(seconds, 1024 * usage.ru_maxrss, page.stat().st_size), samples


def make_run(folder: Path, trials: int) -> None:
    """Make a run of SAMPLES samples whose rows are not computed yet."""
    steps = sum(len(step.unrolled()) for step in experiment_file.load(EXPERIMENT).steps)
    hold_s = -(-SAMPLES // (trials * steps * 1000))
    directory = make(folder, MadeUp(name=EXPERIMENT, trials=trials, hold_ns=hold_s * NS_PER_S))
    (directory.path / "phases.parquet").unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.pages", description=make_run.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("trials", type=int)
    wanted = parser.parse_args()
    make_run(wanted.folder, wanted.trials)
