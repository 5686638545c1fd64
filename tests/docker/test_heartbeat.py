"""Any program in a real container ends soon after cgbench has died."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.engine.container_spec import PROBE_PATH, ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.host import lock, preconditions
from cgbench.measuring import heartbeat
from cgbench.spec import workload

pytestmark = pytest.mark.docker

DEADLINE_S = 60


@contextmanager
def followed(engine: Engine, command: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Run a program that is no probe as a trial does; yield the container and its beats' file."""
    with tempfile.TemporaryDirectory(
        prefix=lock.SCRATCH_PREFIX, dir=preconditions.SCRATCH
    ) as folder:
        path = Path(folder, "beats")
        spec = ContainerSpec(
            name=f"cgbench-test-{time.monotonic_ns()}",
            image=image.tag(workload.directory()),
            argv=heartbeat.followed(path, PROBE_PATH, command),
            run="test",
            options={},
            memory=64 * 2**20,
            pids=16,
            deadline_s=DEADLINE_S,
            probe=path,
        )
        with engine.container(spec) as container:
            yield container, path


def ended(engine: Engine, container: str, within_s: float) -> State | None:
    """Wait until a container has ended; None where it still runs when the time is over."""
    limit = time.monotonic() + within_s
    while (state := engine.state(container)) is not None and state.running:
        if time.monotonic() > limit:
            return None
        time.sleep(0.05)
    return state


def program(pid: int) -> str:
    """Return what a container's first process runs, once it is no longer what the runtime ran.

    Docker answers a start when runc has been told to go on, and not when it has.
    """
    limit = time.monotonic() + 20
    while (name := Path(f"/proc/{pid}/comm").read_text().strip()).startswith("runc"):
        assert time.monotonic() < limit, name
        time.sleep(0.01)
    return name


@pytest.mark.parametrize(
    "command",
    [
        ("sh", "-c", "trap '' TERM INT HUP; while :; do :; done"),
        ("sh", "-c", "setsid sh -c 'while :; do :; done' & wait"),
        ("stress-ng", "--cpu", "1", "--temp-path", "/tmp"),
    ],
    ids=["deaf", "with a session of its own", "stress-ng"],
)
def test_a_program_in_a_container_and_all_its_children_end_when_no_beat_comes_any_more(
    engine: Engine, command: Sequence[str]
) -> None:
    with followed(engine, command) as (container, path):
        first = engine.state(container)
        assert first is not None
        # The kernel ignores a SIGKILL that a container's first process gets from within it. That
        # one is timeout(1), which ends with the program; and the kernel ends all others with it.
        assert program(first.pid) == "timeout"
        with heartbeat.beating(path, every_s=0.1, life_s=1):
            assert ended(engine, container, 3) is None
        state = ended(engine, container, 8)
        assert state is not None
        assert state.exit_code == 137
