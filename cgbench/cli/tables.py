"""The terminal's tables: what was measured, judged or kept, in 80 columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.judging.checks import examine
from cgbench.judging.estimates import points
from cgbench.judging.run import Run
from cgbench.judging.standing import Standing
from cgbench.judging.summary import Entry
from cgbench.judging.trend import History, Trend
from cgbench.judging.unjudged import unjudged
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import SIGNS as SIGNS_OF_JUDGEMENTS
from cgbench.records.comparison import Comparison, Judgement
from cgbench.records.host import Host
from cgbench.records.idle_findings import Felt, Meeting
from cgbench.records.run import PointKey
from cgbench.records.truth import SIGNS, TruthTable
from cgbench.reporting.words import (
    baseline,
    comparison,
    run_facts,
    shortfall,
    standing,
    states,
    ways,
)
from cgbench.reporting.words.history import (
    change_words,
    doubts,
    headline,
    level,
    parted,
    rules,
    title,
)
from cgbench.reporting.words.truth import effects
from cgbench.reporting.words.truth_cells import astray
from cgbench.spec.judged import judged_metric
from cgbench.wording import quantity, signed

_MOST_DOUBTS = 6


def print_truth(table: TruthTable, only: Collection[str] | None = None) -> None:
    """Print the verdict and reason on every option, or on some of them."""
    console = Console(highlight=False)
    host = table.host
    _line(console, f"\n{_described(host)}; {table.elapsed_s:.0f} s")
    shown = Table(box=None, pad_edge=False)
    for heading in ("option", "verdict", "why"):
        shown.add_column(heading, no_wrap=heading != "why")
    rows = [row for row in table.rows if only is None or row.verdict.option in only]
    for row in rows:
        one = row.verdict
        sign = SIGNS[one.verdict]
        _add_row(shown, f"--{one.option}", f"{sign} {one.verdict.value}", one.reason)
    console.print(shown)
    for row in rows:
        for lifting in row.liftings:
            if lifting.right is False:
                _line(console, f"--{row.verdict.option}: {astray(lifting).replace('`', '')}")
    for pair in table.interactions:
        if only is not None and pair.a not in only:
            continue
        if pair.outcome == Meeting.DISTURBED:
            _line(console, f"--{pair.b} {pair.b_value} undid --{pair.a} {pair.a_value}")
        if pair.effect is not None and pair.effect.felt is Felt.DISTURBED:
            _line(console, f"the effect of --{pair.a} was disturbed: {pair.effect.reason}")
    if (felt := effects(table)) is not None:
        _wrapped(console, felt)
    for row in rows:
        for words in states.surprises(row):
            _line(console, f"--{row.verdict.option}: {words}")
    for why in table.unmeasured:
        _line(console, f"not measured: {why}")


def print_standing(found: Standing) -> None:
    """Print what of a truth table does not count, and what changed since an earlier one."""
    console = Console(highlight=False)
    for line in standing.lines(found):
        _line(console, line)


def print_history(history: History) -> None:
    """Print a metric's trends, a row per series and a line per change point, in 80 columns."""
    console = Console(highlight=False, width=79)
    _wrapped(console, headline(history).replace("`", ""))
    for trends in parted(history):
        _wrapped(console, f"\n{title(trends[0])}")
        table = Table(box=None, pad_edge=False)
        for heading in ("role", "requested", "runs", "first", "last", "change points"):
            table.add_column(heading, justify="left" if heading == "role" else "right")
        for trend in trends:
            _add_row(
                table, trend.key.container, trend.key.value, _runs(trend),
                *(level(one, _quantity(one.value, trend.unit))
                  for one in (trend.entries[0], trend.entries[-1])),
                "too few" if trend.too_short else str(len(trend.changes) or "–"),
            )  # fmt: skip
        console.print(table)
        for trend in trends:
            _print_changes(console, trend)
    _wrapped(console, f"\n{rules()}")
    doubtful = doubts(history)
    for line in doubtful[:_MOST_DOUBTS]:
        _wrapped(console, f"doubtful run {line}")
    if len(doubtful) > _MOST_DOUBTS:
        _wrapped(console, f"{len(doubtful) - _MOST_DOUBTS} more runs are doubtful: see the page")
    for one in history.left_out:
        _wrapped(console, f"left out {one.run}: {one.reason}")


