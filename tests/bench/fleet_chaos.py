"""Kill a part of a fleet at a random moment, again and again: what is left, and what is lost.

The client (with its scheduler), the worker, and the measurement itself take turns, and the line
between them. After each kill the fleet is resumed, and cleaned. Exit status 1 if anything was left,
or a finished row was lost. It needs root, Docker and the image.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from cgbench.engine.engine import Engine
from cgbench.host import lock
from cgbench.records import results as stored
from cgbench.records.fleet import FleetFolder, find
from tests.bench.figure import Figure, at_most, no_less
from tests.made import short_experiment, ssh
from tests.made.ssh import SshHost

NUMBER, SEED = 40, 1
_LATEST_S = 9.0
"""A fleet of one short experiment takes about as long."""
_LONGEST_S = 240.0


def _of(host: SshHost, word: str) -> Callable[[psutil.Process], bool]:
    """Return what says whether a process is that part of the fleet on the host."""

    def fits(process: psutil.Process) -> bool:
        try:
            mine = process.environ().get("HOME") == str(host.folder)
            return mine and word in " ".join(process.cmdline())
        except psutil.Error:
            return False

    return fits


def parts(host: SshHost) -> dict[str, Callable[[psutil.Process], bool]]:
    """Return what is killed, by name; the client is known by its process."""
    return {"worker": _of(host, "cgbench.fleet.worker"), "child": _of(host, "cgbench run")}


def kill(victim: str, client: subprocess.Popen[bytes], host: SshHost) -> bool:
    """Kill a part, and say whether it was there."""
    if victim == "client":
        there = client.poll() is None
        client.kill()
        return there
    found = list(filter(parts(host)[victim], psutil.process_iter()))
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(found)


def finished(host: SshHost, folder: FleetFolder | None) -> str | None:
    """Return the run that was finished, on the host or here; None where none was."""
    for path in (host.folder / ".cache/cgbench/fleet/runs").glob("*/*/ended.json"):
        with suppress(ValueError):
            if json.loads(path.read_text())["status"] == 0:
                return _only_run(path.parent / "results")
    if folder is not None and folder.document("here").exists():
        return _only_run(folder.path / "hosts" / "here" / "results")
    return None


def _only_run(results: Path) -> str | None:
    runs = stored.runs(results)
    return runs[0].path.name if runs else None


def left(engine: Engine, host: SshHost) -> Iterator[str]:
    """Yield what is there after everything was cleaned."""
    yield from (f"container {one}" for one in engine.leftovers())
    yield from map(str, lock.scratch_leftovers())
    yield from map(str, (host.folder / ".cache/cgbench/fleet/runs").glob("*"))
    for name, fits in parts(host).items():
        yield from (f"{name} {one.pid}" for one in psutil.process_iter() if fits(one))


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cgbench", "fleet", *map(str, arguments)]


def _latest(results: Path) -> FleetFolder | None:
    return find("fleet", results) if list((results / "fleet").glob("*/fleet.json")) else None


def round_of(
    number: int, victim: str, after_s: float, host: SshHost, engine: Engine, folder: Path
) -> tuple[list[str], bool, bool]:
    """Kill once: return what was left, whether a finished row was lost, and whether it hit."""
    results, hosts = folder / f"results-{number}", folder / "hosts.toml"
    options = ("--results", results, "--no-report", "--quiet")
    with subprocess.Popen(
        _command(*options, hosts, "run", folder / "short.toml"), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as client:  # fmt: skip
        time.sleep(after_s)
        hit = kill(victim, client, host)
        client.wait(_LONGEST_S)
    # What the kernel and the worker end by themselves is given the time for it.
    end = time.monotonic() + 60
    while any(any(map(fits, psutil.process_iter())) for fits in parts(host).values()):
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    made = _latest(results)
    before = finished(host, made)
    if made is not None:
        for arguments in (("--resume", "fleet", hosts), (hosts, "clean")):
            subprocess.run(
                _command(*options, *arguments), check=False, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, timeout=_LONGEST_S,
            )  # fmt: skip
    after = None if made is None else finished(host, made)
    lost = made is not None and (after is None or (before is not None and after != before))
    return list(left(engine, host)), lost, hit


def figures(number: int, seed: int) -> list[Figure]:
    """Kill again and again."""
    rng = random.Random(seed)
    engine, remains, lost, hits = Engine(), 0, 0, 0
    with tempfile.TemporaryDirectory() as made:
        ssh_folder = Path(made) / "ssh"
        ssh_folder.mkdir()
        short_experiment.write(Path(made))
        with ssh.served(ssh_folder) as host:
            Path(made, "hosts.toml").write_text(
                f'[[hosts]]\nname = "here"\naddress = "127.0.0.1"\nport = {host.port}\n'
                f'user = "root"\nkey = "{host.folder}/key"\n'
                f'known_hosts = "{host.folder}/known_hosts"\npython = "{sys.executable}"\n'
            )
            for at in range(number):
                victim = ("client", "worker", "child")[at % 3]
                after_s = rng.uniform(0.2, _LATEST_S)
                there, gone, hit = round_of(at, victim, after_s, host, engine, Path(made))
                remains, lost, hits = remains + bool(there), lost + gone, hits + hit
                print(f"{at + 1}: {victim} after {after_s:.1f} s, {'hit' if hit else 'not there'}:"
                      f" left {there or 'nothing'}{', a row lost' * gone}", flush=True)  # fmt: skip
    engine.close()
    return [
        no_less("kills that hit something", number // 2, hits),
        at_most("hosts with something left after `fleet clean`", 0, remains, digits=0),
        at_most("finished rows lost", 0, lost, digits=0),
    ]


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.fleet_chaos", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help=f"of kills ({NUMBER})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the moments ({SEED})")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    assert os.geteuid() == 0, "it needs root"
    found = figures(given.number, given.seed)
    for figure in found:
        print(figure.line())
    return int(any(one.met is False for one in found))


if __name__ == "__main__":
    sys.exit(main())
