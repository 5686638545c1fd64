"""One container of a trial: started, waited for, looked at, and its end explained."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.errors import TrialError
from cgbench.host.cgroups import Cgroup, find
from cgbench.measuring import container
from cgbench.measuring.container import Birth, Counted, Running
from cgbench.measuring.probe import Task
from cgbench.records.trial import Source
from cgbench.spec.container import Container
from cgbench.spec.schedule import PlannedStep, TrialPlan
from tests.made.host_tree import hybrid
from tests.made.processes import ALIVE, MadeUpEngine, MadeUpProbe, ended, living


class Starting(MadeUpEngine):
    """A daemon that starts containers, and remembers what it was asked for."""

    def __init__(self, state: State | None) -> None:
        super().__init__([state])
        self.asked: list[ContainerSpec] = []
        self.removed: list[str] = []

    @contextlib.contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[str]:
        self.asked.append(spec)
        yield "id"
        self.removed.append("id")

    def stats(self, container_id: str) -> None:
        """Record nothing."""


def plan(via: str = "update") -> TrialPlan:
    step = PlannedStep.model_validate(
        {"role": "worker", "option": "cpu-quota", "requested": "50000",
         "settings": {"cpu-quota": 50000}, "via": via, "hold_ns": 1}
    )  # fmt: skip
    return TrialPlan(number=1, repetition=1, walk=1, steps=(step,))


def start(engine: Starting, folder: Path, via: str = "update") -> Running:
    with ExitStack() as stack:
        spec = Container(role="worker", workload="spin", options={"memory": "64m"})
        tree = hybrid(folder / "host")
        tree.write(f"proc/{os.getpid()}/cgroup", "4:cpu:/docker/id\n")
        birth = Birth(
            "cgbench-x-0001", "image", "x", 30, folder, proc=tree.root / "proc", root=tree.root
        )
        return container.start(stack, spec, plan(via), cast(Engine, engine), birth)


def test_a_container_is_started_with_its_probe_and_found_in_the_cgroup_tree(
    tmp_path: Path,
) -> None:
    engine = Starting(State(True, os.getpid(), 0, False, ""))
    running = start(engine, tmp_path)
    (asked,) = engine.asked
    assert (asked.name, asked.deadline_s) == ("cgbench-x-0001-worker", 30)
    assert asked.probe == tmp_path / "worker"
    assert asked.options == {"memory": "64m"} == running.settings
    assert running.cgroup.everywhere()
    assert engine.removed == ["id"], "whatever happens, it is removed"
    assert not (tmp_path / "worker").exists(), "and so is its probe's file"


def test_a_container_that_is_born_with_a_value_is_started_with_it(tmp_path: Path) -> None:
    engine = Starting(State(True, os.getpid(), 0, False, ""))
    running = start(engine, tmp_path, via="run")
    assert engine.asked[0].options == {"memory": "64m", "cpu-quota": 50000} == running.settings


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ended(127), r"ended by itself \(exit status 127\)"),
        (ended(137, oom_killed=True), "OOM-killed"),
        (None, "removed from outside"),
    ],
)
def test_a_container_that_ends_at_once_fails_the_trial_with_the_reason(
    tmp_path: Path, state: State | None, reason: str
) -> None:
    engine = Starting(state)
    with pytest.raises(TrialError, match=reason):
        start(engine, tmp_path)
    assert engine.removed == []
    assert not (tmp_path / "worker").exists()


def test_a_container_whose_process_is_gone_before_it_is_looked_at_is_explained(
    tmp_path: Path,
) -> None:
    with living() as (_container, process):
        process.kill()
        process.wait()
        engine = Starting(ended(1))
        engine.states = [State(True, process.pid, 0, False, ""), ended(1)]
        with pytest.raises(
            TrialError, match=r"ended by itself \(exit status 1\) .*No such process"
        ):
            start(engine, tmp_path)


def test_a_probe_is_waited_for_until_it_works() -> None:
    with living(probe=MadeUpProbe(looks=3)) as (running, _process):
        container.await_probes(cast(Engine, MadeUpEngine()), [running])


def test_a_container_without_a_probe_is_not_waited_for() -> None:
    with living() as (running, _process):
        container.await_probes(cast(Engine, MadeUpEngine()), [running])


def test_a_container_that_ends_before_its_probe_works_is_explained() -> None:
    engine = cast(Engine, MadeUpEngine([ended(2)], "out of shared memory"))
    with living(probe=MadeUpProbe(looks=10**9)) as (running, process):
        process.kill()
        with pytest.raises(TrialError, match=r"\(exit status 2\): out of shared memory"):
            container.await_probes(engine, [running])


def test_a_probe_that_never_works_is_not_waited_for_without_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "_READY_TIMEOUT_S", 0.1)
    for why, said in ((None, ""), ("status 503", ": status 503")):
        with living(probe=MadeUpProbe(looks=10**9, why=why)) as (running, _process):
            begin = time.monotonic()
            with pytest.raises(TrialError, match=rf"the probe of worker .* 0.1 s{said}$"):
                container.await_probes(cast(Engine, MadeUpEngine()), [running])
        assert time.monotonic() - begin < 5


def test_all_containers_are_killed_at_once_and_one_that_is_gone_is_no_error() -> None:
    with living() as (first, one), living("other") as (second, other):
        other.kill()
        other.wait()
        container.kill([first, second])
        assert one.wait(10) == -9


# Explaining an end


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the daemon, which answers from a list, be asked again at once."""
    monkeypatch.setattr("cgbench.measuring.container.time", SimpleNamespace(sleep=float))