def _runs(trend: Trend) -> str:
    doubtful = sum(one.doubt is not None for one in trend.entries)
    return f"{len(trend.entries)}" + (f", {doubtful} ?" if doubtful else "")


def _print_changes(console: Console, trend: Trend) -> None:
    for change in trend.changes:
        words = change_words(trend, change)
        since = f"lasting {words.since}"
        _wrapped(console, f"{trend.key.value} ({trend.key.container}), {words.date}:")
        _wrapped(console, f"  {words.levels}  {words.percent}  {words.p}  {since}")
        if words.shifts:
            _wrapped(console, f"  also changed: {words.shifts}")


def print_summary(run: Run, *, alone: bool = True) -> None:
    """Print a run's figures as one table, a row per requested value, within 80 columns.

    Beneath it stands what has no figure, and every reason to doubt those that are there; if it
    stands `alone`, also what the run's headline says of figures.
    """
    console, record = Console(highlight=False), run.record
    _line(console, f"{record.experiment.name}, run {record.run}: {record.status}")
    by_value: dict[PointKey, dict[str, Entry]] = {}
    for one in run.summary:
        by_value.setdefault(one.key, {})[one.metric] = one
    metric = judged_metric(
        record.experiment, record.experiment.option, {one.metric for one in run.summary}
    )
    own = _own_figures(run)
    figures = () if metric is None else (metric, "error")
    felt = tuple(own.values()) if own else (*figures, "p99", "file", "settled")
    table = Table(box=None, pad_edge=False)
    for heading in ("role", "requested", "enforced", *felt):
        table.add_column(heading, justify="left" if heading == "role" else "right")
    many = points(run)
    owners = {point.key: point.owner for point in many}
    drives = {one.role for one in record.experiment.containers if one.drives is not None}
    for key, found in by_value.items():
        if key.role in drives:
            continue
        owner = owners[key]
        _add_row(
            table,
            key.role if key.via == "update" else f"{key.role} ({key.via})",
            key.label if owner == key.role else f"{owner}: {key.label}",
            next(iter(found.values())).enforced or "–",
            *_figures(found, metric, own),
        )
    left_out = unjudged(run)
    for value in left_out:
        if value.key not in by_value:
            key = value.key
            _add_row(table, key.role if key.via == "update" else f"{key.role} ({key.via})",
                     key.label, value.state)  # fmt: skip
    console.print(table)
    for value in left_out:
        _line(console, f"{value.raw} on {value.key.role}: {value.state}, {value.reason}")
    for lacking in shortfall.sentences(run, many) if alone else ():
        _line(console, lacking.replace("`", ""))
    for path in run_facts.paths(run.finished):
        _line(console, f"the file: {path}")
    for compared in ways.sentences(run) if alone else ():
        _line(console, compared.replace("`", ""))
    for doubt in examine(run):
        _line(console, f"{doubt.severity}: {doubt.reason.rstrip('.')}. {doubt.advice}")


_OWN = {
    "cpus_used": "cpus_used", "latency_p50_ms": "median", "latency_p99_ms": "p99",
    "requests_per_s": "answers", "failed_pct": "failed", "reported_rate_per_s": "rate",
    "reported_mean_ms": "mean", "reported_p99_ms": "p99, reported",
    "reported_duration_s": "duration", "reported_cpus": "reported",
}  # fmt: skip
"""What of programs of one's own a terminal shows, and what it calls that."""


def _own_figures(run: Run) -> dict[str, str]:
    """Return the headings of what was measured of a run's own programs; none where it has none."""
    measured = {one.metric for one in run.summary}
    if not run.record.experiment.programs:
        return {}
    return {name: heading for name, heading in _OWN.items() if name in measured}


