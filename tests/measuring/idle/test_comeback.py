"""What is said of a container that was killed: it came back, was let be, or nobody knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.engine.facts import State
from cgbench.measuring import own_process
from cgbench.measuring.idle import comeback
from cgbench.measuring.idle.comeback import Return, judged
from cgbench.measuring.idle.containers import Idle, Supply
from cgbench.records.idle_findings import Felt
from cgbench.spec.options import option
from cgbench.units import NS_PER_MS
from tests.made.processes import ALIVE, MadeUpEngine, ended

CAME = Return(230_000_000, exited=False)


@pytest.mark.parametrize(
    ("seen", "felt", "after"),
    [
        (CAME, Felt.KEPT, 1.0),
        (Return(None, exited=True), Felt.DISTURBED, 0.0),
        (Return(None, exited=False), Felt.INCONCLUSIVE, None),
        (None, Felt.INCONCLUSIVE, None),
    ],
)
def test_only_a_container_that_docker_lets_be_was_disturbed(
    seen: Return | None, felt: Felt, after: float | None
) -> None:
    found = judged(seen, option("pids-limit"), CAME)
    assert (found.felt, found.after) == (felt, after)
    assert "after --pids-limit 128" in found.reason


@pytest.mark.parametrize("control", [None, Return(None, exited=True), Return(None, exited=False)])
def test_where_none_comes_back_with_no_other_update_none_was_disturbed_by_one(
    control: Return | None,
) -> None:
    found = judged(Return(None, exited=True), option("pids-limit"), control)
    assert (found.felt, found.after) == (Felt.INCONCLUSIVE, None)
    assert "with no other update" in found.reason
    assert judged(CAME, option("pids-limit"), control).felt is Felt.KEPT


@pytest.mark.parametrize(("control_ms", "felt"), [(1, Felt.DISTURBED), (400, Felt.KEPT)])
def test_one_that_is_said_to_have_ended_is_waited_for_by_what_a_return_takes_here(
    monkeypatch: pytest.MonkeyPatch, control_ms: int, felt: Felt
) -> None:
    monkeypatch.setattr(comeback, "_GIVEN_UP_S", 0.05)
    monkeypatch.setattr(own_process, "kill", lambda *_: True)
    # Some 0.4 s pass until it is said to run again, as another process.
    again = State(running=True, pid=2, exit_code=0, oom_killed=False, error="")
    engine = MadeUpEngine([ALIVE, ALIVE, *[ended(137)] * 20, again])
    site = SimpleNamespace(engine=engine, proc=None)
    supply = cast(Supply, SimpleNamespace(site=site, progress=lambda _: None))
    idle = cast(Idle, SimpleNamespace(container_id="id"))
    control = Return(control_ms * NS_PER_MS, exited=False)
    assert comeback.after(option("pids-limit"), idle, supply, control).felt is felt
