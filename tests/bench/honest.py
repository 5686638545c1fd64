"""Verify an honest daemon again and again, and count the verdicts that differ from run to run.

With --beside, one CPU is kept busy meanwhile: then a verdict may be inconclusive, and is wrong
where it differs from what most tables of --reference say, which were measured on the quiet host.

All is kept in a folder of results. Tables that are there already are counted and not measured
again, so that a campaign can be made in parts: --number is how many of each option there shall be.
Exit status 1 if a bar was missed. It needs root and the image.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cgbench.spec.options import OPTIONS
from tests.bench import tables
from tests.bench.beside import busy
from tests.bench.figure import Figure, at_most
from tests.bench.tables import Said, Tables
from tests.made.heeded_signals import heed

QUIET, BESIDE = 20, 10
MOST_S, MOST_OPEN_PCT = 240.0, 20.0
# A verdict is worth a pass, a failure or none; all else says that nothing was measured.
_MEASURED = (0, 1, 3)

Verify = Callable[[Sequence[str], Path], None]


def measured(folder: Path, options: Sequence[str], number: int, verify: Verify) -> None:
    """Verify until there are so many verdicts on each option; print how long each took."""
    found = tables.read(folder)
    while short := tables.lacking(found, options, number):
        begin, have = time.monotonic(), len(found)
        verify(short, folder)
        took, found = time.monotonic() - begin, tables.read(folder)
        if len(found) == have:
            raise SystemExit(f"`cgbench verify` left no table in {folder}")
        print(f"table {len(found)}: {len(short)} verdicts in {took:.0f} s", flush=True)


def by_command(*more: str) -> Verify:
    """Return what runs `cgbench verify` as a process of its own, and ends it with this one."""

    def verify(options: Sequence[str], folder: Path) -> None:
        command = [sys.executable, "-m", "cgbench", "verify", *options, "--no-report", *more]
        with tempfile.TemporaryFile("w+") as said:
            # In a session of its own: a Ctrl-C must not come twice.
            process = subprocess.Popen(
                [*command, "--results", str(folder)], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait()
            except BaseException:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            if status not in _MEASURED:
                said.seek(0)
                raise SystemExit(f"exit status {status}: {said.read().strip()}")

    return verify


def steady(found: Tables, options: Sequence[str]) -> list[Figure]:
    """Return how many verdicts differ on a quiet host, and the longest time of a whole table."""
    odd = tables.differing(found, options)
    for one in odd:
        print(one)
    number = tables.verdicts(found, options)
    figures = [at_most(f"honest, {number} verdicts: that differ", 0, len(odd), digits=0)]
    whole = [one.elapsed_s for one in found.values() if len(one.rows) == len(OPTIONS)]
    if whole:
        name = f"the longest of {len(whole)} whole tables took"
        figures.append(at_most(name, MOST_S, max(whole), " s", digits=0))
    return figures


def disturbed(found: Tables, expected: dict[str, Said]) -> list[Figure]:
    """Return how many verdicts are wrong beside a busy CPU, and how many decide nothing."""
    wrong, left_open = tables.wrong(found, expected), tables.left_open(found, expected)
    for one in (*wrong, *left_open):
        print(one)
    number = tables.verdicts(found, list(expected))
    share = 100 * len(left_open) / number if number else float("nan")
    return [
        at_most(f"beside a busy CPU, {number} verdicts: wrong", 0, len(wrong), digits=0),
        at_most("of them inconclusive", MOST_OPEN_PCT, share, " %", digits=1),
    ]


def main() -> int:
    """Measure what is lacking, and print the figures of all that is kept."""
    parser = argparse.ArgumentParser(prog="tests.bench.honest", description=__doc__)
    parser.add_argument("--number", type=int, help=f"tables ({QUIET}, beside {BESIDE}); 0: count")
    parser.add_argument("--options", nargs="+", choices=list(OPTIONS), default=list(OPTIONS))
    parser.add_argument("--quick", action="store_true", help="the verdicts alone")
    parser.add_argument("--keep", type=Path, required=True, help="the folder of results")
    parser.add_argument("--beside", action="store_true", help="keep one CPU busy meanwhile")
    parser.add_argument("--reference", type=Path, help="the folder of the quiet host's tables")
    given = parser.parse_args()
    if given.beside != (given.reference is not None):
        parser.error("give both --beside and --reference, or neither")
    if given.reference is not None and given.reference.resolve() == given.keep.resolve():
        parser.error("--keep and --reference must differ: a table does not say what was beside it")
    number = given.number if given.number is not None else BESIDE if given.beside else QUIET
    heed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    expected: dict[str, Said] = {}
    if given.beside:
        reference = tables.kept(given.reference, quick=given.quick)
        expected = tables.decided(reference, given.options)
    tables.kept(given.keep, quick=given.quick)
    with busy() if given.beside else contextlib.nullcontext():
        measured(given.keep, given.options, number, by_command(*["--quick"] * given.quick))
    found = tables.kept(given.keep, quick=given.quick)
    if not found:
        raise SystemExit(f"no table in {given.keep}")
    there = [one for one in given.options if tables.verdicts(found, [one])]
    expected = {option: expected[option] for option in there if option in expected}
    figures = disturbed(found, expected) if given.beside else steady(found, there)
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
