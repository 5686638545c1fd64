"""How tests run the command: in a warm process to its end, or anew."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.made.warm_process import Command

PATIENCE_S = 240

Done = subprocess.CompletedProcess[str]


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
    assert warm.stdin is not None
    assert warm.stdout is not None
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
        print(json.dumps(command), file=warm.stdin, flush=True)
        if not select.select([warm.stdout], [], [], PATIENCE_S)[0]:
            os.killpg(warm.pid, signal.SIGKILL)
            _warm.cache_clear()
            raise subprocess.TimeoutExpired(["cgbench", *arguments], PATIENCE_S)
        status = int(warm.stdout.readline())
        return Done(["cgbench", *arguments], status, stdout.read_text(), stderr.read_text())


def anew(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Done:
    """Run the command to its end, in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cgbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | dict(environment or {}),
        check=False,
    )


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command in an interpreter of its own and go on."""
    return subprocess.Popen(
        [sys.executable, "-m", "cgbench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@functools.cache
def _warm() -> subprocess.Popen[str]:
    warm = subprocess.Popen(
        [sys.executable, "-m", "tests.made.warm_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    atexit.register(warm.communicate)
    return warm
