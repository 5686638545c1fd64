"""What is lacking is told with who had it, in numbers that add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging.estimates import points
from cgbench.judging.run import load
from cgbench.judging.shortfall import CGBENCH, DAEMON, LIMIT, OTHERS, STEAL, Shortfall, Taker
from cgbench.reporting.words.shortfall import sentence
from tests.made.run_builder import MadeUp, build


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder: Path = tmp_path_factory.mktemp("results")
    return next(one for one in points(load(build(folder, MadeUp()))) if one.requested == "150000")


def said(point: object, *takers: Taker, slowed: int = 0, several: bool = False) -> str:
    one = Shortfall(point.key, 1.5, 1.0, 6, takers, slowed)  # type: ignore[attr-defined]
    return sentence(one, point, several=several)  # type: ignore[arg-type]


def test_each_taker_has_its_number_and_a_process_its_name(point: object) -> None:
    """Met by a new user: "other processes used up to 0", where the hypervisor took it."""
    words = said(
        point, Taker(OTHERS, 0.38, "stress", 4711), Taker(STEAL, 0.1), Taker(CGBENCH, 0.02)
    )
    assert words == (
        "At 150 % of a CPU 0.50 of 1.5 CPUs were lacking in the mean of 6 trials: "
        "0.38 went to `stress` (process 4711), "
        "0.10 went to the hypervisor, 0.020 went to cgbench."
    )


def test_what_is_small_is_added_up(point: object) -> None:
    words = said(point, Taker(OTHERS, 0.48), Taker(CGBENCH, 0.005), Taker(DAEMON, 0.015))
    assert words.endswith("trials: 0.48 went to other processes, 0.015 went to Docker's daemons.")
    words = said(point, Taker(OTHERS, 0.482), Taker(CGBENCH, 0.009), Taker(DAEMON, 0.009))
    assert words.endswith("trials: 0.48 went to other processes, 0.018 elsewhere.")


def test_what_nobody_used_is_said_of_the_limit_and_heat_takes_no_time(point: object) -> None:
    words = said(point, Taker(LIMIT, 0.5), slowed=1, several=True)
    assert words == (
        "At 150 % of a CPU in worker 0.50 of 1.5 CPUs were lacking in the mean of 6 trials: "
        "0.50 that nobody else used: "
        "the limit itself gave less. Heat slowed a core 1 time."
    )


def test_what_other_phases_had_too_much_is_taken_off_and_blames_no_limit(point: object) -> None:
    """Met by a new user: "-0.0037 that nobody else used: the limit itself gave less"."""
    words = said(point, Taker(OTHERS, 0.52), Taker(LIMIT, -0.02))
    assert words.endswith(
        "trials: 0.52 went to other processes, 0.020 less that other phases had too much."
    )
