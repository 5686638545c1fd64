"""A comparison that was left open says why it ended, and what was lacking."""

from __future__ import annotations

import pytest

from cgbench.commands import lack
from cgbench.commands.lack import Lack
from cgbench.records.comparison import Ending, Judgement
from tests.made import sides


def test_what_is_decided_says_nothing_of_it() -> None:
    found = sides.mixed()
    decided = found.model_copy(update={"findings": tuple(
        one.model_copy(update={"judgement": Judgement.UNCHANGED}) for one in found.findings
    )})  # fmt: skip
    assert lack.told(decided, Lack(3, "for the next look"), "5 pairs", 9, 1, exhausted=False) is (
        decided
    )


@pytest.mark.parametrize(
    ("lacks", "exhausted", "each_s", "ending", "words"),
    [
        (Lack(3, "for the next look"), False, 2, Ending.BUDGET,
         "the budget of 9 s ended after 5 pairs; 3 more were needed for the next look, "
         "which take about 6 s"),
        (Lack(3, "for the next look"), False, 0, Ending.BUDGET,
         "the budget of 9 s ended after 5 pairs; 3 more were needed for the next look"),
        (Lack(3, "for the next look"), True, 2, Ending.TRIALS,
         "5 pairs were judged, and no more are measured, however long the budget"),
        (Lack(), False, 2, Ending.TRIALS,
         "5 pairs were judged, and no more are measured, however long the budget"),
    ],
)  # fmt: skip
def test_what_is_open_says_what_ended_it(
    lacks: Lack, *, exhausted: bool, each_s: float, ending: Ending, words: str
) -> None:
    found = lack.told(sides.mixed(), lacks, "5 pairs", 9, each_s, exhausted=exhausted)
    assert found.ended_by is ending
    assert found.notes[-1] == words
