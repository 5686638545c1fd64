"""Measure rows of the atlas, one host of the lab after another: `make atlas ROWS="trixie here"`.

Each row is a file of its own, so that one that is cut off loses no other. A row that was measured
by today's rules, and as fully as is asked for, is left as it is. `here` is this host. Some updates
are made by hand in each guest as well. Exit status 1 if a row could not be measured, or if `cat`
disagrees with it.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import CgbenchError
from cgbench.records import atlas, rules, truth
from tests.lab import by_hand
from tests.lab import host as hosts
from tests.lab.host import LabError
from tests.lab.machine import Machine, booted
from tests.made.heeded_signals import heed

HERE = "here"
FOLDER = Path("results/atlas")
EVERYTHING = ("--interactions", "--disturb-daemon")
PACKAGES = ("docker.io", "runc", "crun", "podman", "containerd", "systemd", "libc6")
_LONGEST_S = {True: 3600.0, False: 3 * 3600.0}
# 0: as declared; 1: some option is not; 3: something was left open.
_MEASURED = (0, 1, 3)


@dataclass(frozen=True)
class Measured:
    """A truth table as text, and packages with their versions as dpkg-query prints them.

    `disagreements` are where a shell in the guest says something else.
    """

    table: str
    packages: str
    disagreements: tuple[str, ...] = ()


def fresh(name: str, folder: Path, *, quick: bool) -> bool:
    """Say whether a row is there, made by today's rules, and as fully as asked for."""
    path = folder / f"{name}.json"
    try:
        row = atlas.read(path)
    except CgbenchError:
        return False
    return row.rules == rules.digest() and (quick or bool(row.table.interactions))


def in_guest(machine: Machine, *, quick: bool) -> Measured:
    """Measure in a guest that runs."""
    more = " ".join(("--quick",) if quick else EVERYTHING)
    command = f"cgbench verify {more} --no-report --results /root/results --json /root/truth.json"
    done = machine.ssh(command, _LONGEST_S[quick], shown=True)
    if done.returncode not in _MEASURED:
        raise LabError(f"`cgbench verify` ended with {done.returncode}")
    listed = machine.read(f"dpkg-query -W {' '.join(PACKAGES)} 2>/dev/null || true")
    # One that is known and not installed has no version.
    installed = [line for line in listed.splitlines() if len(line.split()) == 2]
    packages = "".join(f"{line}\n" for line in installed)
    text = machine.read("cat /root/truth.json")
    table = truth.parsed(json.loads(text), Path("truth.json"))
    return Measured(text, packages, tuple(by_hand.disagreements(machine, table)))


def on_lab_host(name: str, *, quick: bool) -> Measured:
    """Boot a host of the lab, measure in it and end it, whatever happened.

    What its console printed stays where it failed.
    """
    machine = booted(name)
    failed = True
    try:
        found = in_guest(machine, quick=quick)
        failed = False
    finally:
        machine.stop(keep_logs=failed)
    return found


def on_this_host(*, quick: bool) -> Measured:
    """Measure this host; its daemon is not restarted, since others may use it."""
    more = ["--quick"] if quick else ["--interactions"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.json"
        done = subprocess.run(
            [sys.executable, "-m", "cgbench", "verify", *more, "--no-report",
             "--results", folder, "--json", str(path)], check=False,
        )  # fmt: skip
        if done.returncode not in _MEASURED:
            raise LabError(f"`cgbench verify` ended with {done.returncode}")
        return Measured(path.read_text(), "")


def measured(name: str, *, quick: bool) -> Measured:
    """Measure the host called `name`."""
    return on_this_host(quick=quick) if name == HERE else on_lab_host(name, quick=quick)


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
    given = parser.parse_args()
    heed()
    # Else a guest would outlive what measures it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = given.rows or [HERE, *hosts.names()]
    for name in names:
        if name != HERE:
            hosts.load(name)
    return int(bool(rows(names, given.folder, quick=given.quick)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"lab: {error}")