def _figures(found: Mapping[str, Entry], metric: str | None, own: Mapping[str, str]) -> list[str]:
    """Return what was measured at one value: of a program of one's own, or what it is judged by."""
    if own:
        return [_judged(found.get(name))[0] for name in own]
    return [
        *(() if metric is None else _judged(found.get(metric))),
        _p99(found),
        _number(_median(found, "file_ms"), "{:.0f} ms"),
        _number(_median(found, "settle_ms"), "{:.0f} ms"),
    ]


def _judged(entry: Entry | None) -> tuple[str, str]:
    """Return a value and its error, marked where it lies outside its band."""
    if entry is None:
        return "–", "–"
    one = entry.estimate
    outside = "✗ " if one.within is False else ""
    return _quantity(one.median, one.unit), outside + _signed(one.error_pct, 2)


def _quantity(value: float, unit: str) -> str:
    if unit in ("bytes", "bytes/s"):
        return quantity(value, unit)
    if unit == "CPUs":
        return f"{value:.3f}"
    return f"{value:.0f} {unit}" if value >= 10_000 else f"{value:.4g} {unit}"


def _p99(found: Mapping[str, Entry]) -> str:
    """Return the 99th percentile of stalls, of a service's latency, or of how late it woke up."""
    if (late := _median(found, "wake_p99_us")) is not None:
        return f"{late:.0f} µs"
    metric = "latency_p99_ms" if "latency_p99_ms" in found else "stall_p99_ms"
    return _number(_median(found, metric), "{:.1f} ms")


def _median(found: Mapping[str, Entry], metric: str) -> float | None:
    return found[metric].estimate.median if metric in found else None


def _signed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{signed(value, digits)} %"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def print_comparisons(many: Sequence[Comparison]) -> None:
    """Print each comparison's verdict and its findings, the worst first, within 80 columns."""
    console = Console(highlight=False, width=80)
    for found in many:
        _line(console, comparison.headline(found))
        for one in found.of(Judgement.REGRESSED):
            words = comparison.regression(one, found.level)
            _line(console, f"  {words}")
        if found.findings:
            console.print(_findings_table(found))
        for remark in comparison.remarks(found):
            _line(console, f"note: {remark}")
        if (advice := comparison.advice(found)) is not None:
            _line(console, advice)


def _findings_table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "option, container, metric", "change", "interval", "p"):
        # Names are what may take two lines: a number that is cut short is another number.
        wraps = heading.startswith("option")
        table.add_column(heading, no_wrap=not wraps, justify="right" if heading == "p" else "left")
    for one in comparison.ordered(found):
        low, high = one.low_pct, one.high_pct
        _add_row(
            table,
            f"{SIGNS_OF_JUDGEMENTS[one.judgement]} {one.judgement.value}",
            comparison.where(one),
            _signed(one.change_pct, 1),
            "–" if low is None or high is None else f"{signed(low, 1)}…{signed(high, 1)}",
            _number(one.p, "{:.2g}"),
        )
    return table


def print_baseline(kept: Baseline) -> None:
    """Print where a baseline comes from, and the median and spread of each of its series."""
    console = Console(highlight=False, width=80)
    _line(console, baseline.title(kept))
    _line(console, _described(kept.host))
    table = Table(box=None, pad_edge=False)
    for heading in ("option, container, metric", "median", "spread"):
        table.add_column(heading, no_wrap=heading != "option, container, metric")
    for one in baseline.levels(kept):
        middle = "–" if one.median is None else _quantity(one.median, one.unit)
        _add_row(table, one.where, middle, _number(one.spread_pct, "{:.1f} %"))
    console.print(table)


def _described(host: Host) -> str:
    return (
        f"{host.hostname}: kernel {host.kernel}, cgroup {host.cgroup}, {host.engine_words}, "
        f"{host.runtime_words}"
    )


def _add_row(table: Table, *cells: str) -> None:
    """Add text from outside as a row: no markup, nothing that steers the terminal."""
    table.add_row(*(Text(printable(cell)) for cell in cells))


def _line(console: Console, text: str) -> None:
    """Print text from outside, never broken into lines: `grep` finds it whole."""
    console.print(Text(printable(text)), soft_wrap=True)


def _wrapped(console: Console, text: str) -> None:
    """Print text from outside, broken into lines that fit."""
    console.print(Text(printable(text)))
