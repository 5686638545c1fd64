"""A host over ssh on loopback, for all tests of this folder that want one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def ssh_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    folder = tmp_path_factory.mktemp("ssh")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.made.ssh_host", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        yield SshHost(int(server.stdout.readline()), folder)
        server.stdin.close()
