"""How tests run the command: in a warm process to its end, or anew."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.made import warm_process
from tests.made.warm_process import Command

PATIENCE_S = 240
CLEANING_S = 60
"""How long a command that was ended may take to remove what it made."""

Done = subprocess.CompletedProcess[str]


class Warm(NamedTuple):
    """A process that has imported everything, what it reads from, and what it answers to."""

    pid: int
    asked: IO[str]
    answers: IO[str]


_prepared: list[Warm] = []
"""Forked from a process that loaded everything: one for each process that is to run tests."""


def cgbench(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    without_root: bool = False,
) -> Done:
    """Run the command to its end, in a fork of a process that has imported everything.

    `without_root` says that root gives up its rights first.
    For what is measured, and for what ends by a signal, take `anew` or `start`.
    """
    warm = _warm()
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        stdout.touch()
        stderr.touch()
        command: Command = {
            "arguments": [*map(str, arguments)],
            "environment": {**os.environ, **(environment or {})},
            "directory": str(Path.cwd()),
            "without_root": without_root,
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        print(json.dumps(command), file=warm.asked, flush=True)
        if not select.select([warm.answers], [], [], PATIENCE_S)[0]:
            os.killpg(warm.pid, signal.SIGKILL)
            _prepared.clear()
            _warm.cache_clear()
            raise subprocess.TimeoutExpired(["cgbench", *arguments], PATIENCE_S)
        status = int(warm.answers.readline())
        return Done(["cgbench", *arguments], status, stdout.read_text(), stderr.read_text())


def anew(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Done:
    """Run the command to its end, in an interpreter of its own."""
    with started(*arguments, environment=environment) as process:
        out, said = process.communicate(timeout=PATIENCE_S)
    return Done(process.args, process.returncode, out, said)


@contextlib.contextmanager
def started(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start the command in an interpreter of its own; whatever happens, it has ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cgbench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(environment or {}),
    )
    with process, ended(process):
        yield process


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End a command when its user is through, by a signal after which it removes what it made.

    Ctrl-C may reach its user alone. Killed, it would leave containers.
    """
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(CLEANING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def prepare(count: int) -> None:
    """Fork `count` warm processes from this one, which has loaded everything."""
    for _ in range(count):
        asked, answers = os.pipe(), os.pipe()
        fork = os.fork()
        if fork == 0:
            try:
                os.setsid()
                # Whoever runs tests, and nobody else, keeps it waiting for more commands.
                os.close(asked[1])
                leave()
                with os.fdopen(asked[0]) as lines, os.fdopen(answers[1], "w") as statuses:
                    warm_process.answer(lines, statuses)
            finally:
                os._exit(0)
        os.close(asked[0])
        os.close(answers[1])
        _prepared.append(Warm(fork, os.fdopen(asked[1], "w"), os.fdopen(answers[0])))
    atexit.register(leave)


def take(number: int) -> None:
    """Let this process, one of several that run tests, have the warm process of this number."""
    mine = _prepared.pop(number)
    leave()
    _prepared.append(mine)


def leave() -> None:
    """Need the prepared processes no longer: each ends when nobody does."""
    for warm in _prepared:
        warm.asked.close()
        warm.answers.close()
    _prepared.clear()


@functools.cache
def _warm() -> Warm:
    if _prepared:
        return _prepared[0]
    warm = subprocess.Popen(
        [sys.executable, "-m", warm_process.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert warm.stdin is not None
    assert warm.stdout is not None
    atexit.register(warm.communicate)
    return Warm(warm.pid, warm.stdin, warm.stdout)
