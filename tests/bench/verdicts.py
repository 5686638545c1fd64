"""Judge runs drawn at random of which it is known what was done, and count the wrong verdicts.

Exit status 1 if there is one; its seed draws the same run again. With --lies, spoil real updates as
well: tests.bench.lies, all cases, which takes three quarters of an hour.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from random import Random

from cgbench.judging import verdict
from tests.bench import lies
from tests.bench.figure import at_most
from tests.made.drawn import drawn


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.verdicts", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="runs to draw")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--show", type=int, default=5, help="mistakes to show")
    parser.add_argument("--lies", action="store_true", help="spoil real updates, too (Docker)")
    given = parser.parse_args()
    mistakes: dict[int, str] = {}
    said: Counter[str] = Counter()
    for seed in range(given.seed, given.seed + given.number):
        one = drawn(Random(seed))
        found = verdict.judge(one.run, one.option)
        said[found.verdict.value] += 1
        mistake = one.mistake(found)
        if mistake is not None:
            mistakes[seed] = mistake
            if len(mistakes) <= given.show:
                print(f"seed {seed}: {mistake}: {found.reason}", *one.done, sep="\n  ")
    print(", ".join(f"{number} {name}" for name, number in said.most_common()))
    false = Counter(text for text in mistakes.values() if text.startswith("false"))
    figures = [
        at_most(f"property test, {given.number} drawn runs: wrong", 0, len(mistakes), digits=0),
        at_most("of them false effective", 0, false["false effective"], digits=0),
    ]
    if given.lies:
        figures += lies.everything()
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
