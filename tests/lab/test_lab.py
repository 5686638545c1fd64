"""The truth table of a machine with pure cgroup v2, against what `cat` says there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgbench.judging.run import load
from cgbench.records import results, run_directory, truth
from cgbench.records.verdict import Outcome
from cgbench.reporting.render import write_truth
from cgbench.spec.options import OPTIONS
from tests.lab import by_hand
from tests.lab.by_hand import Reading
from tests.lab.guests import booted
from tests.lab.machine import Machine

# The build of the disk, the boot or a whole table, with room for a slow machine that others use.
_LONG_S = 3600
pytestmark = [pytest.mark.lab, pytest.mark.timeout(_LONG_S)]

FOLDER = Path(os.environ.get("LAB_RESULTS", "results/lab"))

# By hand, not from the registry: what `docker update` is given, and what `cat` should say then.
# Both conversions of shares that runtimes know are right.
SET = {
    "cpus": ("--cpus 0.5", "cpu.max", {"50000 100000"}),
    "cpu-quota": ("--cpu-quota 25000", "cpu.max", {"25000 100000"}),
    "cpu-period": ("--cpu-period 50000 --cpu-quota 20000", "cpu.max", {"20000 50000"}),
    "cpu-shares": ("--cpu-shares 512", "cpu.weight", {"20", "59"}),
    "cpuset-cpus": ("--cpuset-cpus 1", "cpuset.cpus.effective", {"1"}),
    "cpuset-mems": ("--cpuset-mems 0", "cpuset.mems", {"0"}),
    "cpu-rt-period": ("--cpu-rt-period 500000", "cpu.rt_period_us", {"500000"}),
    "cpu-rt-runtime": ("--cpu-rt-runtime 100000", "cpu.rt_runtime_us", {"100000"}),
    "memory": ("--memory 64m --memory-swap 512m", "memory.max", {"67108864"}),
    "memory-reservation": ("--memory-reservation 32m", "memory.low", {"33554432"}),
    # Alone, on a container that has both, as the experiment changes it: the one value that is not
    # refused there.
    "memory-swap": ("--memory-swap -1", "memory.swap.max", {"max"}),
    "kernel-memory": ("--kernel-memory 64m", "memory.kmem.limit_in_bytes", {"67108864"}),
    "blkio-weight": ("--blkio-weight 300", "io.bfq.weight", {"default 300"}),
    "pids-limit": ("--pids-limit 77", "pids.max", {"77"}),
}

# By hand, from what `cat` said in this guest: what no other verdict would be right of.
BY_HAND = {
    # It has a node too few to show anything, and its update is the first of a container without
    # swap: runc then lifts `memory.swap.max` from 0 to max.
    "cpuset-mems": Outcome.WRONG,
    "cpu-rt-period": Outcome.UNSUPPORTED,
    "cpu-rt-runtime": Outcome.UNSUPPORTED,
    "kernel-memory": Outcome.IGNORED,
    "memory-swap": Outcome.IGNORED,
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Machine]:
    """The machine, ended whatever happens; one that runs already is somebody else's.

    Its clock counts instructions: what else this host does cannot make it misjudge.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_CLOCK", "instructions")
        machine = booted()
    try:
        yield machine
    finally:
        machine.stop()


@pytest.fixture(scope="module")
def doctor(lab: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.read("cgbench doctor --json -", 300))
    return found


@pytest.fixture(scope="module")
def readings(lab: Machine) -> dict[str, Reading]:
    """Every option set by Docker's own client on a sleeping container of its own, and read."""
    return {name: by_hand.read(lab, *SET[name][:2]) for name in SET}


@pytest.fixture(scope="module")
def sweep(lab: Machine) -> run_directory.RunDirectory:
    return _measured(lab, "cpu-quota-sweep")


def _measured(lab: Machine, experiment: str) -> run_directory.RunDirectory:
    place = FOLDER / experiment
    # One of an earlier call would be taken for this one.
    shutil.rmtree(place, ignore_errors=True)
    lab.read(f"cgbench run {experiment} --quick --no-report --results /root/measured", _LONG_S)
    lab.fetch(f"/root/measured/{experiment}", place)
    (found,) = results.runs(place)
    return found


