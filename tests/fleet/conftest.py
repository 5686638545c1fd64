"""A host over ssh on loopback, for all tests of this folder that want one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.made import ssh
from tests.made.ssh import SshHost


@pytest.fixture(scope="session")
def ssh_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh.served(tmp_path_factory.mktemp("ssh")) as host:
        yield host
