"""A claim is made again only where the product says that the host was disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench.judging.run import Run, load
from tests.made import run_builder
from tests.made.quiet import TRIES, disturbed, holds
from tests.made.run_builder import MadeUp


@pytest.fixture
def noisy(tmp_path: Path) -> Run:
    return load(run_builder.build(tmp_path / "noisy", MadeUp(trials=1, other_cpu_s=20.0)))


@pytest.fixture
def calm(tmp_path: Path) -> Run:
    return load(run_builder.build(tmp_path / "calm", MadeUp(trials=1)))


def rejected(run: Run) -> None:
    assert run.record.seed == 0, "no such seed"


def measured(found: Iterator[Run]) -> None:
    holds(rejected, lambda: next(found), disturbed, rest=lambda: None)


def test_what_fails_on_a_quiet_host_fails_at_once(calm: Run, noisy: Run) -> None:
    found = iter([calm, noisy])
    with pytest.raises(AssertionError, match="no such seed"):
        measured(found)
    assert next(found) is noisy


def test_what_fails_on_a_disturbed_host_is_measured_again(calm: Run, noisy: Run) -> None:
    found = iter([noisy, noisy, calm])
    with pytest.raises(AssertionError, match="no such seed"):
        measured(found)


def test_a_host_that_never_comes_to_rest_is_named(noisy: Run) -> None:
    found = iter([noisy] * (TRIES + 1))
    with pytest.raises(AssertionError, match=r"in each of 3 measurements other processes"):
        measured(found)
    assert next(found) is noisy


def test_what_holds_needs_no_rest(noisy: Run) -> None:
    holds(lambda run: None, lambda: noisy, disturbed, rest=lambda: pytest.fail("no rest"))
