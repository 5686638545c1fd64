"""How long the report of ten million samples takes, how much memory, and how large it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from cgbench.spec import experiment_file
from cgbench.units import NS_PER_S
from tests.bench.figure import Figure, at_most
from tests.made.run_builder import MadeUp, make

SAMPLES = 10**7
TRIALS = 20


def figures(scratch: Path) -> list[Figure]:
    """Make a run of that many samples on paper, and report it in a process of its own."""
    steps = sum(len(step.unrolled()) for step in experiment_file.load("cpu-quota-sweep").steps)
    hold_s = -(-SAMPLES // (TRIALS * steps * 1000))
    directory = make(scratch / "pages", MadeUp(trials=TRIALS, hold_ns=hold_s * NS_PER_S))
    (directory.path / "phases.parquet").unlink(missing_ok=True)
    samples = sum(trial.n_samples for trial in directory.trials())
    page = scratch / "report.html"
    begin = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "cgbench", "report", str(directory.path), "-o", str(page)],
        stdout=subprocess.DEVNULL,
    )
    _pid, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"cgbench report ended with {child.returncode}")
    name = f"report of {samples / 1e6:.1f} million samples"
    return [
        at_most(f"{name}: time", 20, seconds, " s", 1),
        at_most("  most memory", 1024, usage.ru_maxrss / 1024, " MiB", 0),
        at_most("  size", 6, page.stat().st_size / 2**20, " MiB"),
    ]
