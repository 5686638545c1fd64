"""A host over ssh: its key is checked, what it says is read, and each failure is one line."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import asyncssh
import pytest

from cgbench.fleet import reach
from cgbench.fleet.reach import NotReached, Refused
from cgbench.spec.host_list import FleetHost
from tests.made.ssh import SshHost


def asked(host: FleetHost, python: str = sys.executable) -> reach.Facts:
    async def ask() -> reach.Facts:
        async with reach.reached(host) as line:
            return await reach.facts(line, python, time.time())

    return asyncio.run(ask())


def test_a_host_says_what_it_is(ssh_host: SshHost) -> None:
    found = asked(ssh_host.entry())
    assert found.python == sys.version_info[:2]
    assert abs(found.behind_s) < 30
    assert found.free_bytes > 0


def test_a_host_whose_key_is_unknown_is_not_reached(ssh_host: SshHost, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(NotReached, match="its host key is unknown: compare it and add it to"):
        asked(ssh_host.entry(known_hosts=str(tmp_path / "known_hosts")))


def test_a_host_whose_key_has_changed_is_not_reached(ssh_host: SshHost, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{ssh_host.port} {other}\n")
    with pytest.raises(NotReached, match="its host key is not the one in"):
        asked(ssh_host.entry(known_hosts=str(tmp_path / "known_hosts")))


def test_a_file_of_host_keys_that_is_not_there_does_not_pass_for_an_empty_one(
    ssh_host: SshHost, tmp_path: Path
) -> None:
    with pytest.raises(NotReached, match="no such file of host keys"):
        asked(ssh_host.entry(known_hosts=str(tmp_path / "none")))


def test_a_key_that_the_host_does_not_take_is_named_as_that(
    ssh_host: SshHost, tmp_path: Path
) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "key"))
    with pytest.raises(NotReached, match="ssh refuses root at"):
        asked(ssh_host.entry(key=str(tmp_path / "key")))


@pytest.mark.parametrize("content", [None, "no key"])
def test_a_key_that_cannot_be_read_is_one_line(
    content: str | None, ssh_host: SshHost, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(NotReached, match="ssh does not reach"):
        asked(ssh_host.entry(key=str(tmp_path / "key")))


def test_a_port_where_nobody_listens_is_not_reached(ssh_host: SshHost) -> None:
    with pytest.raises(NotReached, match=r"ssh does not reach 127\.0\.0\.1"):
        asked(ssh_host.entry(port=1))


def test_an_interpreter_that_is_not_there_is_named(ssh_host: SshHost) -> None:
    with pytest.raises(Refused, match="/no/such/python there ended with 127"):
        asked(ssh_host.entry(), "/no/such/python")


def test_an_interpreter_that_answers_something_else_is_refused(ssh_host: SshHost) -> None:
    with pytest.raises(Refused, match="/bin/echo there answers '-I -'"):
        asked(ssh_host.entry(), "/bin/echo")


def test_a_command_that_does_not_end_is_given_up(ssh_host: SshHost) -> None:
    async def wait() -> None:
        async with reach.reached(ssh_host.entry()) as line:
            await reach.run(line, ["sleep", "60"], limit_s=0.5)

    with pytest.raises(Refused, match=r"not done there within 0\.5 s: sleep 60"):
        asyncio.run(wait())


def test_what_a_host_complains_of_steers_no_terminal(ssh_host: SshHost) -> None:
    async def fail() -> None:
        async with reach.reached(ssh_host.entry()) as line:
            await reach.run(
                line, ["sh", "-c", r"printf '\033[2Jbad\n' >&2; exit 3"], limit_s=30
            )  # fmt: skip

    with pytest.raises(Refused) as caught:
        asyncio.run(fail())
    assert "\x1b" not in str(caught.value)
    assert "ended with 3" in str(caught.value)
