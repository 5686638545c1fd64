"""What a run shows in a terminal: a live display, plain lines elsewhere, and the summary table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import IO, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from cgbench.judging.comparison import SIGNS as SIGNS_OF_JUDGEMENTS
from cgbench.judging.comparison import Comparison, Judgement
from cgbench.judging.history import History, Trend
from cgbench.judging.intervals import relative_spread_pct
from cgbench.measuring import run
from cgbench.measuring.container import Snapshot
from cgbench.measuring.run import Observer
from cgbench.records.baseline import Baseline
from cgbench.records.idle_findings import Meeting
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import TrialRecord
from cgbench.records.truth import SIGNS, TruthTable
from cgbench.reporting.words import comparison
from cgbench.reporting.words.history import change_words, headline, parted, rules, title
from cgbench.spec.schedule import PlannedStep, TrialPlan
from cgbench.units import NS_PER_S, format_duration, format_size

# Redrawing costs CPU time that the containers might want: twice a second is enough for eyes.
_REDRAWS_PER_SECOND = 2


@contextmanager
def display(*, quiet: bool = False, stream: IO[str] | None = None) -> Iterator[Observer]:
    """Yield an observer that shows a run on `stream` (standard error by default).

    A terminal gets a live display, anything else plain lines; `quiet` shows nothing.
    """
    if quiet:
        yield run.Silent()
        return
    console = Console(file=stream or sys.stderr, highlight=False)
    if not console.is_terminal:
        yield PlainLines(console)
        return
    dashboard = Dashboard()
    with Live(dashboard, console=console, refresh_per_second=_REDRAWS_PER_SECOND, transient=True):
        yield dashboard


class _Clock:
    """Trials done and left, and the time left by the pace so far."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self._hold_left = 0
        self._held = 0
        self._begin = time.monotonic()
        self._plan: TrialPlan | None = None

    def start(self, plans: list[TrialPlan], done: int) -> None:
        self.total, self.done = len(plans), done
        mean = sum(plan.hold_ns for plan in plans) // max(1, len(plans))
        self._hold_left = mean * (len(plans) - done)
        self._begin = time.monotonic()

    def begin(self, plan: TrialPlan) -> None:
        self._plan = plan

    def finish(self) -> None:
        assert self._plan is not None
        self.done += 1
        self._hold_left -= self._plan.hold_ns
        self._held += self._plan.hold_ns

    def left(self, into_trial_s: float) -> str:
        if self._held:
            pace = (time.monotonic() - self._begin - into_trial_s) / (self._held / NS_PER_S)
        else:
            pace = 1.1
        seconds = max(0.0, self._hold_left / NS_PER_S * pace - into_trial_s)
        return format_duration(seconds * NS_PER_S)


class PlainLines:
    """One line per event, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = _Clock()

    def _line(self, text: str) -> None:
        # Long reasons must stay on one line, so that grep finds them whole.
        self._console.print(text, soft_wrap=True, markup=False)

    def run_started(self, record: RunRecord, plans: list[TrialPlan], done: int) -> None:
        """Say what is about to run."""
        self._clock.start(plans, done)
        self._line(
            f"{record.experiment.name}: run {record.run}, {len(plans)} trial(s), {done} done, "
            f"about {self._clock.left(0)} to go"
        )

    def trial_started(self, plan: TrialPlan) -> None:
        """Name the trial."""
        self._clock.begin(plan)
        self._line(
            f"trial {self._clock.done + 1}/{self._clock.total}: {len(plan.steps)} changes, "
            f"{format_duration(plan.hold_ns)} of hold times"
        )

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """Name the change."""
        self._line(f"  {number}/{total} --{step.option} {step.requested} ({step.role})")

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """Logs get no snapshots."""

    def trial_finished(self, record: TrialRecord) -> None:
        """Say how the trial ended, and how much time is left."""
        self._clock.finish()
        outcome = "ok" if record.status == "ok" else f"FAILED: {record.reason}"
        more = self._clock.done < self._clock.total
        self._line(f"  {outcome}" + (f"; about {self._clock.left(0)} left" if more else ""))


class Dashboard:
    """The live display: progress, time left, and a row per container."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._progress = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("trials"), TextColumn("{task.fields[left]} left"),
        )  # fmt: skip
        self._task = self._progress.add_task("", total=1, left="?")
        self._phase = ""
        self._failures: list[str] = []
        self._snapshots: Sequence[Snapshot] = ()
        self._trial_begin = time.monotonic()

    def __rich__(self) -> RenderableType:
        """Draw it."""
        left = self._clock.left(time.monotonic() - self._trial_begin)
        self._progress.update(self._task, left=left)
        parts: list[RenderableType] = [self._progress, self._phase]
        if self._snapshots:
            table = Table("container", "CPUs used", "throttled periods", "memory", box=None)
            for one in self._snapshots:
                held = "–" if one.throttled_pct is None else f"{one.throttled_pct:.0f} %"
                memory = "–" if one.memory_bytes is None else format_size(one.memory_bytes)
                table.add_row(one.role, f"{one.cpus:.2f}", held, memory)
            parts.append(table)
        return Group(*parts, *self._failures)

    def run_started(self, record: RunRecord, plans: list[TrialPlan], done: int) -> None:
        """Set the bar up."""
        self._clock.start(plans, done)
        self._progress.update(
            self._task, description=record.experiment.name, total=len(plans), completed=done
        )

    def trial_started(self, plan: TrialPlan) -> None:
        """Note when the trial began."""
        self._clock.begin(plan)
        self._trial_begin = time.monotonic()

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """Name the change."""
        self._phase = f"  step {number}/{total}: --{step.option} {step.requested} on {step.role}"

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """Take the containers' state for the next redraw."""
        self._snapshots = snapshots

    def trial_finished(self, record: TrialRecord) -> None:
        """Move the bar."""
        self._clock.finish()
        self._trial_begin = time.monotonic()
        self._progress.update(self._task, completed=self._clock.done)
        if record.status == "failed":
            self._failures.append(f"[red]trial {record.number} failed:[/red] {record.reason}")


