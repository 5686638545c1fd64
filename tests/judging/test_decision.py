"""The verdict on an option from what became of its values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cgbench.judging.decision import decide
from cgbench.judging.summary import Estimate
from cgbench.judging.value import Judged, Tried
from cgbench.records.run import PointKey
from cgbench.records.verdict import Outcome
from cgbench.spec.band import Tolerance
from tests.made import records


def one(outcome: Outcome, became: str, *, value: float = 1.0, asked: float = 1.0,
        **changes: Any) -> Judged:  # fmt: skip
    """Return a value of which something became; it was measured unless it says otherwise."""
    key = PointKey("worker", "cpu-quota", "update", f"{asked:g}")
    error = 100 * (value / asked - 1)
    felt = Estimate(
        "CPUs", asked, value, None, None, None, 1, error, Tolerance(0.02, 0.02), within=not error
    )
    phases = () if became == "never measured" else (records.phase(),)
    tried = Tried(key, phases, "cpus_used", felt, awaited=False, excuse=None)
    return Judged(tried, outcome, became, f"why {became}", **changes)


HELD = one(Outcome.EFFECTIVE, "held", shown=True)
UNSEEN = one(Outcome.EFFECTIVE, "not judged by a workload")
REFUSED = one(Outcome.REJECTED, "refused")
WRONG = one(Outcome.WRONG, "wrong", departed=True)
IGNORED = one(Outcome.IGNORED, "ignored", departed=True)
DISCARDED = one(Outcome.DISCARDED, "discarded", departed=True)
REVERTED = one(Outcome.REVERTED, "reverted", departed=True)
IMPRECISE = one(Outcome.IMPRECISE, "imprecise", shown=True)
DISTURBED = one(Outcome.INCONCLUSIVE, "disturbed", shown=True)
MISSING = one(Outcome.INCONCLUSIVE, "never measured")
NOT_DUE = one(Outcome.EFFECTIVE, "held", shown=True, due=False)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ((HELD, HELD), Outcome.EFFECTIVE),
        ((HELD, UNSEEN), Outcome.EFFECTIVE),
        ((HELD, IMPRECISE), Outcome.IMPRECISE),
        ((HELD, REFUSED, IMPRECISE), Outcome.PARTIAL),
        ((REFUSED, REFUSED), Outcome.REJECTED),
        ((HELD, DISTURBED, REFUSED), Outcome.INCONCLUSIVE),
        ((HELD, MISSING), Outcome.INCONCLUSIVE),
        ((REFUSED, MISSING), Outcome.INCONCLUSIVE),
        ((MISSING,), Outcome.INCONCLUSIVE),
        ((UNSEEN, UNSEEN), Outcome.INCONCLUSIVE),
        ((UNSEEN, REFUSED), Outcome.INCONCLUSIVE),
        ((HELD, WRONG, DISTURBED), Outcome.WRONG),
        ((HELD, REVERTED, DISTURBED), Outcome.REVERTED),
        ((WRONG, REVERTED), Outcome.WRONG),
        # What the file held already does not show whether updates arrive.
        ((IGNORED, IGNORED, NOT_DUE), Outcome.IGNORED),
        ((IGNORED, DISCARDED), Outcome.DISCARDED),
        ((IGNORED, DISTURBED), Outcome.IGNORED),
        ((IGNORED, HELD), Outcome.WRONG),
        ((IGNORED, REFUSED), Outcome.IGNORED),
        # Undone at once: one of them was seen before that.
        ((IGNORED, REVERTED), Outcome.REVERTED),
        ((IGNORED, REVERTED, HELD), Outcome.WRONG),
        ((), Outcome.INCONCLUSIVE),
    ],
)
def test_the_worst_decides_and_some_together_are_something_else(
    values: tuple[Judged, ...], outcome: Outcome
) -> None:
    assert decide(values, ())[0] is outcome


def test_the_reason_says_of_how_many_values_the_verdict_speaks() -> None:
    _, reason = decide((HELD, REFUSED, REFUSED), ())
    assert reason == "of 3 values 1 held, 2 were refused: why refused"
    _, reason = decide((HELD, DISTURBED, MISSING), ())
    assert reason.startswith("of 3 values 1 held, 1 was disturbed, 1 was never measured: ")
    _, reason = decide((HELD, REFUSED), (), births=True)
    assert reason.startswith("of 2 updated values 1 held, 1 was refused: ")
    _, reason = decide((REFUSED,), (), births=True)
    assert reason.startswith("1 of 1 updated values was refused: ")


def test_a_workload_that_heeds_nothing_is_deaf_and_not_merely_wrong() -> None:
    deaf = [
        one(Outcome.WRONG, "wrong", asked=asked, value=0.4, shown=True) for asked in (0.1, 0.8)
    ]  # fmt: skip
    outcome, reason = decide(deaf, ())
    assert outcome is Outcome.INEFFECTIVE
    assert "cpus_used stayed between 0.400 CPUs and 0.400 CPUs" in reason
    halved = [
        one(Outcome.WRONG, "wrong", asked=asked, value=asked / 2, shown=True)
        for asked in (0.1, 0.8)
    ]
    assert decide(halved, ())[0] is Outcome.WRONG


def test_what_moves_above_a_floor_by_chance_does_not_follow_it() -> None:
    """Seen beside a busy CPU: readers of a page cache gain and lose a fifth of it by themselves."""
    values = [one(Outcome.EFFECTIVE, "held", asked=16, value=24, shown=True),
              one(Outcome.WRONG, "wrong", asked=104, value=50, shown=True)]  # fmt: skip
    kept = [replace(each, tried=replace(each.tried, metric="memory_kept_bytes"))
            for each in values]  # fmt: skip
    assert decide(kept, ())[0] is Outcome.INEFFECTIVE
    assert decide(values, ())[0] is Outcome.WRONG
    follows = one(Outcome.WRONG, "wrong", asked=104, value=70, shown=True)
    followed = replace(follows, tried=replace(follows.tried, metric="memory_kept_bytes"))
    assert decide([kept[0], followed], ())[0] is Outcome.WRONG


def test_what_never_comes_near_a_floor_does_not_follow_it_however_it_moves() -> None:
    """Seen with two floors that lie close together: 20.8 MiB of 80, and 34.8 MiB of 100."""
    moved = [
        one(Outcome.WRONG, "wrong", asked=asked, value=value, shown=True)
        for asked, value in ((80, 20.8), (100, 34.8))
    ]
    kept = [replace(each, tried=replace(each.tried, metric="memory_kept_bytes"))
            for each in moved]  # fmt: skip
    assert decide(kept, ())[0] is Outcome.INEFFECTIVE
    assert decide(moved, ())[0] is Outcome.WRONG
    assert decide([kept[0], REFUSED], ())[0] is Outcome.WRONG, "one value shows no response"


def test_where_nothing_can_be_shown_an_unmet_precondition_is_named() -> None:
    outcome, reason = decide((UNSEEN,), ("two-nodes",))
    assert outcome is Outcome.UNSUPPORTED
    assert "two-nodes" in reason


def test_a_disturbed_value_does_not_make_a_workload_deaf() -> None:
    values = [one(Outcome.WRONG, "wrong", value=0.34, asked=0.3, shown=True),
              one(Outcome.EFFECTIVE, "held", value=0.38, asked=0.38, shown=True),
              one(Outcome.INCONCLUSIVE, "disturbed", value=0.4, asked=0.6, shown=True)]  # fmt: skip
    assert decide(values, ())[0] is Outcome.WRONG


def test_what_keeps_a_deaf_workload_low_is_named() -> None:
    values = [one(Outcome.WRONG, "wrong", value=0.2, asked=asked, shown=True)
              for asked in (0.4, 0.8)]  # fmt: skip
    below = [replace(each, tried=replace(each.tried, above="cpu.max of /docker is 20000"))
             for each in values]  # fmt: skip
    outcome, reason = decide(below, ())
    assert outcome is Outcome.INEFFECTIVE
    assert reason.endswith("between 0.200 CPUs and 0.200 CPUs: cpu.max of /docker is 20000")


def test_figures_of_several_metrics_do_not_show_that_a_workload_is_deaf() -> None:
    wrong = one(Outcome.WRONG, "wrong", value=1.0, asked=8.0, shown=True)
    other = replace(HELD, tried=replace(HELD.tried, metric="off_mask_cpu_ms"))
    assert decide([wrong, other], ())[0] is Outcome.WRONG


def test_what_a_disturbed_host_leaves_open_has_arrived_where_the_file_holds_it() -> None:
    tried = replace(DISTURBED.tried, phases=(records.phase(records.quota_file("50000")),))
    arrived = replace(DISTURBED, tried=tried)
    assert decide((arrived, IGNORED), ())[0] is Outcome.WRONG
    assert decide((arrived, DISCARDED), ())[0] is Outcome.WRONG
    # Where nothing was there to be seen, nothing is known of it.
    assert decide((DISTURBED, IGNORED), ())[0] is Outcome.IGNORED
    assert decide((replace(arrived, due=False), IGNORED), ())[0] is Outcome.IGNORED
