"""A few injections of `make faults`: the fault is named, the run goes on, and nothing is left."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.bench.fault_list import FAULTS
from tests.bench.faults import strike

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("name", ["full-results", "paused-container"])
def test_a_fault_is_named_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    (fault,) = (one for one in FAULTS if one.name == name)
    assert strike(fault, tmp_path, random.Random(11), trials=2).bad == ()
