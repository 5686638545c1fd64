"""The web service: what a request costs, and what becomes of its workers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from cgbench.host import procfs
from tests.examples.conftest import Start

PATIENCE_S = 20
CPU_MS = 150
MIB = 3

Found = TypeVar("Found")


class Service:
    """One that runs, with a connection that is kept."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def get(self, path: str) -> tuple[int, dict[str, float]]:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def answers(self) -> bool | None:
        try:
            return self.get("/nothing")[0] == 404
        except OSError:
            self.close()
            return None

    def close(self) -> None:
        self._connection.close()

    def workers(self) -> set[int]:
        return set(procfs.family(self.process.pid)) - {self.process.pid}


def until(asked: Callable[[], Found | None]) -> Found:
    """Ask again and again until there is an answer."""
    limit = time.monotonic() + PATIENCE_S
    while (found := asked()) is None:
        assert time.monotonic() < limit, "nothing came"
        time.sleep(0.01)
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


@pytest.fixture
def service(start: Start) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    options = ("--cpu-ms", CPU_MS, "--memory-mib", MIB, "--workers", 2, "--port", port)
    with closing(Service(start("web/service.py", *options), port)) as found:
        assert until(found.answers)
        yield found


def cpu_s(pids: set[int]) -> float:
    """Return the CPU time of processes until now (proc(5), stat: utime and stime)."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def test_a_request_costs_the_cpu_time_that_was_asked_for(service: Service) -> None:
    before = cpu_s(service.workers())
    for _ in range(4):
        status, said = service.get("/")
        assert status == 200
        assert said["cpu_ms"] >= CPU_MS
    # A tick for each of two workers may be lacking.
    assert cpu_s(service.workers()) - before >= 4 * CPU_MS / 1000 - 0.02


def test_the_working_set_is_touched_page_by_page(service: Service) -> None:
    assert service.get("/memory") == (200, {"pages": MIB * 2**20 // os.sysconf("SC_PAGE_SIZE")})


def test_a_worker_that_was_killed_is_replaced(service: Service) -> None:
    before = service.workers()
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(service.workers() - before) == 1 or None)
    assert until(service.answers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_however_the_service_ends_its_workers_end_with_it(
    service: Service, number: signal.Signals
) -> None:
    workers = service.workers()
    service.process.send_signal(number)
    assert service.process.wait(PATIENCE_S) in (0, -signal.SIGKILL)
    until(lambda: not alive(workers) or None)


def test_a_service_without_workers_is_refused(start: Start) -> None:
    assert start("web/service.py", "--workers", 0).wait(PATIENCE_S) == 2
