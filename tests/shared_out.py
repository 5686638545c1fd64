"""A pytest plugin: processes that collect the same tests share them out, file by file.

A process runs the files that it is the first to take, which a file of its own name in the folder
says that the variable FOLDER names. No report goes from one process to another: with that, a tenth
of the tests' CPU time would be spent on telling what passed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

FOLDER = "CGBENCH_TESTS_TAKEN"


def unit(item: pytest.Item) -> str:
    """Return what one process runs: the tests of a file, or all that share the one Chromium."""
    return "browser" if item.get_closest_marker("browser") else str(item.path)


def taken(items: list[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    """Yield the items that this process is the first to take, unit by unit."""
    for number, (_unit, mine) in enumerate(groupby(items, unit)):
        try:
            (folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from mine


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if session.testsfailed or session.config.option.collectonly:
        # Nothing is run, and pytest's own loop says why.
        return None
    mine = taken(session.items, Path(os.environ[FOLDER]))
    item = next(mine, None)
    while item is not None:
        # Fixtures that the following item needs too are kept.
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True
