"""What the page of a metric's history says: what changed, when, and every series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgbench.judging.trend import History, Trend
from cgbench.reporting.plots import history as history_plot
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words.history import (
    Change,
    change_words,
    doubts,
    headline,
    level,
    parted,
    rules,
    title,
)
from cgbench.wording import amount, count


@dataclass(frozen=True)
class Line:
    """One series: its row of the table and its plot."""

    anchor: str
    container: str
    value: str
    number: int
    doubtful: int
    first: str
    last: str
    too_short: bool
    changes: tuple[Change, ...]
    plot: Plot


@dataclass(frozen=True)
class Group:
    """The series of one experiment on one host; those that changed stand first."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class HistoryPage:
    """The page; `rules` says what counts as a change point."""

    history: History
    metric: str
    unit_words: str
    headline: str
    span: str
    rules: str
    groups: tuple[Group, ...]
    left_out: tuple[str, ...]
    doubts: tuple[str, ...]

    source = "runs"

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return f"History of {self.metric} · cgbench"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"a history of {len(self.history.trends)} series"

    def documents(self) -> Mapping[str, object]:
        """Return the history as plain data."""
        return {"history": self.history.to_json()}

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {
            f"{line.anchor}-{line.plot.name}": line.plot
            for group in self.groups
            for line in group.lines
        }


def history_page(history: History) -> HistoryPage:
    """Gather the page's contents."""
    starts = [entry.started for trend in history.trends for entry in trend.entries]
    runs = {entry.run for trend in history.trends for entry in trend.entries}
    return HistoryPage(
        history=history,
        metric=history.metric,
        unit_words="" if history.unit == "bytes" else f", {history.unit}",
        headline=headline(history),
        span=f"{count(len(runs), 'run')} from {min(starts):%Y-%m-%d} to {max(starts):%Y-%m-%d}, "
        f"{len(history.trends)} series",
        rules=rules(),
        groups=tuple(
            _group(trends, f"series-{number}") for number, trends in enumerate(parted(history), 1)
        ),
        left_out=tuple(f"{one.run}: {one.reason}" for one in history.left_out),
        doubts=tuple(doubts(history)),
    )


def _group(trends: Sequence[Trend], name: str) -> Group:
    lines = [_line(trend, f"{name}-{number}") for number, trend in enumerate(trends, 1)]
    return Group(title(trends[0]), tuple(sorted(lines, key=lambda line: not line.changes)))


def _line(trend: Trend, anchor: str) -> Line:
    first, last = trend.entries[0], trend.entries[-1]
    return Line(
        anchor=anchor,
        container=trend.key.container,
        value=trend.key.value,
        number=len(trend.entries),
        doubtful=sum(one.doubt is not None for one in trend.entries),
        first=level(first, amount(first.value, trend.unit, 3)),
        last=level(last, amount(last.value, trend.unit, 3)),
        too_short=trend.too_short,
        changes=tuple(change_words(trend, change) for change in trend.changes),
        plot=history_plot.trend(trend, "trend"),
    )
