"""What a workload comes up to follows from its limits and from what it wants."""

from __future__ import annotations

import pytest

from cgbench.spec.option import Value
from cgbench.spec.reach import REACHED, Reach

MIB = 2**20


@pytest.mark.parametrize(
    ("metric", "settings", "comes_to"),
    [
        ("restarts", {"restart": "on-failure:2"}, 2),
        ("restarts", {"restart": "no"}, 0),
        ("restarts", {}, 0),
        ("restarts", {"restart": "always"}, None),
        ("tasks_max", {"pids-limit": 24}, 24),
        ("tasks_max", {"pids-limit": 61}, None),
        ("tasks_max", {"pids-limit": -1}, None),
        ("memory_max_bytes", {"memory": "32m"}, 32 * MIB),
        ("memory_max_bytes", {"memory": 65 * MIB}, None),
        ("memory_swap_max_bytes", {"memory-swap": "-1"}, None),
        ("cpus_used", {"cpus": "0.5"}, None),
    ],
)
def test_a_workload_comes_up_to_its_limit_if_it_wants_as_much(
    metric: str, settings: dict[str, Value], comes_to: float | None
) -> None:
    assert Reach(settings, size=64 * MIB, tasks=60, exit_status=3).of(metric) == comes_to


def test_a_policy_for_failures_restarts_nothing_that_ends_with_0() -> None:
    assert Reach({"restart": "on-failure:2"}, exit_status=0).of("restarts") == 0


def test_tasks_that_a_higher_limit_let_in_stay() -> None:
    assert Reach({"pids-limit": 16}, tasks=60, tasks_let_in=40).of("tasks_max") == 40


def test_only_metrics_that_grow_are_reached() -> None:
    assert "cpus_used" not in REACHED
