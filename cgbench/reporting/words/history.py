"""A metric's history in words, for a terminal and a page."""

from __future__ import annotations

from dataclasses import dataclass

from cgbench.judging.change_points import FEWEST, MAX_P, SMALLEST_PCT, Split
from cgbench.judging.trend import Entry, History, Shift, Trend
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
    shifts: str


def headline(history: History) -> str:
    """Return one sentence with the number of changed series and the largest change."""
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
        f"{by} at `--{trend.key.option}` {trend.key.label} ({trend.key.experiment}) on "
        f"{trend.entries[change.index].started:%Y-%m-%d}."
    )


def rules() -> str:
    """Return what counts as a change point."""
    return (
        f"Change points are Apache Otava's with p below {MAX_P:g}, of {SMALLEST_PCT:g} % and more, "
        f"in series of {FEWEST} runs and more."
    )


def title(trend: Trend) -> str:
    """Return the title of a group: its experiment and host."""
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
        since=_lasting(trend, change),
        shifts="; ".join(map(shifted, trend.shifts_at(change))),
    )


def _lasting(trend: Trend, change: Split) -> str:
    doubtful = trend.doubtful_since(change)
    return count(trend.since(change), "run") + (f", {doubtful} doubtful" if doubtful else "")


def doubts(history: History) -> list[str]:
    """Return a line for each run that was disturbed."""
    return [f"{one.run}: {one.doubt}" for one in history.doubtful]


def level(entry: Entry, text: str) -> str:
    """Return the figure of a run, marked where the run is doubtful."""
    return text if entry.doubt is None else f"? {text}"


def parted(history: History) -> list[list[Trend]]:
    """Return the trends grouped by experiment and host, in their order."""
    by: dict[tuple[str, str, str, bool], list[Trend]] = {}
    for trend in history.trends:
        by.setdefault(trend.key.group, []).append(trend)
    return list(by.values())


def shifted(shift: Shift) -> str:
    """Return a shift in words: `kernel 6.12.1 → 6.18.0`."""
    return f"{shift.what} {shift.before} → {shift.after}"
