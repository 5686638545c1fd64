"""Each step of a schedule is held, and its phase keeps what was waited for and what confined."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.engine.streams import EventStream
from cgbench.measuring import account, trial
from cgbench.measuring.awaiting import Patience
from cgbench.measuring.collect import Harvest
from cgbench.measuring.container import Running
from cgbench.measuring.progress import Silent
from cgbench.measuring.site import Site
from cgbench.records.confines import Confines
from cgbench.records.trial import Change, Ending, Phase
from cgbench.spec import experiment_file
from cgbench.spec.schedule import PlannedStep, TrialPlan, steps
from cgbench.units import NS_PER_MS
from tests.made import records
from tests.made.processes import MadeUpEngine, living


def made(_engine: Engine, container: Running, step: PlannedStep) -> Change:
    """Make a change at once that every kernel accepts."""
    container.settings |= step.settings
    now = time.monotonic_ns()
    return Change(
        requested=step.requested, settings=step.settings, via="update", t_request_ns=now,
        t_answer_ns=now,
    )  # fmt: skip


def walked(
    name: str, group: Path, monkeypatch: pytest.MonkeyPatch, begun: Confines | None = None
) -> Phase:
    """Walk one step of an experiment on a made-up container, with what confined it at first."""
    monkeypatch.setattr(trial, "make_change", made)
    experiment = experiment_file.load(name).model_copy(update={"warmup": 0})
    step = next(one for one in steps(experiment, 2) if one.via == "update")
    step = step.model_copy(update={"hold_ns": 60 * NS_PER_MS})
    plan = TrialPlan(number=1, repetition=1, walk=1, steps=(step,))
    engine = cast(Engine, MadeUpEngine())
    progress = Harvest(0)
    with living(step.role, cgroup=group) as (container, _process):
        container.spec = next(one for one in experiment.containers if one.role == step.role)
        patience = Patience(experiment, cast(EventStream, SimpleNamespace(so_far=lambda: ())))
        if begun is not None:
            (one,) = records.trial().containers
            progress.containers = [one.model_copy(update={"role": step.role, "confines": begun})]
        site = Site(engine, "image", "x", group)
        course = trial._Course(plan, experiment, site, Silent(), progress)
        trial._walk(course, [container], None, patience)
    (phase,) = progress.phases
    assert phase.t_end_ns - phase.change.t_answer_ns >= 60 * NS_PER_MS
    return phase


def test_a_phase_keeps_what_it_was_held_on_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pids.current").write_text("24\n")
    phase = walked("pids-limit-sweep", tmp_path, monkeypatch)
    assert phase.awaited is not None
    assert (phase.awaited.metric, phase.awaited.state) == ("tasks_max", "came")
    assert phase.confines is None


def test_a_phase_on_a_set_of_cpus_keeps_what_confined_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuset.cpus.effective").write_text("0\n")
    phase = walked("cpuset-cpus-moves", tmp_path, monkeypatch)
    assert phase.awaited is None
    assert phase.confines is not None
    assert phase.confines.groups[0].files == {"cpuset.cpus.effective": "0"}


def test_a_phase_keeps_that_its_processes_are_in_another_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pids.current").write_text("24\n")
    astray = Confines(astray={"pids": "/else"})
    for begun, kept in ((Confines(), astray), (astray, None)):
        now = astray.model_copy()
        monkeypatch.setattr(Running, "confines", lambda _self, now=now: now)
        assert walked("pids-limit-sweep", tmp_path, monkeypatch, begun).confines == kept


def test_what_waits_for_a_judged_change_is_released_once_that_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def change(engine: Engine, container: Running, step: PlannedStep) -> Change:
        seen.append("prepares" if step.prepares else "changed")
        return made(engine, container, step)

    monkeypatch.setattr(trial, "make_change", change)
    monkeypatch.setattr(trial, "release", lambda running: seen.append(f"{len(running)} released"))
    experiment = experiment_file.load("restart-policy").model_copy(update={"warmup": 0})
    asked = [
        step.model_copy(update={"hold_ns": NS_PER_MS})
        for step in steps(experiment, 2)
        if step.role == "fails"
    ][:2]
    plan = TrialPlan(number=1, repetition=1, walk=1, steps=tuple(asked))
    events = cast(EventStream, SimpleNamespace(so_far=lambda: ()))
    patience = Patience(experiment.model_copy(update={"option": "cpus"}), events)
    with living("fails", cgroup=tmp_path) as (container, _process):
        container.spec = experiment.containers[0]
        site = Site(cast(Engine, MadeUpEngine()), "image", "x", tmp_path)
        course = trial._Course(plan, experiment, site, Silent(), Harvest(0))
        trial._walk(course, [container], None, patience)
    assert seen == ["prepares", "changed", "1 released"]


@pytest.mark.parametrize(("ended", "phases"), [("maker", 3), ("guest", 1)])
def test_the_others_go_on_without_one_that_ended_until_one_is_to_be_changed_that_did(
    ended: str, phases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_file.load("shared-memory").model_copy(update={"warmup": 0})
    asked = [step.model_copy(update={"hold_ns": NS_PER_MS}) for step in steps(experiment, 2)]
    plan = TrialPlan(number=1, repetition=1, walk=1, steps=tuple(asked))
    opened: list[list[str]] = []
    endings = [Ending(role=ended, t_ns=1, exit_code=0, oom_killed=False, reason="it ended")]

    def held(*_: object) -> tuple[Ending | None, int]:
        return (endings.pop() if endings else None), 0

    def account_of(running: Sequence[Running]) -> None:
        opened.append([one.spec.role for one in running])

    monkeypatch.setattr(trial, "make_change", made)
    monkeypatch.setattr(trial, "_hold", held)
    monkeypatch.setattr(account, "opened", account_of)
    monkeypatch.setattr(account, "closed", lambda *_: None)
    progress = Harvest(0)
    with living("maker", cgroup=tmp_path) as (maker, _), living("guest", cgroup=tmp_path) as (
        guest, _,
    ):  # fmt: skip
        maker.spec, guest.spec = experiment.containers
        patience = Patience(experiment, cast(EventStream, SimpleNamespace(so_far=lambda: ())))
        site = Site(cast(Engine, MadeUpEngine()), "image", "x", tmp_path)
        course = trial._Course(plan, experiment, site, Silent(), progress)
        trial._walk(course, [maker, guest], None, patience)
    assert len(progress.phases) == phases
    left = [role for role in ("maker", "guest") if role != ended]
    assert opened == [["maker", "guest"], left, left][:phases]
