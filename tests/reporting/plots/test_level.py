"""Memory, tasks and I/O over time are drawn beside their limit, where one is declared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cgbench.judging.container_data import ContainerData
from cgbench.judging.run import Run, load
from cgbench.records.trial import TrialRecord
from cgbench.reporting.plots.level import Level, level, plot
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_S
from tests.made.run_builder import MadeUp, build

MIB = 2**20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(build(tmp_path_factory.mktemp("results"), MadeUp(trials=1)))


def limited(
    run: Run, option: str, counter: str, values: list[float], *settings: Settings
) -> tuple[TrialRecord, ContainerData, Run]:
    """Return a trial with a phase of a second for each of `settings`, and its readings."""
    (trial,) = run.finished
    t_ns = np.linspace(0, len(settings) * NS_PER_S, len(values)).astype(np.int64)
    phases = tuple(
        trial.phases[0].model_copy(update={
            "number": number, "settings": one, "t_end_ns": number * NS_PER_S,
            "change": trial.phases[0].change.model_copy(update={
                "t_answer_ns": (number - 1) * NS_PER_S, "files": (), "error": None,
            }),
        })
        for number, one in enumerate(settings, 1)
    )  # fmt: skip
    data = ContainerData(
        record=trial.containers[0], t_ns=t_ns, counters={counter: np.array(values)}, per_cpu={},
        running_on=(), per_node={}, pressure_us=None, stalls=(), units=(t_ns, t_ns),
        stats=(t_ns, t_ns.astype(np.float64)),
    )  # fmt: skip
    experiment = run.record.experiment.model_copy(update={"option": option})
    record = run.record.model_copy(update={"experiment": experiment})
    return trial.model_copy(update={"phases": phases}), data, replace(run, record=record)


def drawn(made: tuple[TrialRecord, ContainerData, Run]) -> Level | None:
    trial, data, run = made
    return level(trial, data, run.record, 0, 1000)


def test_memory_is_drawn_beside_the_limit_of_each_phase(run: Run) -> None:
    values = [10.0 * MIB, 32.0 * MIB, float("nan"), 16.0 * MIB]
    found = drawn(
        limited(run, "memory", "memory_bytes", values, {"memory": "32m"}, {"memory": 16 * MIB})
    )
    assert found is not None
    assert list(found.seen.y) == [10, 32, 16]
    assert list(found.limit.y[1:]) == [32, 16, 16]
    # None was declared at first.
    assert np.isnan(found.limit.y[0])


def test_tasks_have_no_limit_where_it_is_lifted(run: Run) -> None:
    found = drawn(
        limited(run, "pids-limit", "tasks", [1.0, 24.0, 30.0, 30.0], {"pids-limit": 24},
                {"pids-limit": -1})
    )  # fmt: skip
    assert found is not None
    assert found.limit.y[1] == 24
    assert np.isnan(found.limit.y[2:]).all()


def test_io_is_drawn_as_a_rate(run: Run) -> None:
    values = list(np.arange(21) * 1.0 * MIB)
    made = limited(run, "blkio-weight", "io_bytes", values, {"blkio-weight": 500})
    found = drawn(made)
    assert found is not None
    assert found.seen.y == pytest.approx(20.0)
    one = plot([found], "blkio-weight", [(0.0, "500")], 1)
    assert one is not None
    # No limit is a number in the same unit.
    assert [key.label for key in one.keys] == ["read and written"]


def test_nothing_is_drawn_of_what_was_not_read_or_is_cpu_time(run: Run) -> None:
    assert drawn(limited(run, "cpu-quota", "memory_bytes", [1.0, 2.0], {})) is None
    assert drawn(limited(run, "memory", "tasks", [1.0, 2.0], {})) is None
    assert drawn(limited(run, "memory", "memory_bytes", [float("nan")] * 3, {})) is None
    assert drawn(limited(run, "blkio-weight", "io_bytes", [1.0, 2.0], {})) is not None
    assert plot([], "memory", [], 1) is None


def test_a_limit_that_lifts_all_limits_does_not_flatten_the_rest(run: Run) -> None:
    found = drawn(limited(run, "memory", "memory_bytes", [8.0 * MIB] * 3, {"memory": "8000g"}))
    assert found is not None
    one = plot([found], "memory", [(0.0, "7.81 TiB")], 1)
    assert one is not None
    assert one.layout["yaxis"]["range"][1] == pytest.approx(8.8)
    assert one.title == "Trial 1: memory in use, at most 8 MiB"
