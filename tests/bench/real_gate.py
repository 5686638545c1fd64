"""The gate on real containers: how often it cries wolf, and how often it sleeps."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cgbench.commands import gate
from cgbench.commands.session import Session
from cgbench.engine import image
from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.host import preconditions
from cgbench.judging import sides
from cgbench.judging.run import load
from cgbench.measuring import run
from cgbench.measuring.progress import Silent
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Comparison, Judgement
from cgbench.spec import experiment_file, workload
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Settings
from cgbench.spec.step import Step
from cgbench.units import NS_PER_MS
from tests.bench.figure import Figure, at_most, no_less

GATES = 40
BASELINE_TRIALS = 12
_HOG = "import os\nos.sched_setaffinity(0, {0})\nwhile True: pass"


class Stingy(Engine):
    """Gives 5 % less quota than it is asked for, and answers ok."""

    def update(self, container_id: str, settings: Settings) -> Answer:
        """Ask the daemon for less."""
        less = {
            name: round(0.95 * int(value)) if name == "cpu-quota" else value
            for name, value in settings.items()
        }
        return super().update(container_id, less)


def short_sweep() -> Experiment:
    """Return cpu-quota-sweep with two values and holds of seven periods, for many gates."""
    whole = experiment_file.load("cpu-quota-sweep")
    step = Step(set={"cpu-quota": (50_000, 150_000)}, hold=700 * NS_PER_MS)
    return whole.model_copy(update={"steps": (step,), "warmup": 200 * NS_PER_MS})


@contextlib.contextmanager
def hog() -> Iterator[None]:
    """Keep the first CPU busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", _HOG])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def figures(engine: Engine, folder: Path, gates: int = GATES) -> Iterator[Figure]:
    """Measure one baseline, then `gates` gates of each kind against it."""
    sweep, tag = short_sweep(), image.tag(workload.directory())
    kept = _baseline(sweep, engine, tag, folder)
    alike = _many("A/A", gates, sweep, kept, Session(engine, tag, folder, 1))
    yield at_most(f"A/A: regressed of {gates}", 1, alike[Judgement.REGRESSED], digits=0)
    undecided = alike[Judgement.INCONCLUSIVE] + alike[Judgement.INCOMPARABLE]
    yield at_most(f"A/A: inconclusive of {gates}", 2, undecided, digits=0)
    stingy = Stingy()
    try:
        less = _many("-5 % quota", gates, sweep, kept, Session(stingy, tag, folder, 1))
    finally:
        stingy.close()
    yield no_less(f"5 % less quota: found of {gates}", 38, less[Judgement.REGRESSED])
    with hog():
        busy = _many("hog", gates, sweep, kept, Session(engine, tag, folder, 1))
    yield no_less(f"hog on one CPU: found of {gates}", 38, busy[Judgement.REGRESSED])


def _baseline(sweep: Experiment, engine: Engine, tag: str, folder: Path) -> Baseline:
    shaped = sweep.model_copy(update={"trials": BASELINE_TRIALS})
    directory = run.begin(
        run.Request(shaped, tag, folder, 1), engine, preconditions.require(sweep.requires)
    )
    run.execute(directory, directory.run(), engine, Silent())
    return sides.of_run(load(directory), "before")


def _many(
    what: str, gates: int, sweep: Experiment, kept: Baseline, session: Session
) -> Counter[Judgement]:
    found: Counter[Judgement] = Counter()
    for number in range(1, gates + 1):
        begin = time.monotonic()
        one = gate.gate(sweep, gate.Terms(kept), session)
        found[one.overall] += 1
        print(f"  {what} {number}: {_line(one)}, {time.monotonic() - begin:.0f} s", flush=True)
    return found


def _line(one: Comparison) -> str:
    texts = [
        f"{each.metric} at {each.requested} {each.change_pct or 0:+.1f} %"
        for each in one.findings
        if each.judgement in (Judgement.REGRESSED, Judgement.INCONCLUSIVE)
    ]
    trials = max((len(each.candidate) for each in one.findings), default=0)
    again = f", {len(one.disturbances)} disturbed" if one.disturbances else ""
    return f"{one.overall} after {trials} trials{again} {'; '.join(texts)}"
