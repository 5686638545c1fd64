"""What nothing came of is told as what was done: asked of Docker, warned of, or written past it."""

from __future__ import annotations

import pytest

from cgbench.judging.departure import Departure, stayed, worst
from cgbench.records.trial import Change
from cgbench.records.verdict import Outcome
from cgbench.spec.fields import Via


def change(via: Via, *warnings: str) -> Change:
    return Change(
        requested="9", settings={"cpu-burst": 9}, via=via, t_request_ns=1, t_answer_ns=2,
        warnings=warnings,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "outcome", "reason"),
    [
        (change("update"), Outcome.IGNORED, "Docker answered ok, and it stayed 0"),
        (change("run"), Outcome.IGNORED, "Docker answered ok, and it stayed 0"),
        (change("cgroupfs"), Outcome.IGNORED, "the kernel refused no write, and it stayed 0"),
        (change("run", "no"), Outcome.DISCARDED, "accepted with the warning 'no'; it stayed 0"),
    ],
)
def test_who_accepted_what_stayed_is_named(made: Change, outcome: Outcome, reason: str) -> None:
    assert stayed("it stayed 0", made) == Departure(outcome, reason)


def test_a_wrong_value_is_worse_than_one_that_was_ignored() -> None:
    ignored, wrong = Departure(Outcome.IGNORED, "a"), Departure(Outcome.WRONG, "b")
    assert worst([ignored, wrong]) is wrong
