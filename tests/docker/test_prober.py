"""The prober in a real container of the workload image, beside a service on its loopback."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cgbench.engine import image
from cgbench.engine.container_spec import PROBE_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.host import lock, preconditions
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.spec import workload
from cgbench.spec.workload import CONTAINER_USER

pytestmark = pytest.mark.docker

MS = 1_000_000
PATIENCE_S = 30

# It answers one connection at a time, and begins a second late.
SERVICE = """
import socket, time
time.sleep(1)
listener = socket.create_server(("127.0.0.1", 8000))
while True:
    one, _ = listener.accept()
    while one.recv(4096):
        one.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
"""
BOTH = 'python3 -I -S -c "$1" & exec python3 -I -S /opt/cgbench/prober.py "$2" "$3"'


@contextmanager
def probing(engine: Engine, task: Task) -> Iterator[tuple[str, ProbeFile]]:
    """Run a service and its prober in one container."""
    with (
        tempfile.TemporaryDirectory(
            prefix=lock.SCRATCH_PREFIX, dir=preconditions.SCRATCH
        ) as folder,
        ProbeFile(Path(folder, "probe"), 1, 60, CONTAINER_USER, task) as file,
        engine.container(
            ContainerSpec(
                name=f"cgbench-test-{time.monotonic_ns()}",
                image=image.tag(workload.directory()),
                argv=["sh", "-c", BOTH, "sh", SERVICE, PROBE_PATH, "http://127.0.0.1:8000/"],
                run="test", options={}, memory=64 * 2**20, pids=16, deadline_s=60,
                probe=file.path,
            )
        ) as container_id,
    ):  # fmt: skip
        yield container_id, file


def test_a_prober_in_a_container_asks_from_the_first_right_answer_on(engine: Engine) -> None:
    why: set[str | None] = set()
    with probing(engine, Task("request", count=1, pace_ns=2 * MS)) as (container_id, file):
        begin = time.monotonic()
        while not file.running():
            why.add(file.why_not_running())
            assert time.monotonic() - begin < PATIENCE_S, engine.logs(container_id)
            time.sleep(0.01)
        time.sleep(1)
        file.stop()
        while not file.finished():
            assert time.monotonic() - begin < PATIENCE_S
            time.sleep(0.01)
        (log,) = file.read()
    assert "connection refused" in why
    assert log.tally.failed == 0
    assert log.units.sum() + (log.tally.unanswered or 0) == len(log.stall_begin_ns) >= 400
    assert np.all(np.diff(log.stall_begin_ns) == 2 * MS)
    assert np.all(log.stall_length_ns > 0)