@contextmanager
def telling(
    stream: IO[str] | None = None,
) -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """Yield what tells progress in a few words, and what tells its details.

    In a terminal both change one and the same line, which is gone in the end; in a log each is a
    line of its own, and details are left out.
    """
    console = Console(file=stream or sys.stderr, highlight=False)
    begin = time.monotonic()

    def line(text: str) -> Text:
        told = f"{time.monotonic() - begin:5.0f} s  {text}"
        return Text(told, no_wrap=True, overflow="ellipsis")

    if not console.is_terminal:
        yield lambda text: console.print(line(text), soft_wrap=True), lambda _detail: None
        return
    with Live(
        Text(), console=console, refresh_per_second=_REDRAWS_PER_SECOND, transient=True
    ) as shown:
        yield (lambda text: shown.update(line(text)),) * 2


def print_truth(table: TruthTable) -> None:
    """Print the verdict and reason on every option."""
    console = Console(highlight=False)
    host = table.host
    console.print(
        f"\n{host.hostname}: kernel {host.kernel}, cgroup {host.cgroup}, Docker {host.docker}, "
        f"runc {host.runc}; {table.elapsed_s:.0f} s",
        soft_wrap=True,
    )
    shown = Table(box=None, pad_edge=False)
    for heading in ("option", "verdict", "why"):
        shown.add_column(heading, no_wrap=heading != "why")
    for row in table.rows:
        one = row.verdict
        sign = SIGNS[one.verdict]
        shown.add_row(f"--{one.option}", f"{sign} {one.verdict.value}", one.reason)
    console.print(shown)
    for pair in table.interactions:
        if pair.outcome == Meeting.DISTURBED:
            what = f"--{pair.b} {pair.b_value} undid --{pair.a} {pair.a_value}"
            console.print(what, soft_wrap=True)


def print_history(history: History) -> None:
    """Print a metric's trends, a row per series and a line per change point, in 80 columns."""
    console = Console(highlight=False, width=79)
    console.print(Text(headline(history).replace("`", "")))
    for trends in parted(history):
        console.print(Text(f"\n{title(trends[0])}"))
        table = Table(box=None, pad_edge=False)
        for heading in ("role", "requested", "runs", "first", "last", "change points"):
            table.add_column(heading, justify="left" if heading == "role" else "right")
        for trend in trends:
            table.add_row(
                trend.key.container, trend.key.value, str(len(trend.entries)),
                _quantity(trend.entries[0].value, trend.unit),
                _quantity(trend.entries[-1].value, trend.unit),
                "too few" if trend.too_short else str(len(trend.changes) or "–"),
            )  # fmt: skip
        console.print(table)
        for trend in trends:
            _print_changes(console, trend)
    console.print(Text(f"\n{rules()}"))
    for one in history.left_out:
        console.print(Text(f"left out {one.run}: {one.reason}"))


def _print_changes(console: Console, trend: Trend) -> None:
    for change in trend.changes:
        words = change_words(trend, change)
        since = f"lasting {words.since}"
        console.print(Text(f"{trend.key.value} ({trend.key.container}), {words.date}:"))
        console.print(Text(f"  {words.levels}  {words.percent}  {words.p}  {since}"))
        if words.beneath:
            console.print(Text(f"  beneath: {words.beneath}"))


