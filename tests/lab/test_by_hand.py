"""A verdict beside what a shell read: which of the two may stand together."""

from __future__ import annotations

import pytest

from cgbench.records.verdict import Outcome
from cgbench.spec.options import OPTIONS
from tests.lab.by_hand import TRIES, Reading

SET = Reading(0, "id", "max 100000", "50000 100000")
KEPT = Reading(0, "id", "max 100000", "max 100000")
REFUSED = Reading(1, "Error", "max 100000", "max 100000")
ABSENT = Reading(0, "id", None, None)
SHOULD = ["50000 100000"]


@pytest.mark.parametrize(
    ("verdict", "reading", "agrees"),
    [
        (Outcome.EFFECTIVE, SET, True),
        (Outcome.EFFECTIVE, KEPT, False),
        (Outcome.WRONG, SET, True),
        (Outcome.IGNORED, KEPT, True),
        (Outcome.IGNORED, SET, False),
        (Outcome.DISCARDED, REFUSED, False),
        (Outcome.REJECTED, REFUSED, True),
        (Outcome.REJECTED, SET, False),
        (Outcome.UNSUPPORTED, ABSENT, True),
        (Outcome.UNSUPPORTED, KEPT, False),
        (Outcome.INCONCLUSIVE, SET, False),
    ],
)
def test_a_verdict_agrees_with_what_was_read_or_the_reading_is_told(
    verdict: Outcome, reading: Reading, agrees: bool
) -> None:
    said = reading.disagreement(verdict, SHOULD)
    assert (said is None) == agrees
    assert said is None or said.startswith(f"{verdict.value}, and by hand ")


def test_at_least_three_options_of_each_row_are_tried() -> None:
    assert len(TRIES) >= 3
    assert set(TRIES) <= set(OPTIONS)
