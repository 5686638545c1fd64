"""What `cgbench watch` shows: a table that fits the terminal, below it the latest changes."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cgbench.cli.console import Console
from cgbench.foreign import printable
from cgbench.records.audit import NO_LIMIT
from cgbench.records.watch import Look, Mark, Reading
from cgbench.units import format_size
from cgbench.wording import count, whole_percent

_MARKS = 6
# How many lines the newest of them may take.
_NEWEST = 3
_HEADINGS = ("container", "CPUs", "of", "throttled", "memory", "of", "tasks", "of", "kills")
# What the two files of v1 that make up a number of CPUs hold.
_TIMES = {"cpu.cfs_quota_us": "quota", "cpu.cfs_period_us": "period"}
_KEYS: Mapping[str, tuple[str, Callable[[Reading], float | str]]] = {
    "c": ("CPU", lambda one: -(one.cpus or 0.0)),
    "m": ("memory", lambda one: -(one.memory_bytes or 0)),
    "t": ("throttling", lambda one: -(one.throttled_pct or 0.0)),
    "k": ("kills", lambda one: -(one.kills or 0)),
    "n": ("name", lambda one: one.name),
}


def line(mark: Mark) -> str:
    """Return a mark as one line of text."""
    parts = [mark.at[:19].replace("T", " "), mark.name or "host", mark.kind]
    if mark.limit is not None:
        parts.append(mark.limit)
    file = (mark.path or "").rpartition("/")[2]
    if file in _TIMES:
        parts.append(_TIMES[file])
    if mark.before is not None or mark.after is not None:
        parts.append(f"{_value(mark, mark.before)} → {_value(mark, mark.after)}")
    said = " ".join(parts)
    if mark.kind == "changed":
        said += f"; {mark.just_before or 'nothing is known of just before'}"
    if mark.finding is not None:
        said += f"; {mark.finding.value}"
    if mark.reason:
        said += f": {mark.reason}"
    return said if mark.path is None else f"{said} ({mark.path})"


def _value(mark: Mark, text: str | None) -> str:
    """Return what a file said, with its unit where it has one: bytes as a size, times as they are.

    A time is not a number of CPUs, which the limit's name would have it be.
    """
    file = (mark.path or "").rpartition("/")[2]
    if text is not None and file in _TIMES:
        return "no limit" if text == "-1" else f"{text} µs"
    if text is not None and file == "cpu.max":
        quota, _, period = text.partition(" ")
        of = f"of {period} µs"
        return f"no limit {of}" if quota == "max" else f"{quota} µs {of}"
    if text is not None and text.isdecimal() and (mark.limit or "").startswith("memory"):
        return "no limit" if int(text) >= NO_LIMIT else format_size(int(text))
    return "–" if text is None else text


class LiveTable:
    """The table, sorted as asked by a key; `ended` once q was pressed."""

    def __init__(self, live: Live, height: int, keyboard: int | None) -> None:
        self.ended = False
        self._live, self._height, self._keyboard = live, height, keyboard
        self._sort, self._paused = "c", False
        self._look: Look | None = None
        self._marks: deque[Mark] = deque(maxlen=_MARKS)
        self._marked: dict[str, str] = {}

    def update(self, look: Look) -> None:
        """Show a look, unless the table is paused; its marks are kept in any case."""
        self._marks.extend(look.marks)
        self._marked |= {mark.id: mark.kind for mark in look.marks if mark.id}
        if not self._paused:
            self._look = look
            self._draw()

    def wait(self, until: float) -> None:
        """Wait until a moment, and heed the keys that are pressed."""
        while (left := until - time.monotonic()) > 0 and not self.ended:
            if self._keyboard is None:
                time.sleep(left)
                continue
            ready, _, _ = select.select([self._keyboard], [], [], left)
            if ready:
                pressed = os.read(self._keyboard, 16).decode(errors="replace")
                if not pressed:
                    # Nobody can press a key any more.
                    self._keyboard = None
                for key in pressed:
                    self.press(key)

    def press(self, key: str) -> None:
        """Heed a key."""
        if key == "q":
            self.ended = True
        elif key == " ":
            self._paused = not self._paused
        elif key in _KEYS:
            self._sort = key
        self._draw()

    def _draw(self) -> None:
        if self._look is not None:
            self._live.update(self.shown(self._look), refresh=True)

    def shown(self, look: Look) -> RenderableType:
        """Return what is to be seen of a look."""
        table = Table(box=None, pad_edge=False)
        for heading in _HEADINGS:
            left = heading == "container"
            table.add_column(heading, justify="left" if left else "right", no_wrap=True)
        word, key = _KEYS[self._sort]
        ordered = sorted(look.readings, key=lambda one: (key(one), one.name))
        room = max(3, self._height - _MARKS - _NEWEST - 4)
        for one in ordered[:room]:
            sign = " *" if one.id in self._marked else ""
            table.add_row(*(Text(text) for text in _row(one, sign)))
        left_out = len(ordered) - room
        paused = ", paused" if self._paused else ""
        at, number = look.at[:19].replace("T", " "), count(len(ordered), "container")
        head = f"{at}  {number}, by {word}{paused}"
        parts: list[RenderableType] = [Text(head), table]
        if left_out > 0:
            parts.append(Text(f"… and {left_out} more"))
        lines = [printable(line(mark)) for mark in self._marks]
        parts += [Text(one, no_wrap=True, overflow="ellipsis") for one in lines[:-1]]
        # Of the newest all is to be read: what came just before it, and where.
        parts += [Text(one, overflow="fold") for one in lines[-1:]]
        return Group(*parts)


def _row(one: Reading, sign: str) -> tuple[str, ...]:
    if one.state != "running" and one.memory_bytes is None:
        return (printable(f"{one.name}{sign}"), one.state, *("",) * (len(_HEADINGS) - 2))
    return (
        printable(f"{one.name}{sign}"),
        _of(one.cpus, ".2f"),
        _of(one.cpus_limit, ".3g"),
        "–" if one.throttled_pct is None else whole_percent(one.throttled_pct),
        "–" if one.memory_bytes is None else format_size(one.memory_bytes),
        "–" if one.memory_limit is None else format_size(one.memory_limit),
        _of(one.tasks, "d"),
        _of(one.tasks_limit, ".0f"),
        _of(one.kills, "d"),
    )


def _of(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


@contextmanager
def table() -> Iterator[LiveTable]:
    """Yield a table on standard output; the keys are read where standard input is a terminal."""
    console = Console(highlight=False)
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = None if keyboard is None else termios.tcgetattr(keyboard)
    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        with Live(console=console, auto_refresh=False, screen=True) as live:
            yield LiveTable(live, console.height, keyboard)
    finally:
        if keyboard is not None and before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
