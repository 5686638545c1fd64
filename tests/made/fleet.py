"""A fleet in a process of its own: workers that replay a truth table instead of measuring.

`python -m tests.made.fleet TABLE NUMBER LASTS_S [HOST]...` prints its scheduler's address, and ends
with its standard input. On each HOST the disk is full.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, Worker

from cgbench import __version__
from cgbench.fleet import quiet, task

ALTERED = 3
ENDED = "CGBENCH_TEST_ENDED"
"""The variable that names the file which is there once a worker was asked to end its task."""

_HERE = "127.0.0.1"


def names(number: int) -> list[str]:
    """Return the names of hosts."""
    return [f"web{at:03d}" for at in range(1, number + 1)]


def altered(number: int) -> list[str]:
    """Return the hosts whose tables are not like the others'."""
    return names(number)[number // 7 :: number // ALTERED][:ALTERED]


@contextmanager
def served(
    table: Mapping[str, Any],
    number: int,
    lasts_s: float,
    full: Sequence[str] = (),
    mark: Path | None = None,
) -> Iterator[str]:
    """Run a scheduler and a worker for each of `number` hosts; yield the scheduler's address.

    The file `mark` is there once a worker was asked to end its task.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.json")
        path.write_text(json.dumps(table))
        with subprocess.Popen(
            [sys.executable, "-m", __name__, path, str(number), str(lasts_s), *full],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, ENDED: str(mark or Path(folder, "ended"))},
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the workers did not start"
            try:
                yield address
            finally:
                process.stdin.close()


def _document(table: Mapping[str, Any], name: str, at: int | None) -> str:
    """Return the table of one host; with `at`, one option of it has another verdict."""
    found = json.loads(json.dumps(table))
    found["host"]["hostname"] = name
    if at is not None:
        holds = [one for one in found["options"] if one["verdict"] == "effective"]
        holds[at]["verdict"], holds[at]["reason"] = "ignored", "the file never changed"
    return json.dumps(found)


def _replay(table: Mapping[str, Any], number: int, lasts_s: float, full: Sequence[str]) -> None:
    """Let workers of this process replay a table instead of measuring."""
    unlike = altered(number)

    def examined() -> task.Examined:
        doctor = json.dumps({"host": table["host"], "findings": [], "able": True})
        return {"version": __version__, "doctor": doctor, "said": ""}

    def measured(request: task.Request) -> task.Outcome:
        time.sleep(lasts_s)
        host = request["host"]
        if host in full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        at = unlike.index(host) if host in unlike else None
        return {
            "status": 1, "said": "", "seconds": lasts_s, "worker_cpu_s": 0.0, "files": b"",
            "attempt": request["attempt"], "document": _document(table, host, at),
        }  # fmt: skip

    def forgotten(_fleet: str) -> None:
        return None

    async def ended() -> None:
        """Leave a mark: a fleet asked its workers to end what they do."""
        Path(os.environ[ENDED]).touch()

    functions: tuple[Callable[..., object], ...] = (examined, measured, forgotten, ended)
    for function in functions:
        # By these a worker finds what it is to call.
        function.__module__, function.__qualname__ = task.__name__, function.__name__
        setattr(task, function.__name__, function)


async def _serve(hosts: Sequence[str]) -> None:
    async with AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(
            Scheduler(host=_HERE, port=0, dashboard=False, dashboard_address=f"{_HERE}:0")
        )
        for host in hosts:
            await stack.enter_async_context(Worker(
                scheduler.address, name=host, nthreads=1, memory_limit=0, host=_HERE,
                resources={quiet.resource(host): 1}, dashboard=False,
                dashboard_address=f"{_HERE}:0", heartbeat_interval=f"{quiet.LIFELINE_S}s",
            ))  # fmt: skip
        print(scheduler.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main(table: str, number: str, lasts_s: str, *full: str) -> None:
    """Serve until nobody is there any more."""
    quiet.hush()
    _replay(json.loads(Path(table).read_text()), int(number), float(lasts_s), full)
    with dask.config.set(quiet.SETTINGS):
        try:
            asyncio.run(_serve(names(int(number))))
        finally:
            # Hundreds of workers take their time to take leave of one another.
            os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
