"""A trial that fails keeps its reason, and all that was measured until then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import (
    CgbenchError,
    CgroupError,
    EngineError,
    ImageError,
    NoAnswer,
    PreconditionError,
    SamplerError,
    ScratchError,
    TrialError,
    UpdateRejected,
)
from cgbench.measuring import collect, launch, outage, trial
from cgbench.measuring.container import Running
from cgbench.measuring.program import Stage
from cgbench.measuring.progress import Silent
from cgbench.measuring.site import Site
from cgbench.records.trial import TrialRecord
from cgbench.spec import experiment_file
from cgbench.spec.schedule import planned
from tests.made.host_tree import HostTree, hybrid
from tests.made.processes import living

OOM = TrialError("the container of worker was OOM-killed (exit status 137)")
LACKING = PreconditionError("trial 2 may hold 4 GiB, and the host has 1 GiB to spare")
HUNG = SamplerError("the sampler did not finish within 20 s and was killed")


class Hanging:
    """A sampler that starts and never stops."""

    def __init__(self, *_: object, **__: object) -> None:
        self.closed = False

    def start(self) -> None:
        pass

    def stop(self) -> object:
        raise HUNG

    def close(self) -> None:
        self.closed = True


class Eventless:
    """A daemon that has nothing to say."""

    broken: str | None = None

    def events(self, run: str) -> Any:
        return SimpleNamespace(finish=lambda: (), broken=self.broken)

    def stats(self, container_id: str) -> Any:
        return SimpleNamespace(finish=lambda: (), expect_end=lambda: None, broken=None)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with living(cgroup=tmp_path) as (container, _process):
        yield container


@pytest.fixture
def roomy(tmp_path: Path) -> HostTree:
    tree = hybrid(tmp_path / "root")
    tree.memory(total=8 * 2**30, available=8 * 2**30)
    return tree


@pytest.fixture
def fail(
    running: Running, roomy: HostTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Fail:
    """Return what runs a trial whose walk ends with an error and whose sampler hangs."""
    monkeypatch.setattr(trial, "Sampler", Hanging)
    monkeypatch.setattr(launch, "start_all", lambda *_: [running])

    def failing(error: BaseException | None, *, measured: bool = True) -> TrialRecord:
        def walk(*_: object) -> None:
            if error is not None:
                raise error

        monkeypatch.setattr(trial, "_walk", walk)
        experiment = experiment_file.load("cpu-quota-sweep")
        plan = planned(experiment, 2, 1)[0]
        site = Site(cast(Engine, Eventless()), "image", "x", tmp_path, root=roomy.root)
        return trial.run_trial(plan, experiment, site, Silent(), measured=measured)[0]

    return failing


class Fail(Protocol):
    def __call__(self, error: BaseException | None, *, measured: bool = True) -> TrialRecord: ...


def test_a_sampler_that_hangs_does_not_hide_why_the_trial_failed(fail: Fail) -> None:
    record = fail(OOM)
    assert record.status == "failed"
    assert record.reason == OOM.message
    assert record.harness is not None
    assert record.harness.other_cpu_s is None, "what the container used was not sampled"


def test_a_sampler_that_hangs_fails_a_trial_that_went_well_until_then(fail: Fail) -> None:
    assert fail(None).reason == HUNG.message


@pytest.mark.parametrize(
    "error", [CgroupError("cpu.stat: Input/output error"), UpdateRejected("refused")]
)
def test_what_may_not_happen_again_costs_one_trial_only(fail: Fail, error: CgbenchError) -> None:
    assert fail(error).reason == error.message


@pytest.mark.parametrize(
    "error", [ImageError("the image x is missing"), ScratchError("x"), KeyboardInterrupt()]
)
def test_what_would_happen_again_ends_the_run_with_its_own_reason(
    fail: Fail, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        fail(error)
    assert caught.value is error


def test_a_host_that_lacks_something_ends_a_run_of_which_nothing_is_measured(fail: Fail) -> None:
    with pytest.raises(PreconditionError):
        fail(LACKING, measured=False)


def test_a_host_that_comes_to_lack_something_costs_a_run_that_trial_only(fail: Fail) -> None:
    """Status 4 says that nothing was measured: not so where other trials were."""
    record = fail(LACKING)
    assert record.status == "failed"
    assert record.reason == LACKING.message


@pytest.mark.parametrize("error", [NoAnswer("Docker does not answer"), EngineError("refused")])
def test_a_daemon_that_fails_once_costs_one_trial_only(
    fail: Fail, error: EngineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by reading: `systemctl restart docker` in trial 29 lost the whole run."""
    waited: list[tuple[EngineError, bool]] = []
    monkeypatch.setattr(
        outage, "wait_out", lambda _site, error, *, begun: waited.append((error, begun))
    )
    record = fail(error)
    assert (record.status, record.reason) == ("failed", error.message)
    assert waited == [(error, True)]


def test_a_daemon_that_is_waited_for_is_named_before_the_waiting(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(Silent, "waiting", lambda _self, why: shown.append(why))
    monkeypatch.setattr(outage, "wait_out", lambda *_, **__: shown.append("waited"))
    fail(NoAnswer("Docker did not answer within 45 s"))
    assert shown == ["Docker did not answer within 45 s", "waited"]


def test_a_daemon_that_hangs_only_when_all_is_taken_down_is_named_too(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    hung = NoAnswer("cannot remove it: Docker did not answer within 45 s")

    def start(stage: Stage, *_: object) -> object:
        def fail_to_remove() -> None:
            raise hung

        stage.stack.callback(fail_to_remove)
        return [cast(Any, running)]

    with living() as (running, _process):
        monkeypatch.setattr(launch, "start_all", start)
        monkeypatch.setattr(collect, "collect", lambda *_, **__: None)
        monkeypatch.setattr(Silent, "waiting", lambda _self, why: shown.append(why))
        monkeypatch.setattr(outage, "wait_out", lambda *_, **__: shown.append("waited"))
        assert fail(None).reason == hung.message
    assert shown == [hung.message, "waited"]


def test_a_stream_of_events_that_broke_fails_a_trial_that_went_well_otherwise(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Eventless, "broken", "the stream of Docker's events broke: reset")
    monkeypatch.setattr(collect, "collect", lambda *_, **__: None)
    assert fail(None).reason == "the stream of Docker's events broke: reset"
    assert fail(OOM).reason == OOM.message


def test_nothing_stays_behind(fail: Fail, tmp_path: Path) -> None:
    with contextlib.suppress(ScratchError):
        fail(ScratchError("gone"))
    fail(OOM)
    assert list(tmp_path.glob("cgbench-*")) == []
