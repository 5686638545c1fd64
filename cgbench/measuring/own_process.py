"""Is the process that the daemon names one of this host, and the container's?

A daemon in another PID namespace names its processes by numbers that are others' here.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from cgbench.errors import CgroupError, DockerUnavailable
from cgbench.host import cgroups


def is_own(pid: int, container_id: str, proc: Path = Path("/proc")) -> bool:
    """Say whether process `pid` is in the container's cgroup.

    Docker's two cgroup drivers both name the group by the container's id, below any parent.
    Raises CgroupError where there is no such process.
    """
    return any(container_id in path for path in cgroups.paths_of(pid, proc))


def kill(pid: int, container_id: str, proc: Path = Path("/proc")) -> bool:
    """Kill process `pid` from outside, as a crash does; False where it is not the container's.

    Raises PermissionError where this process may not.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # With the process held by its descriptor, its number is no other's meanwhile.
        own = is_own(pid, container_id, proc)
        if own:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except (ProcessLookupError, CgroupError):
        return False
    finally:
        os.close(process)
    return own


def foreign(pid: int, container_id: str) -> DockerUnavailable:
    """Return the error for a process that is not the container's."""
    return DockerUnavailable(
        f"the daemon says that container {container_id[:12]} runs as process {pid}, which is "
        "another one here: its processes are not this host's",
        "Run cgbench where that daemon runs, in the same PID namespace; it limits nothing else.",
    )
