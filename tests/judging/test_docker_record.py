"""What inspect declares counts where the kernel holds the value, and where no kernel has a file."""

from __future__ import annotations

from typing import Any

import pytest

from cgbench.judging import enforced, value
from cgbench.judging.value import Tried
from cgbench.records.other_limits import Inspected
from cgbench.records.run import PointKey
from cgbench.records.trial import FileChange, Phase
from cgbench.records.verdict import Outcome
from tests.made import records

HELD = FileChange(file="cpu.cfs_quota_us", before="-1", after="50000", expected="50000")
DROPPED = HELD.model_copy(update={"after": "-1"})


def phase(*files: FileChange, warnings: tuple[str, ...] = (), error: str | None = None,
          option: str = "cpu-quota", asked: str = "50000", **said: Any) -> Phase:  # fmt: skip
    made = records.phase(*files)
    one = Inspected(option=option, asked=asked, **said)
    change = made.change.model_copy(
        update={"inspected": (one,), "warnings": warnings, "error": error}
    )
    return made.model_copy(update={"change": change, "option": option})


def outcome(found: Phase) -> Outcome | None:
    departed = enforced.departure(found)
    return None if departed is None else departed.outcome


def policy(**said: Any) -> Phase:
    return phase(option="restart", asked="on-failure:2", **said)


def test_another_value_in_inspect_is_wrong_though_the_kernel_holds_what_was_asked() -> None:
    departed = enforced.departure(phase(HELD, held="25000"))
    assert departed is not None
    assert departed.outcome is Outcome.WRONG
    assert departed.reason == (
        "inspect declares cpu-quota 25000 where 50000 was asked, though the kernel holds that"
    )


@pytest.mark.parametrize("held", ["50000", None])
def test_the_same_value_in_inspect_or_none_departs_from_nothing(held: str | None) -> None:
    assert outcome(phase(HELD, held=held)) is None


@pytest.mark.parametrize("held", ["50000", "25000", None])
def test_what_inspect_says_is_no_excuse_for_the_kernels_file(held: str | None) -> None:
    assert outcome(phase(DROPPED, held=held)) is Outcome.IGNORED


def test_where_this_kernel_has_no_file_inspect_proves_nothing() -> None:
    assert outcome(phase(held="25000")) is None


def test_a_policy_that_stayed_as_it_was_is_ignored_or_discarded() -> None:
    assert outcome(policy(before="no", after="no", held="no")) is Outcome.IGNORED
    warned = policy(before="no", after="no", held="no", warnings=("dropped",))
    assert outcome(warned) is Outcome.DISCARDED


def test_a_policy_that_was_undone_is_reverted() -> None:
    assert outcome(policy(before="no", after="on-failure:2", held="no")) is Outcome.REVERTED


def test_another_policy_than_was_asked_is_wrong() -> None:
    assert outcome(policy(before="no", after="always", held="always")) is Outcome.WRONG


def test_the_policy_that_was_asked_departs_from_nothing() -> None:
    assert outcome(policy(before="no", after="on-failure:2", held="on-failure:2")) is None
    # It came after the answer.
    assert outcome(policy(before="no", after="no", held="on-failure:2")) is None


def test_a_policy_that_was_there_before_shows_not_whether_updates_arrive() -> None:
    assert enforced.due(policy(before="no", held="no"))
    assert not enforced.due(policy(before="on-failure:2", held="on-failure:2"))


def test_a_refused_policy_that_is_declared_all_the_same_is_reported() -> None:
    refused = policy(before="no", held="on-failure:2", error="the daemon said no")
    key = PointKey("worker", "restart", "update", "on-failure:2")
    judged = value.judge(Tried(key, (refused,), "restarts", None, awaited=False, excuse=None))
    assert judged.outcome is Outcome.REJECTED
    assert judged.yet_changed == "by inspect restart went from no to on-failure:2 all the same"
