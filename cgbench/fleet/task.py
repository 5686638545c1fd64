"""What a Dask worker does on its host: run cgbench as a child, and give back what it left.

Functions that workers import by name; plain data goes in and comes out, so that no two Pythons have
to agree on more than that.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from cgbench import __version__, programs

STATE = Path("~/.cache/cgbench/fleet")
"""Where attempts lie on a host, each in a folder of its own below its fleet's name."""

PROGRESS = "cgbench-progress"
"""The topic on which a worker tells how far it is."""

MEASURED = (0, 1, 3)
"""The exit statuses of a command that gave a result: good, something is not, something is open."""

_ENDED = "ended.json"
_DOCUMENT = "document.json"
_RESULTS = "results"
_LAST_LINES = 20
_LONGEST_LINE = 500
_MOST_BYTES = 512 * 2**20
_KIND_S, _PATIENT_S = 60.0, 10.0
_EXAMINED_S = 120.0

_running: set[subprocess.Popen[bytes]] = set()


class Request(TypedDict):
    """What a host is to do: `files` are texts by name that the command reads.

    In `arguments`, `{results}` and `{document}` stand for where it writes.
    """

    fleet: str
    host: str
    attempt: str
    version: str
    arguments: list[str]
    files: dict[str, str]


class Outcome(TypedDict):
    """What a command gave: `document` is JSON text, None where there is none, `files` a tar.gz."""

    status: int
    said: str
    seconds: float
    worker_cpu_s: float
    document: str | None
    files: bytes
    attempt: str


class Examined(TypedDict):
    """What a host is: `doctor` is JSON text of `cgbench doctor`, None where it said nothing."""

    version: str
    doctor: str | None
    said: str


class Cleaned(TypedDict):
    """What `cgbench clean` said on a host."""

    status: int
    said: str
    output: str


def examined() -> Examined:
    """Return what `cgbench doctor` says of this host, and which cgbench it is."""
    done = _child(["doctor", "--json", "-"], Path("/"), lambda _line: None, limit_s=_EXAMINED_S)
    try:
        json.loads(done.output)
    except ValueError:
        return {"version": __version__, "doctor": None, "said": done.said}
    return {"version": __version__, "doctor": done.output, "said": done.said}


def measured(request: Request) -> Outcome:
    """Run the command that is asked for, unless an earlier attempt of this fleet finished it.

    Raises RuntimeError where another cgbench asks for it.
    """
    if request["version"] != __version__:
        raise RuntimeError(f"cgbench {__version__} is not {request['version']}")
    fleet = _folder(request["fleet"])
    done = next(_finished(fleet), None)
    if done is None:
        if fleet.is_dir():
            # Of an attempt that was cut off: what it started may still be there.
            _child(["clean"], Path("/"), lambda _line: None, limit_s=_EXAMINED_S)
        done = fleet / str(request["attempt"])
        _attempt(request, done)
    found = json.loads((done / _ENDED).read_text())
    document = done / _DOCUMENT
    return {
        "status": int(found["status"]),
        "said": str(found["said"]),
        "seconds": float(found["seconds"]),
        "worker_cpu_s": float(found["worker_cpu_s"]),
        "document": document.read_text(errors="replace") if document.is_file() else None,
        "files": _packed(done / _RESULTS),
        "attempt": done.name,
    }


def forgotten(fleet: str) -> None:
    """Remove what a fleet's attempts left on this host, once it was fetched."""
    shutil.rmtree(_folder(fleet), ignore_errors=True)


def cleaned(fleet: str) -> Cleaned:
    """Remove all that a fleet left on this host: its attempts, and what cgbench started there."""
    done = _child(["clean"], Path("/"), lambda _line: None, limit_s=_EXAMINED_S)
    forgotten(fleet)
    return {"status": done.status, "said": done.said, "output": done.output}


async def ended() -> None:
    """End every child, beside the thread that waits for it."""
    await asyncio.to_thread(end_children)


