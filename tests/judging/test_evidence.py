"""What a run shows about an option: of each container what was measured under its own values."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging import verdict
from cgbench.judging.estimates import points
from cgbench.judging.evidence import gather
from cgbench.judging.run import Run, load
from cgbench.judging.value import judge
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Event, Phase
from cgbench.records.verdict import Outcome
from cgbench.units import NS_PER_S
from tests.made import run_builder
from tests.made.run_builder import MadeUp


def with_a_neighbour(directory: RunDirectory) -> Run:
    """Give the quotas of a run to a second container, too, whose turn the first one spends idle.

    The first one uses 2 CPUs in those phases, where nothing is expected of it.
    """
    run = load(directory)
    (worker,) = run.record.experiment.containers
    (step,) = run.record.experiment.steps
    experiment = run.record.experiment.model_copy(
        update={
            "containers": (worker, worker.model_copy(update={"role": "neighbour"})),
            "steps": (step, step.model_copy(update={"role": "neighbour"})),
        }
    )
    (trial,) = run.trials
    most = len(trial.phases)
    shift_ns = trial.phases[-1].t_end_ns - trial.phases[0].change.t_request_ns
    later = tuple(_later(one, most, shift_ns) for one in trial.phases)
    (container,) = trial.containers
    rows = [
        row._replace(role=role, phase=phase, value=value, expected=expected)
        for row in run.rows
        for role, phase, value, expected in (
            ("worker", row.phase, row.value, row.expected),
            ("neighbour", row.phase, row.value, None),
            ("neighbour", row.phase + most, row.value, row.expected),
            ("worker", row.phase + most, 2.0, None),
        )
    ]
    directory.write_run(run.record.model_copy(update={"experiment": experiment}))
    (directory.path / "trials.jsonl").unlink()
    directory.append_trial(
        trial.model_copy(
            update={
                "phases": (*trial.phases, *later),
                "t_end_ns": trial.t_end_ns + shift_ns,
                "containers": (container, container.model_copy(update={"role": "neighbour"})),
            }
        )
    )
    directory.write_phases(rows)
    return load(directory)


def _later(phase: Phase, most: int, shift_ns: int) -> Phase:
    change = phase.change
    moved = {
        "t_request_ns": change.t_request_ns + shift_ns,
        "t_answer_ns": change.t_answer_ns + shift_ns,
        "files": tuple(one.model_copy(update={"t_changed_ns": None}) for one in change.files),
    }  # fmt: skip
    return phase.model_copy(
        update={
            "number": phase.number + most, "role": "neighbour",
            "t_end_ns": phase.t_end_ns + shift_ns, "change": change.model_copy(update=moved),
        }
    )  # fmt: skip


def test_a_value_that_a_neighbour_was_given_at_another_time_is_no_evidence(tmp_path: Path) -> None:
    made = MadeUp(trials=1, quotas=(10000, 50000))
    run = with_a_neighbour(run_builder.build(tmp_path, made))
    tried = gather(run, "cpu-quota").tried()
    assert [(one.key.role, one.key.requested) for one in tried] == [
        ("worker", "10000"), ("worker", "50000"),
        ("neighbour", "10000"), ("neighbour", "50000"),
    ]  # fmt: skip
    felt = [one.felt for one in tried if one.felt is not None]
    assert [one.median for one in felt] == pytest.approx([0.1, 0.5, 0.1, 0.5], rel=0.02)
    assert all(one.within for one in felt)


def test_figures_of_a_value_that_two_containers_had_are_each_of_its_own_phases(
    tmp_path: Path,
) -> None:
    """Met by a new user: 53 MiB was told as 74, the mean of its own phase and another's."""
    run = with_a_neighbour(run_builder.build(tmp_path, MadeUp(trials=1, quotas=(10000, 50000))))
    felt = {
        (one.key.role, one.key.requested): one.estimate.median
        for one in run.summary
        if one.metric == "cpus_used"
    }
    assert felt == {
        ("worker", "10000"): pytest.approx(0.1, rel=0.02),
        ("worker", "50000"): pytest.approx(0.5, rel=0.02),
        ("neighbour", "10000"): pytest.approx(0.1, rel=0.02),
        ("neighbour", "50000"): pytest.approx(0.5, rel=0.02),
    }
    assert {(one.role, one.owner) for one in points(run)} == {
        ("worker", "worker"), ("neighbour", "neighbour"),
    }  # fmt: skip
    assert len(run.every_row) > len(run.rows)


RUNC = "docker update --cpu-quota 50000 was refused: container not running : unknown"


def refused(directory: RunDirectory, error: str, *, at_ns: int, code: int | None) -> Run:
    """Have a run's second value refused, and its container end `at_ns` after that."""
    (trial,) = load(directory).trials
    first, second = trial.phases
    change = second.change.model_copy(update={"error": error})
    ended = Event(
        role="worker", t_ns=change.t_answer_ns + at_ns, action="die", exit_code=code
    )  # fmt: skip
    began = Event(role="worker", t_ns=trial.t_begin_ns, action="start", exit_code=None)
    phases = (first, second.model_copy(update={"change": change}))
    (directory.path / "trials.jsonl").unlink()
    directory.append_trial(
        trial.model_copy(update={"phases": phases, "events": (began, ended)})
    )  # fmt: skip
    return load(directory)


def outcome(run: Run) -> tuple[Outcome, str]:
    one = judge(gather(run, "cpu-quota").tried()[1])
    return one.outcome, one.reason


def made_up(folder: Path) -> RunDirectory:
    return run_builder.build(folder, MadeUp(trials=1, quotas=(10000, 50000)))


@pytest.mark.parametrize("at_ns", [-NS_PER_S // 10, NS_PER_S // 2])
def test_an_update_that_came_after_the_containers_end_says_nothing_of_its_value(
    tmp_path: Path, at_ns: int
) -> None:
    """Met in the lab: the container of a restart policy ended while it was updated."""
    found, reason = outcome(refused(made_up(tmp_path), RUNC, at_ns=at_ns, code=3))
    assert found is Outcome.INCONCLUSIVE
    assert reason == f"the container had ended when 50000 came: {RUNC}"


@pytest.mark.parametrize(
    ("error", "at_ns", "code"),
    [
        ("docker update --cpu-quota 50000 was refused: out of range", NS_PER_S // 2, 3),
        (RUNC, 3 * NS_PER_S, 3),
        # The limit itself may have killed it.
        (RUNC, NS_PER_S // 2, 137),
    ],
)
def test_every_other_refusal_is_the_values_own(
    tmp_path: Path, error: str, at_ns: int, code: int
) -> None:
    found, _reason = outcome(refused(made_up(tmp_path), error, at_ns=at_ns, code=code))
    assert found is Outcome.REJECTED


@pytest.mark.parametrize(("prepares", "counted"), [(False, True), (True, False)])
def test_values_that_containers_were_started_with_are_said_not_to_be_counted(
    tmp_path: Path, *, prepares: bool, counted: bool
) -> None:
    """Met by a new user: `of 5 values 4 held`, of an experiment that measures a sixth."""
    made = load(made_up(tmp_path))
    (step, *_) = made.record.experiment.steps
    born = step.model_copy(update={"set": {"cpu-quota": 20000}, "via": "run", "prepares": prepares})
    steps = (*made.record.experiment.steps, born)
    experiment = made.record.experiment.model_copy(update={"steps": steps})
    record = made.record.model_copy(update={"experiment": experiment})
    run = Run(made.directory, record, made.trials)
    assert gather(run, "cpu-quota").births is counted
    assert ("2 of 2 updated values" in verdict.judge(run, "cpu-quota").reason) is counted
