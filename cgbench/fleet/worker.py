"""The Dask worker of one host: `python -m cgbench.fleet.worker`, started over ssh.

It prints the port that it will listen on, and reads on one line where the scheduler is and what to
prove itself with, which so lies in no file and in no list of processes. It ends, and ends the
measurement with it, when its standard input does: then nobody is there who wants it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Worker

from cgbench import __version__
from cgbench.fleet import quiet, task

HERE = "127.0.0.1"
MEMORY = Path("/dev/shm")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])


def _say(**document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Lend a folder, after removing those of workers that were killed."""
    workers = task.STATE.expanduser() / "workers"
    workers.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in workers.iterdir():
        if not Path("/proc", left.name).exists():
            shutil.rmtree(left, ignore_errors=True)
    own = workers / str(os.getpid())
    own.mkdir(exist_ok=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


async def _work(given: dict[str, Any], port: int, ended: asyncio.Event) -> None:
    with _own_folder() as folder:
        async with Worker(
            given["scheduler"], name=given["name"], nthreads=1, memory_limit=0,
            resources={quiet.resource(given["name"]): 1}, host=HERE, port=port, protocol="tls",
            contact_address=given["contact"], local_directory=str(folder),
            security=quiet.security(given["certificate"], given["key"]),
            dashboard=False, dashboard_address=f"{HERE}:0",
            heartbeat_interval=f"{quiet.LIFELINE_S}s", death_timeout=60,
        ) as worker:  # fmt: skip
            _say(ready=True)
            lost = asyncio.ensure_future(worker.finished())
            over = asyncio.ensure_future(ended.wait())
            await asyncio.wait({lost, over}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            # Before the worker closes, which waits for its thread.
            await asyncio.to_thread(task.end_children)


async def _main() -> None:
    port = _free_port()
    _say(port=port, version=__version__, pid=os.getpid())
    given = json.loads(await asyncio.to_thread(sys.stdin.readline))
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def watch() -> None:
        while sys.stdin.readline():
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await _work(given, port, ended)


if __name__ == "__main__":
    quiet.hush()
    if MEMORY.is_dir():
        # Where Dask writes the key for an instant, since OpenSSL reads it from a file alone.
        tempfile.tempdir = str(MEMORY)
    with dask.config.set(quiet.SETTINGS):
        asyncio.run(_main())
    sys.stdout.flush()
    # A thread may still wait for the input, and an executor for its thread.
    os._exit(0)