def why(*states: State | None, said: str = "") -> str:
    return container.why_ended(cast(Engine, MadeUpEngine(list(states), said)), "worker", "id")


def test_the_daemon_may_learn_of_an_end_a_little_later() -> None:
    assert "exit status 4" in why(ALIVE, ALIVE, ended(4))


@pytest.mark.usefixtures("no_waiting")
def test_an_end_that_the_daemon_never_notices_is_said_so() -> None:
    assert why(ALIVE) == "the container of worker ended, and Docker has not noticed"


@pytest.mark.usefixtures("no_waiting")
def test_a_container_that_was_killed_and_removed_was_removed_from_outside() -> None:
    assert why(ended(137), None) == "the container of worker was removed from outside"
    assert "was killed, or reached its deadline" in why(ended(137), ended(137))


def test_an_oom_kill_is_told_from_any_other_kill() -> None:
    assert "OOM-killed" in why(ended(137, oom_killed=True))
    assert "OOM-killed" not in why(ended(137))


# Looking at it


def test_a_snapshot_has_rates_only_from_the_second_look_on(tmp_path: Path) -> None:
    stat = "usage_usec {}\nnr_periods {}\nnr_throttled {}\nthrottled_usec 0\n"
    (tmp_path / "cpu.stat").write_text(stat.format(1000, 10, 5))
    (tmp_path / "memory.current").write_text("4096\n")
    with living(cgroup=tmp_path) as (running, _process):
        first = container.snapshot(running)
        assert (first.cpus, first.throttled_pct, first.memory_bytes) == (None, None, 4096)
        (tmp_path / "cpu.stat").write_text(stat.format(2000, 14, 6))
        second = container.snapshot(running)
        assert second.cpus is not None
        assert second.cpus > 0
        assert second.throttled_pct == 25


