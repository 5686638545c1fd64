"""A run's record says how long it took and how it ended; trials are made up."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import StoreError
from cgbench.measuring import run, trial
from cgbench.measuring.progress import Silent
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import TrialData
from cgbench.records.trial import TrialRecord
from cgbench.spec import experiment_file
from cgbench.spec.schedule import TrialPlan
from tests.made import records

NOTHING = TrialData((), (), ())


def measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *done: int, elapsed_s: float | None
) -> tuple[RunRecord, list[int]]:
    """Go on with a run of which some trials are done; return its record and the trials made."""
    directory = RunDirectory.create(folder, "cpu-quota-sweep", records.RUN)
    directory.write_run(records.run(elapsed_s=elapsed_s))
    for number in done:
        directory.write_trial(records.trial(number), NOTHING)
    made: list[int] = []

    def run_trial(plan: TrialPlan, *_: object, measured: bool) -> tuple[TrialRecord, TrialData]:
        assert measured == bool(done or made), "whether a trial was measured before"
        made.append(plan.number)
        return records.trial(plan.number), NOTHING

    monkeypatch.setattr(trial, "run_trial", run_trial)
    final = run.execute(directory, directory.run(), cast(Engine, None), Silent())
    assert directory.run() == final
    return final, made


def test_a_new_run_took_as_long_as_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, made = measured(tmp_path, monkeypatch, elapsed_s=None)
    assert (final.status, made) == ("finished", [1, 2, 3, 4, 5])
    assert final.elapsed_s is not None
    assert 0 <= final.elapsed_s < 60


def test_a_run_that_goes_on_took_the_time_before_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, made = measured(tmp_path, monkeypatch, 2, 4, elapsed_s=100.0)
    assert made == [1, 3, 5]
    assert final.elapsed_s is not None
    assert 100 <= final.elapsed_s < 160


def test_how_long_a_run_took_that_was_killed_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, _made = measured(tmp_path, monkeypatch, 1, elapsed_s=None)
    assert (final.status, final.elapsed_s) == ("finished", None)


def test_an_interrupt_while_the_image_is_looked_into_leaves_no_container_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by `make chaos`: its container was left, since the daemon's answer was not read."""
    containers: list[str] = []

    def contents(_image: str) -> None:
        containers.append("made")
        signal.raise_signal(signal.SIGINT)
        containers.remove("made")

    engine = cast(Engine, SimpleNamespace(images=SimpleNamespace(contents=contents)))
    experiment = experiment_file.load("cpu-quota-sweep")
    with pytest.raises(KeyboardInterrupt):
        run.begin(run.Request(experiment, "image", tmp_path, seed=1), engine, {})
    assert containers == []


@pytest.mark.parametrize("image", ["evil:latest", "cgbench/workload:latest", "cgbench/workload"])
def test_a_run_that_names_an_image_of_others_is_not_resumed(tmp_path: Path, image: str) -> None:
    """Second rank: run.json's `image` is free text that reaches Docker on --resume."""
    directory = RunDirectory.create(tmp_path, "cpu-quota-sweep", records.RUN)
    directory.write_run(records.run(image=image))
    with pytest.raises(StoreError, match=f"its image is {image}, which no cgbench makes"):
        run.resumable(directory, cast(Engine, None))
