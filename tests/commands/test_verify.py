"""The truth table of this very host, for options whose answer can be read by hand."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from cgbench.commands import verify
from cgbench.commands.session import Session
from cgbench.engine.engine import Engine
from cgbench.errors import ExperimentError, NoAnswer
from cgbench.host import description, lock, preconditions
from cgbench.measuring.idle import born, bounds, lifting, side_by_side, states, survival
from cgbench.records import truth
from cgbench.records.idle_findings import StateFinding
from cgbench.records.verdict import Outcome
from cgbench.spec import experiment_file
from cgbench.spec.options import OPTIONS
from cgbench.spec.schedule import planned
from tests.made import truth_tables
from tests.made.command import anew, cgbench


def test_every_option_is_judged_by_exactly_one_experiment() -> None:
    judged = [option for _, options in verify.experiments(list(OPTIONS)) for option in options]
    assert sorted(judged) == sorted(OPTIONS)


def test_every_experiment_that_judges_has_a_short_form_and_all_fit_into_four_minutes() -> None:
    holds = []
    for loaded, _options in verify.experiments(list(OPTIONS)):
        short = loaded.for_verify()
        assert short.trials == 1
        holds.append(sum(plan.hold_ns for plan in planned(short, 2, seed=1)) / 1e9)
    # Starting containers, bounds and survival take half a minute more.
    assert max(holds) < 40
    assert sum(holds) < 180


def test_values_off_the_grid_of_a_percent_are_tried_raised_and_lowered_by_one_worker_and_many() -> (
    None
):
    for name, values in (("cpus", (0.015, 0.365, 0.417)), ("cpu-quota", (1500, 36500, 41700))):
        ((loaded, _),) = verify.experiments([name])
        short = loaded.for_verify()
        for container in short.containers:
            tried = [float(container.options[name])] + [
                float(step.requested)
                for plan in planned(short, 2, seed=1)
                for step in plan.steps
                if step.role == container.role
            ]
            assert set(values) <= set(tried)
            steps = list(pairwise(tried))
            assert any(before < after for before, after in steps)
            assert any(before > after for before, after in steps)


def test_every_experiment_that_judges_fits_a_host_with_one_cpu() -> None:
    for loaded, _options in verify.experiments(list(OPTIONS)):
        if "two-cpus" not in loaded.requires:
            assert planned(loaded.for_verify(), 1, seed=1)


def test_verify_tries_periods_of_a_fifth_of_a_second_and_swap_of_nothing_and_without_limit() -> (
    None
):
    ((periods, _),) = verify.experiments(["cpu-period"])
    ((swap, _),) = verify.experiments(["memory-swap"])
    tried = [
        step.requested
        for loaded in (periods, swap)
        for plan in planned(loaded.for_verify(), 2, seed=1)
        for step in plan.steps
        if not step.prepares
    ]
    assert {"200000", "64m", "-1"} <= set(tried)


def test_an_experiment_without_the_table_has_none() -> None:
    with pytest.raises(ExperimentError, match=r"\[verify\]"):
        experiment_file.load("update-storm").for_verify()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Look, when a test has ended, whether it left anything."""
    yield
    engine = Engine()
    assert engine.leftovers() == []
    assert lock.scratch_leftovers() == []
    engine.close()


