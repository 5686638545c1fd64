"""A trial on real containers measures what the kernel's own files say, read independently."""

from __future__ import annotations

import contextlib
import fnmatch
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import description, lock
from cgbench.judging.run import Run, load
from cgbench.measuring import run as runner
from cgbench.measuring import trial
from cgbench.measuring.progress import Snapshot, Watcher
from cgbench.measuring.site import Site
from cgbench.records import results
from cgbench.records.samples import Samples, TrialData
from cgbench.records.trial import TrialRecord
from cgbench.spec import experiment_file, workload
from cgbench.spec.schedule import PlannedStep, planned
from tests.made import short_experiment
from tests.made.quiet import disturbed, holds

pytestmark = pytest.mark.docker

HIERARCHY = Path("/sys/fs/cgroup")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    assert engine.leftovers() == []
    assert lock.scratch_leftovers() == []
    engine.close()


def interface_file(container_id: str, *names: str) -> Path:
    """Find a container's interface file by searching, not by cgbench's way of finding it."""
    found = [path for name in names for path in HIERARCHY.rglob(name) if container_id in str(path)]
    assert found, f"{names} of {container_id}"
    return found[0]


def usage_s(container_id: str) -> float:
    """Read the CPU time a container used so far."""
    with contextlib.suppress(AssertionError):
        return int(interface_file(container_id, "cpuacct.usage").read_text()) / 1e9
    lines = interface_file(container_id, "cpu.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6


class IndependentReader:
    """Reads quota and usage beside cgbench, in each phase's last second."""

    def __init__(self, engine: Engine, hold_s: float) -> None:
        self._engine = engine
        self._hold_s = hold_s
        self.quotas: list[str] = []
        self.cpus: list[float] = []
        self._threads: list[threading.Thread] = []

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        (container_id,) = self._engine.leftovers()
        quota = interface_file(container_id, "cpu.cfs_quota_us", "cpu.max")
        self.quotas.append(quota.read_text().split()[0])
        thread = threading.Thread(target=self._watch, args=(container_id,))
        thread.start()
        self._threads.append(thread)

    def _watch(self, container_id: str) -> None:
        time.sleep(self._hold_s / 3)
        # A whole number of periods, so that it does not matter where in one they begin.
        before, begin = usage_s(container_id), time.monotonic()
        time.sleep(self._hold_s / 2)
        self.cpus.append((usage_s(container_id) - before) / (time.monotonic() - begin))

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        pass

    def waiting(self, why: str) -> None:
        pass

    def finish(self) -> None:
        for thread in self._threads:
            thread.join()


def run(engine: Engine, text: str, watcher: Watcher | None = None) -> tuple[TrialRecord, TrialData]:
    loaded = experiment_file.parse(text, "test")
    (plan,) = planned(loaded, description.cpus(), seed=1)
    place = Site(engine, image.tag(workload.directory()), results.new_run_name())
    return trial.run_trial(plan, loaded, place, watcher or Quiet())


class Quiet:
    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        pass

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        pass

    def waiting(self, why: str) -> None:
        pass


def text(**values: object) -> str:
    defaults: dict[str, object] = {
        "trials": 1, "workload": "spin", "workers": 1, "memory": "64m", "hold": "2s",
        "quotas": "[20000, 60000]",
    }  # fmt: skip
    return short_experiment.SHORT.format(**(defaults | values))


def saved(engine: Engine, record: TrialRecord, data: TrialData, folder: Path) -> Run:
    """Keep a trial as the only one of a run, and load that."""
    request = runner.Request(
        experiment_file.parse(text(), "test"), image.tag(workload.directory()), folder, seed=1
    )
    directory = runner.begin(request, engine, {})
    directory.write_trial(record, data)
    return load(directory)


def values(kept: Run, metric: str) -> list[float]:
    return [row.value for row in kept.rows if row.metric == metric]


@dataclass(frozen=True)
class Walk:
    """A trial of two quotas, and what somebody else read of the kernel's files meanwhile."""

    record: TrialRecord
    data: TrialData
    reader: IndependentReader

    @classmethod
    def through(cls, engine: Engine) -> Walk:
        """Measure it."""
        reader = IndependentReader(engine, hold_s=2)
        record, data = run(engine, text(), reader)
        reader.finish()
        return cls(record, data, reader)


@pytest.fixture(scope="module")
def walk() -> Walk:
    """Measure once what several tests look at."""
    engine = Engine()
    try:
        return Walk.through(engine)
    finally:
        engine.close()


def test_a_quota_measures_as_an_independent_reading_of_the_kernels_files_does(
    engine: Engine, walk: Walk, tmp_path: Path
) -> None:
    again = (Walk.through(engine) for _ in repeat(None))
    walks = chain([walk], again)

    def measured() -> tuple[Run, IndependentReader]:
        one = next(walks)
        return saved(engine, one.record, one.data, tmp_path), one.reader

    def claim(found: tuple[Run, IndependentReader]) -> None:
        kept, reader = found
        (record,) = kept.trials
        assert record.status == "ok", record.reason
        assert reader.quotas == [phase.effective for phase in record.phases] == ["20000", "60000"]
        used = values(kept, "cpus_used")
        assert used == pytest.approx([0.2, 0.6], rel=0.05)
        assert used == pytest.approx(reader.cpus, rel=0.1)

    holds(claim, measured, lambda found: disturbed(found[0]))


def test_a_changes_times_are_in_order_and_its_file_changes_before_long(walk: Walk) -> None:
    assert len(walk.record.phases) == 2
    for phase in walk.record.phases:
        change = phase.change
        (file,) = change.files
        assert file.t_changed_ns is not None
        assert change.t_request_ns < change.t_answer_ns < phase.t_end_ns
        assert change.t_request_ns < file.t_changed_ns < change.t_answer_ns + 1_000_000_000


def throttled_pct(samples: Samples) -> float:
    """Return the share of the last two seconds in which the kernel throttled the only worker."""
    (throttled,) = [c for c in samples.columns if c.name.startswith("cpu.stat:throttled")]
    counted = np.array(throttled.values, dtype=float)[throttled.index]
    unit = 1e9 if throttled.name.endswith("time") else 1e6
    steady = samples.t_ns > samples.t_ns[-1] - 2_000_000_000
    return float(100 * np.ptp(counted[steady]) / unit / 2)


def test_probe_and_kernel_agree_on_how_long_the_worker_was_held(
    engine: Engine, tmp_path: Path
) -> None:
    def measured() -> tuple[Run, float]:
        record, data = run(engine, text(hold="3s", quotas="[20000]"))
        (samples,) = data.samples
        return saved(engine, record, data, tmp_path), throttled_pct(samples)

    def claim(found: tuple[Run, float]) -> None:
        kept, kernel_pct = found
        (stalled,) = values(kept, "stall_time_pct")
        (used,) = values(kept, "cpus_used")
        # Held or waiting for a CPU, it did not run: this is so on any host.
        assert stalled == pytest.approx(100 * (1 - used), abs=3)
        assert stalled == pytest.approx(kernel_pct, abs=6)

    holds(claim, measured, lambda found: disturbed(found[0]))


def test_every_sample_has_what_the_kernel_said_in_its_own_names(walk: Walk) -> None:
    record, data = walk.record, walk.data
    (samples,) = data.samples
    names = {column.name for column in samples.columns}
    (container,) = record.containers
    for source in container.sources.values():
        assert fnmatch.filter(names, source.column), source
    assert np.all(np.diff(samples.t_ns) > 0)
    assert len(samples.t_ns) == record.n_samples > 3000


def test_two_containers_are_sampled_side_by_side(engine: Engine) -> None:
    second = '[[containers]]\nrole = "other"\nworkload = "spin"\n'
    short = text(quotas="[20000]", hold="500ms")
    record, data = run(engine, short.replace("[[steps]]", second + "\n[[steps]]"))
    assert record.status == "ok", record.reason
    assert [samples.role for samples in data.samples] == ["worker", "other"]
    assert {probe.role for probe in data.probes} == {"worker", "other"}
    assert [one.docker_stats_broke for one in record.containers] == [None, None]


def test_a_container_can_be_born_with_its_limit(engine: Engine) -> None:
    record, _data = run(engine, text(quotas="30000", hold="300ms") + 'via = "run"\n')
    (phase,) = record.phases
    assert (phase.change.via, phase.effective) == ("run", "30000")


def test_a_limit_can_be_written_past_docker(engine: Engine) -> None:
    record, _data = run(engine, text(quotas="30000", hold="300ms") + 'via = "cgroupfs"\n')
    (phase,) = record.phases
    assert (phase.change.via, phase.effective) == ("cgroupfs", "30000")


class Meddling(Quiet):
    """Does something to a trial's containers when its first phase has begun."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self._timer = threading.Timer(0.3, meddle)

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        if number == 1:
            self._timer.start()

    def finish(self) -> None:
        self._timer.join()


def kill_from_outside(engine: Engine) -> None:
    """Kill the first process of every container of cgbench, as an operator might."""
    for container_id in engine.leftovers():
        state = engine.state(container_id)
        assert state is not None
        subprocess.run(["kill", "-9", str(state.pid)], check=True)


def test_a_container_killed_from_outside_fails_its_trial_with_the_reason(engine: Engine) -> None:
    meddling = Meddling(lambda: kill_from_outside(engine))
    record, data = run(engine, text(hold="5s"), meddling)
    meddling.finish()
    assert record.status == "failed"
    assert record.reason is not None
    assert "worker" in record.reason
    assert "137" in record.reason
    assert data.samples, "what was measured until then is kept"


def remove_from_outside(engine: Engine) -> None:
    """Remove every container of cgbench, as an operator might."""
    for container_id in engine.leftovers():
        engine.remove(container_id)


def test_a_container_removed_from_outside_fails_its_trial_with_the_reason(engine: Engine) -> None:
    meddling = Meddling(lambda: remove_from_outside(engine))
    record, _data = run(engine, text(hold="5s"), meddling)
    meddling.finish()
    assert record.status == "failed"
    assert record.reason is not None
    assert "removed" in record.reason
    (container,) = record.containers
    assert container.docker_stats_broke is not None


def test_an_oom_killed_container_fails_its_trial_with_the_reason(engine: Engine) -> None:
    record, _data = run(engine, text(workers=8, memory="6m", hold="5s"))
    assert record.status == "failed"
    assert record.reason is not None
    assert "OOM-killed" in record.reason


def test_an_update_that_docker_refuses_is_kept_with_its_message(engine: Engine) -> None:
    options = 'options = { cpus = "0.5" }\n'
    record, _data = run(engine, text().replace('memory = "64m"\n', 'memory = "64m"\n' + options))
    assert record.status == "ok"
    for phase in record.phases:
        assert phase.change.error is not None
        assert "refused" in phase.change.error
        assert phase.effective == "50000", "a refused change must leave the file as it was"
