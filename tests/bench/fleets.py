"""Measure a fleet of many simulated hosts, three of them altered, and time its report.

All workers are in one process, and replay a stored truth table as if it took a while. Exit status 1
if a bar was missed. It needs neither root nor Docker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, Worker

from cgbench import __version__
from cgbench.commands import fleet
from cgbench.fleet import quiet, task
from cgbench.records import atlas
from cgbench.spec.host_list import FleetHost
from tests.bench.figure import Figure, at_most, no_less

NUMBER, LASTS_S = 500, 60.0
_ALTERED = 3
_MOST_BYTES = 6 * 10**6
_STARTED_S = 300.0


def names(number: int) -> list[str]:
    """Return the names of hosts."""
    return [f"web{at:03d}" for at in range(1, number + 1)]


def altered(number: int) -> list[str]:
    """Return the hosts whose tables are not like the others'."""
    return names(number)[number // 7 :: number // _ALTERED][:_ALTERED]


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

    def examined() -> dict[str, Any]:
        doctor = {"host": table["host"], "findings": [], "able": True}
        return {"version": __version__, "doctor": doctor, "said": "", "time": 0.0, "root": True}

    def measured(request: Mapping[str, Any]) -> dict[str, Any]:
        time.sleep(lasts_s)
        host = str(request["host"])
        at = unlike.index(host) if host in unlike else None
        return {
            "status": 1, "said": "", "seconds": lasts_s, "worker_cpu_s": 0.0, "files": b"",
            "attempt": str(request["attempt"]), "document": document(table, host, at),
        }  # fmt: skip

    def forgotten(_request: Mapping[str, Any]) -> None:
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


def figures(number: int, lasts_s: float) -> list[Figure]:
    """Run the fleet, judge it and write its page."""
    table = atlas.read(atlas.path_of("debian12-v1", atlas.shipped())).table.to_json()
    hosts = tuple(
        FleetHost(name=name, address=None, port=None, user=None, key=None, known_hosts=None,
                  python=None, tags=("web",))
        for name in names(number)
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, replayed(table, number, lasts_s):
        with cluster([host.name for host in hosts]) as address:
            wanted = fleet.wanted(hosts, "verify", ("--quick",), address)
            made = fleet.begun(wanted, Path(folder))
            begin = time.monotonic()
            record = fleet.measure(made, wanted, lambda _host, _line: None)
            wall = time.monotonic() - begin
        begin = time.monotonic()
        found = fleet.judged(made)
        page = fleet.write_page(found, Path(folder) / "report.html")
        reported = time.monotonic() - begin
        named = found.standing.outliers
        size = page.stat().st_size
    right = set(named) & set(altered(number))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return [
        no_less("hosts measured", number, sum(one.measured for one in record.members), digits=0),
        at_most("wall over the longest task", 1.2, wall / lasts_s, digits=3),
        no_less("altered hosts named", _ALTERED, len(right), digits=0),
        at_most("others named", 0, len(set(named) - right), digits=0),
        at_most("report, wall", 20, reported, " s", digits=1),
        at_most("report, size", _MOST_BYTES / 1e6, size / 1e6, " MB", digits=2),
        at_most("memory of all in one process", 1.5, peak / 2**30, " GiB", digits=2),
    ]


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(prog="tests.bench.fleets", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help=f"hosts ({NUMBER})")
    parser.add_argument("--lasts", type=float, default=LASTS_S, help=f"s a host ({LASTS_S:g})")
    given = parser.parse_args()
    found = figures(given.number, given.lasts)
    for figure in found:
        print(figure.line())
    return int(any(one.met is False for one in found))


if __name__ == "__main__":
    sys.exit(main())
