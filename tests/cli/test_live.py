"""The display: plain lines where nobody looks, a dashboard in a terminal, one table at the end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cgbench.cli import live
from cgbench.measuring.progress import Snapshot
from cgbench.records import run_directory
from cgbench.records.trial import TrialRecord
from cgbench.spec import experiment_file
from cgbench.spec.schedule import planned
from tests.made import run_builder


@pytest.fixture
def directory(tmp_path: Path) -> run_directory.RunDirectory:
    return run_builder.build(tmp_path)


def finished(number: int, reason: str | None = None) -> TrialRecord:
    return TrialRecord(
        number=number, repetition=1, walk=1, status="failed" if reason else "ok", reason=reason,
        started="2026-01-01T00:00:00Z", t_begin_ns=0, t_end_ns=1, hold_ns=1,
    )  # fmt: skip


def test_plain_lines_tell_trials_changes_and_failures(
    directory: run_directory.RunDirectory,
) -> None:
    stream = io.StringIO()
    plans = planned(experiment_file.load("cpu-quota-sweep"), cpus=2, seed=1)
    with live.display(stream=stream) as observer:
        observer.run_started(directory.run(), plans, done=0)
        observer.trial_started(plans[0])
        observer.phase_started(plans[0].steps[0], 1, 11)
        observer.snapshot([])
        observer.trial_finished(finished(1, reason="the container of worker was removed"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert "5 trials, 0 done" in lines[0]
    assert lines[1].startswith("trial 1/5: 11 changes")
    assert lines[2].strip() == "1/11 --cpu-quota 10000 (worker)"
    assert "FAILED: the container of worker was removed" in lines[3]


def test_a_dashboard_shows_progress_and_a_row_per_container(
    directory: run_directory.RunDirectory,
) -> None:
    plans = planned(experiment_file.load("cpu-quota-sweep"), cpus=2, seed=1)
    dashboard = live.Dashboard()
    dashboard.run_started(directory.run(), plans, done=0)
    dashboard.trial_started(plans[0])
    dashboard.phase_started(plans[0].steps[0], 1, 11)
    dashboard.snapshot(
        [Snapshot("worker", 0.25, 100.0, 2**20), Snapshot("other", None, None, None)]
    )
    dashboard.trial_finished(finished(1))
    console = Console(file=io.StringIO(), width=100)
    console.print(dashboard)
    shown: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1/5" in shown
    assert "0.25" in shown
    assert "100 %" in shown
    assert "1 MiB" in shown
    assert "–" in shown, "what is absent is not shown as zero"


def test_quiet_shows_nothing(directory: run_directory.RunDirectory, capsys: Any) -> None:
    with live.display(quiet=True) as observer:
        observer.run_started(directory.run(), [], 0)
        observer.trial_finished(finished(1))
    assert capsys.readouterr() == ("", "")


def test_progress_in_a_log_is_a_line_each_and_leaves_out_details() -> None:
    stream = io.StringIO()
    with live.progress(stream) as (progress, detail):
        progress("cpus-sweep: --cpus")
        detail("--cpus '0': 0, by update")
        progress("--cpus: bounds")
    lines = stream.getvalue().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == ["cpus-sweep: --cpus", "--cpus: bounds"]


def test_progress_in_a_terminal_keeps_to_one_line_and_goes_away() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with live.progress(stream) as (progress, detail):
        for number in range(20):
            progress(f"step {number} " + "long " * 60)
            detail(f"try {number}")
    # A line that is drawn anew and never left: no more line ends than those that erase it.
    assert stream.getvalue().count("\n") <= 2


BRACKETS = "[/usr/bin/x] failed [bold]and\x1b[2J"
SHOWN = r"[/usr/bin/x] failed [bold]and\x1b[2J"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_words_of_containers_and_daemons_are_shown_as_they_are_by_every_display(
    directory: run_directory.RunDirectory,
) -> None:
    plans = planned(experiment_file.load("cpu-quota-sweep"), cpus=2, seed=1)
    step = plans[0].steps[0].model_copy(update={"requested": BRACKETS})
    dashboard = live.Dashboard()
    console = Console(file=io.StringIO(), width=150)
    plain = io.StringIO()
    with live.display(stream=plain) as lines:
        for observer in (dashboard, lines):
            observer.run_started(directory.run(), plans, done=0)
            observer.trial_started(plans[0])
            observer.phase_started(step, 1, 11)
            observer.snapshot([Snapshot(BRACKETS, None, None, None)])
            observer.trial_finished(finished(1, reason=BRACKETS))
    console.print(dashboard)
    drawn: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert drawn.count(SHOWN) == 3, "change, container and reason"
    assert plain.getvalue().count(SHOWN) == 2, "change and reason"
    assert "\x1b" not in plain.getvalue() + drawn


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_progress_shows_any_words_as_they_are(stream: io.StringIO) -> None:
    with live.progress(stream) as (progress, _detail):
        progress(BRACKETS)
    assert SHOWN in stream.getvalue()
