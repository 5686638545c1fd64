"""What one reading of four interface files costs: cgbench, a bare C loop, and the usual ways."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cgbench.engine import image
from cgbench.engine.container_spec import PROBE_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.host import cgroups, cpu_time, description, lock, preconditions
from cgbench.measuring.probe import ProbeFile
from cgbench.measuring.readings import Target
from cgbench.measuring.sampler import PRIORITY, Sampler
from cgbench.records.trial import SamplerFigures
from cgbench.spec import workload
from cgbench.spec.experiment import Sampling
from cgbench.spec.workload import CONTAINER_USER
from tests.bench.figure import Figure, at_least, at_most

HZ = 1000
SECONDS = 5
ROUNDS = 5

_OPEN_READ_CLOSE = """
import json, os, sys, time
paths, seconds = sys.argv[2:], float(sys.argv[1])
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
begin, cpu, ticks = time.monotonic(), time.process_time(), 0
while (deadline := begin + ticks / 1000) < begin + seconds:
    time.sleep(max(0.0, deadline - time.monotonic()))
    for path in paths:
        with open(path, "rb") as file:
            file.read()
    ticks += 1
print(json.dumps({"ticks": ticks, "cpu_ns": (time.process_time() - cpu) * 1e9}))
"""


@dataclass(frozen=True)
class Bed:
    """A container that saturates every CPU, and four of its interface files."""

    engine: Engine
    container_id: str
    paths: tuple[Path, ...]


@contextmanager
def saturated(engine: Engine, scratch: Path) -> Iterator[Bed]:
    """Start one worker more than there are CPUs, and find the files the quota sweep reads."""
    folder = workload.directory()
    workers = description.cpus() + 1
    placeholders = workload.Placeholders(workers, probe=PROBE_PATH)
    with ProbeFile(scratch / "probe", workers, 180, CONTAINER_USER) as probe:
        spec = ContainerSpec(
            name=f"{lock.SCRATCH_PREFIX}bench", image=image.tag(folder),
            argv=workload.load("spin").argv(placeholders), run="bench",
            options={"cpu-quota": 100_000 * description.cpus()}, memory=256 * 2**20, pids=32,
            deadline_s=180, probe=probe.path,
        )  # fmt: skip
        with engine.container(spec) as container_id:
            while not probe.running():
                time.sleep(0.01)
            state = engine.state(container_id)
            assert state is not None
            cgroup = cgroups.find(state.pid)
            counters = [cgroup.path(one.controller, one.file) for one in cgroup.counters()]
            wanted = [*dict.fromkeys(counters)][:2]
            limits = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max", "cpu.weight")
            wanted += [cgroup.path("cpu", name) for name in limits]
            yield Bed(engine, container_id, tuple(path for path in wanted if path.exists())[:4])


def cgbench_reading(bed: Bed, scratch: Path, seconds: float) -> tuple[SamplerFigures, float]:
    """Sample for a while; return the sampler's figures and its CPU time per tick in µs."""
    targets = [Target("bench", path, text=True) for path in bed.paths]
    sampler = Sampler(targets, Sampling(), scratch / "spool", seconds + 30)
    sampler.start()
    time.sleep(seconds)
    _readings, figures = sampler.stop()
    return figures, figures.cpu_pct / 100 * 1e6 / figures.achieved_hz


def c_reading(bed: Bed, program: Path) -> float:
    """Run the bare C loop; return its CPU time per tick in µs."""
    command = [str(program), str(10**9 // HZ), str(HZ * SECONDS), str(PRIORITY)]
    done = subprocess.run(
        [*command, *map(str, bed.paths)], check=True, capture_output=True, text=True
    )
    answer = json.loads(done.stdout)
    return float(answer["cpu_ns"] / answer["ticks"] / 1000)


def open_read_close(bed: Bed) -> float:
    """Read as psutil does, opening each file each time; return CPU time per tick in µs."""
    command = [sys.executable, "-I", "-S", "-c", _OPEN_READ_CLOSE, str(SECONDS)]
    done = subprocess.run(
        [*command, *map(str, bed.paths)], check=True, capture_output=True, text=True
    )
    answer = json.loads(done.stdout)
    return float(answer["cpu_ns"] / answer["ticks"] / 1000)


def docker_stats(bed: Bed, readings: int = 20) -> float:
    """Ask the stats API; return CPU time of client and daemon per answer in µs."""
    daemons = cpu_time.daemon_processes()

    def used() -> float:
        own = time.process_time()
        return own + sum(sum(process.cpu_times()[:2]) for process in daemons)

    client = psutil.Process()
    assert client.is_running()
    before = used()
    for _ in range(readings):
        bed.engine.stats_once(bed.container_id)
    return (used() - before) / readings * 1e6


def compiled(folder: Path) -> Path:
    """Compile the C loop."""
    source = Path(__file__).with_name("pread_loop.c")
    program = folder / "pread_loop"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", str(program), str(source)], check=True)
    return program


def figures(engine: Engine) -> list[Figure]:
    """Measure everything, the ways alternating so that a drift of the host hits all alike."""
    with ExitStack() as stack:
        scratch = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix=lock.SCRATCH_PREFIX, dir=preconditions.SCRATCH)
            )
        )
        program = compiled(scratch)
        bed = stack.enter_context(saturated(engine, scratch))
        ours, floors, opened, runs = [], [], [], []
        for _ in range(ROUNDS):
            run, cost = cgbench_reading(bed, scratch, SECONDS)
            runs.append(run)
            ours.append(cost)
            floors.append(c_reading(bed, program))
            opened.append(open_read_close(bed))
        stats = docker_stats(bed)
    cost = statistics.median(ours)
    ratios = [mine / floor for mine, floor in zip(ours, floors, strict=True)]
    return [
        at_most("sampler 1 kHz, 4 files, saturated: missed", 0.2,
                statistics.median(run.missed_pct for run in runs), " %"),
        at_most("  p99 late", 150, statistics.median(run.late_p99_us for run in runs), " µs", 0),
        at_most("  CPU, of one", 4, statistics.median(run.cpu_pct for run in runs), " %"),
        at_most(f"sampler / bare C loop ({cost:.1f} / {statistics.median(floors):.1f} µs)", 1.6,
                statistics.median(ratios)),
        at_least(f"open+read+close / cgbench ({statistics.median(opened):.0f} µs)", 3,
                 statistics.median(opened) / cost),
        at_least(f"docker stats / cgbench ({stats:.0f} µs)", 20, stats / cost),
    ]  # fmt: skip
