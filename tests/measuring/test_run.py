"""A run: all trials saved one by one, resumed where missing, never on another host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import ExperimentError, StoreError
from cgbench.host import description
from cgbench.measuring import run, trial
from cgbench.measuring.progress import Silent
from cgbench.records.trial import TrialRecord
from cgbench.spec import experiment_file, workload
from cgbench.spec.emulated import slowed
from cgbench.spec.schedule import planned
from tests.made import short_experiment

pytestmark = pytest.mark.docker


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    assert engine.leftovers() == []
    engine.close()


def request_for(folder: Path, **values: object) -> run.Request:
    path = short_experiment.write(folder, hold="300ms", **values)  # type: ignore[arg-type]
    loaded = experiment_file.load(str(path))
    return run.Request(loaded, image.tag(workload.directory()), folder / "results", seed=5)


class StopsAfter(Silent):
    """Raises after the given number of finished trials, as Ctrl-C does."""

    def __init__(self, trials: int) -> None:
        self._left = trials

    def trial_finished(self, record: TrialRecord) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_run_says_so_and_goes_on_where_it_stopped(
    engine: Engine, tmp_path: Path
) -> None:
    directory = run.begin(request_for(tmp_path, trials=3), engine, {})
    with pytest.raises(KeyboardInterrupt):
        run.execute(directory, directory.run(), engine, StopsAfter(1))
    assert directory.run().status == "interrupted"
    done = directory.trials()
    assert len(done) == 1
    record = run.resumable(directory, engine)
    final = run.execute(directory, record, engine, Silent())
    assert final.status == "finished"
    assert directory.trials()[0] == done[0]
    assert sorted(one.number for one in directory.trials()) == [1, 2, 3]
    assert final.elapsed_s is not None
    assert final.elapsed_s > 0.9


def test_a_run_of_another_host_cannot_be_resumed(engine: Engine, tmp_path: Path) -> None:
    directory = run.begin(request_for(tmp_path), engine, {})
    record = directory.run()
    elsewhere = record.host.model_copy(update={"kernel": "4.19.0"})
    directory.write_run(record.model_copy(update={"host": elsewhere}))
    with pytest.raises(StoreError, match=r"kernel was 4\.19\.0"):
        run.resumable(directory, engine)


def test_a_schedule_that_does_not_fit_leaves_no_run_behind(engine: Engine, tmp_path: Path) -> None:
    too_much = f"[{100_000 * (description.cpus() + 1)}]"
    with pytest.raises(ExperimentError, match="CPUs"):
        run.begin(request_for(tmp_path, quotas=too_much), engine, {})
    assert not (tmp_path / "results").exists()


def test_a_host_with_an_emulated_cpu_gets_the_slowed_experiment(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulated = description.describe(engine.describe()).model_copy(
        update={"cpu_model": "QEMU TCG CPU version 2.5+"}
    )
    monkeypatch.setattr(description, "describe", lambda _engine: emulated)
    mine = experiment_file.load("pids-limit-sweep")
    request = run.Request(mine, image.tag(workload.directory()), tmp_path, seed=5)
    assert run.begin(request, engine, {}).run().experiment == slowed(mine) != mine


def test_the_containers_deadline_covers_the_schedule(tmp_path: Path) -> None:
    loaded = request_for(tmp_path).experiment
    (plan,) = planned(loaded, description.cpus(), seed=1)
    assert trial.deadline_s(plan, loaded) >= plan.hold_ns / 1e9 + 30
