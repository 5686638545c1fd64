"""What the page of a metric's history says: what changed, when, and every series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench import history_plot
from cgbench.change_points import FEWEST, MAX_P, SMALLEST_PCT, Split
from cgbench.history import History, Trend
from cgbench.plot import Plot
from cgbench.wording import amount, count, quantity, signed_percent


@dataclass(frozen=True)
class Change:
    """A change point in words."""

    date: str
    run: str
    levels: str
    percent: str
    p: str
    since: str
    beneath: str


@dataclass(frozen=True)
class Line:
    """One series: its row of the table and its plot."""

    anchor: str
    container: str
    value: str
    number: int
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

    metric: str
    unit_words: str
    headline: str
    span: str
    rules: str
    groups: tuple[Group, ...]
    left_out: tuple[str, ...]

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {
            f"{line.anchor}-{line.plot.name}": line.plot
            for group in self.groups
            for line in group.lines
        }


def history_page(history: History) -> HistoryPage:
    """Gather what the page says."""
    starts = [entry.started for trend in history.trends for entry in trend.entries]
    runs = {entry.run for trend in history.trends for entry in trend.entries}
    return HistoryPage(
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
    )


def headline(history: History) -> str:
    """Return in one sentence what changed, the largest change first."""
    judged = [trend for trend in history.trends if not trend.too_short]
    if not history.changed:
        return f"`{history.metric}` shows no change point in {len(judged)} series."
    trend, change = max(
        ((trend, change) for trend in history.changed for change in trend.changes),
        key=lambda pair: float("inf") if pair[1].change_pct is None else abs(pair[1].change_pct),
    )
    by = "from 0" if change.change_pct is None else f"by {signed_percent(change.change_pct)}"
    return (
        f"`{history.metric}` changed in {len(history.changed)} of {len(judged)} series, most "
        f"{by} at `--{trend.key.option}` {trend.key.requested} ({trend.key.experiment}) on "
        f"{trend.entries[change.index].started:%Y-%m-%d}."
    )


def rules() -> str:
    """Return what counts as a change point."""
    return (
        f"Change points are Apache Otava's with p below {MAX_P:g}, of {SMALLEST_PCT:g} % and more, "
        f"in series of {FEWEST} runs and more."
    )


def title(trend: Trend) -> str:
    """Return what a group of series shares."""
    key = trend.key
    quick = ", --quick" if key.quick else ""
    return f"{key.experiment}{quick} on {key.hostname} ({key.cpu_model})"


def change_words(trend: Trend, change: Split) -> Change:
    """Return a change point in words."""
    entry = trend.entries[change.index]
    return Change(
        date=f"{entry.started:%Y-%m-%d %H:%M}",
        run=entry.run,
        levels=f"{amount(change.before, trend.unit, 3)} → {quantity(change.after, trend.unit)}",
        percent="–" if change.change_pct is None else signed_percent(change.change_pct),
        p="p < 1e-15" if change.p < 1e-15 else f"p {change.p:.0e}",
        since=count(trend.since(change), "run"),
        beneath="; ".join(map(history_plot.shifted, trend.shifts_at(change))),
    )


def parted(history: History) -> list[list[Trend]]:
    """Return the trends by experiment and host, in the order in which they stand."""
    by: dict[tuple[str, str, str, bool], list[Trend]] = {}
    for trend in history.trends:
        by.setdefault(trend.key.group, []).append(trend)
    return list(by.values())


def _group(trends: Sequence[Trend], name: str) -> Group:
    lines = [_line(trend, f"{name}-{number}") for number, trend in enumerate(trends, 1)]
    return Group(title(trends[0]), tuple(sorted(lines, key=lambda line: not line.changes)))


def _line(trend: Trend, anchor: str) -> Line:
    first, last = trend.entries[0].value, trend.entries[-1].value
    return Line(
        anchor=anchor,
        container=trend.key.container,
        value=trend.key.value,
        number=len(trend.entries),
        first=amount(first, trend.unit, 3),
        last=amount(last, trend.unit, 3),
        too_short=trend.too_short,
        changes=tuple(change_words(trend, change) for change in trend.changes),
        plot=history_plot.trend(trend, "trend"),
    )
