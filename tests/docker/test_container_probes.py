"""Each kind of probe in a real container: what it writes is what the kernel and Docker say."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgbench.engine import image
from cgbench.engine.container_spec import PROBE_PATH, SCRATCH_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.host import cgroups, counts, lock, preconditions
from cgbench.host.cpu_time import cpu_times, daemon_processes
from cgbench.measuring.probe import ProbeFile, Task, WorkerLog
from cgbench.spec import workload
from cgbench.spec.option import Value
from cgbench.spec.workload import CONTAINER_USER, Placeholders
from tests.made.quiet import holds, taken

pytestmark = pytest.mark.docker

MIB = 2**20
PATIENCE_S = 30


@dataclass(frozen=True)
class Probed:
    """A container in which the probe works."""

    engine: Engine
    container_id: str
    file: ProbeFile

    def log(self) -> WorkerLog:
        """Return what its only worker wrote so far."""
        (log,) = self.file.read()
        return log

    def state(self) -> State:
        state = self.engine.state(self.container_id)
        assert state is not None
        return state

    def cgroup(self) -> cgroups.Cgroup:
        return cgroups.find(self.state().pid)

    def read(self, controller: str, *files: str) -> str:
        """Return the first of the interface files that is there: they differ from v1 to v2."""
        cgroup = self.cgroup()
        for file in files:
            if (content := cgroup.read(controller, file)) is not None:
                return content.strip()
        raise AssertionError(files)

    def memory(self, *keys: str) -> int:
        """Return the first of these entries of memory.stat that is there, in bytes."""
        entries = dict(line.split() for line in self.read("memory", "memory.stat").splitlines())
        return next(int(entries[key]) for key in keys if key in entries)


def wait_until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.02)


@contextmanager
def probed(
    engine: Engine, name: str, task: Task, *, memory: int = 64 * MIB, **options: Value
) -> Iterator[Probed]:
    """Run a workload's probe in a container that is born with `options`."""
    chosen = workload.load(name)
    assert chosen.probe == task.kind
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=lock.SCRATCH_PREFIX, dir=preconditions.SCRATCH)
        )
        file = stack.enter_context(ProbeFile(Path(folder, "probe"), 1, 60, CONTAINER_USER, task))
        spec = ContainerSpec(
            name=f"cgbench-test-{time.monotonic_ns()}",
            image=image.tag(workload.directory()),
            argv=chosen.argv(Placeholders(1, probe=PROBE_PATH, scratch=f"{SCRATCH_PATH}/file")),
            run="test",
            options={option.replace("_", "-"): value for option, value in options.items()},
            memory=memory,
            pids=64,
            deadline_s=60,
            probe=file.path,
            scratch=chosen.needs("scratch"),
        )
        container_id = stack.enter_context(engine.container(spec))
        wait_until(file.running)
        yield Probed(engine, container_id, file)


@dataclass(frozen=True)
class Slept:
    """What a sleeper noted, at most how many deadlines it had, and what disturbed it meanwhile."""

    log: WorkerLog
    most: float
    disturbance: str | None


def sleep(engine: Engine) -> Slept:
    """Let a sleeper work for a second; its kernel adds no slack of its own to its timers."""
    before, begin = cpu_times(daemons := daemon_processes()), time.monotonic()
    with probed(engine, "wake", Task("wake")) as one:
        time.sleep(1)
        log = one.log()
        most = 1000 * (time.monotonic() - begin) + 1
        slacks = {
            Path("/proc", str(pid), "timerslack_ns").read_text().strip()
            for pid in one.cgroup().processes()
        }
        used_s = counts.counters(one.cgroup())["usage_ns"] / 1e9
    # The default would be 50 µs.
    assert "1" in slacks
    return Slept(log, most, taken(before, cpu_times(daemons), used_s))


def wakes_on_time(found: Slept) -> None:
    skipped = found.log.tally.deadlines_skipped
    assert skipped is not None
    assert 900 <= found.log.units.sum() + skipped <= found.most
    assert found.log.stall_length_ns.min() >= 0
    # Half of its pace: how fast a machine wakes up is not for a test to say.
    assert np.percentile(found.log.stall_length_ns, 5) < 500_000


