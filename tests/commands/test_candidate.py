"""A candidate that grows: which of its trials count."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

import pytest

from cgbench.commands import candidate
from cgbench.commands.candidate import Candidate
from cgbench.commands.session import Session
from cgbench.engine.engine import Engine
from cgbench.records.baseline import Noise
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from tests.made import records
from tests.made.plain_sides import around, side

BEFORE = side({"cpus_used": around(0.5)})


def test_the_calmest_a_host_must_be_is_the_baselines_worst() -> None:
    noisy = BEFORE.model_copy(
        update={
            "noise": (
                Noise(repetition=1, steal_cpus=0.01, other_cpus=0.2),
                Noise(repetition=2, steal_cpus=0.03, other_cpus=0.1),
            )
        }
    )
    assert candidate.calmness(noisy) == Noise(repetition=0, steal_cpus=0.03, other_cpus=0.2)


def test_one_bad_trial_of_a_baseline_excuses_nothing() -> None:
    """Met by a new user: one trial beside 1.09 CPUs of other load hid every later disturbance."""
    noise = tuple(
        Noise(repetition=at, steal_cpus=0.0, other_cpus=1.09 if at == 3 else 0.02)
        for at in range(1, 11)
    )
    before = BEFORE.model_copy(update={"noise": noise})
    assert candidate.calmness(before) == Noise(repetition=0, steal_cpus=0.0, other_cpus=0.02)


class Sheet:
    """The part of a run directory that a candidate needs beside its trials."""

    def __init__(self) -> None:
        self.record = records.run(trials_planned=60, status="running")

    def run(self) -> RunRecord:
        return self.record

    def write_run(self, record: RunRecord) -> None:
        self.record = record


def made_up(monkeypatch: pytest.MonkeyPatch, noisy: set[int]) -> Candidate:
    """Return a candidate whose trials measure nothing, and are disturbed where they are `noisy`."""
    session = Session(cast(Engine, None), "image", Path(), 0)
    calm = Noise(repetition=0, steal_cpus=0, other_cpus=0)
    one = Candidate(cast(RunDirectory, Sheet()), session, ("cpus_used",), calm)
    monkeypatch.setattr("cgbench.measuring.run.execute", lambda *_: None)
    monkeypatch.setattr(
        Candidate, "_doubt", lambda self: "a hog ran" if self.repetition in noisy else None
    )
    return one


def test_a_disturbance_is_the_hosts_state_for_as_long_as_it_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Met by a new user: three trials of 8 s at first were kept, and the later ones were quiet."""
    one = made_up(monkeypatch, {1, 2, 3, 4})
    for _ in range(4):
        one.measure()
    seen = [one.persistent]
    assert one.good == [1, 2, 3, 4]
    one.measure()
    seen.append(one.persistent)
    assert one.good == [5]
    assert seen == [True, False]
    assert [(each.repetition, each.kept) for each in one.disturbances] == [
        (1, False), (2, False), (3, False), (4, False),
    ]  # fmt: skip


def test_a_run_says_how_it_ended_and_of_how_many_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Met by a new user: an error in the command line left `died 0/60` in the list."""
    one = made_up(monkeypatch, set())
    with contextlib.suppress(ZeroDivisionError), candidate.ended(one):
        raise ZeroDivisionError
    record = one.directory.run()
    assert (record.status, record.trials_planned) == ("interrupted", 0)
    with candidate.ended(one):
        one.measure()
    assert one.directory.run().status == "finished"


def test_what_is_not_known_of_a_baseline_does_not_make_the_host_any_noisier() -> None:
    unknown = Noise(repetition=1, steal_cpus=0.01, other_cpus=None)
    before = BEFORE.model_copy(update={"noise": (unknown,)})
    assert candidate.calmness(before) == Noise(repetition=0, steal_cpus=0.01, other_cpus=0.0)


def test_a_trial_of_which_the_noise_is_not_known_is_never_taken_for_a_quiet_one() -> None:
    assert candidate._beyond([0.1, 0.3], 0.2) == pytest.approx(0.1)
    assert candidate._beyond([0.1, None], 0.2) is None
    assert candidate._beyond([], 0.2) is None
    assert candidate._beyond([None], float("inf")) == -float("inf"), "whoever does not ask"
