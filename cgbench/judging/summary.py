"""A run's rows across its trials; the home of pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cgbench.judging.intervals import error_pct, median_interval
from cgbench.records.run import PHASE_COLUMNS
from cgbench.records.run_directory import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

from cgbench.judging.rows import rows


def summary(directory: RunDirectory) -> list[dict[str, Any]]:
    """Return one object per role, option, via, requested value and metric, across trials.

    A trial counts once: the median of its phases with that value. `ci_level` is the probability
    with which the interval covers the median.
    """
    # Here and not above: whoever measures needs rows, and is spared half a second and 60 MiB.
    import pandas as pd

    table = pd.DataFrame(rows(directory), columns=list(PHASE_COLUMNS))
    if table.empty:
        return []
    keys = ["role", "option", "via", "requested", "metric"]
    return [
        _summarised(dict(zip(keys, key, strict=True)), group)
        for key, group in table.groupby(keys, sort=False)
    ]


def _summarised(key: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    per_trial = group.groupby("trial")["value"].median()
    interval = median_interval(list(per_trial))
    expected = _only(group["expected"])
    return key | {
        "unit": group["unit"].iloc[0],
        "enforced": _only(group["effective"]),
        "expected": expected,
        "median": interval.median,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_level": interval.level,
        "n_trials": len(per_trial),
        "error_pct": None if expected is None else error_pct(interval.median, expected),
    }


def _only(values: Iterable[Any]) -> Any:
    """Return the value that all share, None if none does or it is absent."""
    distinct = {None if _absent(value) else value for value in values}
    return distinct.pop() if len(distinct) == 1 else None


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