def test_a_sleeper_wakes_up_in_a_container_as_told_and_on_time(engine: Engine) -> None:
    holds(wakes_on_time, lambda: sleep(engine), lambda found: found.disturbance)


def test_a_sleeper_under_a_quota_is_late_when_its_group_is_throttled(engine: Engine) -> None:
    # Each wake-up costs some ten microseconds: at this pace more than the quota gives.
    task = Task("wake", pace_ns=20_000)
    # Born with it, it would take seconds to begin.
    with probed(engine, "wake", task) as one:
        engine.update(one.container_id, {"cpu-quota": 1000})
        before = one.log()
        time.sleep(1)
        after = one.log()
    # A period is 100 ms, of which it may use 1 ms.
    lengths = after.stall_length_ns[len(before.stall_length_ns) :]
    assert np.count_nonzero(lengths > 50_000_000) >= 3
    assert before.tally.deadlines_skipped is not None
    assert after.tally.deadlines_skipped is not None
    skipped = after.tally.deadlines_skipped - before.tally.deadlines_skipped
    assert skipped > 10 * len(lengths)


def test_what_a_grower_holds_is_what_the_kernel_charges_its_container_for(
    engine: Engine,
) -> None:
    with probed(engine, "grow", Task("memory", size=32 * MIB)) as one:
        wait_until(lambda: one.log().tally.bytes_held == 32 * MIB)
        anonymous = one.memory("anon", "total_rss", "rss")
        huge = one.memory("anon_thp", "total_rss_huge", "rss_huge")
        before = one.log()
        time.sleep(0.1)
        after = one.log()
    # The rest is three interpreters and timeout(1).
    assert 32 * MIB <= anonymous < 44 * MIB
    assert huge == 0
    assert after.units.sum() > before.units.sum()


def test_a_grower_is_killed_at_its_limit_and_the_exit_status_says_so(engine: Engine) -> None:
    with probed(engine, "grow", Task("memory", size=128 * MIB)) as one:
        wait_until(lambda: not one.state().running)
        state, log = one.state(), one.log()
    assert state.exit_code == 137
    assert state.oom_killed
    most = log.tally.bytes_held_most
    assert most is not None
    assert 48 * MIB < most < 64 * MIB


