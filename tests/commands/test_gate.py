from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from cgbench.commands import gate
from cgbench.commands.candidate import open_candidate
from cgbench.commands.session import Session
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import BaselineError
from cgbench.records.baseline import Baseline, Noise
from cgbench.records.comparison import Comparison, Disturbance, Ending, Judgement
from cgbench.reporting.words.comparison import advice
from cgbench.spec import workload
from cgbench.spec.experiment import Experiment
from tests.bench.real_gate import Stingy, short_sweep
from tests.made.plain_sides import around, side
from tests.made.quiet import any_disturbed, holds


class MadeUp:
    """A candidate whose n-th repetition measures what `value` says; None fails."""

    def __init__(self, value: Callable[[int], float | None], most: int = 60) -> None:
        self.good: list[int] = []
        self.disturbances: list[Disturbance] = []
        self.longest_s, self.persistent = 0.0, False
        self._value, self._most, self._done = value, most, 0

    @property
    def exhausted(self) -> bool:
        return self._done >= self._most

    def measure(self) -> None:
        self._done += 1
        if self._value(self._done) is None:
            self.disturbances.append(
                Disturbance(repetition=self._done, reason="failed: killed", kept=False)
            )
        else:
            self.good.append(self._done)

    def side(self, repetitions: Collection[int] | None = None) -> Baseline:
        chosen = self.good if repetitions is None else repetitions
        return side({"cpus_used": [self._value(one) for one in chosen]}, "after")


BEFORE = side({"cpus_used": around(0.5)})


def _decide(candidate: MadeUp, budget_s: float = 60) -> tuple[Comparison, list[str]]:
    told: list[str] = []
    return gate.decide(candidate, gate.Terms(BEFORE, budget_s=budget_s), told.append), told


def _wobbling(middle: float) -> Callable[[int], float]:
    return lambda number: middle * (1 + 0.001 * (number % 3 - 1))


def test_what_is_unchanged_is_let_through_after_the_first_look() -> None:
    candidate = MadeUp(_wobbling(0.5))
    found, _ = _decide(candidate)
    assert found.overall is Judgement.UNCHANGED
    assert len(candidate.good) == gate.LOOKS[0]


def test_a_regression_is_measured_again_before_it_is_told() -> None:
    candidate = MadeUp(_wobbling(0.475))
    found, told = _decide(candidate)
    assert found.overall is Judgement.REGRESSED
    assert len(candidate.good) == gate.LOOKS[0] + gate.FRESH
    assert any("measuring those again" in line for line in told)
    assert f"again in {gate.FRESH} fresh trials" in found.findings[0].reason


def test_what_fresh_trials_do_not_show_again_is_no_regression() -> None:
    # Something slowed the first look down, and was gone afterwards.
    candidate = MadeUp(lambda number: _wobbling(0.475 if number <= gate.LOOKS[0] else 0.5)(number))
    found, told = _decide(candidate)
    assert any("did not show it again" in line for line in told)
    assert found.overall is not Judgement.REGRESSED


def test_a_spent_budget_is_inconclusive_and_never_a_pass() -> None:
    candidate = MadeUp(_wobbling(0.5))
    candidate.longest_s = 100
    candidate.measure()
    found, _ = _decide(candidate, budget_s=1)
    assert found.overall is Judgement.INCONCLUSIVE
    assert found.findings[0].more_trials == 2
    assert found.ended_by is Ending.BUDGET
    assert found.notes == (
        "the budget of 1 s ended after 1 good trial; 4 more were needed for the next look, "
        "which take about 6 min 40 s",
    )


def test_a_regression_that_there_is_no_time_to_confirm_is_inconclusive() -> None:
    candidate = MadeUp(_wobbling(0.475), most=gate.LOOKS[0])
    found, _ = _decide(candidate)
    assert found.overall is Judgement.INCONCLUSIVE
    assert "too few fresh trials were had to confirm it" in found.findings[0].reason
    assert found.ended_by is Ending.TRIALS, "no budget would have been long enough"


