"""An example's program, run here as a container runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from cgbench.spec import workload
from tests.made.command import ended

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a Python program of an example; all have ended afterwards."""
    with ExitStack() as stack:

        def started(program: str, *arguments: object) -> subprocess.Popen[str]:
            command = [sys.executable, str(workload.directory() / program), *map(str, arguments)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.enter_context(ended(process))
            return process

        yield started
