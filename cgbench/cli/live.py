"""What a run shows while it goes on: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from rich import progress as bars
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.measuring.progress import Observer, Silent, Snapshot
from cgbench.measuring.site import Progress, silent
from cgbench.records.run import RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.spec.schedule import PACE, PlannedStep, TrialPlan
from cgbench.units import NS_PER_S, format_duration, format_size
from cgbench.wording import count

# Redrawing costs CPU time that the containers might want: twice a second is enough for eyes.
_REDRAWS_PER_SECOND = 2


@contextmanager
def display(*, quiet: bool = False, stream: IO[str] | None = None) -> Iterator[Observer]:
    """Yield an observer that shows a run on `stream` (standard error by default).

    A terminal gets a live display, anything else plain lines; `quiet` shows nothing.
    """
    if quiet:
        yield Silent()
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
            pace = PACE
        seconds = max(0.0, self._hold_left / NS_PER_S * pace - into_trial_s)
        return format_duration(seconds * NS_PER_S)


class PlainLines:
    """One line per event, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = _Clock()

    def _line(self, text: str) -> None:
        # Long reasons must stay on one line, so that grep finds them whole.
        self._console.print(Text(printable(text)), soft_wrap=True)

    def run_started(self, record: RunRecord, plans: list[TrialPlan], done: int) -> None:
        """Say what is about to run."""
        self._clock.start(plans, done)
        self._line(
            f"{record.experiment.name}: run {record.run}, {count(len(plans), 'trial')}, "
            f"{done} done, about {self._clock.left(0)} to go"
        )

    def trial_started(self, plan: TrialPlan) -> None:
        """Name the trial."""
        self._clock.begin(plan)
        self._line(
            f"trial {self._clock.done + 1}/{self._clock.total}: "
            f"{count(len(plan.steps), 'change')}, {format_duration(plan.hold_ns)} of hold times"
        )

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """Name the change."""
        self._line(f"  {number}/{total} --{step.option} {step.label} ({step.role})")

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """Logs get no snapshots."""

    def waiting(self, why: str) -> None:
        """Say what is waited for."""
        self._line(f"  {why}; waiting for it")

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
        self._progress = bars.Progress(
            bars.TextColumn("{task.description}", style="bold", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("trials, {task.fields[left]} left", markup=False),
        )
        self._task = self._progress.add_task("", total=1, left="?")
        self._phase = Text()
        self._failures: list[Text] = []
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
                used = "–" if one.cpus is None else f"{one.cpus:.2f}"
                table.add_row(Text(printable(one.role)), used, held, memory)
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
        what = f"--{step.option} {step.label} on {step.role}"
        self._phase = Text(f"  step {number}/{total}: {printable(what)}")

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """Take the containers' state for the next redraw."""
        self._snapshots = snapshots

    def waiting(self, why: str) -> None:
        """Say what is waited for, until the next change."""
        self._phase = Text(f"  {printable(why)}; waiting for it", style="red")

    def trial_finished(self, record: TrialRecord) -> None:
        """Move the bar."""
        self._clock.finish()
        self._trial_begin = time.monotonic()
        self._progress.update(self._task, completed=self._clock.done)
        if record.status == "failed":
            failed = Text(f"trial {record.number} failed:", style="red")
            self._failures.append(failed.append(f" {printable(record.reason or '')}", "default"))


@contextmanager
def progress(
    stream: IO[str] | None = None, *, quiet: bool = False
) -> Iterator[tuple[Progress, Progress]]:
    """Yield what shows progress in a few words, and what shows its details.

    In a terminal both change one and the same line, which is gone in the end; in a log each is a
    line of its own, and details are left out; `quiet` shows neither.
    """
    if quiet:
        yield silent, silent
        return
    console = Console(file=stream or sys.stderr, highlight=False)
    begin = time.monotonic()

    def line(text: str) -> Text:
        shown = f"{time.monotonic() - begin:5.0f} s  {printable(text)}"
        return Text(shown, no_wrap=True, overflow="ellipsis")

    if not console.is_terminal:
        yield lambda text: console.print(line(text), soft_wrap=True), silent
        return
    with Live(
        Text(), console=console, refresh_per_second=_REDRAWS_PER_SECOND, transient=True
    ) as shown:
        yield (lambda text: shown.update(line(text)),) * 2