@pytest.fixture(scope="module")
def table(lab: Machine, sweep: run_directory.RunDirectory) -> truth.TruthTable:
    """The guest's truth table; it and its page stay as an artifact."""
    done = lab.ssh(
        "cgbench verify --quick --no-report --results /root/results --json /root/truth.json",
        _LONG_S,
    )
    # In force or not, or inconclusive: which of them each option must be is asserted one by one.
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
    lab.fetch("/root/results", FOLDER)
    lab.fetch("/root/truth.json", FOLDER)
    found = truth.read(FOLDER / "truth.json")
    write_truth([found], FOLDER / "truth.html")
    return found


def test_the_guest_is_the_machine_that_it_should_be(doctor: dict[str, Any]) -> None:
    host = doctor["host"]
    assert doctor["able"]
    assert (host["cgroup"], host["cgroup_driver"], host["cpus"]) == ("v2", "systemd", 2)
    assert host["kernel"].startswith("6.12.")
    assert host["docker"].startswith("26.1.")
    status = {one["name"]: one["status"] for one in doctor["findings"]}
    assert [status[name] for name in ("swap", "bfq", "cpu-bandwidth")] == ["ok", "ok", "ok"]


def test_measuring_does_without_the_packages_that_only_judging_needs(lab: Machine) -> None:
    for name in ("plotly", "scipy"):
        assert lab.ssh(f"cgbench --help && ls -d /carried/packages/{name}", 60).returncode != 0


def test_every_point_of_the_quota_sweep_holds_within_3_percent(
    sweep: run_directory.RunDirectory,
) -> None:
    assert [trial.status for trial in sweep.trials()] == ["ok", "ok"]
    points = [one for one in load(sweep).summary if one.metric == "cpus_used"]
    assert sorted(int(one.key.requested) for one in points) == [
        10_000, 25_000, 50_000, 75_000, 100_000, 150_000
    ]  # fmt: skip
    for one in points:
        assert abs(one.estimate.error_pct or 0.0) < 3, one


def test_every_option_is_judged_on_v2(table: truth.TruthTable) -> None:
    assert [row.verdict.option for row in table.rows] == list(OPTIONS)
    unclear = {
        row.verdict.option: row.verdict.reason
        for row in table.rows
        if row.verdict.verdict is Outcome.INCONCLUSIVE
    }
    assert unclear == {}


@pytest.mark.parametrize("name", SET)
def test_a_verdict_agrees_with_what_cat_says(
    name: str, table: truth.TruthTable, readings: dict[str, Reading]
) -> None:
    (verdict,) = (row.verdict for row in table.rows if row.verdict.option == name)
    assert readings[name].disagreement(verdict.verdict, sorted(SET[name][2])) is None


@pytest.mark.parametrize("name", BY_HAND)
def test_a_verdict_is_the_one_stated_by_hand(name: str, table: truth.TruthTable) -> None:
    (verdict,) = (row.verdict for row in table.rows if row.verdict.option == name)
    assert verdict.verdict is BY_HAND[name], verdict.reason


def test_a_restart_policy_is_what_docker_inspect_says(
    lab: Machine, table: truth.TruthTable
) -> None:
    (verdict,) = (row.verdict for row in table.rows if row.verdict.option == "restart")
    assert verdict.verdict is Outcome.EFFECTIVE, verdict.reason
    tag = lab.read("docker images -q cgbench/workload").split()[0]
    script = (
        f"c=$(docker run --detach --network none {tag} sh -c 'sleep 4; exit 3');"
        "docker update --restart on-failure:1 $c >/dev/null; sleep 20;"
        "docker inspect -f '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' $c;"
        "docker rm --force $c >/dev/null"
    )
    assert lab.read(f"bash -c {shlex.quote(script)}", 300).strip() == "1 exited 3"


def test_the_rate_of_a_device_is_not_counted_once_more_on_the_disk_beneath(lab: Machine) -> None:
    # v2 charges a group with what its loop device had done by the disk that holds the file.
    found = _measured(lab, "device-throttle")
    rates = [one for one in load(found).summary if one.metric == "io_bytes_per_s"]
    judged = [one for one in rates if one.estimate.expected is not None]
    assert {one.key.role for one in judged} == {"reader", "writer"}
    for one in judged:
        assert one.estimate.expected is not None
        assert 0 < one.estimate.median <= 1.5 * one.estimate.expected, one


def test_nothing_of_cgbench_is_left_in_the_guest(lab: Machine, table: truth.TruthTable) -> None:
    assert table.rows
    assert lab.read("docker ps --all --quiet") == ""
    assert lab.read("losetup --list --noheadings") == ""
    assert lab.read("ls /dev/shm") == ""
