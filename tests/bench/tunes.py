"""Search the smallest limit of a program whose knee is known, again and again.

Each request of the example `web` costs a chosen CPU time, so that below what all of them use
together they queue up without end, and above it they do not: the knee is the usage of the program
without a limit, by the kernel's counter. Exit status 1 if a bar was missed. It needs root, the
images, and a quiet host.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cgbench.commands import program_life, session, tune
from cgbench.records.tune import Tuned, Verdict
from cgbench.spec import target, tunable
from cgbench.spec.program import Load, Program
from tests.bench.figure import Figure, at_most, no_less

NUMBER, WITHIN_PCT = 20, 5.0
_TARGET = "p99<=50ms"
_UNLIMITED = 1.5


def searched(rng: random.Random, results: Path, at: int) -> Tuned:
    """Search once for a program of a random cost."""
    cpu_ms, rate = rng.uniform(2.0, 6.0), rng.randint(60, 120)
    program = Program(
        image="cgbench/web",
        command=("python3", "/opt/cgbench/service.py", "--cpu-ms", f"{cpu_ms:.2f}"),
        load=Load(url="http://127.0.0.1:8080/", rate=rate),
    )
    asked = tune.question(
        ("web", program), target.parse(_TARGET), tunable.tunable("cpus"), None, None
    )
    with session.opened(results, seed=at) as here:
        return tune.tune(asked, program_life.life(asked, here), here.seed)


def truth(found: Tuned) -> float:
    """Return the usage of the program where its limit was well above it."""
    assert found.knee is not None
    used = [
        one.metrics["cpus_used"]
        for one in found.observations
        if one.limit >= _UNLIMITED * found.knee.median and "cpus_used" in one.metrics
    ]
    return statistics.median(used)


def main() -> int:
    """Search, and compare each knee with what is known of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    within, longest_s, above = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for at in range(given.number):
            begin = time.monotonic()
            found = searched(rng, Path(folder), at)
            longest_s = max(longest_s, time.monotonic() - begin)
            if found.knee is None or found.verdict is not Verdict.FOUND:
                print(f"{at + 1:2}: {found.verdict}: {found.reason}", flush=True)
                continue
            known = truth(found)
            off_pct = 100 * (found.knee.median / known - 1)
            within += abs(off_pct) <= WITHIN_PCT
            above += found.suggested is not None and found.suggested >= known
            print(
                f"{at + 1:2}: used {known:.4f} CPUs, knee {found.knee.median:.4f} "
                f"({off_pct:+.1f} %), suggested {found.suggested:.4f}, "
                f"{len(found.observations)} phases,"
                f" {time.monotonic() - begin:.0f} s",
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
