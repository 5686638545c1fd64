"""How other tools tell a slowdown, written anew from what they document, for the same trials.

- pyperf 2.10.0 (`compare_to`; `is_significant` in `_utils.py`): Student's two-sample, two-tailed
  t-test with pooled variance at 95 %, of equally many values. No smallest effect by default.
- asv 0.6.6 (`compare`, `continuous`; `is_different` in `_stats.py`, `_is_result_better` in
  `commands/compare.py`): the median is worse by more than the factor, 1.1 by default, and a
  two-sided Mann-Whitney test has p < 0.002, exact up to 20 samples a side, else by the normal
  approximation.
- a bare t-test: Welch, two-sided, p < 0.05.

All take times: more is worse. Each returns whether the candidates of each row are called slower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Slower = npt.NDArray[np.bool_]
Rule = Callable[[Floats, Floats], Slower]

_ASV_FACTOR, _ASV_P = 1.1, 0.002


def pyperf(before: Floats, after: Floats) -> Slower:
    return _t_test(before, after, equal_var=True)


def bare_t_test(before: Floats, after: Floats) -> Slower:
    return _t_test(before, after, equal_var=False)


def asv(before: Floats, after: Floats) -> Slower:
    most = max(before.shape[1], after.shape[1])
    p = stats.mannwhitneyu(
        before, after, axis=1, method="exact" if most <= 20 else "asymptotic"
    ).pvalue
    worse = np.median(before, axis=1) < np.median(after, axis=1) / _ASV_FACTOR
    slower: Slower = worse & (p < _ASV_P)
    return slower


def _t_test(before: Floats, after: Floats, *, equal_var: bool) -> Slower:
    found = stats.ttest_ind(after, before, axis=1, equal_var=equal_var)
    slower: Slower = (found.pvalue <= 0.05) & (found.statistic > 0)
    return slower


RULES: Mapping[str, Rule] = {"pyperf": pyperf, "asv": asv, "t-test at 5 %": bare_t_test}
