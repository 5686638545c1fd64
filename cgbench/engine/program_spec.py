"""What container a program of one's own is, and how the Engine API is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.engine.labels import LABEL, OWNER
from cgbench.spec.option import Settings
from cgbench.spec.options import birth_body
from cgbench.spec.program import Program

MOST_PRINTED_MB = 16
"""How much of what a program prints Docker keeps, in MB."""

_TMPFS = "rw,nosuid,nodev,size=64m,mode=1777"


@dataclass(frozen=True)
class ProgramSpec:
    """What to start: a program whose image cgbench knows nothing of.

    It lives in the PID namespace of the container `guard`, whose first process ends on its
    deadline, or soon after cgbench did: with it the kernel ends all that is in the namespace,
    whatever the image can do. `network` is Docker's word for its network. `options` are those it
    is born with, `memory` and `pids` safety caps. `files` are those of this host by their paths in
    the container.
    """

    name: str
    image: str
    program: Program
    guard: str
    network: str
    run: str
    owner: str
    options: Settings
    memory: int
    pids: int
    files: Mapping[str, Path] = field(default_factory=dict)
    parent: str | None = None

    def body(self) -> dict[str, object]:
        """Return the body of the request that creates it."""
        own = self.program
        request: dict[str, object] = {
            "Image": self.image,
            "User": own.user,
            "Env": [f"{name}={value}" for name, value in own.environment.items()],
            "Labels": {LABEL: self.run, OWNER: self.owner},
            # A health check of the image would use the CPU time that is measured.
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": self.network,
                "PidMode": f"container:{self.guard}",
                "CapDrop": ["ALL"],
                "CapAdd": list(own.capabilities),
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": own.read_only,
                "Tmpfs": dict.fromkeys(("/tmp", *own.writable), _TMPFS),
                "Mounts": [
                    {"Type": "bind", "Source": str(path), "Target": inside, "ReadOnly": True}
                    for inside, path in self.files.items()
                ],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": f"{MOST_PRINTED_MB}m"}},
                "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
                "OomScoreAdj": 1000,
                "Memory": self.memory,
                "MemorySwap": self.memory,
                "PidsLimit": self.pids,
            }
            | ({} if self.parent is None else {"CgroupParent": self.parent})
            | birth_body(self.options, None),
        }
        if own.command:
            request["Cmd"] = list(own.command)
        if own.entrypoint is not None:
            # By one empty string the API knows that there is to be none.
            request["Entrypoint"] = list(own.entrypoint) or [""]
        return request
