"""The tests without containers in several processes, which share them out file by file.

One process loads all of cgbench and collects the tests, and forks as many as run them: to load and
collect in each would take a tenth of the tests' CPU time. A process runs the files that it is the
first to take, which a file of its own name in a folder says. No report goes from one process to
another: telling what passed would take another tenth.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import pytest

from cgbench.judging import change_points
from tests.made import command, warm_process
from tests.made.heeded_signals import heed


def main(processes: int, folder: Path, arguments: list[str]) -> int:
    """Run pytest with these arguments; return its exit status."""
    # What is started from here inherits what is ignored.
    heed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warm_process.load_everything()
        change_points.require()
    command.prepare(processes)
    return int(pytest.main(arguments, plugins=[SharedOut(processes, folder)]))


class SharedOut:
    """A plugin that runs what was collected in so many forks, while this process waits."""

    def __init__(self, processes: int, folder: Path) -> None:
        self._processes, self._folder = processes, folder

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed or session.config.option.collectonly or not session.items:
            # Nothing is run, and pytest's own loop says why.
            return None
        with ExitStack() as stack:
            # The first prints at once, the others when all have ended.
            outputs = [
                None if number == 0 else stack.enter_context(tempfile.TemporaryFile())
                for number in range(self._processes)
            ]
            forks = []
            for number, output in enumerate(outputs):
                forks.append(_fork(session, output))
                if forks[-1] == 0:
                    command.take(number)
                    _run(taken(session.items, self._folder))
                    return True
            command.leave()
            statuses = [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]
            for output in filter(None, outputs):
                output.seek(0)
                sys.stdout.buffer.write(output.read())
                sys.stdout.flush()
        if any(statuses):
            session.shouldfail = f"processes of tests ended with {statuses}"
            raise session.Failed(session.shouldfail)
        return True


def _fork(session: pytest.Session, output: BinaryIO | None) -> int:
    """Fork this process; what the child prints goes to `output`."""
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    # What pytest captures by must not be one file for two processes.
    capture.stop_global_capturing()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0 and output is not None:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    capture.start_global_capturing()
    capture.suspend_global_capture()
    return child


def unit(item: pytest.Item) -> str:
    """Return what one process runs: the tests of a file, or all that share the one Chromium."""
    return "browser" if item.get_closest_marker("browser") else str(item.path)


def taken(items: Sequence[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    """Yield the items that this process is the first to take, unit by unit."""
    for number, (_unit, mine) in enumerate(groupby(items, unit)):
        try:
            (folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from mine


def _run(mine: Iterator[pytest.Item]) -> None:
    """Run these items as pytest's own loop does."""
    item = next(mine, None)
    while item is not None:
        # Fixtures that the following item needs too are kept.
        following = next(mine, None)
        session = item.session
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
