"""A departure is put into real rows, and the smallest one that is found is known."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from random import Random

from cgbench.judging.run import Run
from cgbench.records.verdict import Outcome
from tests.bench import power
from tests.bench.power import PARTS, Part
from tests.made import drawn_runs

QUOTA = next(part for part in PARTS if part.name == "quota at 50 %")


@functools.cache
def honest_run() -> Run:
    """Return a drawn run of a quota of 50 % with nothing wrong in it."""
    for seed in range(10_000):
        one = drawn_runs.drawn(Random(seed))
        held = one.option == "cpu-quota" and not one.departs and "taken=0.0" in one.done[-1]
        if held and one.done[0].startswith("50000:"):
            return one.run
    raise AssertionError("no such run was drawn")


def test_a_run_is_judged_as_it_was_measured_unless_it_is_moved() -> None:
    run = honest_run()
    assert power.said(QUOTA, run) is Outcome.EFFECTIVE
    assert power.said(QUOTA, run, -8) is Outcome.IMPRECISE
    assert power.said(QUOTA, run, +30) is Outcome.WRONG
    assert power.said(QUOTA, run) is Outcome.EFFECTIVE


def test_the_smallest_departure_found_is_as_wide_as_the_band() -> None:
    # 2 %, and a tick of 4 ms for each of two workers in less than 2 s, around a value in it.
    few = replace(QUOTA, size=lambda _run: replace(power.PERCENT, most=24))
    for direction in QUOTA.directions:
        assert 2 < power.smallest(few, [honest_run()], direction) < 4.5


def test_a_departure_that_is_never_found_is_infinite() -> None:
    nothing: Part = replace(QUOTA, size=lambda _run: replace(power.PERCENT, most=2))
    assert power.smallest(nothing, [honest_run()], -1) == math.inf
    figure, *_ = power.figures(nothing, [honest_run()])
    assert figure.met is False


def test_what_is_left_open_is_decided_by_the_runs_after_it_as_verify_does() -> None:
    held, open_, wrong = Outcome.EFFECTIVE, Outcome.INCONCLUSIVE, Outcome.WRONG
    assert power.decided([held, open_, wrong]) == [held, wrong, wrong]
    assert power.decided([open_, held]) == [held, held]
    assert power.decided([open_, open_, open_, wrong]) == [open_, wrong, wrong, wrong]
    assert power.decided([open_]) == [open_]


def test_every_part_has_steps_in_what_verify_runs() -> None:
    by_option = power.experiments()
    for part in PARTS:
        values = {
            str(value)
            for step in by_option[part.option].steps
            for one in step.unrolled()
            for name, value in one.items()
            if name == part.option
        }
        assert part.requested in values
