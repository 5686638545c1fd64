"""A baseline in words: what it is of, and what each of its series holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from cgbench.judging.intervals import relative_spread_pct
from cgbench.records.baseline import Baseline
from cgbench.reporting.words.comparison import where
from cgbench.wording import count

NO_VERDICT = "measured for the first time: there is nothing to compare with yet"


@dataclass(frozen=True)
class Level:
    """One series: its median, None where no trial has a value, and the spread of its trials."""

    where: str
    unit: str
    median: float | None
    spread_pct: float | None


def title(kept: Baseline) -> str:
    """Return what a baseline is of, in one line."""
    trials = count(len(kept.repetitions), "trial")
    return f"{kept.name}: {kept.experiment}, run {kept.run}, {trials}"


def levels(kept: Baseline) -> Iterator[Level]:
    """Yield what each series holds."""
    for one in kept.series:
        known = [value for value in one.values if value is not None]
        yield Level(
            where(one), one.unit, median(known) if known else None, relative_spread_pct(known)
        )