def print_summary(
    directory: RunDirectory, record: RunRecord, summary: list[dict[str, Any]]
) -> None:
    """Print a run's figures as one table, a row per requested value, within 80 columns."""
    console = Console(highlight=False)
    console.print(f"{record.experiment.name}, run {record.run}: {record.status}", soft_wrap=True)
    verify = record.experiment.verify
    judged = (verify.metric if verify else None) or "cpus_used"
    by_value: dict[tuple[str, str, str, str], dict[str, dict[str, Any]]] = {}
    for one in summary:
        key = (one["role"], one["via"], one["option"], one["requested"])
        by_value.setdefault(key, {})[one["metric"]] = one
    table = Table(box=None, pad_edge=False)
    for heading in ("role", "requested", "enforced", judged, "error", "p99", "file", "settled"):
        table.add_column(heading, justify="left" if heading == "role" else "right")
    for (role, via, _option, requested), found in by_value.items():
        figure = found.get(judged)
        table.add_row(
            role if via == "update" else f"{role} ({via})",
            requested,
            str(next(iter(found.values()))["enforced"] or "–"),
            "–" if figure is None else _quantity(figure["median"], figure["unit"]),
            "–" if figure is None else _number(figure["error_pct"], "{:+.2f} %"),
            _p99(found),
            _number(found.get("file_ms", {}).get("median"), "{:.0f} ms"),
            _number(found.get("settle_ms", {}).get("median"), "{:.0f} ms"),
        )
    console.print(table)


def _quantity(value: float, unit: str) -> str:
    if unit == "bytes":
        return format_size(value)
    return f"{value:.3f}" if unit == "CPUs" else f"{value:.4g} {unit}"


def _p99(found: dict[str, dict[str, Any]]) -> str:
    """Return the 99th percentile of stalls, or of how late a container woke up."""
    if "wake_p99_us" in found:
        return f"{found['wake_p99_us']['median']:.0f} µs"
    return _number(found.get("stall_p99_ms", {}).get("median"), "{:.1f} ms")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def print_comparisons(many: Sequence[Comparison]) -> None:
    """Print each comparison's verdict and its findings, the worst first, within 80 columns."""
    console = Console(highlight=False, width=80)
    for found in many:
        console.print(comparison.headline(found), soft_wrap=True, markup=False)
        for one in found.of(Judgement.REGRESSED):
            told = comparison.regression(one, found.level)
            console.print(f"  {told}", soft_wrap=True, markup=False)
        if found.findings:
            console.print(_findings_table(found))
        for remark in comparison.remarks(found):
            console.print(f"note: {remark}", soft_wrap=True, markup=False)
        if (advice := comparison.advice(found)) is not None:
            console.print(advice, soft_wrap=True, markup=False)


def _findings_table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "option, container, metric", "change", "interval", "p"):
        # Names are what may take two lines: a number that is cut short is another number.
        wraps = heading.startswith("option")
        table.add_column(heading, no_wrap=not wraps, justify="right" if heading == "p" else "left")
    for one in comparison.ordered(found):
        low, high = one.low_pct, one.high_pct
        table.add_row(
            f"{SIGNS_OF_JUDGEMENTS[one.judgement]} {one.judgement.value}",
            Text(comparison.where(one)),
            _number(one.change_pct, "{:+.1f} %"),
            "–" if low is None or high is None else f"{low:+.1f}…{high:+.1f}",
            _number(one.p, "{:.2g}"),
        )
    return table


def print_baseline(kept: Baseline) -> None:
    """Print where a baseline comes from, and the median and spread of each of its series."""
    console = Console(highlight=False, width=80)
    host = kept.host
    console.print(
        f"{kept.name}: {kept.experiment}, run {kept.run}, {len(kept.repetitions)} trials\n"
        f"{host.hostname}: kernel {host.kernel}, cgroup {host.cgroup}, Docker {host.docker}, "
        f"runc {host.runc}",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    table = Table(box=None, pad_edge=False)
    for heading in ("option, container, metric", "median", "spread"):
        table.add_column(heading, no_wrap=heading != "option, container, metric")
    for one in kept.series:
        known = [value for value in one.values if value is not None]
        spread = relative_spread_pct(known)
        table.add_row(
            Text(comparison.where(one)),
            _quantity(median(known), one.unit) if known else "–", _number(spread, "{:.1f} %"),
        )  # fmt: skip
    console.print(table)
