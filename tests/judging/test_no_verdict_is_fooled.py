"""Whatever was done to a limit, no departure is called effective, and nothing else is."""

from __future__ import annotations

import dataclasses
import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.judging import decision, enforced, evidence, value, verdict
from cgbench.judging.excuse import Excuse
from cgbench.spec.band import Tolerance
from cgbench.spec.metric import Metric
from tests.made.drawn import drawn
from tests.made.drawn_runs import Drawn


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_a_drawn_run_gets_the_verdict_of_what_was_done(seed: int) -> None:
    one = drawn(Random(seed))
    found = verdict.judge(one.run, one.option)
    assert one.mistake(found) is None, (one.done, found.reason)


known = functools.cache(lambda seed: drawn(Random(seed)))


def unseen(seed: int) -> Drawn:
    """Return a run that is drawn once, and holds nothing that a judge computed of it before."""
    one = known(seed)
    run = dataclasses.replace(one.run)
    vars(run)["every_row"] = one.run.rows
    return dataclasses.replace(one, run=run)


def blind(*_arguments: object) -> None:
    """See nothing."""


def exactly(
    _metric: Metric, value: float, expected: float, allowed: Tolerance, *, grown: bool
) -> bool:  # fmt: skip
    """Hold what is as expected, and nothing else."""
    return grown or abs(value - expected) <= allowed.below


MUTATIONS = {
    "a value that was undone and came back is held": (enforced, "_undone", lambda *_: ()),
    "any other value is nearly right": (enforced, "nearly", lambda *_: True),
    "a refused change is not looked at": (enforced, "yet_changed", blind),
    "the kernel's files are not looked at": (enforced, "departure", blind),
    "a doubt excuses all": (Excuse, "remains", lambda *_: 0.0),
    "a doubt excuses nothing": (Excuse, "explains", lambda *_: False),
    "nothing is far off": (value, "IMPRECISE_PCT", 1e9),
    "a value that was dropped now and then does not count": (decision, "_NOT_CHANGED", ()),
    "what did not come is judged all the same": (value, "_waited_in_vain", lambda *_: False),
    "what is late is wrong": (Metric, "holds", exactly),
    "it does not matter what a group above allows": (value, "_kept_below", lambda *_: False),
    "it does not matter whether a set can be used": (enforced, "_confined", blind),
    "it does not matter whether a set is used": (evidence, "judged_besides", lambda *_: ()),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_drawn_runs_find_a_judge_that_was_made_worse(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, attribute, worse = MUTATIONS[name]
    monkeypatch.setattr(place, attribute, worse)
    runs = (unseen(seed) for seed in range(500))
    assert any(one.mistake(verdict.judge(one.run, one.option)) for one in runs)
