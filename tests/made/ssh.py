"""A host over ssh on loopback: served, and as a file of hosts has it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cgbench.spec.host_list import FleetHost


@dataclass(frozen=True)
class SshHost:
    """Where it answers, and the folder with the keys."""

    port: int
    folder: Path

    def entry(self, name: str = "here", **other: object) -> FleetHost:
        """Return it as a file of hosts has it."""
        given: dict[str, object] = {
            "name": name, "address": "127.0.0.1", "port": self.port, "user": "root",
            "key": str(self.folder / "key"), "known_hosts": str(self.folder / "known_hosts"),
            "python": sys.executable, "tags": (),
        }  # fmt: skip
        return FleetHost.model_validate(given | other)


@contextmanager
def served(folder: Path) -> Iterator[SshHost]:
    """Serve a host over ssh in a process of its own, whose home is `folder`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.made.ssh_host", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"HOME": str(folder)},
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        yield SshHost(int(server.stdout.readline()), folder)
        server.stdin.close()
