"""Where CPU time goes in a phase: other processes by name, cgbench's own, the container's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.host import counts, cpu_time
from cgbench.host.cpu_time import HostUse, Process
from cgbench.measuring import account
from cgbench.measuring.container import Running
from cgbench.units import NS_PER_S

BEFORE = HostUse(
    t_ns=NS_PER_S, cpus=2, idle_s=100.0, steal_s=1.0, own=frozenset({10}), throttles=None,
    processes={
        (10, 1): Process(10, "cgbench", 5.0), (20, 1): Process(20, "dockerd", 50.0),
        (30, 1): Process(30, "stress", 7.0), (40, 1): Process(40, "quiet", 3.0),
        (50, 1): Process(50, "worker", 1.0), (60, 1): Process(60, "gone", 1.0),
    },
)  # fmt: skip
AFTER = replace(
    BEFORE, t_ns=11 * NS_PER_S, idle_s=108.0, steal_s=1.5, own=frozenset({10, 11}),
    processes={
        (10, 1): Process(10, "cgbench", 5.1), (11, 9): Process(11, "sampler", 0.2),
        (20, 1): Process(20, "dockerd", 50.4), (30, 1): Process(30, "stress", 12.0),
        (40, 1): Process(40, "quiet", 3.01), (50, 1): Process(50, "worker", 6.0),
        # The number of one that is gone was given again.
        (60, 9): Process(60, "new", 0.8),
    },
)  # fmt: skip


class Group:
    def processes(self) -> list[int]:
        return [50]


CONTAINER = cast(Running, SimpleNamespace(spec=SimpleNamespace(role="worker"), cgroup=Group()))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """Return what the container's counter says, one reading after the other."""
    readings = [{"usage_ns": 1 * NS_PER_S}, {"usage_ns": 6 * NS_PER_S}]
    monkeypatch.setattr(counts, "counters", lambda _group: readings.pop(0))
    hosts: Iterator[HostUse] = iter([BEFORE, AFTER])
    monkeypatch.setattr(cpu_time, "host_use", lambda: next(hosts))
    return readings


DAEMONS = frozenset({20})


def test_each_part_is_what_its_processes_used_meanwhile(used: list[dict[str, int]]) -> None:
    found = account.closed(account.opened([CONTAINER]), [CONTAINER], DAEMONS)
    assert found is not None
    assert (found.seconds, found.cpus, found.slowed) == (10, 2, None)
    assert (found.idle_cpu_s, found.steal_cpu_s) == (8.0, 0.5)
    assert found.cgbench_cpu_s == pytest.approx(0.3)
    assert found.daemon_cpu_s == pytest.approx(0.4)
    assert found.containers == {"worker": 5.0}
    # The quiet one is not worth its name, and a container's processes are no others.
    assert [(one.pid, one.name) for one in found.largest] == [(30, "stress"), (60, "new")]
    assert [one.cpu_s for one in found.largest] == pytest.approx([5.0, 0.8])
    assert found.others_cpu_s == pytest.approx(20 - 8 - 0.5 - 0.3 - 0.4 - 5)


def test_a_group_that_is_gone_or_another_is_not_known(used: list[dict[str, int]]) -> None:
    used[1] = {}
    found = account.closed(account.opened([CONTAINER]), [CONTAINER], DAEMONS)
    assert found is not None
    assert found.containers == {"worker": None}


def test_a_counter_that_went_back_is_not_known(used: list[dict[str, int]]) -> None:
    used[1] = {"usage_ns": 5}
    found = account.closed(account.opened([CONTAINER]), [CONTAINER], DAEMONS)
    assert found is not None
    assert found.containers == {"worker": None}


def test_a_daemon_that_is_gone_is_not_known(used: list[dict[str, int]]) -> None:
    found = account.closed(account.opened([CONTAINER]), [CONTAINER], DAEMONS | {99})
    assert found is not None
    assert found.daemon_cpu_s is None


def test_there_is_no_account_where_a_cpu_came_or_went(
    used: list[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = account.opened([CONTAINER])
    monkeypatch.setattr(cpu_time, "host_use", lambda: replace(AFTER, cpus=3))
    assert account.closed(begun, [CONTAINER], DAEMONS) is None


def test_a_real_process_is_named_with_what_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "counters", lambda _group: {"usage_ns": 0})
    # Whatever else runs on this host, and however long it takes.
    monkeypatch.setattr(account, "_NAMED", 10_000)
    monkeypatch.setattr(account, "_LEAST_CPUS", 0.0)
    # Of a parent that is not this process: else it would be cgbench's own.
    script = "import time\nwhile time.process_time() < 0.5: pass\nprint(1, flush=True)\ninput()"
    begun = account.opened([CONTAINER])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        own = cpu_time.host_use()
        monkeypatch.setattr(cpu_time, "host_use", lambda: replace(
            own, own=own.own - {process.pid}
        ))  # fmt: skip
        found = account.closed(replace(begun, host=replace(
            begun.host, own=begun.host.own - {process.pid}
        )), [CONTAINER], DAEMONS)  # fmt: skip
        process.kill()
    assert found is not None
    (mine,) = (one for one in found.largest if one.pid == process.pid)
    assert mine.cpu_s == pytest.approx(0.5, abs=0.2)