def test_a_budget_too_short_to_confirm_says_what_was_lacking() -> None:
    class Slow(MadeUp):
        def measure(self) -> None:
            super().measure()
            # From the first look on each takes longer than what is left of the budget.
            self.longest_s = 8.0 if len(self.good) < gate.LOOKS[0] else 100.0

    found, _ = _decide(Slow(_wobbling(0.475)), budget_s=60)
    assert found.overall is Judgement.INCONCLUSIVE
    assert found.ended_by is Ending.BUDGET
    assert found.notes == (
        "the budget of 1 min ended after 5 good trials; 4 more were needed to confirm what looks "
        "regressed, which take about 6 min 40 s",
    )
    assert "did not confirm" not in found.findings[0].reason
    assert "give it a larger --budget" in str(advice(found))


def test_after_the_last_look_no_longer_budget_is_recommended() -> None:
    drawn = random.Random(0)
    noisy = [0.5 * (1 + drawn.gauss(0, 0.05)) for _ in range(70)]
    found, _ = _decide(MadeUp(noisy.__getitem__))
    assert found.overall is Judgement.INCONCLUSIVE
    assert found.ended_by is Ending.TRIALS
    assert found.notes == (
        "25 good trials were judged, and no more are measured, however long the budget",
    )
    assert "--budget" not in str(advice(found))


def test_failed_trials_are_repeated_and_told() -> None:
    candidate = MadeUp(lambda number: None if number == 2 else _wobbling(0.5)(number))
    found, _ = _decide(candidate)
    assert found.overall is Judgement.UNCHANGED
    assert [one.repetition for one in found.disturbances] == [2]
    assert len(candidate.good) == gate.LOOKS[0]


def test_a_candidate_whose_every_trial_fails_is_an_error() -> None:
    with pytest.raises(BaselineError, match=r"not one of 60 trials could be used.*killed"):
        _decide(MadeUp(lambda _number: None))


# On real containers


def half() -> Experiment:
    """Return a sweep of one value below a CPU: a busy neighbour takes nothing from it."""
    sweep = short_sweep()
    return sweep.model_copy(
        update={
            "steps": tuple(one.model_copy(update={"set": {"cpu-quota": 50_000}})
                           for one in sweep.steps),
        }
    )  # fmt: skip


def _kept(session: Session, trials: int = 6) -> Baseline:
    """Measure a baseline; trials that are disturbed are measured again, as the gate does it."""
    quiet = Noise(repetition=0, steal_cpus=0, other_cpus=0)
    # Only what a quota gives: neighbours of a test may stall a worker at any time.
    measured = open_candidate(half(), ["cpus_used"], quiet, session, "run")
    while len(measured.good) < trials:
        assert not measured.exhausted, measured.disturbances
        measured.measure()
    return measured.side()


@dataclasses.dataclass(frozen=True)
class Gated:
    """One gate with the quota of its baseline, and one with less."""

    results: Path
    same: Comparison
    less: Comparison
    told: list[str]


def gated(folder: Path) -> Gated:
    tag, told = image.tag(workload.directory()), list[str]()
    engine, stingy = Engine(), Stingy()
    try:
        session = Session(engine, tag, folder, 1, told.append)
        terms = gate.Terms(_kept(session), looks=(5, 8), budget_s=90)
        same = gate.gate(half(), terms, session)
        less = gate.gate(half(), terms, dataclasses.replace(session, engine=stingy))
    finally:
        engine.close()
        stingy.close()
    return Gated(folder, same, less, told)


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_real_trials_pass_as_themselves_and_fail_with_less_quota(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def claim(found: Gated) -> None:
        (one,), (other,) = found.same.findings, found.less.findings
        assert one.judgement is Judgement.UNCHANGED, (one, found.told)
        assert other.judgement is Judgement.REGRESSED, (other, found.told)
        assert other.change_pct == pytest.approx(-5, abs=1)

    holds(
        claim,
        lambda: gated(tmp_path_factory.mktemp("gate")),
        lambda found: any_disturbed(found.results),
        patience_s=300,
    )


@pytest.mark.docker
def test_another_schedule_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    tag, engine = image.tag(workload.directory()), Engine()
    try:
        kept = side({"cpus_used": around(0.5)})
        found = gate.gate(short_sweep(), gate.Terms(kept), Session(engine, tag, tmp_path, 1))
    finally:
        engine.close()
    assert found.overall is Judgement.INCOMPARABLE
    assert "schedule" in [one.key for one in found.differences]
    assert not list(tmp_path.glob("*/*/samples/*"))
