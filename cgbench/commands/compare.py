"""Judge a candidate against a baseline, either of them a run or a kept baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cgbench.errors import BaselineError, StoreError
from cgbench.judging import comparison, sides
from cgbench.judging.run import load
from cgbench.records import baseline
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Comparison
from cgbench.records.results import find_run


def compare(
    before: str,
    after: str,
    results: Path,
    *,
    metrics: Sequence[str] = (),
    allow: Sequence[str] = (),
    effect: float = comparison.EFFECT,
) -> Comparison:
    """Compare what two names name; `effect` is the smallest share that matters.

    Raises BaselineError where both are one, StoreError on a file that is not there.
    """
    left, right = (_side(name, metrics, results) for name in (before, after))
    if before == after:
        raise BaselineError(
            f"both sides are {before}: nothing can differ",
            "Name two runs, or a baseline of another one: cgbench list.",
        )
    return comparison.compare(left, right, allow=allow, effect=effect)


def _side(name: str, metrics: Sequence[str], results: Path) -> Baseline:
    """Return a baseline by file or name, else the trials of a run."""
    if Path(name).is_file() or name in baseline.names(results):
        return sides.narrowed(baseline.find(name, results), metrics)
    if not Path(name).exists() and (name.endswith(".json") or "/" in name):
        raise StoreError(f"{name}: no such file or directory", "Name a run or a baseline.")
    return sides.of_run(load(find_run(name, results)), names=metrics)
