"""One change: every file it should reach is read before, after the answer, and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.errors import UpdateRejected
from cgbench.host import cgroups
from cgbench.judging import enforced
from cgbench.measuring import trial
from cgbench.measuring.change import make_change, with_held
from cgbench.measuring.container import Running
from cgbench.measuring.hold import Lookout
from cgbench.records.trial import Change, Phase
from cgbench.spec.option import Settings
from cgbench.spec.schedule import PlannedStep
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made.host_tree import HostTree, hybrid, v2

GROUP = "sys/fs/cgroup/cpu/docker/id"


class Daemon:
    """A daemon that does as it likes with an update."""

    def __init__(self, does: Callable[[], None]) -> None:
        self._does = does

    def update(self, container_id: str, settings: Settings) -> Answer:
        begin = time.monotonic_ns()
        self._does()
        return Answer(begin, time.monotonic_ns(), ())


def step(**settings: Any) -> PlannedStep:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    (option, value), *_ = named.items()
    return PlannedStep(role="worker", option=option, requested=str(value), settings=named,
                       via="update", hold_ns=NS_PER_S)  # fmt: skip


def container(tree: HostTree, membership: str) -> Running:
    tree.write("proc/7/cgroup", membership)
    cgroup = cgroups.find(7, tree.root / "proc", tree.root)
    found = SimpleNamespace(cgroup=cgroup, container_id="id", settings={}, device="7:3")
    found.with_settings = lambda settings: Running.with_settings(cast(Running, found), settings)
    return cast(Running, found)


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    made = hybrid(tmp_path)
    made.write(f"{GROUP}/cpu.cfs_quota_us", "-1\n")
    made.write(f"{GROUP}/cpu.cfs_period_us", "50000\n")
    return made


def changed(tree: HostTree, does: Callable[[], None], asked: PlannedStep) -> Change:
    one = container(tree, "4:cpu:/docker/id\n")
    return with_held(one, make_change(cast(Engine, Daemon(does)), one, asked))


def of(change: Change) -> Phase:
    return Phase(number=1, role="worker", option="cpus", change=change, settings=change.settings,
                 t_end_ns=time.monotonic_ns())  # fmt: skip


def test_the_period_that_a_number_of_cpus_needs_is_one_of_its_files(tree: HostTree) -> None:
    def without_period() -> None:
        tree.write(f"{GROUP}/cpu.cfs_quota_us", "50000\n")

    found = changed(tree, without_period, step(cpus="0.5"))
    assert [(one.file, one.before, one.after, one.expected) for one in found.files] == [
        ("cpu.cfs_quota_us", "-1", "50000", "50000"),
        ("cpu.cfs_period_us", "50000", "50000", "100000"),
    ]
    departed = enforced.departure(of(found))
    assert departed is not None
    assert departed.reason.endswith(
        "cpu.cfs_period_us stayed 50000 where cpus 0.5 should give 100000"
    )


def test_a_refused_change_that_was_made_all_the_same_is_read_back(tree: HostTree) -> None:
    def refuse() -> None:
        tree.write(f"{GROUP}/cpu.cfs_quota_us", "50000\n")
        raise UpdateRejected("the daemon said no")

    found = changed(tree, refuse, step(cpus="0.5"))
    assert found.error == "the daemon said no"
    assert enforced.yet_changed(of(found)) == "cpu.cfs_quota_us went from -1 to 50000 all the same"


def test_a_file_that_changes_after_the_answer_shows_then_how_it_was_converted(
    tmp_path: Path,
) -> None:
    tree = v2(tmp_path)
    group = "sys/fs/cgroup/docker/id"
    tree.write(f"{group}/cpu.weight", "100\n")
    one = container(tree, "0::/docker/id\n")
    engine = cast(Engine, Daemon(lambda: None))
    change = make_change(engine, one, step(cpu_shares=512))
    assert [file.expected for file in change.files] == ["20"]
    tree.write(f"{group}/cpu.weight", "59\n")
    (file,) = with_held(one, change).files
    assert (file.after, file.held, file.expected) == ("100", "59", "59")


@pytest.mark.parametrize(("error", "held_ms"), [(None, 1000), ("no", 1000)])
def test_a_refused_change_is_held_as_long_as_it_may_come_late(
    error: str | None, held_ms: int
) -> None:
    until: list[int] = []

    class Look:
        def hold_until(self, deadline_ns: int, *, may_end: bool) -> None:
            until.append(deadline_ns)

    asked = step(cpu_quota=50000)
    change = Change(requested="50000", settings=asked.settings, via="update", t_request_ns=0,
                    t_answer_ns=5, error=error)  # fmt: skip
    look, one = cast(Lookout, Look()), cast(Running, None)
    assert trial._hold(cast(Engine, None), look, one, asked, change) == (None, 0)
    assert until == [5 + held_ms * NS_PER_MS]


def test_a_container_that_the_change_ends_leaves_files_that_were_not_read(tree: HostTree) -> None:
    """Met in the lab: a limit below use killed before the answer, and was said to have no file."""
    folder = tree.root / GROUP

    def killed() -> None:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    found = make_change(
        cast(Engine, Daemon(killed)), container(tree, "3:cpu:/docker/id\n"), step(cpu_quota=20000)
    )
    (file,) = found.files
    assert (file.file, file.before, file.after) == ("cpu.cfs_quota_us", "-1", None)
    assert file.expected == "20000"


def test_a_limit_of_a_device_is_written_and_read_back_with_its_number(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    group = "sys/fs/cgroup/docker/id"
    tree.write(f"{group}/io.max", "7:3 rbps=1048576 wbps=max riops=max wiops=max\n")
    one = container(tree, "0::/docker/id\n")
    one.settings["device-write-iops"] = 10
    asked = step(device_read_bps="4m").model_copy(update={"via": "cgroupfs"})
    change = make_change(cast(Engine, Daemon(lambda: None)), one, asked)
    (file,) = change.files
    assert file.before == "7:3 rbps=1048576 wbps=max riops=max wiops=max"
    assert file.after == file.expected == "7:3 rbps=4194304 wbps=max riops=max wiops=10"
    assert change.error is None
