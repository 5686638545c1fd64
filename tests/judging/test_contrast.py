"""Ratios, intervals and evidence of two sides, against SciPy, known answers and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import scipy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgbench.judging import contrast
from cgbench.judging.contrast import Contrast, Family, Floats, contrasts
from cgbench.judging.drift import p_drift
from cgbench.spec.metric import Worse

relaxed = settings(deadline=None, max_examples=40)
positive = st.floats(1e-3, 1e6)


def family(
    before: Floats | Sequence[Sequence[float]],
    after: Floats | Sequence[Sequence[float]],
    worse: Worse = "higher",
    paired: bool = False,
) -> Family:
    left, right = np.array(before, dtype=float), np.array(after, dtype=float)
    count = left.shape[1]
    return Family(left, right, [worse] * count, [0.02] * count, [0.0] * count, paired)


def column(
    before: Sequence[float] | Floats,
    after: Sequence[float] | Floats,
    worse: Worse = "higher",
    paired: bool = False,
) -> Contrast:
    left, right = (np.array(one, dtype=float)[:, None] for one in (before, after))
    return contrasts(family(left, right, worse, paired))[0]


def evidence(many: Family) -> Floats:
    """Return p_worse of every column as `contrasts` does, without all else that it computes."""
    columns = range(many.baseline.shape[1])
    scaled = [
        contrast._scaled(many.baseline[:, j], many.candidate[:, j], many.resolution[j])
        for j in columns
    ]
    left, right = (np.column_stack([one[side] for one in scaled if one]) for side in (0, 1))
    floor = np.array([0.01 * math.log1p(effect) for effect in many.effect])
    return contrast._evidence(left, right, floor, many, seed=0)[0]


def drift(before: Floats, after: Floats) -> float:
    """Return p_drift of one column as `contrasts` does, without all else that it computes."""
    scaled = contrast._scaled(before, after, 0.0)
    assert scaled is not None
    return p_drift(scaled[:2], seed=0)


def noisy(count: int, columns: int = 1, seed: int = 0, share: float = 0.03) -> Floats:
    rng = np.random.default_rng(seed)
    drawn: Floats = 100 * np.exp(share * rng.standard_normal((count, columns)))
    return drawn


# What is no change


# Of the 10,000 assignments drawn of these, 4,992 are as high as the one measured: three standard
# errors below the share of all.
UNLUCKY = [109.0, 2.0, 1.0, 0.125, 3.0, 9.0, 1.0, 4.0]


@pytest.mark.parametrize("paired", [False, True])
@given(values=st.lists(positive, min_size=3, max_size=8))
@example(values=UNLUCKY)
@relaxed
def test_a_side_equals_itself(paired: bool, values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # All ways to assign 16 trials are counted: of a random lot, fewer than half may be as high.
        patch.setattr(contrast, "PERMUTATIONS", math.comb(16, 8))
        found = column(values, values, paired=paired)
    assert found.ratio == pytest.approx(1)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1 + 1e-9
    assert found.high >= 1 - 1e-9
    assert found.p_worse is not None
    assert found.p_worse >= 0.5


@given(before=st.lists(positive, min_size=8, max_size=8), shift=st.sampled_from([0.0, 1.0, 3.0]))
@example(before=UNLUCKY, shift=0.0)
@relaxed
def test_evidence_that_is_drawn_strays_from_that_of_all_ways_as_far_as_chance_does(
    before: list[float], shift: float
) -> None:
    after = np.array(before) * np.linspace(1, 1 + shift, 8)
    drawn = column(before, after).p_worse
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrast, "PERMUTATIONS", math.comb(16, 8))
        exact = column(before, after).p_worse
    assert drawn is not None
    assert exact is not None
    # The one that was measured counts among the drawn ones.
    as_high = scipy.stats.binom(contrast.PERMUTATIONS - 1, exact)
    count = round(drawn * contrast.PERMUTATIONS) - 1
    assert min(as_high.cdf(count), as_high.sf(count - 1)) > 1e-9


@pytest.mark.parametrize("paired", [False, True])
def test_constants_alike_are_certainly_unchanged(paired: bool) -> None:
    found = column([5, 5, 5, 5], [5, 5, 5, 5], paired=paired)
    assert (found.ratio, found.low, found.high, found.p_worse) == (1, 1, 1, 1)


def test_constants_apart_differ_by_just_their_ratio() -> None:
    found = column([5] * 6, [6] * 6)
    assert [found.ratio, found.low, found.high] == pytest.approx([1.2, 1.2, 1.2])
    assert found.p_worse == pytest.approx(1 / math.comb(12, 6))


def test_zeros_alike_are_certainly_unchanged() -> None:
    found = column([0, 0, 0], [0, 0, 0])
    assert (found.ratio, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize("before", [[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [-1.0, 1.0, 2.0]])
def test_no_ratio_is_told_of_values_about_zero(before: list[float]) -> None:
    assert column(before, [1, 2, 3]) == Contrast(None, None, None, None, None, None)


# Evidence


def scipys_p(before: Floats, after: Floats) -> float:
    def welch(left: Floats, right: Floats, axis: int = -1) -> Floats:
        error = np.var(left, axis=axis, ddof=1) / left.shape[axis]
        error = error + np.var(right, axis=axis, ddof=1) / right.shape[axis]
        floor = 0.01 * math.log1p(0.02)
        t: Floats = (np.mean(right, axis) - np.mean(left, axis)) / np.sqrt(error + floor**2)
        return t

    found = scipy.stats.permutation_test(
        (np.log(before), np.log(after)), welch, alternative="greater", n_resamples=np.inf
    )
    return float(found.pvalue)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 3), (4, 5), (5, 5), (6, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_evidence_of_few_trials_is_scipys_exact_permutation_test(
    sizes: tuple[int, int], seed: int
) -> None:
    # Uniform: no value strays so far that it would be pulled in.
    rng = np.random.default_rng(seed)
    before, after = rng.uniform(95, 105, sizes[0]), rng.uniform(95, 105, sizes[1])
    assert column(before, after).p_worse == pytest.approx(scipys_p(before, after))


def test_evidence_of_few_pairs_counts_every_way_to_turn_them() -> None:
    # All five differences point one way: of 32 ways only the measured one does so as well.
    found = column([100, 102, 98, 101, 99], [110, 113, 108, 112, 108], paired=True)
    assert found.p_worse == pytest.approx(1 / 32)
    assert found.p_better == pytest.approx(1)


def test_what_is_lower_is_worse_only_where_lower_is_feared() -> None:
    before, after = noisy(8)[:, 0], 0.8 * noisy(8, seed=1)[:, 0]
    feared, liked = column(before, after, "lower"), column(before, after, "higher")
    assert feared.p_worse == liked.p_better
    assert feared.p_worse is not None
    assert feared.p_worse < 0.001
    both = column(before, after, "either")
    assert both.p_worse is not None
    assert feared.p_worse <= both.p_worse < 0.002
    assert both.p_better is None


@given(
    rows=arrays.arrays(float, (10, 3), elements=st.floats(50, 150)), paired=st.booleans()
)  # fmt: skip
@relaxed
def test_a_family_never_makes_the_evidence_of_one_metric_stronger(
    rows: Floats, paired: bool
) -> None:
    together = contrasts(family(rows[:5], rows[5:], paired=paired))
    for number, found in enumerate(together):
        alone = column(rows[:5, number], rows[5:, number], paired=paired)
        assert found.p_worse is not None
        assert alone.p_worse is not None
        assert found.p_worse >= alone.p_worse - 1e-12
        assert found.ratio == alone.ratio
        assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_copies_of_a_metric_cost_no_evidence() -> None:
    before, after = noisy(6), 1.05 * noisy(6, seed=1)
    many = contrasts(family(np.repeat(before, 20, axis=1), np.repeat(after, 20, axis=1)))
    assert many[7].p_worse == column(before[:, 0], after[:, 0]).p_worse


def test_pure_noise_of_many_metrics_alarms_no_oftener_than_promised() -> None:
    rounds, alpha = 400, 0.05
    alarms = 0
    for number in range(rounds):
        sides = noisy(10, columns=8, seed=1000 + number)
        many = family(sides[:5], sides[5:])
        found = evidence(many)
        if number == 0:
            assert found.tolist() == [one.p_worse for one in contrasts(many)]
        alarms += bool((found <= alpha).any())
    assert alarms <= scipy.stats.binom.ppf(0.999, rounds, alpha)
    assert alarms >= scipy.stats.binom.ppf(0.001, rounds, alpha / 2)


def test_one_broken_trial_does_not_decide() -> None:
    before, after = noisy(10)[:, 0], noisy(10, seed=1)[:, 0]
    sound = column(before, after)
    after[3] *= 100
    broken = column(before, after)
    assert broken.p_worse is not None
    assert broken.p_worse > 0.01
    assert broken.ratio is not None
    assert sound.ratio is not None
    assert abs(broken.ratio / sound.ratio - 1) < 0.05


@pytest.mark.parametrize(("trials", "slow"), [(5, 2), (8, 3), (30, 4)])
def test_a_side_with_two_levels_is_not_taken_for_one_with_broken_trials(
    trials: int, slow: int
) -> None:
    """It was said to be unchanged, by an interval of 1 % about its better level."""
    before, after = noisy(trials)[:, 0], noisy(trials, seed=1)[:, 0]
    after[:slow] *= 1.5
    found = column(before, after)
    level = float(np.exp(np.mean(np.log(after)) - np.mean(np.log(before))))
    assert found.ratio == pytest.approx(level)
    assert found.high is not None
    assert found.high > level


def test_a_tenth_of_many_trials_may_be_broken() -> None:
    before, after = noisy(30)[:, 0], noisy(30, seed=1)[:, 0]
    sound = column(before, after)
    after[:3] *= 100
    broken = column(before, after)
    assert broken.ratio is not None
    assert sound.ratio is not None
    assert abs(broken.ratio / sound.ratio - 1) < 0.05


def test_pairs_see_through_a_drift_that_hides_the_change_from_sides() -> None:
    drift = np.linspace(1, 2, 10)
    before = noisy(10, share=0.005)[:, 0] * drift
    after = 1.05 * noisy(10, share=0.005, seed=1)[:, 0] * drift
    together, apart = column(before, after, paired=True), column(before, after)
    assert together.p_worse is not None
    assert apart.p_worse is not None
    assert together.p_worse < 0.002
    assert apart.p_worse > 0.1
    assert together.ratio == pytest.approx(apart.ratio)


# Trials that lack a value


def test_a_missing_value_leaves_the_rest_of_its_trial_in() -> None:
    before, after = noisy(6, 2), noisy(7, 2, seed=1)
    after[2, 0] = math.nan
    found = contrasts(family(before, after))
    alone = column(before[:, 0], np.delete(after[:, 0], 2))
    assert found[0].ratio == pytest.approx(alone.ratio)
    assert (found[0].low, found[0].high) == pytest.approx((alone.low, alone.high))
    assert found[1].ratio == column(before[:, 1], after[:, 1]).ratio


@pytest.mark.parametrize("paired", [False, True])
def test_a_metric_never_measured_has_no_numbers_and_spoils_no_other(paired: bool) -> None:
    before, after = noisy(6, 2), 1.2 * noisy(6, 2, seed=1)
    after[:, 0] = math.nan
    found = contrasts(family(before, after, paired=paired))
    assert found[0] == Contrast(None, None, None, None, None, None)
    assert found[1].p_worse == column(before[:, 1], after[:, 1], paired=paired).p_worse


def test_pairs_without_a_common_trial_have_no_numbers() -> None:
    nan = math.nan
    found = column([1, 2, 3, nan, nan, nan], [nan, nan, nan, 1, 2, 3], paired=True)
    assert (found.ratio, found.low, found.p_worse, found.spread) == (None, None, None, None)


@pytest.mark.parametrize("paired", [False, True])
def test_two_trials_have_a_ratio_but_no_interval(paired: bool) -> None:
    found = column([100, 101], [110, 111], paired=paired)
    assert found.ratio == pytest.approx(1.0995, abs=0.001)
    assert (found.low, found.high) == (None, None)


def test_one_trial_has_no_evidence() -> None:
    found = column([100], [110])
    assert (found.p_worse, found.p_better, found.low) == (None, None, None)


# Malformed


def test_sides_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="same columns"):
        contrasts(family(noisy(3, 1), noisy(3, 2)))


def test_pairs_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        contrasts(family(noisy(3), noisy(4), paired=True))


# The interval


@given(rows=arrays.arrays(float, (12, 2), elements=st.floats(50, 150)), paired=st.booleans())
@relaxed
def test_the_interval_encloses_the_ratio(rows: Floats, paired: bool) -> None:
    for found in contrasts(family(rows[:6], rows[6:], paired=paired)):
        assert found.ratio is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.ratio * (1 + 1e-9)
        assert found.ratio <= found.high * (1 + 1e-9)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("count", [5, 6, 8, 10])
def test_the_interval_of_few_trials_covers_the_truth_as_often_as_it_says(
    count: int, paired: bool
) -> None:
    # Columns share resamples but no values, so they count as cases of their own.
    cases = 2000
    before, after = noisy(count, cases, seed=count), 1.1 * noisy(count, cases, seed=count + 99)
    sides = (np.log(after) - np.log(before),) if paired else (np.log(before), np.log(after))
    low, high = contrast._intervals(sides, 0.95, seed=3)
    covered = float(np.mean((low <= math.log(1.1)) & (math.log(1.1) <= high)))
    assert 0.93 <= covered <= 0.97


def test_the_same_sides_give_the_same_numbers() -> None:
    sides = family(noisy(30, 3), noisy(20, 3, seed=1))
    assert contrasts(sides) == contrasts(sides)


# Drift


def test_trials_that_follow_a_drift_are_told_from_shuffled_ones() -> None:
    drift = np.linspace(1, 1.2, 20)
    rng = np.random.default_rng(5)
    before, after = (noisy(20, seed=one, share=0.01)[:, 0] * drift for one in (0, 1))
    drifting = column(before, after).p_drift
    shuffled = column(rng.permutation(before), rng.permutation(after)).p_drift
    assert drifting is not None
    assert shuffled is not None
    assert drifting <= 0.01 < shuffled


def test_independent_trials_seem_to_drift_as_often_as_the_p_value_says() -> None:
    # Columns share shuffles but no values, so they count as rounds of their own.
    rounds, few = 400, 8
    before, after = noisy(12, rounds), noisy(8, rounds, seed=9000)
    found = [drift(before[:, j], after[:, j]) for j in range(rounds)]
    whole = contrasts(family(before[:, :few], after[:, :few]))
    assert found[:few] == [one.p_drift for one in whole]
    seeming = sum(p <= 0.05 for p in found)
    low, high = scipy.stats.binom.ppf((0.001, 0.999), rounds, 0.05)
    assert low <= seeming <= high


def test_pairs_are_not_asked_whether_they_drift() -> None:
    assert column(noisy(8)[:, 0], noisy(8, seed=1)[:, 0], paired=True).p_drift is None
