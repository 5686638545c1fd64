"""Judge a candidate against a baseline, either of them a run or a kept baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    """Compare what two names name; `effect` is the smallest share that matters."""
    left, right = (_side(name, metrics, results) for name in (before, after))
    return comparison.compare(left, right, allow=allow, effect=effect)


def _side(name: str, metrics: Sequence[str], results: Path) -> Baseline:
    """Return a baseline by file or name, else the trials of a run."""
    if Path(name).is_file() or name in baseline.names(results):
        return sides.narrowed(baseline.find(name, results), metrics)
    return sides.of_run(load(find_run(name, results)), names=metrics)
