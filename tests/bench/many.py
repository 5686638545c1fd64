"""Audit and watch many running containers, and tell what that costs.

They only sleep, and are removed in the end. Exit status 1 if a bar was missed. It needs root, the
image and an idle Docker.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from cgbench.engine import image
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.host import cgroups, lock
from cgbench.host.cpu_time import cpu_times, daemon_processes
from cgbench.host.scratch import ownership
from cgbench.host.watched_group import may_open
from cgbench.measuring.readings import Target
from cgbench.measuring.sampler import Sampler
from cgbench.spec import workload
from cgbench.spec.experiment import Sampling
from tests.bench.figure import Figure, at_most, no_less

NUMBER, LIVES_S = 200, 1800
WATCHED_S = 30.0
CHANGES = 10
_AT_ONCE = 4
SAMPLED, _EACH = 1000, 4
_FILES = {
    1: (("cpuacct", "cpuacct.usage"), ("cpu", "cpu.stat"), ("memory", "memory.usage_in_bytes"),
        ("memory", "memory.failcnt")),
    2: (("cpu", "cpu.stat"), ("memory", "memory.current"), ("memory", "memory.events"),
        ("pids", "pids.current")),
}  # fmt: skip


@contextmanager
def running(engine: Engine, tag: str, number: int) -> Iterator[list[str]]:
    """Run containers that only sleep, each with a few limits; yield their identities."""
    with ExitStack() as stack:

        def start(at: int) -> str:
            spec = ContainerSpec(
                f"cgbench-many-{os.getpid()}-{at}", tag, (), f"many-{os.getpid()}", {}, None,
                None, LIVES_S, None, str(ownership.this_process()),
                raw={"Memory": 64 << 20, "PidsLimit": 50, "NanoCpus": 500_000_000},
            )  # fmt: skip
            made = engine.container(spec)
            found = made.__enter__()
            stack.push(made)
            return found

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield list(pool.map(start, range(number)))


def command(*arguments: str) -> tuple[float, float, str]:
    """Run a command of cgbench: wall and CPU time in seconds, and what it printed."""
    begin, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "cgbench", *arguments], capture_output=True, text=True, check=False
    )
    wall, after = time.monotonic() - begin, os.times()
    assert done.returncode in (0, 1), done.stderr
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system, done.stdout


def audited(number: int) -> list[Figure]:
    """Audit them, and compare with one reading of `docker stats`."""
    daemons = daemon_processes()
    before = cpu_times(daemons)
    wall, own, said = command("audit", "--json", "-")
    after = cpu_times(daemons)
    assert before.daemon_s is not None
    assert after.daemon_s is not None
    theirs = after.daemon_s - before.daemon_s
    document = json.loads(said)
    read = [one for one in document["containers"] if one["unread"] is None]
    begin = time.monotonic()
    subprocess.run(["docker", "stats", "--no-stream"], check=True, stdout=subprocess.DEVNULL)
    stats = time.monotonic() - begin
    return [
        no_less(f"{number} containers: audited", number, len(read), digits=0),
        at_most("findings on them", 0, document["findings"], digits=0),
        at_most("audit, wall", 3.0, wall, " s", digits=2),
        no_less("docker stats --no-stream takes so many times longer", 5.0, stats / wall, digits=1),
        at_most("CPU of cgbench, each", 10.0, 1000 * own / number, " ms", digits=2),
        at_most("CPU of Docker's daemons, each", 10.0, 1000 * theirs / number, " ms", digits=2),
    ]


def watched(engine: Engine, containers: Sequence[str], log: Path) -> list[Figure]:
    """Watch them, change a limit of one now and then past Docker, and tell when that was seen."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cgbench", "watch", "--log", str(log), "--every", "1s"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        own = psutil.Process(process.pid)
        # It has opened all files once it uses no more than a look costs.
        time.sleep(15)
        begin, used = time.monotonic(), sum(own.cpu_times()[:2])
        time.sleep(WATCHED_S)
        pct = 100 * (sum(own.cpu_times()[:2]) - used) / (time.monotonic() - begin)
        slowest = 0.0
        for at in range(CHANGES):
            inspected = engine.inspected(containers[at])
            assert inspected is not None
            file = cgroups.find(inspected.pid).path("pids", "pids.max")
            file.write_text("33\n")
            written = time.monotonic()
            line = process.stdout.readline()
            slowest = max(slowest, time.monotonic() - written)
            assert "50 → 33" in line, line
            time.sleep(0.37 * (at % 3))
    finally:
        process.terminate()
        process.wait()
    return [
        at_most(f"watch of {len(containers)} at 1 Hz, CPU", 4.0, pct, " %", digits=2),
        at_most(f"a change seen after, the slowest of {CHANGES}", 1.2, slowest, " s", digits=2),
    ]


@contextmanager
def groups(number: int) -> Iterator[list[Path]]:
    """Make groups below one of our own, and yield four files of each."""
    top = cgroups.at(f"/cgbench-many-{os.getpid()}")
    places = [top.path(*name) for name in _FILES[top.version("memory")]]
    folders = sorted({path.parent for path in places})
    made: list[Path] = []
    try:
        for folder in folders:
            folder.mkdir()
            made.append(folder)
            if (folder / "cgroup.subtree_control").exists():
                (folder / "cgroup.subtree_control").write_text("+cpu +memory +pids")
            for at in range(number):
                (folder / f"{at}").mkdir()
                made.append(folder / f"{at}")
        files = [path.parent / f"{at}" / path.name for at in range(number) for path in places]
        found = [path for path in files if path.exists()]
        assert len(found) == _EACH * number, f"{len(found)} files of {number} groups"
        yield found
    finally:
        for folder in reversed(made):
            folder.rmdir()


def sampled(folder: Path, number: int = SAMPLED, seconds: float = 20.0) -> list[Figure]:
    """Sample many groups, ten times a second."""
    may_open()
    with groups(number) as files:
        sampler = Sampler(
            [Target(f"{at}", path) for at, path in enumerate(files)],
            Sampling(fast_hz=10, slow_hz=10), folder / "spool", seconds + 60,
        )  # fmt: skip
        sampler.start()
        time.sleep(seconds)
        _readings, found = sampler.stop()
    return [
        at_most(f"{number} groups at 10 Hz, CPUs", 1.0, found.cpu_pct / 100, digits=3),
        at_most("of their deadlines, missed", 0.2, found.missed_pct, " %"),
    ]


def measured(number: int, folder: Path) -> list[Figure]:
    """Start them, audit them, watch them; return the figures."""
    engine, tag = Engine(), image.tag(workload.directory())
    try:
        with running(engine, tag, number) as containers:
            print(f"{number} containers run", flush=True)
            figures = [*audited(number), *watched(engine, containers, folder / "log")]
        return [*figures, *sampled(folder)]
    finally:
        engine.close()


def main() -> int:
    """Measure, and print the figures."""
    import tempfile

    parser = argparse.ArgumentParser(prog="tests.bench.many", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER)
    given = parser.parse_args()
    with lock.exclusively(), tempfile.TemporaryDirectory() as folder:
        figures = measured(given.number, Path(folder))
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
