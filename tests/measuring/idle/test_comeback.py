"""What is said of a container that was killed: it came back, was let be, or nobody knows."""

from __future__ import annotations

import pytest

from cgbench.measuring.idle.comeback import Return, judged
from cgbench.records.idle_findings import Felt
from cgbench.spec.options import option


@pytest.mark.parametrize(
    ("seen", "felt", "after"),
    [
        (Return(230_000_000, exited=False), Felt.KEPT, 1.0),
        (Return(None, exited=True), Felt.DISTURBED, 0.0),
        (Return(None, exited=False), Felt.INCONCLUSIVE, None),
        (None, Felt.INCONCLUSIVE, None),
    ],
)
def test_only_a_container_that_docker_lets_be_was_disturbed(
    seen: Return | None, felt: Felt, after: float | None
) -> None:
    found = judged(seen, option("pids-limit"))
    assert (found.felt, found.after) == (felt, after)
    assert "after --pids-limit 128" in found.reason
