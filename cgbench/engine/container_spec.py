"""What container to start, and how the Engine API is asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.engine.labels import LABEL, OWNER
from cgbench.spec.option import Settings
from cgbench.spec.options import birth_body
from cgbench.spec.workload import CONTAINER_USER

PROBE_PATH = "/probe"
"""Where the probe's shared-memory file is mounted in a container."""

SHARED_PATH = "/dev/shm"
"""Where every container has a tmpfs, which others may share."""

SCRATCH_PATH = "/scratch"
"""Where a container that asks for it has a volume on Docker's disk to write to."""


@dataclass(frozen=True)
class ContainerSpec:
    """What to start: `options` are those it is born with, `memory` and `pids` safety caps.

    None is no cap, for a container that only sleeps. `raw` are fields of the Engine API's
    HostConfig, sent as they are.
    `deadline_s` after its start the container ends by itself, whatever becomes of cgbench. With an
    empty `argv` it sleeps until then, in a single task.
    `owner` is the process that removes it.
    `scratch` asks for a volume that is removed with the container, `device` for a block device
    it may read and write, `parent` for a place in the cgroup tree, `ipc` is Docker's word for whose
    /dev/shm it has, `network` that for whose network; none has a network of its own.
    One that sleeps and `outlasts_stop` lets SIGTERM wait, so that `docker stop` takes its time.
    """

    name: str
    image: str
    argv: Sequence[str]
    run: str
    options: Settings
    memory: int | None
    pids: int | None
    deadline_s: int
    probe: Path | None
    owner: str = ""
    scratch: bool = False
    device: Path | None = None
    parent: str | None = None
    raw: Mapping[str, object] = field(default_factory=dict)
    outlasts_stop: bool = False
    ipc: str | None = None
    network: str | None = None

    def body(self) -> dict[str, object]:
        """Return the body of the request that creates it."""
        caps: dict[str, object] = {}
        if self.memory is not None:
            caps |= {"Memory": self.memory, "MemorySwap": self.memory}
        if self.pids is not None:
            caps |= {"PidsLimit": self.pids}
        # PID 1 is timeout(1): a timer in the kernel ends the container on its deadline.
        command = ["timeout", "--signal=KILL", str(self.deadline_s), *self.argv]
        # Blocked, a signal stays pending, where the kernel shows it; PID 1 would ignore it.
        sleep = ["env", "--block-signal=TERM"] if self.outlasts_stop else []
        sleep += ["sleep", str(self.deadline_s)]
        return {
            "Image": self.image,
            "Cmd": command if self.argv else sleep,
            "User": f"{CONTAINER_USER}:{CONTAINER_USER}",
            "Labels": {LABEL: self.run, OWNER: self.owner},
            "NetworkDisabled": self.network is None,
            "StopSignal": "SIGTERM" if self.outlasts_stop else "SIGKILL",
            # The volume takes its owner from the image's directory of that name.
            "Volumes": {SCRATCH_PATH: {}} if self.scratch else {},
            "HostConfig": {
                "NetworkMode": self.network or "none",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": "rw,noexec,nosuid,size=16m"},
                # Not Binds, which make a directory where the source is missing.
                "Mounts": []
                if self.probe is None
                else [{"Type": "bind", "Source": str(self.probe), "Target": PROBE_PATH}],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
                # The most there is: however much the host's own work holds, the kernel kills the
                # stress first (proc(5), oom_score_adj).
                "OomScoreAdj": 1000,
            }
            | self._placed()
            | caps
            | birth_body(self.options, None if self.device is None else str(self.device))
            | dict(self.raw),
        }

    def _placed(self) -> dict[str, object]:
        """Return what of HostConfig gives a container its device and its place in the tree."""
        placed: dict[str, object] = {}
        if self.parent is not None:
            placed["CgroupParent"] = self.parent
        if self.ipc is not None:
            placed["IpcMode"] = self.ipc
        if self.device is not None:
            name = str(self.device)
            placed["Devices"] = [
                {"PathOnHost": name, "PathInContainer": name, "CgroupPermissions": "rw"}
            ]
        return placed
