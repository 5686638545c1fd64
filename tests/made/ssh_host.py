"""A host that is reached over ssh, on loopback: commands run here, as whoever started it.

`python -m tests.made.ssh_host FOLDER` makes keys in FOLDER, prints its port, and serves until its
standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import asyncssh


async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    pipe = asyncio.subprocess.PIPE
    command = process.command or "true"
    child = await asyncio.create_subprocess_shell(
        command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    feeding = asyncio.ensure_future(_copied(process.stdin, child.stdin))
    # A line that is lost ends the input, as it does behind sshd.
    await asyncio.gather(
        _copied(child.stdout, process.stdout), _copied(child.stderr, process.stderr)
    )
    status = await child.wait()
    feeding.cancel()
    process.exit(status)


async def _copied(source: Any, sink: Any) -> None:
    """Copy until the source ends, or nobody reads the sink any more."""
    try:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        if isinstance(sink, asyncio.StreamWriter):
            sink.close()


class _Server(asyncssh.SSHServer):
    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return True


async def _main(folder: Path) -> None:
    own, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    client.write_private_key(str(folder / "key"))
    (folder / "key").chmod(0o600)
    client.write_public_key(str(folder / "authorized"))
    server = await asyncssh.create_server(
        _Server, "127.0.0.1", 0, server_host_keys=[own], encoding=None,
        authorized_client_keys=str(folder / "authorized"), process_factory=_serve,
    )  # fmt: skip
    port = server.get_port()
    public = own.export_public_key().decode().strip()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
    os.kill(os.getpid(), signal.SIGKILL)
