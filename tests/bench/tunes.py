"""Search the smallest limit of a program whose knee is known, again and again.

Each request of the example `web` costs a chosen CPU time, so that below what all of them use
together they queue up without end, and above it they do not: the knee of CPUs is the usage of the
program without a limit, by the kernel's counter. Or it reads pages of a file of a chosen size at
random, of which none may be read again: the knee of memory is that file and what else the program
holds, by memory.stat. Of libraries it needs some pages and no others: known is the middle between
all that it has mapped and none. Exit status 1 if a bar was missed. It needs root, the images, and a
quiet host.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cgbench.commands import program_life, session, tune
from cgbench.judging.run import Run, load
from cgbench.records.results import runs
from cgbench.records.tune import Observation, Tuned, Verdict
from cgbench.spec import target, tunable
from cgbench.spec.program import Load, Program
from cgbench.units import NS_PER_S
from tests.bench.figure import Figure, at_most, no_less

NUMBER, WITHIN_PCT = 20, 5.0
_UNLIMITED = 1.5
_MIB = 2**20
# How v1 and v2 call what is in the page cache, and what of it is mapped.
_CACHE, _MAPPED = ("memory.stat:cache", "memory.stat:file"), (
    "memory.stat:mapped_file", "memory.stat:file_mapped",
)  # fmt: skip


def searched(
    kind: str, program: Program, wanted: str, results: Path, seed: int, hold_s: int | None = None
) -> Tuned:
    """Search once."""
    hold_ns = None if hold_s is None else hold_s * NS_PER_S
    asked = tune.question(
        ("web", program), target.parse(wanted), tunable.tunable(kind), None, None, hold_ns
    )
    with session.opened(results, seed=seed) as here:
        return tune.tune(asked, program_life.life(asked, here), here.seed)


def of_cpus(rng: random.Random, results: Path, seed: int) -> tuple[Tuned, float]:
    """Search CPUs of a program of a random cost; return what was found, and what it uses."""
    cpu_ms, rate = rng.uniform(2.0, 6.0), rng.randint(60, 120)
    program = Program(
        image="cgbench/web",
        command=("python3", "/opt/cgbench/service.py", "--cpu-ms", f"{cpu_ms:.2f}"),
        load=Load(url="http://127.0.0.1:8080/", rate=rate),
    )
    found = searched("cpus", program, "p99<=50ms", results, seed)
    used = [one.metrics["cpus_used"] for one in ample(found) if "cpus_used" in one.metrics]
    return found, statistics.median(used) if used else 0.0


def of_memory(rng: random.Random, results: Path, seed: int) -> tuple[Tuned, float]:
    """Search memory of a program with a file of a random size; return that, and what it holds."""
    mib = rng.randint(128, 224)
    program = Program(
        image="cgbench/web",
        command=("python3", "/opt/cgbench/service.py", "--file", "/var/tmp/set",
                 "--file-mib", str(mib), "--reads", "300", "--memory-mib", "1"),
        read_only=False,
        load=Load(url="http://127.0.0.1:8080/file", rate=200),
    )  # fmt: skip
    found = searched("memory", program, "refaults_per_s<=50", results, seed, hold_s=2)
    one = max(found.observations, key=lambda one: one.limit)
    (run,) = (load(path) for path in runs(results) if path.path.name == one.run)
    return found, held(run, one.phase, mib * _MIB)


def held(run: Run, phase: int, file_bytes: int) -> float:
    """Return the file, what else a program held at the end of a phase that is in no file, and half
    of what it had mapped of other files.
    """
    (trial,) = run.finished
    end_ns = next(one.t_end_ns for one in trial.phases if one.number == phase)
    program = trial.containers[0]
    role, usage = program.role, program.sources["memory_bytes"]
    with run.directory.tables(trial.number) as tables:
        t_ns = tables.sample(role, "t_ns")

        def last(names: tuple[str, ...]) -> float:
            (name,) = (one for name in names for one in tables.names(name))
            values = tables.sample(role, name, float)
            read = values[(t_ns < end_ns) & ~np.isnan(values)]
            return float(read[-1])

        return last((usage.column,)) - last(_CACHE) + last(_MAPPED) / 2 + file_bytes


def ample(found: Tuned) -> list[Observation]:
    """Return the phases well above the knee."""
    if found.knee is None:
        return []
    return [one for one in found.observations if one.limit >= _UNLIMITED * found.knee.median]


KINDS = {"cpus": of_cpus, "memory": of_memory}


def main() -> int:
    """Search, and compare each knee with what is known of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", choices=KINDS, action="append", help="all, in turns, without it")
    given = parser.parse_args()
    rng, kinds = random.Random(given.seed), given.limit or list(KINDS)
    within, longest_s, above = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for at in range(given.number):
            begin, kind = time.monotonic(), kinds[at % len(kinds)]
            found, known = KINDS[kind](rng, Path(folder), at)
            seconds = time.monotonic() - begin
            longest_s = max(longest_s, seconds)
            if found.knee is None or found.verdict is not Verdict.FOUND or not known:
                print(f"{at + 1:2}: {found.verdict}: {found.reason}", flush=True)
                continue
            off_pct = 100 * (found.knee.median / known - 1)
            within += abs(off_pct) <= WITHIN_PCT
            above += found.suggested is not None and found.suggested >= known
            words = tunable.tunable(kind).words
            print(
                f"{at + 1:2}: used {words(known)}, knee {words(found.knee.median)} "
                f"({off_pct:+.1f} %), suggested {words(found.suggested or 0.0)}, "
                f"{len(found.observations)} phases, {seconds:.0f} s",
                flush=True,
            )
    figures: list[Figure] = [
        no_less(f"knees within {WITHIN_PCT:g} % of what is known, of {given.number}",
                given.number * 19 // 20, within, digits=0),
        no_less("suggested limits that are no less than what is used", within, above, digits=0),
        at_most("the longest search", 600.0, longest_s, " s", digits=0),
    ]  # fmt: skip
    for one in figures:
        print(one.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
