"""A scheduler and its workers: on loopback, behind TLS, and a lost one is told as lost."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from cgbench.fleet import crew, reach, task
from cgbench.fleet.crew import Crew, Lost, Member
from cgbench.fleet.reach import Refused
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows
from tests.made.fleet import names, served
from tests.made.ssh import SshHost

_WORKER = (sys.executable, "-P", "-m", "cgbench.fleet.worker")


def silent(_host: str, _line: str) -> None:
    return None


@asynccontextmanager
async def at_work(host: SshHost) -> AsyncIterator[tuple[Crew, Member]]:
    entry = host.entry()
    async with (
        crew.own(silent) as team,
        reach.reached(entry) as line,
        team.member(entry, line, _WORKER) as member,
    ):
        yield team, member


def doing(host: SshHost, what: Callable[[Crew, Member], Awaitable[None]]) -> None:
    async def do() -> None:
        async with at_work(host) as (team, member):
            await what(team, member)

    asyncio.run(do())


def worker_of(host: SshHost) -> psutil.Process:
    (found,) = (
        one for one in psutil.process_iter() if _is_worker(one, str(host.folder))
    )  # fmt: skip
    return found


def _is_worker(process: psutil.Process, home: str) -> bool:
    with suppress(psutil.Error):
        return "cgbench.fleet.worker" in process.cmdline() and process.environ()["HOME"] == home
    return False


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    return [
        (one.laddr.ip, one.laddr.port)
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]


def test_a_function_is_called_on_the_host(ssh_host: SshHost) -> None:
    async def call(team: Crew, member: Member) -> None:
        await team.call(member, "key", task.forgotten, "nothing-there")

    doing(ssh_host, call)


def test_what_a_function_raises_is_one_line(ssh_host: SshHost) -> None:
    async def call(team: Crew, member: Member) -> None:
        with pytest.raises(RuntimeError, match=r"ValueError: '\.\./x' is no name of a fleet"):
            await team.call(member, "key", task.forgotten, "../x")

    doing(ssh_host, call)


def test_everything_listens_on_loopback_alone(ssh_host: SshHost) -> None:
    async def look(_team: Crew, _member: Member) -> None:
        found = [*listening(psutil.Process()), *listening(worker_of(ssh_host))]
        assert len(found) >= 2
        assert {address for address, _port in found} == {"127.0.0.1"}

    doing(ssh_host, look)


def test_nobody_without_the_fleets_certificate_is_answered(ssh_host: SshHost) -> None:
    async def try_it(_team: Crew, _member: Member) -> None:
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        ports = [port for _ip, port in (*listening(psutil.Process()),
                                        *listening(worker_of(ssh_host)))]  # fmt: skip
        answered = [port for port in ports if await _answers(port, anybody)]
        assert answered == []

    doing(ssh_host, try_it)


async def _answers(port: int, context: ssl.SSLContext) -> bool:
    """Say whether a port speaks to somebody without a certificate, beyond the handshake."""
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port, ssl=context), 10
        )
    except (OSError, ssl.SSLError, TimeoutError):
        return False
    try:
        # With TLS 1.3 the refusal comes with the first answer.
        return bool(await asyncio.wait_for(reader.read(1), 3))
    except (OSError, ssl.SSLError):
        return False
    except TimeoutError:
        # Silence, such as of an HTTP server without a page.
        return False
    finally:
        writer.close()


def test_the_key_is_in_no_list_of_processes(ssh_host: SshHost) -> None:
    async def look(_team: Crew, _member: Member) -> None:
        worker = worker_of(ssh_host)
        assert "PRIVATE KEY" not in " ".join(worker.cmdline())
        assert not any("PRIVATE KEY" in value for value in worker.environ().values())

    doing(ssh_host, look)


def test_a_worker_that_dies_is_lost(ssh_host: SshHost) -> None:
    async def kill(team: Crew, member: Member) -> None:
        os.kill(worker_of(ssh_host).pid, signal.SIGKILL)
        with pytest.raises(Lost, match="its worker"):
            await team.call(member, "key", task.examined)

    doing(ssh_host, kill)


def test_a_worker_removes_the_folders_of_those_that_were_killed(ssh_host: SshHost) -> None:
    workers = ssh_host.folder / ".cache/cgbench/fleet/workers"
    gone = workers / str(_no_process())
    gone.mkdir(parents=True)

    async def look(_team: Crew, _member: Member) -> None:
        assert [one.name for one in workers.iterdir()] == [str(worker_of(ssh_host).pid)]

    doing(ssh_host, look)
    assert list(workers.iterdir()) == []


def _no_process() -> int:
    """Return a number that no process has."""
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    return next(pid for pid in range(most, 1, -1) if not psutil.pid_exists(pid))


def test_a_worker_ends_with_its_line(ssh_host: SshHost) -> None:
    found: list[psutil.Process] = []

    async def note(_team: Crew, _member: Member) -> None:
        found.append(worker_of(ssh_host))

    doing(ssh_host, note)
    gone, _alive = psutil.wait_procs(found, 60)
    assert len(gone) == 1


def test_an_interpreter_without_dask_is_refused_with_its_own_words(ssh_host: SshHost) -> None:
    async def start() -> None:
        entry = ssh_host.entry()
        wrong = (sys.executable, "-I", "-m", "no_such_module")
        async with (
            crew.own(silent) as team,
            reach.reached(entry) as line,
            team.member(entry, line, wrong),
        ):
            pass

    with pytest.raises(Refused, match=r"a worker does not start: .*no_such_module"):
        asyncio.run(start())


@pytest.mark.parametrize("whole", [True, False])
def test_a_clusters_own_worker_is_asked_to_end_what_nobody_waits_for(
    tmp_path: Path, whole: bool
) -> None:
    """A task that is cancelled goes on in its worker's thread, and its measurement with it."""
    table = atlas_rows.table({"cpus": Outcome.EFFECTIVE}).to_json()
    name, *_others = names(3)
    mark = tmp_path / "ended"
    request: task.Request = {
        "fleet": "f", "host": name, "attempt": "1", "version": "0", "arguments": ["verify"],
        "files": {},
    }  # fmt: skip

    async def do(address: str) -> None:
        async with crew.named(address, silent) as team:
            asked = asyncio.ensure_future(
                team.call(Member(name, None), "key", task.measured, request)
            )
            if whole:
                assert (await asked)["attempt"] == "1"
                return
            await asyncio.sleep(0.5)
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked

    with served(table, 3, 0.2 if whole else 3.0, mark=mark) as address:
        asyncio.run(do(address))
        assert mark.exists() is not whole
