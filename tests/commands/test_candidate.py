"""A candidate that grows: which of its trials count."""

from __future__ import annotations

import pytest

from cgbench.commands import candidate
from cgbench.records.baseline import Noise
from tests.made.plain_sides import around, side

BEFORE = side({"cpus_used": around(0.5)})


def test_the_calmest_a_host_must_be_is_the_baselines_worst() -> None:
    noisy = BEFORE.model_copy(
        update={
            "noise": (
                Noise(repetition=1, steal_cpus=0.01, other_cpus=0.2),
                Noise(repetition=2, steal_cpus=0.03, other_cpus=0.1),
            )
        }
    )
    assert candidate.calmness(noisy) == Noise(repetition=0, steal_cpus=0.03, other_cpus=0.2)


def test_what_is_not_known_of_a_baseline_does_not_make_the_host_any_noisier() -> None:
    unknown = Noise(repetition=1, steal_cpus=0.01, other_cpus=None)
    before = BEFORE.model_copy(update={"noise": (unknown,)})
    assert candidate.calmness(before) == Noise(repetition=0, steal_cpus=0.01, other_cpus=0.0)


def test_a_trial_of_which_the_noise_is_not_known_is_never_taken_for_a_quiet_one() -> None:
    assert candidate._beyond([0.1, 0.3], 0.2) == pytest.approx(0.1)
    assert candidate._beyond([0.1, None], 0.2) is None
    assert candidate._beyond([], 0.2) is None
    assert candidate._beyond([None], float("inf")) == -float("inf"), "whoever does not ask"
