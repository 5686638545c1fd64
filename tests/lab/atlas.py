"""Measure rows of the atlas, one host of the lab after another: `make atlas ROWS="trixie here"`.

Each row is a file of its own, so that one that is cut off loses no other. A row that was measured
by today's rules, and as fully as is asked for, is left as it is. `here` is this host. Some updates
are made by hand in each guest as well. Guests' clocks count instructions unless $LAB_CLOCK names
another: nothing on this host disturbs them, and `--jobs 2` runs two at once. What each prints is
then kept in a file.
Exit status 1 if a row could not be measured, or if `cat` disagrees with it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cgbench.errors import CgbenchError
from cgbench.records import atlas, rules, truth
from tests.lab import by_hand
from tests.lab import host as hosts
from tests.lab.disks import cache
from tests.lab.guests import beside, booted
from tests.lab.host import LabError
from tests.lab.machine import Machine
from tests.made.heeded_signals import heed

HERE = "here"
FOLDER = Path("results/atlas")
PACKAGES = ("docker.io", "runc", "crun", "podman", "containerd", "systemd", "libc6")
_LOOK_EVERY_S = 1.0
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
    more = "--quick" if quick else "--interactions"
    if not quick and machine.host.engine == "docker":
        # Podman has no daemon that could be restarted.
        more += " --disturb-daemon"
    command = f"cgbench verify {more} --no-report --results /root/results --json /root/truth.json"
    began = datetime.now(UTC).isoformat(timespec="seconds")
    done = machine.ssh(command, _LONGEST_S[quick], shown=True)
    if machine.pid() is None:
        raise LabError(f"the guest ended meanwhile. {machine.last_words()}")
    if done.returncode not in _MEASURED:
        raise LabError(f"`cgbench verify` ended with {done.returncode}")
    listed = machine.read(f"dpkg-query -W {' '.join(PACKAGES)} 2>/dev/null || true")
    # One that is known and not installed has no version.
    installed = [line for line in listed.splitlines() if len(line.split()) == 2]
    packages = "".join(f"{line}\n" for line in installed)
    # A guest's clock that skips idle time is hours ahead of the day.
    document = json.loads(machine.read("cat /root/truth.json")) | {"started": began}
    table = truth.parsed(document, Path("truth.json"))
    return Measured(json.dumps(document), packages, tuple(by_hand.disagreements(machine, table)))


def on_lab_host(name: str, *, quick: bool, boot: Callable[[str], Machine] = booted) -> Measured:
    """Boot a host of the lab, measure in it and end it, whatever happened.

    What its console printed stays where it failed.
    """
    machine = boot(name)
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


def one_of_several(name: str, *, quick: bool) -> Measured:
    """Measure a host of the lab while others are."""
    return on_lab_host(name, quick=quick, boot=lambda name: beside(hosts.load(name)))


def together(names: Sequence[str], folder: Path, *, quick: bool, jobs: int) -> list[str]:
    """Measure as many rows at once in processes of their own; return those that failed.

    Ends them, and with them their guests, where it is ended itself.
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
    command = [sys.executable, "-m", "tests.lab.atlas", name, "--folder", str(folder), "--beside"]
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
    parser.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    heed()
    os.environ.setdefault("LAB_CLOCK", "instructions")
    # Else a guest would outlive what measures it.
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
    measure = one_of_several if given.beside else measured
    failed += rows(names, given.folder, quick=given.quick, measure=measure)
    return int(bool(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"lab: {error}")
