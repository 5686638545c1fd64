"""`cgbench watch`: a live table of containers that others started, and what changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import PRINTED, complain, give_json_text, say, say_json_text
from cgbench.errors import OptionError
from cgbench.host.interrupts import Interrupted
from cgbench.wording import count

if TYPE_CHECKING:
    from cgbench.commands.chosen import Wanted
    from cgbench.records.watch import Look

LEAST_EVERY_S = 0.1

_Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="RUN|FILE", help="Show a trial of a run, or what --log kept."),
]


def watch(
    containers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONTAINER]...", help="Names or identities; without: all."),
    ] = None,
    label: options.Labels = None,
    project: options.Project = None,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="How often to look, as 1s or 250ms.")
    ] = "1s",
    over: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End after so long, as 60s.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Also append changes to it, as JSON lines."),
    ] = None,
    log_size: Annotated[
        str, typer.Option("--log-size", metavar="SIZE", help="Most that FILE and FILE.1 take.")
    ] = "10m",
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="End with 1 at the first change of a limit.")
    ] = False,
    replay: _Replay = None,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="NUMBER", help="Which trial of that run.")
    ] = None,
    json_file: options.JsonFile = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Show what running containers use of their limits, and mark where a limit changes.

    In a terminal: c, m, t, k and n sort by CPU, memory, throttling, kills and name; the space bar
    pauses, q ends. Elsewhere each change is a line. Nothing is started or changed.
    """
    from cgbench.commands.chosen import Wanted

    forms.require(json_file)
    if replay is not None:
        _replay(replay, trial, _pace(every), json_file, results)
        return
    wanted = Wanted(containers or (), label or (), project)
    over_s = None if over is None else options.seconds(over)
    changed = False
    with ExitStack() as stack:
        show = _Shown(stack, log, log_size, json_file)
        # That is how a watch ends.
        with suppress(Interrupted):
            for number, look in enumerate(_looks(wanted, _pace(every), over_s, show)):
                if not number and not show.live:
                    complain(f"watching {count(len(look.readings), 'container')}, every {every}")
                show.take(look)
                changed |= any(mark.kind == "changed" for mark in look.marks)
                if show.ended or (fail_on_change and changed):
                    break
    if fail_on_change and changed:
        exits.end(exits.FAILED)


def _replay(
    named: str, trial: int | None, every_s: float, json_file: Path | None, results: Path
) -> None:
    """Show again what a name stands for: a run, or what a watch kept."""
    from cgbench.commands.replay import run_called

    folder = run_called(named, results)
    if folder is None:
        _give_kept(Path(named), json_file)
    else:
        _replayed(folder, trial, every_s, json_file)


def _give_kept(log: Path, json_file: Path | None) -> None:
    """Print what a watch kept, a line for each mark, or as JSON."""
    from cgbench.cli import watch_view
    from cgbench.records import bounded_log

    marks = list(bounded_log.read(log))
    lines = [json.dumps(mark.model_dump(mode="json"), allow_nan=False) for mark in marks]
    if json_file == PRINTED:
        for line in lines:
            say_json_text(line)
        return
    if json_file is not None:
        give_json_text("".join(f"{line}\n" for line in lines), json_file)
    for mark in marks:
        say(watch_view.line(mark))


def _replayed(folder: Path, trial: int | None, every_s: float, json_file: Path | None) -> None:
    """Show a stored trial as it was measured; a table takes as long as the trial did."""
    from cgbench.commands.replay import looks

    with ExitStack() as stack, suppress(Interrupted):
        show = _Shown(stack, None, "1m", json_file)
        begin = time.monotonic()
        for number, look in enumerate(looks(folder, trial, every_s), 1):
            show.take(look)
            if show.live:
                show.wait(begin + number * every_s)
            if show.ended:
                break


def _pace(every: str) -> float:
    """Return how often to look, in s. Raises OptionError where that is too often."""
    every_s = options.seconds(every)
    if every_s < LEAST_EVERY_S:
        raise OptionError(f"--every {every}: too often", f"At least {LEAST_EVERY_S * 1000:.0f}ms.")
    return every_s


def _looks(wanted: Wanted, every_s: float, over_s: float | None, show: _Shown) -> Iterator[Look]:
    """Yield a look at every deadline that is ahead, the first at once.

    The time runs from there: before it, Docker may take a while to answer.
    """
    from cgbench.commands.watch import TIMEOUT_S, Watch
    from cgbench.engine.engine import Engine

    with Watch(wanted, lambda: Engine(timeout_s=TIMEOUT_S), every_s=every_s) as watched:
        begin, number = time.monotonic(), 0
        while over_s is None or number * every_s <= over_s:
            show.wait(begin + number * every_s)
            yield watched.look()
            number = max(number + 1, int((time.monotonic() - begin) / every_s))
        show.wait(begin + over_s)


class _Shown:
    """Where looks go: a live table or lines, a log, and JSON."""

    def __init__(
        self, stack: ExitStack, log: Path | None, log_size: str, json_file: Path | None
    ) -> None:
        from cgbench.cli import watch_view
        from cgbench.records import bounded_log, writing
        from cgbench.units import parse_size

        self._log = None if log is None else bounded_log.BoundedLog(log, parse_size(log_size))
        self._troubled: str | None = None
        self._json = json_file
        self._line = watch_view.line
        self._table = None
        if json_file is not None and json_file != PRINTED:
            writing.write_named(json_file, "")
        if json_file != PRINTED and sys.stdout.isatty():
            self._table = stack.enter_context(watch_view.table())
        self._append = writing.append_file

    @property
    def live(self) -> bool:
        """Whether there is a table."""
        return self._table is not None

    @property
    def ended(self) -> bool:
        """Whether somebody asked for the end."""
        return self._table is not None and self._table.ended

    def wait(self, until: float) -> None:
        """Wait until a moment (CLOCK_MONOTONIC s), and heed what is pressed."""
        if self._table is not None:
            self._table.wait(until)
        else:
            time.sleep(max(0.0, until - time.monotonic()))

    def take(self, look: Look) -> None:
        """Show and keep a look."""
        if self._log is not None:
            for mark in look.marks:
                self._log.add(mark)
            self._log.flush()
            if self._log.troubled != self._troubled:
                self._troubled = self._log.troubled
                complain(self._troubled or f"{self._log.path} is written again")
        if self._json is not None:
            text = json.dumps(look.model_dump(mode="json"), allow_nan=False)
            if self._json == PRINTED:
                say_json_text(text)
                sys.stdout.flush()
            else:
                self._append(self._json, f"{text}\n")
        if self._table is not None:
            self._table.update(look)
        elif self._json != PRINTED:
            for mark in look.marks:
                say(self._line(mark))
            sys.stdout.flush()
