"""Real processes in the place of containers' first processes, and a daemon that speaks of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from cgbench.engine.facts import State
from cgbench.errors import EngineError
from cgbench.host.cgroups import Cgroup
from cgbench.measuring.container import Running
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.spec.container import Container
from cgbench.spec.workload import Workload

ALIVE = State(running=True, pid=1, exit_code=0, oom_killed=False, error="")


def ended(exit_code: int, *, oom_killed: bool = False) -> State:
    """Return what `docker inspect` says of a container that ended."""
    return State(running=False, pid=0, exit_code=exit_code, oom_killed=oom_killed, error="")


@dataclass
class MadeUpEngine:
    """A daemon that says of every container what its script says next, the last for ever."""

    states: list[State | None] = field(default_factory=list)
    said: str = ""
    error: EngineError | None = None
    config: dict[str, object] = field(default_factory=dict)

    def state(self, container_id: str) -> State | None:
        """Return the next state."""
        if self.error is not None:
            raise self.error
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def declared(self, container_id: str) -> dict[str, object]:
        """Return what `docker inspect` declares."""
        return self.config

    def logs(self, container_id: str) -> str:
        """Return what a container printed last."""
        return self.said


class MadeUpProbe:
    """A probe that begins to work after so many looks, and says why it does not yet."""

    def __init__(self, looks: int, why: str | None = None, task: Task | None = None) -> None:
        self._looks, self._why = looks, why
        self.task = task or Task()

    def why_not_running(self) -> str | None:
        """Say why it does not work yet."""
        return self._why

    def running(self) -> bool:
        """Say whether it works."""
        self._looks -= 1
        return self._looks < 0


@contextmanager
def living(
    role: str = "worker", cgroup: Path | None = None, probe: MadeUpProbe | None = None
) -> Iterator[tuple[Running, subprocess.Popen[bytes]]]:
    """Lend a container whose first process is a sleeping one of this host."""
    with subprocess.Popen(["sleep", "60"]) as process:
        pidfd = os.pidfd_open(process.pid)
        try:
            yield (
                Running(
                    spec=Container(role=role, workload="spin"),
                    workload=cast(
                        Workload,
                        SimpleNamespace(name="spin", probe="spin", moves=None, block=None, depth=1),
                    ),
                    container_id=f"id-{role}",
                    pidfd=pidfd,
                    cgroup=Cgroup({}, cgroup),
                    probe=cast(ProbeFile | None, probe),
                    settings={},
                ),
                process,
            )
        finally:
            os.close(pidfd)
            process.kill()
