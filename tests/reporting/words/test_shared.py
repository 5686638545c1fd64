"""Of files that containers share it is said how much of them a guest can have been charged for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging.run import Run
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting.words import shared
from cgbench.spec import experiment_file
from tests.made import records

MIB = 2**20


def run(*held: tuple[str, int]) -> Run:
    """Return a run in which containers held so much at most."""
    experiment = experiment_file.load("shared-memory")
    made = Run(RunDirectory(Path("in-memory", records.RUN)), records.run(experiment=experiment), ())
    vars(made)["every_row"] = tuple(
        Row(
            experiment="shared-memory", trial=1, phase=1, role=role, option="memory",
            via="update", requested="16m", note=None, effective=None, metric="memory_max_bytes",
            unit="bytes", expected=None, value=float(value), error_pct=None, n_samples=9,
        )
        for role, value in held
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (5, "held at most 5 MiB: no more of them can be charged to it."),
        (30, "held at most 30 MiB, so they may be charged to it as well."),
    ],
)
def test_the_highest_reading_bounds_what_a_guest_is_charged_for(held: int, words: str) -> None:
    (said,) = shared.sentences(run(("maker", 29 * MIB), ("guest", MIB), ("guest", held * MIB)))
    assert said == f"guest went through 24 MiB of files that maker made, and {words}"


def test_nothing_is_said_without_a_reading_of_the_guest() -> None:
    assert list(shared.sentences(run(("maker", 29 * MIB)))) == []
