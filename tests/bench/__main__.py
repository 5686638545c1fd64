"""Measure cgbench itself and print what was reached beside its bars: `make bench`.

The host should have nothing else to do. Exit status 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.host import lock
from tests.bench import pages, sampling, start, sweep
from tests.bench.figure import Figure


def main() -> int:
    """Run the parts asked for and print their figures as they come."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, lock.exclusively():
        engine, scratch = Engine(), Path(folder)
        parts: dict[str, Callable[[], list[Figure]]] = {
            "start": lambda: start.figures(scratch),
            "sampling": lambda: sampling.figures(engine),
            "sweep": lambda: sweep.figures(engine, scratch),
            "pages": lambda: pages.figures(scratch),
        }
        parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
        parser.add_argument("part", nargs="*", choices=[[], *parts], default=[])
        chosen = parser.parse_args().part or list(parts)
        print(f"{'figure':<46} {'bar':>9} {'reached':>12}  verdict", flush=True)
        figures: list[Figure] = []
        for part in chosen:
            for figure in parts[part]():
                figures.append(figure)
                print(figure.line(), flush=True)
        engine.close()
    missed = sum(figure.met is False for figure in figures)
    print(f"{len(figures) - missed} of {len(figures)} figures within their bars")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