def test_a_file_larger_than_the_limit_is_read_again_and_nobody_is_killed(engine: Engine) -> None:
    volumes = volume_names(engine)
    with probed(engine, "cache", Task("cache", size=96 * MIB), memory=32 * MIB) as one:
        wait_until(lambda: int(one.log().units.sum()) > 96 * MIB // 4096)
        cached = one.memory("file", "total_cache", "cache")
        used = int(one.read("memory", "memory.current", "memory.usage_in_bytes"))
        assert one.state().running
        assert not one.state().oom_killed
        assert len(volume_names(engine) - volumes) == 1
    assert 4 * MIB < cached < used <= 32 * MIB
    assert volume_names(engine) == volumes, "the file went with its container"


def test_a_file_that_fits_below_the_limit_is_read_from_memory(engine: Engine) -> None:
    with probed(engine, "cache", Task("cache", size=16 * MIB)) as one:
        wait_until(lambda: int(one.log().units.sum()) > 10 * 16 * MIB // 4096)
        begin = len(one.log().stall_begin_ns)
        before = one.log().units.sum()
        wait_until(lambda: one.log().units.sum() - before > 20 * 16 * MIB // 4096)
        log = one.log()
        cached = one.memory("file", "total_cache", "cache")
    assert cached >= 16 * MIB
    # Through the file again and again, and hardly ever waiting for the disk: 16 pages are a batch.
    batches = (log.units.sum() - before) / 16
    assert len(log.stall_begin_ns) - begin < batches / 10


def volume_names(engine: Engine) -> set[str]:
    return {volume["Name"] for volume in engine._connection.client.api.volumes()["Volumes"] or ()}


def tasks(one: Probed) -> int:
    return int(one.read("pids", "pids.current"))


def test_a_forker_finds_the_limit_exactly_also_when_it_is_raised_and_lowered(
    engine: Engine,
) -> None:
    def children() -> int:
        found = one.log().tally.children
        assert found is not None
        return found

    def refusals() -> int:
        found = one.log().tally.refusals
        assert found is not None
        return found

    with probed(engine, "fork", Task("fork", count=40), pids_limit=12) as one:
        wait_until(lambda: refusals() > 0)
        others = tasks(one) - children()
        # timeout(1), the probe's first process and its worker.
        assert others == 3
        assert (tasks(one), children()) == (12, 9)
        assert one.log().tally.last_refusal == "EAGAIN"
        assert len(one.log().stall_begin_ns) == 1

        engine.update(one.container_id, {"pids-limit": 20})
        wait_until(lambda: len(one.log().stall_begin_ns) == 2)
        assert (tasks(one), children()) == (20, 17)

        engine.update(one.container_id, {"pids-limit": 5})
        before = refusals()
        wait_until(lambda: refusals() > before + 10)
        assert (tasks(one), children()) == (20, 17), "a lower limit kills nobody"
        assert len(one.log().stall_begin_ns) == 2

        engine.update(one.container_id, {"pids-limit": 100})
        wait_until(lambda: children() == 40)
        time.sleep(0.1)
        before = refusals()
        time.sleep(0.1)
        assert refusals() == before, "with enough children it tries no more"
        assert np.all(one.log().stall_length_ns == 0)


@pytest.mark.parametrize("status", [0, 3])
def test_a_container_ends_with_the_status_asked_for(engine: Engine, status: int) -> None:
    with probed(engine, "end", Task("end", count=status, pace_ns=200_000_000)) as one:
        wait_until(lambda: not one.state().running)
        state, log = one.state(), one.log()
    assert (state.exit_code, state.oom_killed) == (status, False)
    assert 200_000_000 <= log.stall_length_ns[0] < 2_000_000_000


def test_every_restart_is_a_life_in_the_same_file(engine: Engine) -> None:
    task = Task("end", count=3, pace_ns=100_000_000)
    with probed(engine, "end", task, restart="on-failure:2") as one:
        wait_until(lambda: len(one.log().stall_begin_ns) == 3)
        wait_until(lambda: not one.state().running)
        log = one.log()
    assert log.tally.starts == log.units.sum() == len(log.stall_begin_ns) == 3
    ends = log.stall_begin_ns + log.stall_length_ns
    # Docker waits 100 ms before the first restart and twice as long before each next one.
    assert np.all(log.stall_begin_ns[1:] - ends[:-1] >= [100_000_000, 200_000_000])


@pytest.mark.parametrize(
    ("name", "direction"), [("fio-randread", "read"), ("fio-seqwrite", "write")]
)
def test_fio_tells_its_totals_once_a_second(engine: Engine, name: str, direction: str) -> None:
    disk = f"{SCRATCH_PATH}/disk"
    fio = workload.load(name).argv(Placeholders(1, device=disk))
    spec = ContainerSpec(
        name=f"cgbench-test-{time.monotonic_ns()}",
        image=image.tag(workload.directory()),
        # In place of a block device: a file of a fixed size.
        argv=["sh", "-c", f'truncate -s 16m {disk} && exec "$@"', "sh", *fio],
        run="test",
        options={},
        memory=128 * MIB,
        pids=16,
        deadline_s=60,
        probe=None,
        scratch=True,
    )
    with engine.container(spec) as container_id:
        wait_until(lambda: len(reports(engine, container_id)) >= 2)
        first, second = reports(engine, container_id)[:2]
    (job,) = second["jobs"]
    assert job["error"] == 0
    assert job[direction]["io_bytes"] > first["jobs"][0][direction]["io_bytes"] > 0
    assert set(job[direction]["clat_ns"]["percentile"]) >= {"50.000000", "99.000000"}
    other = {"read": "write", "write": "read"}[direction]
    assert job[other]["io_bytes"] == 0


def reports(engine: Engine, container_id: str) -> list[dict[str, Any]]:
    """Return the JSON documents that a container printed one after another, as far as complete."""
    text = engine._connection.client.api.logs(container_id).decode()
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        try:
            document, end = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(document)
        at = text.find("{", end)
    return found
