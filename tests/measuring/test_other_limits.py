"""What Docker declares of a change is kept, and every other limit that changed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.measuring import other_limits
from cgbench.measuring.change import make_change, with_declared
from cgbench.measuring.container import Running
from cgbench.records.other_limits import Unasked
from cgbench.spec.schedule import PlannedStep
from cgbench.units import NS_PER_S
from tests.made import records
from tests.made.processes import MadeUpEngine, living
from tests.measuring.test_change import Daemon

ON_FAILURE = {"Name": "on-failure", "MaximumRetryCount": 2}


def step(option: str, value: str | int) -> PlannedStep:
    return PlannedStep(role="worker", option=option, requested=str(value),
                       settings={option: value}, via="update", hold_ns=NS_PER_S)  # fmt: skip


@pytest.fixture
def group(tmp_path: Path) -> Path:
    for name, text in (("cpu.max", "max 100000"), ("pids.max", "max"), ("memory.max", "max")):
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def changed(group: Path, container: Running, **texts: str) -> list[Unasked]:
    before = other_limits.all_files([container])
    for name, text in texts.items():
        (group / name.replace("_", ".")).write_text(f"{text}\n")
    held = other_limits.all_files([container])
    return list(other_limits.unasked(before, held, container, step("pids-limit", 24)))


def test_a_file_of_another_option_that_changed_was_not_asked_for(group: Path) -> None:
    with living(cgroup=group) as (container, _process):
        assert changed(group, container, pids_max="24", cpu_max="50000 100000") == [
            Unasked(role="worker", file="cpu.max", before="max 100000", held="50000 100000")
        ]


def test_the_same_file_of_another_container_was_not_asked_for(group: Path) -> None:
    with living("rival", cgroup=group) as (rival, _process), living() as (container, _other):
        before = other_limits.all_files([rival])
        (group / "pids.max").write_text("24\n")
        held = other_limits.all_files([rival])
        (found,) = other_limits.unasked(before, held, container, step("pids-limit", 24))
        assert (found.role, found.file) == ("rival", "pids.max")


def test_a_group_that_has_gone_changed_nothing(group: Path) -> None:
    with living(cgroup=group) as (container, _process):
        before = other_limits.all_files([container])
        (group / "cpu.max").unlink()
        held = other_limits.all_files([container])
        assert not list(other_limits.unasked(before, held, container, step("pids-limit", 24)))


def test_what_docker_declares_at_the_end_of_a_phase_is_kept(group: Path) -> None:
    engine = MadeUpEngine(config={"PidsLimit": 12})
    daemon = cast(Engine, Daemon(lambda: None))
    with living(cgroup=group) as (container, _process):
        change = make_change(daemon, container, step("pids-limit", 24))
        phase = records.phase().model_copy(update={"change": change})
        (one,) = with_declared(cast(Engine, engine), container, phase).change.inspected
    assert (one.option, one.asked, one.before, one.held) == ("pids-limit", "24", None, "12")


def test_a_policy_is_also_asked_for_before_and_after_since_no_kernel_has_a_file_of_it(
    group: Path,
) -> None:
    class Remembers(MadeUpEngine):
        def update(self, *_: object) -> object:
            self.config = {"RestartPolicy": ON_FAILURE}
            return Daemon(lambda: None).update("id", {})

    engine = Remembers(config={"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}})
    with living(cgroup=group) as (container, _process):
        change = make_change(cast(Engine, engine), container, step("restart", "on-failure:2"))
    (one,) = change.inspected
    assert (one.asked, one.before, one.after) == ("on-failure:2", "no", "on-failure:2")


def test_a_phase_that_prepares_another_is_not_asked_about(group: Path) -> None:
    phase = records.phase().model_copy(update={"prepares": True})
    with living(cgroup=group) as (container, _process):
        assert with_declared(cast(Engine, None), container, phase) is phase
