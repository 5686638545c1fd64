"""What the page of a search for the smallest sufficient limit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cgbench.records.tune import Tuned
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.plots.tune_curve import tune_curves
from cgbench.reporting.words import tune as words


@dataclass(frozen=True)
class Row:
    """One phase of the search, as the table shows it."""

    limit: str
    value: str
    word: str
    tone: str
    reason: str
    metrics: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class TunePage:
    """The page."""

    found: Tuned

    source = "the phases of a search"

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return f"Smallest {self.found.limit} for {self.found.program} · cgbench"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"a search for {self.found.program}"

    @property
    def headline(self) -> str:
        """What the search came to."""
        return words.headline(self.found)

    @property
    def knee(self) -> str | None:
        """Where the knee lies."""
        return words.knee(self.found)

    @property
    def shortage(self) -> str | None:
        """What happens below a limit of memory that suffices."""
        return words.shortage(self.found)

    @property
    def flags(self) -> str | None:
        """The suggested limit as typed."""
        return words.flags(self.found)

    @property
    def heads(self) -> tuple[str, ...]:
        """The metrics that the table shows, beside the target's."""
        return words.columns(self.found)

    @cached_property
    def rows(self) -> list[Row]:
        """Every phase, by its limit."""
        return [
            Row(
                limit=words.in_words(self.found, one.limit),
                value="" if one.value is None else f"{one.value:.4g}",
                word=words.WORDS[one.met],
                tone=words.TONES[one.met],
                reason=one.reason or "",
                metrics=tuple(words.shown(one, name) for name in self.heads),
                source=f"{one.run}, phase {one.phase}",
            )
            for one in sorted(self.found.observations, key=lambda one: one.limit)
        ]

    def plots(self) -> dict[str, Plot]:
        """Return the curves of the search."""
        return tune_curves(self.found)

    def documents(self) -> Mapping[str, object]:
        """Return nothing: the search's document lies beside the page."""
        return {}
