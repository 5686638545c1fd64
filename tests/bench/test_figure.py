"""A figure beyond its bar is missed, whatever kind of number it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.figure import at_least, at_most, no_less


@pytest.mark.parametrize("number", [float, np.float64])
def test_a_bar_is_met_missed_or_only_shown(number: type[float]) -> None:
    assert at_most("x", 5, number(5)).met is True
    assert at_most("x", 5, number(5.01)).met is False
    assert no_less("x", 5, number(5)).met is True
    assert no_less("x", 5, number(4.99)).met is False
    assert at_least("x", 5, number(1)).met is None


def test_what_could_not_be_computed_is_missed() -> None:
    assert at_most("x", 5, float("nan")).met is False
    assert no_less("x", 5, float("nan")).met is False
