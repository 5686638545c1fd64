"""The options that commands share: their defaults are those of the modules that use them."""

from __future__ import annotations

import pytest

from cgbench.cli import options
from cgbench.commands import gate
from cgbench.judging import comparison


def test_the_defaults_are_those_of_gate_and_comparison() -> None:
    assert options.share(options.EFFECT_PCT) == pytest.approx(comparison.EFFECT)
    assert options.seconds(options.BUDGET) == gate.BUDGET_S
