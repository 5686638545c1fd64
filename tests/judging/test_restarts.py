"""Restarts are counted by Docker's events, and those of a former policy not against a new one."""

from __future__ import annotations

import pytest

from cgbench.judging.rows import _restarts
from cgbench.records.trial import Event, Phase, TrialRecord
from cgbench.units import NS_PER_S
from tests.made import records

REQUEST, END = 100, 200


def happened(*events: tuple[int, str]) -> TrialRecord:
    """Return a trial in which a container began or ended, each given in seconds."""
    return records.trial().model_copy(update={"events": tuple(
        Event(role="worker", t_ns=seconds * NS_PER_S, action=action, exit_code=None)
        for seconds, action in events
    )})  # fmt: skip


def phase(policy: str) -> Phase:
    (one,) = records.trial().phases
    change = one.change.model_copy(update={"t_request_ns": REQUEST * NS_PER_S})
    return one.model_copy(
        update={"change": change, "settings": {"restart": policy}, "t_end_ns": END * NS_PER_S}
    )


def restarts(policy: str, *events: tuple[int, str]) -> float | None:
    return _restarts(phase(policy), happened(*events), "worker").get("restarts")


def test_each_start_after_an_end_is_a_restart() -> None:
    events = ((10, "start"), (110, "die"), (111, "start"), (120, "die"), (122, "start"))
    assert restarts("always", *events) == 2
    found = _restarts(phase("always"), happened(*events), "worker")
    assert found["backoff_ms"] == pytest.approx(1500)


def test_a_restart_that_was_due_before_the_policy_became_no_is_not_the_new_ones() -> None:
    """Met in the lab: the daemon waited three seconds already, and started it once more."""
    events = ((10, "start"), (99, "die"), (103, "start"), (110, "die"))
    assert restarts("no", *events) == 0
    assert restarts("always", *events) == 1


def test_a_restart_after_the_policy_became_no_counts() -> None:
    assert restarts("no", (10, "start"), (110, "die"), (111, "start")) == 1


def test_nothing_is_known_of_a_container_that_never_ended() -> None:
    assert restarts("no", (10, "start")) is None
