"""A claim is made again only where the product says that the host was disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench.host import description
from cgbench.host.cpu_time import CpuState, CpuTimes
from cgbench.judging.run import Run, load
from tests.made import run_builder
from tests.made.quiet import TRIES, disturbed, holds, taken
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
    holds(rejected, lambda: next(found), disturbed, rest=lambda: None, patience_s=0)


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


def test_it_is_measured_again_for_as_long_as_there_is_patience(calm: Run, noisy: Run) -> None:
    found = iter([*[noisy] * (2 * TRIES), calm])
    with pytest.raises(AssertionError, match="no such seed"):
        holds(rejected, lambda: next(found), disturbed, rest=lambda: None, patience_s=60)


def test_what_holds_needs_no_rest(noisy: Run) -> None:
    holds(lambda run: None, lambda: noisy, disturbed, rest=lambda: pytest.fail("no rest"))


def reading(second: float, busy_s: float, steal_s: float = 0) -> CpuTimes:
    return CpuTimes(
        int(second * 1e9), busy_s, steal_s, cgbench_s=0.1 * second, daemon_s=0.2 * second,
        state=CpuState(None, None, None),
    )  # fmt: skip


def test_between_two_readings_it_is_others_that_disturb_and_not_what_is_measured() -> None:
    begin = reading(0, 0)
    # Ten seconds: 1 by the test, 2 by the daemon, 5 by what is measured.
    assert taken(begin, reading(10, 8.9), 5) is None
    assert taken(begin, reading(10, 9.1), 5) == "others used 0.11 CPUs"
    cpus = description.cpus()
    assert taken(begin, reading(10, 8, steal_s=0.09 * cpus), 5) is None
    assert "took 1.1 %" in (taken(begin, reading(10, 8, steal_s=0.11 * cpus), 5) or "")
