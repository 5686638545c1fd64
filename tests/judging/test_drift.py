"""Drift: trials whose order matters are distinguished from independent ones."""

from __future__ import annotations

import numpy as np

from cgbench.judging.drift import Floats, p_drift


def _noise(trials: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, trials)


def _drifting(trials: int, seed: int) -> Floats:
    climb: Floats = np.linspace(0, 10, trials) + _noise(trials, seed)
    return climb


def test_a_drift_has_a_small_p_and_the_same_values_shuffled_have_not() -> None:
    sides = _drifting(20, 1), _drifting(20, 2)
    shuffled = [np.random.default_rng(3).permutation(side) for side in sides]
    assert p_drift(sides, seed=0) <= 0.01 < p_drift(shuffled, seed=0)


def test_one_broken_trial_does_not_hide_a_drift() -> None:
    before, after = _drifting(20, 1), _drifting(20, 2)
    before[7] = 1e6
    assert p_drift((before, after), seed=0) <= 0.01


def test_equal_trials_do_not_drift() -> None:
    assert p_drift((np.ones(6), np.ones(6)), seed=0) == 1


def test_the_seed_decides_the_shuffles() -> None:
    sides = _noise(12, 1), _noise(12, 2)
    assert p_drift(sides, seed=4) == p_drift(sides, seed=4)
