"""Which row is wrong by a limit that stays though Docker says that it lifted it."""

from __future__ import annotations

import pytest

from cgbench.judging import lifted
from cgbench.records.idle_findings import Lifting
from cgbench.records.truth import Row
from cgbench.records.verdict import Outcome
from tests.made import truth_tables

STAYS = truth_tables.lifting("memory-swap", lifted=False)
GONE = truth_tables.lifting("memory-swap", lifted=True)


def judged(outcome: Outcome, *liftings: Lifting) -> Row:
    verdict = truth_tables.verdict("memory-swap", outcome)
    return lifted.by_liftings(Row(verdict=verdict, liftings=liftings))


@pytest.mark.parametrize(
    "outcome", [Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.INCONCLUSIVE]
)
def test_an_option_whose_limit_stays_is_wrong_and_fails(outcome: Outcome) -> None:
    one = judged(outcome, GONE, STAYS).verdict
    assert one.verdict is Outcome.WRONG
    assert one.fails
    assert one.reason.startswith(
        "asked by --memory-swap -1 to lift --memory 64m --memory-swap 384m, Docker answered ok and "
        "declares MemorySwap -1, and memory.memsw.limit_in_bytes holds 402653184; of the values "
        "themselves: because of"
    )
    assert one.advice


def test_it_is_counted_in_how_many_cases_it_stays() -> None:
    assert "(and so in 2 other cases)" in judged(Outcome.EFFECTIVE, *[STAYS] * 3).verdict.reason


def test_a_warning_is_quoted() -> None:
    warned = STAYS.model_copy(update={"outcome": "warned", "message": "beware"})
    reason = judged(Outcome.EFFECTIVE, warned).verdict.reason
    assert "Docker answered with the warning 'beware' and declares" in reason


@pytest.mark.parametrize(
    "harmless",
    [
        GONE,
        GONE.model_copy(update={"right": False}),
        STAYS.model_copy(update={"outcome": "rejected"}),
        STAYS.model_copy(update={"lifted": None, "right": None}),
    ],
)
def test_what_was_lifted_or_refused_or_never_in_force_decides_nothing(harmless: Lifting) -> None:
    row = judged(Outcome.EFFECTIVE, harmless)
    assert row.verdict == truth_tables.verdict("memory-swap", Outcome.EFFECTIVE)


def test_what_was_not_in_force_before_keeps_its_own_reason() -> None:
    assert judged(Outcome.IGNORED, STAYS).verdict.verdict is Outcome.IGNORED
