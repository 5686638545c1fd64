"""Measure rows of the atlas, one host of the lab after another: `make atlas ROWS="trixie here"`.

Each row is a file of its own, so that one that is cut off loses no other. A row that was measured
by today's rules, and as fully as is asked for, is left as it is. Where this is ended, guests are
suspended, and go on when they are asked for again. `here` is this host. Some updates
are made by hand in each guest as well. Guests' clocks count instructions unless $LAB_CLOCK names
another: nothing on this host disturbs them, and `--jobs 2` runs two at once. What each prints is
then kept in a file.
Exit status 1 if a row could not be measured, or if `cat` disagrees with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cgbench.errors import CgbenchError
from cgbench.records import atlas, rules
from tests.lab import guest_row
from tests.lab import host as hosts
from tests.lab.disks import cache
from tests.lab.guest_row import MEASURED, Measured
from tests.lab.host import LabError
from tests.made.heeded_signals import heed

HERE = "here"
FOLDER = Path("results/atlas")
_LOOK_EVERY_S = 1.0


def fresh(name: str, folder: Path, *, quick: bool) -> bool:
    """Say whether a row is there, made by today's rules, and as fully as asked for."""
    path = folder / f"{name}.json"
    try:
        row = atlas.read(path)
    except CgbenchError:
        return False
    return row.rules == rules.digest() and (quick or bool(row.table.interactions))


def on_this_host(*, quick: bool) -> Measured:
    """Measure this host; its daemon is not restarted, since others may use it."""
    more = ["--quick"] if quick else ["--interactions"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.json"
        done = subprocess.run(
            [sys.executable, "-m", "cgbench", "verify", *more, "--no-report",
             "--results", folder, "--json", str(path)], check=False,
        )  # fmt: skip
        if done.returncode not in MEASURED:
            raise LabError(f"`cgbench verify` ended with {done.returncode}")
        return Measured(path.read_text(), "")


def measured(name: str, *, quick: bool) -> Measured:
    """Measure the host called `name`."""
    return on_this_host(quick=quick) if name == HERE else guest_row.measured(name, quick=quick)


def together(names: Sequence[str], folder: Path, *, quick: bool, jobs: int) -> list[str]:
    """Measure as many rows at once in processes of their own; return those that failed.

    Ends them, and so suspends their guests, where it is ended itself.
    """
    waiting, running, failed = list(names), dict[str, subprocess.Popen[bytes]](), list[str]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = _apart(name, folder, quick=quick)
            time.sleep(_LOOK_EVERY_S)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                status = running.pop(name).returncode
                failed += [name] if status else []
                print(f"{name}: {'done' if not status else f'ended with {status}'}", flush=True)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    return failed


def _apart(name: str, folder: Path, *, quick: bool) -> subprocess.Popen[bytes]:
    cache().mkdir(parents=True, exist_ok=True)
    log = cache() / f"atlas-{name}.log"
    print(f"{name}: measured now; {log}", flush=True)
    command = [sys.executable, "-m", "tests.lab.atlas", name, "--folder", str(folder)]
    with log.open("wb") as file:
        return subprocess.Popen(
            [*command, *(["--quick"] if quick else [])], stdin=subprocess.DEVNULL, stdout=file,
            stderr=file,
        )  # fmt: skip


def add(name: str, found: Measured, folder: Path) -> None:
    """Make a row file of what was measured."""
    with tempfile.TemporaryDirectory() as made:
        table, packages = Path(made) / "truth.json", Path(made) / "packages"
        table.write_text(found.table)
        packages.write_text(found.packages)
        more = ["--packages", str(packages)] if found.packages else []
        if name != HERE:
            more += ["--title", hosts.load(name).title]
        subprocess.run(
            [sys.executable, "-m", "cgbench", "atlas", "--add", str(table), "--name", name, *more,
             "--rows", str(folder), "--replace"], check=True,
        )  # fmt: skip


def rows(
    names: Sequence[str], folder: Path, *, quick: bool,
    measure: Callable[..., Measured] = measured, keep: Callable[..., None] = add,
) -> list[str]:  # fmt: skip
    """Measure the rows that are lacking, in order; return those that could not be measured, and
    those of which a shell in the guest says something else.
    """
    failed = []
    for name in names:
        if fresh(name, folder, quick=quick):
            print(f"{name}: is there, by today's rules", flush=True)
            continue
        began = time.monotonic()
        print(f"{name}: measured now", flush=True)
        try:
            found = measure(name, quick=quick)
            keep(name, found, folder)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
        else:
            for one in found.disagreements:
                print(f"{name}: a shell disagrees: {one}", file=sys.stderr, flush=True)
            failed += [name] if found.disagreements else []
            print(f"{name}: done in {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return failed


def main() -> int:
    """Measure what the command line names; all rows of the lab and this host by default."""
    parser = argparse.ArgumentParser(prog="tests.lab.atlas", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="as `make lab-list` prints, or here")
    parser.add_argument("--quick", action="store_true", help="the verdicts alone")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of the rows ({FOLDER})")
    parser.add_argument("--jobs", type=int, default=1, help="how many guests run at once (1)")
    given = parser.parse_args()
    heed()
    os.environ.setdefault("LAB_CLOCK", "instructions")
    # Else a guest would go on without what measures it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = given.rows or [HERE, *hosts.names()]
    for name in names:
        if name != HERE:
            hosts.load(name)
    if given.jobs > 1:
        # This host is not measured beside guests.
        guests = [name for name in names if name != HERE]
        failed = together(guests, given.folder, quick=given.quick, jobs=given.jobs)
        names = [name for name in names if name == HERE]
    else:
        failed = []
    failed += rows(names, given.folder, quick=given.quick)
    return int(bool(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"lab: {error}")
