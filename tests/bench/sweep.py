"""What the main job's own figures are: quotas held, probe against kernel, time spent beside."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import preconditions
from cgbench.judging import container_data
from cgbench.judging.run import load
from cgbench.measuring import run
from cgbench.measuring.progress import Silent
from cgbench.records.run_directory import RunDirectory
from cgbench.spec import experiment, experiment_file, workload
from cgbench.spec.conversions import bandwidth
from tests.bench.figure import Figure, at_most

TRIALS = 2

_ONE_WORKER = """
name = "probe-agreement"
title = "The probe's stalls against the kernel's counters"
question = "Do both see the same throttling?"
option = "cpu-quota"
trials = 1
[[containers]]
role = "worker"
workload = "spin"
workers = 1
[[steps]]
set = { cpu-quota = [20000, 50000, 80000, 50000] }
hold = "6s"
"""


def measure(loaded: experiment.Experiment, engine: Engine, results: Path) -> RunDirectory:
    """Run an experiment without display and return its directory."""
    request = run.Request(loaded, image.tag(workload.directory()), results, seed=1)
    directory = run.begin(request, engine, preconditions.require(loaded.requires))
    run.execute(directory, directory.run(), engine, Silent())
    return directory


def figures(engine: Engine, results: Path) -> list[Figure]:
    """Run the sweep at its full hold times, and the agreement of probe and kernel."""
    loaded = experiment_file.load("cpu-quota-sweep").model_copy(update={"trials": TRIALS})
    begin = time.monotonic()
    sweep = measure(loaded, engine, results)
    wall_s = time.monotonic() - begin
    hold_s = sum(trial.hold_ns for trial in sweep.trials()) / 1e9
    return [
        *_held(sweep),
        at_most("wall time of a sweep / its hold times", 1.15, wall_s / hold_s),
        *_agreement(measure(experiment_file.parse(_ONE_WORKER, "bench"), engine, results)),
    ]


def _held(sweep: RunDirectory) -> list[Figure]:
    errors = defaultdict(list)
    for row in load(sweep).rows:
        if row.metric == "cpus_used":
            errors[int(row.requested)].append(abs(row.error_pct or 0.0))
    return [
        at_most(
            f"CPUs used vs quota {quota / 1000:g} %: worst of {len(found)} phases",
            1 if quota >= 25_000 else 2, max(found), " %",
        )
        for quota, found in sorted(errors.items())
    ]  # fmt: skip


def _agreement(directory: RunDirectory) -> list[Figure]:
    """Compare, phase by phase, stalls over 1 ms with nr_throttled, and their sum with its time."""
    counts, times = [], []
    for trial in load(directory).finished:
        with directory.tables(trial.number) as tables:
            data = container_data.load(tables, trial.containers[0])
        for phase in trial.phases:
            window = container_data.steady_window(phase, data, phase.settings)
            assert window is not None
            part = slice(window.first, window.last + 1)
            begin, length = data.stalls[0]
            inside = (begin >= window.t_begin_ns) & (begin < window.t_end_ns) & (length > 1_000_000)
            throttled = np.ptp(data.counters["throttled_periods"][part])
            counts.append(100 * abs(inside.sum() / throttled - 1))
            busy = container_data.busy_ns(data, np.array([window.t_begin_ns, window.t_end_ns]))
            stalled = window.t_end_ns - window.t_begin_ns - (busy[1] - busy[0])
            times.append(100 * abs(stalled / np.ptp(data.counters["throttled_ns"][part]) - 1))
            assert bandwidth(phase.settings)[1] == 100_000
    return [
        at_most("stalls > 1 ms vs nr_throttled: worst phase", 5, max(counts), " %"),
        at_most("stalled time vs throttled_time: worst phase", 5, max(times), " %"),
        at_most("  the same, median", 5, statistics.median(times), " %"),
    ]
