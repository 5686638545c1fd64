"""What of a truth table counts: all that fails, but what is accepted, or was so before."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cgbench.judging.standing import Changed, Direction, standing
from cgbench.records.known import Known
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from tests.made.truth_tables import table

TODAY = date(2026, 11, 26)
E, NEAR, P, W = Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.WRONG
OPEN = Outcome.INCONCLUSIVE


def names(of: TruthTable) -> list[str]:
    return [row.verdict.option for row in of.rows]


def accepted(option: str, verdict: Outcome, days: int = 1) -> Known:
    return Known(option=option, verdict=verdict, reason="so be it",
                 until=TODAY + timedelta(days=days))  # fmt: skip


@pytest.mark.parametrize("outcome", list(Outcome))
def test_alone_a_table_counts_what_is_not_in_force_and_what_is_undecided(outcome: Outcome) -> None:
    one = table(outcome)
    found = standing(one)
    assert found.failing == (tuple(names(one)) if outcome in NOT_IN_FORCE else ())
    assert found.undecided == (tuple(names(one)) if outcome is OPEN else ())
    assert (found.changed, found.as_before) == ((), ())


def test_an_accepted_verdict_does_not_count_to_its_day() -> None:
    one = table(W, E)
    option = names(one)[0]
    assert standing(one, [accepted(option, W, 0)], TODAY).failing == ()
    late = standing(one, [accepted(option, W, -1)], TODAY)
    assert late.failing == (option,)
    assert [each.option for each in late.expired] == [option]


def test_another_verdict_than_the_accepted_one_counts() -> None:
    """One false pass costs more than a line to edit."""
    one = table(W)
    option = names(one)[0]
    found = standing(one, [accepted(option, Outcome.IGNORED)], TODAY)
    assert found.failing == (option,)
    assert [each.option for each in found.unneeded] == [option]


def test_what_holds_by_now_needs_no_acceptance() -> None:
    one = table(E)
    found = standing(one, [accepted(names(one)[0], W)], TODAY)
    assert (found.failing, found.accepted) == ((), ())
    assert len(found.unneeded) == 1


def test_an_option_that_was_not_measured_is_passed_over() -> None:
    found = standing(table(E), [accepted("restart", W)], TODAY)
    assert [*found.accepted, *found.unneeded, *found.expired] == []


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (E, W, "worse"), (E, NEAR, "worse"), (NEAR, P, "worse"), (P, W, "worse"),
        (W, E, "better"), (P, NEAR, "better"), (NEAR, E, "better"),
        (W, Outcome.IGNORED, "worse"), (Outcome.IGNORED, W, "better"),
        (Outcome.IGNORED, Outcome.REVERTED, "other"), (E, OPEN, "other"), (OPEN, E, "other"),
        (E, Outcome.UNSUPPORTED, "other"), (W, OPEN, "other"),
        # It was not known, and nobody accepted it.
        (OPEN, W, "worse"), (Outcome.UNSUPPORTED, W, "worse"),
    ],
)  # fmt: skip
def test_a_verdict_goes_to_worse_or_better_where_both_can_be_ranked(
    before: Outcome, after: Outcome, direction: Direction
) -> None:
    was, now = table(before), table(after)
    found = standing(now, before=was)
    assert found.changed == (Changed(names(now)[0], before, after, direction),)
    assert found.failing == (tuple(names(now)) if direction == "worse" else ())


@pytest.mark.parametrize("outcome", [*NOT_IN_FORCE, OPEN])
def test_what_was_so_before_is_named_and_does_not_count(outcome: Outcome) -> None:
    one = table(outcome)
    found = standing(one, before=one)
    assert (found.failing, found.undecided, found.changed) == ((), (), ())
    assert found.as_before == tuple(names(one))


def test_one_value_more_that_fails_is_worse_though_the_verdict_is_the_same() -> None:
    was = table(W)
    row = was.rows[0]
    (value,) = row.verdict.values
    held = value.model_copy(update={"verdict": E})
    earlier = row.model_copy(update={"verdict": row.verdict.model_copy(update={"values": (held,)})})
    before = was.model_copy(update={"rows": (earlier,)})
    assert standing(was, before=before).failing == tuple(names(was))
    assert standing(before, before=was).failing == ()


def test_a_limit_that_fails_is_worse_than_one_that_failed_only_in_another_state() -> None:
    """`cgbench verify` ends with 1 for both, so that equal statuses are not equal hosts."""
    now, was = table(W), table(E)
    row = was.rows[0]
    refused = row.verdict.model_copy(update={"refused_yet_changed": True})
    belied = was.model_copy(update={"rows": (row.model_copy(update={"verdict": refused}),)})
    assert standing(belied, before=was).failing == tuple(names(was))
    assert standing(now, before=belied).failing == tuple(names(now))
    assert standing(belied, before=belied).failing == ()


def test_what_has_become_undecided_counts_as_such() -> None:
    now = table(OPEN)
    assert standing(now, before=table(E)).undecided == tuple(names(now))
    assert standing(now, before=table(W)).undecided == tuple(names(now))


def test_an_option_that_the_earlier_table_lacks_counts_where_it_fails() -> None:
    now = table(E, W)
    was = now.model_copy(update={"rows": now.rows[:1]})
    found = standing(now, before=was)
    assert found.failing == (names(now)[1],)
    assert found.changed == (Changed(names(now)[1], None, W, "worse"),)


def test_what_is_accepted_may_also_get_worse() -> None:
    now = table(W)
    found = standing(now, [accepted(names(now)[0], W)], TODAY, table(E))
    assert found.failing == ()
    assert [one.direction for one in found.changed] == ["worse"]
