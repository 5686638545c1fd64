"""Measure how the gate judges and print it beside its bars: `make bench-gate`.

The host should have nothing else to do. Exit status 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.host import lock
from tests.bench import real_gate, synthetic_gate
from tests.bench.figure import Figure


def main() -> int:
    """Run the parts asked for and print their figures as they come."""
    parser = argparse.ArgumentParser(prog="tests.bench.gates", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[[], "synthetic", "real"], default=[])
    parser.add_argument("--gates", type=int, default=real_gate.GATES)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, lock.exclusively():
        parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "synthetic": lambda: synthetic_gate.figures(Path(folder)),
            "real": lambda: _real(Path(folder), chosen.gates),
        }
        print(f"{'figure':<46} {'bar':>9} {'reached':>12}  verdict", flush=True)
        figures: list[Figure] = []
        for part in chosen.part or parts:
            for figure in parts[part]():
                figures.append(figure)
                print(figure.line(), flush=True)
    missed = sum(figure.met is False for figure in figures)
    print(f"{len(figures) - missed} of {len(figures)} figures within their bars")
    return int(missed > 0)


def _real(folder: Path, gates: int) -> Iterator[Figure]:
    engine = Engine()
    try:
        yield from real_gate.figures(engine, folder, gates)
    finally:
        engine.close()


if __name__ == "__main__":
    sys.exit(main())
