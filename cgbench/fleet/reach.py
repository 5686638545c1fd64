"""One host over ssh: reached, asked what it is, and given a process that ends with the line."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from cgbench.foreign import one_line
from cgbench.spec.host_list import FleetHost

_CONNECT_S = 20
_LOGIN_S = 30
_ASKED_S = 60.0
# A dead line is noticed after the last of these was not answered.
_ALIVE_EVERY_S, _ALIVE_MISSED = 5, 4
_LONGEST_SAID = 300

_QUESTION = """
import json, os, platform, sys, time
home = os.path.expanduser("~/.cache/cgbench/fleet")
there = home
while not os.path.isdir(there):
    there = os.path.dirname(there)
room = os.statvfs(there)
print(json.dumps({
    "python": list(sys.version_info[:2]), "machine": platform.machine(),
    "time": time.time(), "free_bytes": room.f_bavail * room.f_frsize, "folder": home,
    "bundles": sorted(os.listdir(home)) if os.path.isdir(home) else [],
}))
"""


Line = asyncssh.SSHClientConnection
"""A line to one host, over which processes are started and ports forwarded."""


class NotReached(Exception):
    """A host cannot be had; the message says why, in one line."""


class Refused(Exception):
    """A host was reached and cannot be measured; the message says why, in one line."""


@dataclass(frozen=True)
class Facts:
    """What a host says of itself before anything is brought to it.

    `behind_s` is how far its clock is behind this host's, `bundles` what was carried there before.
    """

    python: tuple[int, int]
    machine: str
    behind_s: float
    free_bytes: int
    folder: str
    bundles: tuple[str, ...]


@asynccontextmanager
async def reached(host: FleetHost) -> AsyncIterator[Line]:
    """Open a line to a host, whose key must be known. Raises NotReached."""
    try:
        line = await _connected(host)
    except asyncssh.HostKeyNotVerifiable:
        raise NotReached(_host_key(host)) from None
    except asyncssh.PermissionDenied as error:
        raise NotReached(
            f"ssh refuses {host.user or 'this user'} at {host.reached_at}: {_said(error)}"
        ) from None
    except (asyncssh.Error, OSError, asyncssh.KeyImportError, TimeoutError) as error:
        raise NotReached(f"ssh does not reach {host.reached_at}: {_said(error)}") from None
    try:
        yield line
    finally:
        line.close()
        with suppress(Exception):
            await asyncio.wait_for(line.wait_closed(), _ALIVE_EVERY_S)


async def _connected(host: FleetHost) -> Line:
    given: dict[str, Any] = {
        "port": host.port, "username": host.user,
        "client_keys": None if host.key is None else [str(Path(host.key).expanduser())],
        "known_hosts": None if host.known_hosts is None else _known_hosts(host.known_hosts),
    }  # fmt: skip
    # What is not given is ssh's own: ~/.ssh/config, its agent, ~/.ssh/known_hosts.
    given = {key: value for key, value in given.items() if value is not None}
    return await asyncssh.connect(
        host.reached_at.strip("[]"), connect_timeout=_CONNECT_S, login_timeout=_LOGIN_S,
        keepalive_interval=_ALIVE_EVERY_S, keepalive_count_max=_ALIVE_MISSED,
        password_auth=False, kbdint_auth=False, **given,
    )  # fmt: skip


def _known_hosts(text: str) -> str:
    path = Path(text).expanduser()
    if not path.is_file():
        # asyncssh would take an absent file for an empty one.
        raise OSError(f"no such file of host keys: {path}")
    return str(path)


def _host_key(host: FleetHost) -> str:
    """Say whether a host's key is unknown, or another one than before."""
    path = Path(host.known_hosts or "~/.ssh/known_hosts").expanduser()
    with suppress(OSError, ValueError, asyncssh.Error):
        known = asyncssh.read_known_hosts(str(path))
        keys = known.match(host.reached_at.strip("[]"), host.reached_at, host.port or 22)[0]
        if keys:
            return (
                f"its host key is not the one in {path}: another machine answers at "
                f"{host.reached_at}, or it was installed anew"
            )
    return f"its host key is unknown: compare it and add it to {path}"


def _said(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError) and not str(error):
        text = f"no answer within {_CONNECT_S} s"
    return one_line(text, _LONGEST_SAID)


async def facts(line: Line, python: str, now: float) -> Facts:
    """Ask a host what it is, by its interpreter; `now` is this host's time. Raises Refused."""
    found = await run(line, [python, "-I", "-"], given=_QUESTION, limit_s=_ASKED_S)
    try:
        said = json.loads(found)
        return Facts(
            python=(int(said["python"][0]), int(said["python"][1])), machine=str(said["machine"]),
            behind_s=now - float(said["time"]),
            free_bytes=int(said["free_bytes"]), folder=str(said["folder"]),
            bundles=tuple(map(str, said["bundles"])),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, IndexError):
        raise Refused(f"{python} there answers {one_line(found, _LONGEST_SAID)!r}") from None


async def run(
    line: Line, command: Sequence[str], *, given: str | bytes = "",
    limit_s: float,
) -> str:  # fmt: skip
    """Run a command on a host, and return what it printed.

    Raises Refused where it fails, and NotReached where the line is lost meanwhile.
    """
    content = given.encode() if isinstance(given, str) else given
    try:
        done = await line.run(
            shlex.join(command), input=content, encoding=None, timeout=limit_s, check=False
        )
    except (asyncssh.TimeoutError, TimeoutError):
        raise Refused(f"not done there within {limit_s:g} s: {shlex.join(command)}") from None
    except (asyncssh.Error, OSError) as error:
        raise NotReached(f"the line was lost: {_said(error)}") from None
    out, wrong = _text(done.stdout), _text(done.stderr)
    if done.exit_status != 0:
        words = (wrong.strip() or out.strip()).splitlines() or ["nothing was said"]
        raise Refused(
            f"{command[0]} there ended with {done.exit_status}: "
            f"{one_line(words[-1], _LONGEST_SAID)}"
        )
    return out


def _text(content: bytes | str | None) -> str:
    return content.decode(errors="replace") if isinstance(content, bytes) else content or ""


@dataclass(frozen=True)
class Tunnel:
    """Two ways through a line: where the worker finds the scheduler, and the reverse."""

    scheduler_port: int
    worker_port: int


async def tunnelled(line: Line, scheduler_port: int, worker_port: int) -> Tunnel:
    """Forward a port of each side to the other, on loopback only. Raises Refused."""
    here = "127.0.0.1"
    try:
        back = await line.forward_remote_port(here, 0, here, scheduler_port)
        there = await line.forward_local_port(here, 0, here, worker_port)
    except (asyncssh.Error, OSError) as error:
        raise Refused(
            f"its sshd forwards no port ({_said(error)}): a fleet needs AllowTcpForwarding"
        ) from None
    return Tunnel(back.get_port(), there.get_port())
