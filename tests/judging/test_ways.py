"""Two ways of setting the same value are compared within one run, with intervals."""

from __future__ import annotations

import pytest

from cgbench.judging.comparison import compare
from cgbench.judging.run import Run, load
from cgbench.judging.ways import Ways, ways
from cgbench.records.comparison import Judgement
from cgbench.reporting.words.ways import sentence, sentences
from tests.made.plain_sides import around, side
from tests.made.run_builder import MadeUp, build


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(build(tmp_path_factory.mktemp("results"), MadeUp(trials=6)))


def in_two_ways(run: Run, factor: float) -> Run:
    """Return a run whose values were also set by `docker run`, and then came to so much."""
    made = Run(run.directory, run.record, run.trials)
    born = [row._replace(via="run", value=row.value / factor) for row in run.rows]
    vars(made)["every_row"] = (*born, *run.rows)
    return made


def test_one_way_has_nothing_to_be_compared_with(run: Run) -> None:
    assert list(ways(run)) == []


def test_two_ways_that_come_to_the_same_are_said_to(run: Run) -> None:
    (found,) = ways(in_two_ways(run, 1.0))
    assert (found.first, found.other) == ("run", "update")
    assert {one.judgement for one in found.comparison.findings} == {Judgement.UNCHANGED}
    said = sentence(found)
    assert said.startswith("Set by `update` instead of `run`: ")
    assert said.endswith(" figures the same within what matters.")


def test_what_differs_between_two_ways_has_its_interval(run: Run) -> None:
    """Met by a new user: no line compared `run` with `update` in one file."""
    (said,) = sentences(in_two_ways(run, 0.9))
    assert "cpus_used of worker at 50000 0.555 → 0.500 CPUs, -10.0 % (-10." in said


def test_values_of_one_way_alone_are_left_out(run: Run) -> None:
    made = in_two_ways(run, 1.0)
    vars(made)["every_row"] = tuple(
        row for row in made.every_row if row.via == "update" or row.requested == "50000"
    )
    (found,) = ways(made)
    assert {one.requested for one in found.comparison.findings} == {"50000"}


def test_what_few_trials_leave_open_is_counted() -> None:
    some = side({"cpus_used": around(0.5, 30.0, 6)})
    said = sentence(Ways("run", "update", compare(some, some, paired=False)))
    assert said == "Set by `update` instead of `run`: 1 left open by so few trials."