def end_children() -> None:
    """End every child: kindly, so that it gives back what it has, then by force."""
    for signum, patience_s in ((signal.SIGINT, _KIND_S), (signal.SIGKILL, _PATIENT_S)):
        for child in tuple(_running):
            with suppress(OSError):
                child.send_signal(signum)
        end = time.monotonic() + patience_s
        while any(child.poll() is None for child in tuple(_running)):
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        else:
            return


def _folder(name: str) -> Path:
    if not name or name.startswith(".") or "/" in name:
        raise ValueError(f"{name!r} is no name of a fleet")
    return STATE.expanduser() / "runs" / name


def _finished(fleet: Path) -> Iterator[Path]:
    """Yield the attempts that gave a result; one that was interrupted, or failed, gave none."""
    for path in sorted(fleet.glob(f"*/{_ENDED}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(path.read_text())["status"] in MEASURED:
                yield path.parent


def _attempt(request: Request, folder: Path) -> None:
    """Run the command in a folder, and leave there how it ended."""
    folder.mkdir(parents=True, mode=0o700)
    for name, text in request["files"].items():
        (folder / Path(name).name).write_text(text)
    places = {"{document}": str(folder / _DOCUMENT), "{results}": str(folder / _RESULTS)}
    arguments = [places.get(word, word) for word in request["arguments"]]
    begin, own = time.monotonic(), time.process_time()
    done = _child(arguments, folder, _teller(str(request["host"])))
    _write_whole(folder / _ENDED, json.dumps({
        "status": done.status, "said": done.said,
        "seconds": round(time.monotonic() - begin, 3),
        "worker_cpu_s": round(time.process_time() - own, 3),
    }))  # fmt: skip


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


class _Ended:
    """How a child ended: its status, what it printed, the last lines of its errors."""

    def __init__(self, status: int, output: str, said: str) -> None:
        self.status, self.output, self.said = status, output, said


def _child(
    arguments: Sequence[str], folder: Path, tell: Callable[[str], None],
    limit_s: float | None = None,
) -> _Ended:  # fmt: skip
    command = [
        sys.executable, "-P", "-m", "cgbench.fleet.child", str(os.getpid()), *arguments,
    ]  # fmt: skip
    # A session of its own: an interrupt of whoever is at a terminal comes by the worker alone.
    lines: list[str] = []
    output: list[bytes] = []
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, env=programs.environment(),
    ) as child:  # fmt: skip
        _running.add(child)
        readers = [
            threading.Thread(target=_follow, args=(child.stderr, lines, tell), daemon=True),
            threading.Thread(target=_gather, args=(child.stdout, output), daemon=True),
        ]
        try:
            for reader in readers:
                reader.start()
            child.wait(limit_s)
            for reader in readers:
                reader.join(_PATIENT_S)
        except subprocess.TimeoutExpired:
            lines.append(f"not done within {limit_s:g} s")
        finally:
            if child.poll() is None:
                child.kill()
            _running.discard(child)
    said = "\n".join(lines[-_LAST_LINES:])
    return _Ended(child.returncode, b"".join(output).decode(errors="replace"), said)


def _follow(stream: io.BufferedReader, lines: list[str], tell: Callable[[str], None]) -> None:
    for raw in iter(lambda: stream.readline(_LONGEST_LINE), b""):
        line = raw.decode(errors="replace").rstrip()
        if line.strip():
            lines.append(line)
            del lines[:-_LAST_LINES]
            tell(line)


def _gather(stream: io.BufferedReader, output: list[bytes]) -> None:
    total = 0
    while chunk := stream.read1(65536):
        total += len(chunk)
        # Read on, so that the child can end.
        if total <= _MOST_BYTES:
            output.append(chunk)


def _teller(host: str) -> Callable[[str], None]:
    """Return what tells the fleet how far this host is; silent outside of a worker."""
    try:
        from distributed import get_worker

        worker = get_worker()
    except (ImportError, ValueError):
        return lambda _line: None

    def tell(line: str) -> None:
        worker.log_event(PROGRESS, {"host": host, "line": line})

    return tell


def _packed(folder: Path) -> bytes:
    """Return a folder as a tar.gz, empty where there is none."""
    if not folder.is_dir():
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=".")
    return buffer.getvalue()