@pytest.mark.parametrize(
    ("later", "becomes"),
    [
        ((Outcome.EFFECTIVE,), Outcome.EFFECTIVE),
        ((Outcome.INCONCLUSIVE, Outcome.IMPRECISE), Outcome.IMPRECISE),
        ((Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE), Outcome.INCONCLUSIVE),
    ],
)
def test_later_measurements_decide_only_what_the_first_left_open(
    later: tuple[Outcome, ...], becomes: Outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two at most; they would otherwise choose the better one of several verdicts."""
    period, runtime = "cpu-rt-period", "cpu-rt-runtime"
    measured = iter(
        [
            [truth_tables.verdict(period, first), truth_tables.verdict(runtime, second)]
            for first, second in (
                (Outcome.WRONG, Outcome.INCONCLUSIVE),
                *((Outcome.EFFECTIVE, one) for one in later),
            )
        ]
    )
    shown: list[str] = []
    monkeypatch.setattr(preconditions, "preconditions", lambda names: dict.fromkeys(names, True))
    monkeypatch.setattr(verify, "_measured", lambda *_: next(measured))
    session = Session(cast(Engine, None), "an image", tmp_path, 1, shown.append)
    found = {one.option: one.verdict for one in verify.effects([period, runtime], session)}
    assert found == {period: Outcome.WRONG, runtime: becomes}
    assert ["measured again" in line for line in shown] == [True] * len(later)
    assert next(measured, None) is None


def test_what_docker_gives_no_answer_to_takes_nothing_else_from_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Met in the lab: all verdicts were lost when the daemon hung while idle containers ran."""

    def hangs(*_: object) -> NoReturn:
        raise NoAnswer("Docker did not answer within 45 s")

    made = StateFinding(option="memory", state="running", value="48m", sent="")
    monkeypatch.setattr(
        side_by_side,
        "measured",
        lambda options, measure, *_, **__: [measure(one, None) for one in options],
    )
    monkeypatch.setattr(verify, "Supply", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(bounds, "measure", hangs)
    monkeypatch.setattr(born, "born_vs_changed", lambda *_: ())
    monkeypatch.setattr(lifting, "measure", lambda *_: ())
    monkeypatch.setattr(survival, "measure", hangs)
    monkeypatch.setattr(
        states, "measure", lambda one, _: (made,) if one.name == "memory" else hangs()
    )
    monkeypatch.setattr(
        verify,
        "effects",
        lambda options, _: [truth_tables.verdict(one, Outcome.EFFECTIVE) for one in options],
    )
    host = truth_tables.table(Outcome.EFFECTIVE).host
    monkeypatch.setattr(description, "describe", lambda _: host)
    engine = SimpleNamespace(describe=dict)
    shown: list[str] = []
    session = Session(cast(Engine, engine), "an image", tmp_path, 1, shown.append)
    table = verify.verify(["memory", "cpus"], session)
    assert [row.verdict.verdict for row in table.rows] == [Outcome.EFFECTIVE] * 2
    assert [row.states for row in table.rows] == [(), (made,)], "what was measured is there"
    assert [why.partition(": Docker")[0] for why in table.unmeasured] == [
        "--cpus: bounds", "--cpus: states", "--memory: bounds", "survival",
    ]  # fmt: skip
    assert sum("not measured" in line for line in shown) == len(table.unmeasured)


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_the_command_writes_table_json_junit_and_page(tmp_path: Path) -> None:
    """An exact limit is effective with its evidence, in every form."""
    done = anew(
        "verify", "pids-limit", "--results", tmp_path, "--json", tmp_path / "t.json",
        "--junit", tmp_path / "t.xml", "-o", tmp_path / "t.html",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--pids-limit" in done.stdout
    assert ET.parse(tmp_path / "t.xml").getroot().get("tests") == "1"
    assert "--pids-limit" in (tmp_path / "t.html").read_text()
    (row,) = truth.read(tmp_path / "t.json").rows
    assert row.verdict.verdict is Outcome.EFFECTIVE, row.verdict.reason
    assert row.verdict.enforced["pids.max"].after == "48"
    assert [point.value for point in row.verdict.experienced] == [24, 40, 40, 48]
    assert row.verdict.declared.accepted == 4, "the container born with a limit is no update"
    (run,) = row.verdict.evidence
    assert (tmp_path / "pids-limit-sweep" / run / "run.json").is_file()
    assert row.bounds
    assert row.born_vs_changed
    assert {one.state for one in row.states if one.in_force is not None} >= {"created", "running"}
    assert row.survival is not None
    assert {"another update", "another container", "pause", "restart"} == {
        stage.stage for stage in row.survival.stages
    }


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    done = cgbench("verify", "--", "--cpu-qota")
    assert done.returncode == 2
    assert "Did you mean --cpu-quota?" in done.stderr
