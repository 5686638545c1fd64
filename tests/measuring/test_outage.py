"""A daemon that restarts costs one trial and not the run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import EngineError, NoAnswer, TrialError
from cgbench.measuring import outage
from cgbench.measuring.site import Site

GONE = NoAnswer("Docker does not answer: connection refused")
REFUSED = EngineError("cannot start container x: no such runtime")


class Away:
    """A daemon that answers after so many questions, with a container left from before."""

    def __init__(self, questions: int) -> None:
        self._left = questions
        self.removed: list[str] = []

    def describe(self) -> dict[str, str]:
        self._left -= 1
        if self._left >= 0:
            raise GONE
        return {}

    def leftovers(self, run: str) -> list[str]:
        return [f"of {run}"]

    def remove(self, container_id: str) -> None:
        self.removed.append(container_id)


def _site(daemon: Away) -> Site:
    return Site(cast(Engine, daemon), "image", "r", Path("/nowhere"))


@pytest.mark.parametrize("begun", [True, False])
def test_a_daemon_that_comes_back_costs_the_trial_only(begun: bool) -> None:
    daemon = Away(2)
    outage.wait_out(_site(daemon), GONE, begun=begun)
    assert daemon.removed == ["of r"], "what could not be removed while it was away"


def test_a_daemon_that_stays_away_ends_the_run_with_the_reason_and_the_next_move() -> None:
    with pytest.raises(EngineError, match=r"connection refused; the daemon did not come back") as e:
        outage.wait_out(_site(Away(99)), GONE, begun=True, patience_s=0.1)
    assert "--resume" in str(e.value)


def test_what_a_daemon_refuses_before_anything_ran_it_would_refuse_again() -> None:
    with pytest.raises(EngineError) as caught:
        outage.wait_out(_site(Away(0)), REFUSED, begun=False)
    assert caught.value is REFUSED
    outage.wait_out(_site(Away(0)), REFUSED, begun=True)
    outage.wait_out(_site(Away(1)), REFUSED, begun=False)


def test_the_first_reason_counts_not_what_failed_on_the_way_out() -> None:
    def fail() -> None:
        try:
            raise TrialError("OOM-killed")
        finally:
            raise EngineError("cannot remove it")

    with pytest.raises(EngineError) as caught:
        fail()
    assert outage.first_reason(caught.value) == "OOM-killed"
