"""A fleet in one process: workers that replay a truth table instead of measuring."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import dask
from distributed import Scheduler, Worker

from cgbench import __version__
from cgbench.fleet import quiet, task

ALTERED = 3
_STARTED_S = 300.0


def names(number: int) -> list[str]:
    """Return the names of hosts."""
    return [f"web{at:03d}" for at in range(1, number + 1)]


def altered(number: int) -> list[str]:
    """Return the hosts whose tables are not like the others'."""
    return names(number)[number // 7 :: number // ALTERED][:ALTERED]


def document(table: Mapping[str, Any], name: str, at: int | None) -> str:
    """Return the table of one host; with `at`, one option of it has another verdict."""
    found = json.loads(json.dumps(table))
    found["host"]["hostname"] = name
    if at is not None:
        holds = [one for one in found["options"] if one["verdict"] == "effective"]
        holds[at]["verdict"], holds[at]["reason"] = "ignored", "the file never changed"
    return json.dumps(found)


@contextmanager
def replayed(table: Mapping[str, Any], number: int, lasts_s: float) -> Iterator[None]:
    """Let workers of this process replay a table instead of measuring."""
    unlike = altered(number)

    def examined() -> task.Examined:
        doctor = json.dumps({"host": table["host"], "findings": [], "able": True})
        return {"version": __version__, "doctor": doctor, "said": ""}

    def measured(request: task.Request) -> task.Outcome:
        time.sleep(lasts_s)
        host = request["host"]
        at = unlike.index(host) if host in unlike else None
        return {
            "status": 1, "said": "", "seconds": lasts_s, "worker_cpu_s": 0.0, "files": b"",
            "attempt": request["attempt"], "document": document(table, host, at),
        }  # fmt: skip

    def forgotten(_fleet: str) -> None:
        return None

    kept = {name: getattr(task, name) for name in ("examined", "measured", "forgotten")}
    for function in (examined, measured, forgotten):
        # By these a worker finds what it is to call.
        function.__module__, function.__qualname__ = task.__name__, function.__name__
        setattr(task, function.__name__, function)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(task, name, function)


@contextmanager
def cluster(hosts: list[str]) -> Iterator[str]:
    """Run a scheduler and a worker a host in a thread; yield the scheduler's address."""
    address: list[str] = []
    up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            scheduler = await stack.enter_async_context(
                Scheduler(
                    host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
                )
            )
            for host in hosts:
                await stack.enter_async_context(Worker(
                    scheduler.address, name=host, nthreads=1, memory_limit=0, host="127.0.0.1",
                    resources={quiet.resource(host): 1}, dashboard=False,
                    dashboard_address="127.0.0.1:0", heartbeat_interval="5s",
                ))  # fmt: skip
            address.append(scheduler.address)
            up.set()
            await asyncio.to_thread(over.wait)

    def run() -> None:
        quiet.hush()
        with dask.config.set(quiet.SETTINGS):
            asyncio.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(_STARTED_S), "the workers did not start"
    try:
        yield address[0]
    finally:
        over.set()
        thread.join(_STARTED_S)
