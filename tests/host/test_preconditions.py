"""What this host must offer is looked at, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.errors import PreconditionError
from cgbench.host import preconditions
from cgbench.spec.precondition import Precondition


def test_a_user_without_rights_is_told_to_use_sudo() -> None:
    with pytest.raises(PreconditionError, match="root") as caught:
        preconditions.require_measurable(effective_user=1000)
    assert caught.value.exit_code == 4
    assert "sudo" in str(caught.value.advice)


def test_a_missing_scratch_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="nowhere"):
        preconditions.require_measurable(effective_user=0, scratch=tmp_path / "nowhere")


def test_every_precondition_can_be_looked_at_and_explained() -> None:
    found = preconditions.preconditions(Precondition)
    assert set(found) == {str(name) for name in Precondition}
    assert all(preconditions.reason(name) for name in Precondition)


@pytest.mark.parametrize(("nodes", "met"), [((0,), False), ((0, 2), False), ((0, 1, 2), True)])
def test_two_nodes_are_the_two_that_experiments_name(
    nodes: tuple[int, ...], met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preconditions, "memory_nodes", lambda: nodes)
    found = preconditions.preconditions([Precondition.TWO_NODES])
    assert found == {"two-nodes": met}


def test_an_unmet_precondition_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "cpus", lambda: 1)
    with pytest.raises(PreconditionError, match="fewer than 2 CPUs") as caught:
        preconditions.require([Precondition.TWO_CPUS])
    assert "two-cpus" in str(caught.value.advice)