def test_what_cannot_be_read_any_more_is_absent_and_not_zero(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 1000\nnr_periods what\n")
    with living(cgroup=tmp_path) as (running, _process):
        container.snapshot(running)
        running.cgroup = Cgroup({}, tmp_path / "gone")
        gone = container.snapshot(running)
        assert (gone.cpus, gone.throttled_pct, gone.memory_bytes) == (None, None, None)
        # And when it comes back, nothing is compared with what was not read.
        running.cgroup = Cgroup({}, tmp_path)
        assert container.snapshot(running).cpus is None


def test_the_text_of_a_file_is_read_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_bytes(b"max \xff\n")
    assert container.text(tmp_path / "cpu.max") == "max \ufffd"
    assert container.text(tmp_path / "none") is None


def test_a_counter_grows_only_between_two_readings() -> None:
    before, now = Counted(1, {"a": 3}), Counted(2, {"a": 5, "b": 7})
    assert now.grown("a", before) == 2
    assert now.grown("b", before) is None
    assert now.grown("a", None) is None


@pytest.mark.parametrize(
    ("device", "column"),
    [("7:0", "io.stat:7:0.*bytes"), (None, "io.stat:*bytes")],
)
def test_a_container_with_a_device_is_counted_by_what_that_device_did(
    tmp_path: Path, device: str | None, column: str
) -> None:
    (tmp_path / "io.stat").write_text("")
    (tmp_path / "pids.current").write_text("1\n")
    with living("worker", cgroup=tmp_path) as (one, _process):
        one.device = device
        sources = container.describe(one, plan()).sources
    assert sources["io_bytes"].column == column
    assert sources["tasks"].column == "pids.current"


NODES = Source(column="memory.numa_stat:anon.N*", scale=1)
MOVED = {"option": "cpuset-mems", "settings": {"cpuset-mems": "1"}}
MOVING = plan().model_copy(update={"steps": (plan().steps[0].model_copy(update=MOVED),)})


def test_where_memory_lies_is_read_where_its_nodes_are_changed(tmp_path: Path) -> None:
    with living("worker", cgroup=tmp_path) as (one, _process):
        # A kernel without memory nodes has no such file.
        assert "anon_per_node_bytes" not in container.describe(one, MOVING).sources
        (tmp_path / "memory.numa_stat").write_text("anon N0=4096 N1=0\n")
        assert container.describe(one, MOVING).sources["anon_per_node_bytes"] == NODES
        assert "anon_per_node_bytes" not in container.describe(one, plan()).sources
        paths = [
            [one.path.name for one in container.targets(one, each)] for each in (MOVING, plan())
        ]
    assert [found.count("memory.numa_stat") for found in paths] == [1, 0]


def test_v1_counts_the_pages_on_a_node(tmp_path: Path) -> None:
    (tmp_path / "memory.numa_stat").write_text("anon=1 N0=1\n")
    with living("worker") as (one, _process):
        one.cgroup = Cgroup({"memory": tmp_path}, None)
        found = container.describe(one, MOVING).sources["anon_per_node_bytes"]
    assert found == NODES.model_copy(update={"scale": os.sysconf("SC_PAGE_SIZE")})


def test_a_prober_is_recorded_with_its_pace_and_timeout_and_others_with_none() -> None:
    asks = Task("request", count=8, pace_ns=2_000_000, timeout_ns=700_000_000)
    for task in (asks, Task("wake"), None):
        made = None if task is None else MadeUpProbe(0, task=task)
        with living(probe=made) as (one, _process):
            found = container.describe(one, plan())
        assert found.probe == (None if task is None else task.kind)
        own = (2_000_000, 700_000_000) if task is asks else (None, None)
        assert (found.pace_ns, found.timeout_ns) == own


def test_every_file_that_a_value_needs_is_an_interface_file_of_it(tmp_path: Path) -> None:
    tree = hybrid(tmp_path)
    for file in ("cpu.cfs_quota_us", "cpu.cfs_period_us"):
        tree.write(f"sys/fs/cgroup/cpu/docker/id/{file}", "1\n")
    tree.write("proc/7/cgroup", "4:cpu:/docker/id\n")
    cgroup = find(7, tree.root / "proc", tree.root)
    found = container.interface_paths(cgroup, {"cpus": "0.5", "memory": "64m"})
    assert {path.name: one.expected({"cpus": "0.5"}) for path, one in found.items()} == {
        "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000",
    }  # fmt: skip
