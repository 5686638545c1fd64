#!/usr/bin/env python3
"""A web service whose requests cost a known CPU time: `service.py --cpu-ms 5 --memory-mib 32`.

It answers HTTP/1.1 with keep-alive on 127.0.0.1:8080, since its load shares the network namespace:

    GET /        computes until its thread has used `--cpu-ms` of CPU time, by the thread's own
                 CPU clock: a slower CPU, or one that is shared, makes it no cheaper.
    GET /memory  writes one byte to each page of the working set, which has `--memory-mib`, is
                 filled before the first request, and is one for all workers.
    GET /file    reads `--reads` pages, chosen at random, of the file `--file`, which has
                 `--file-mib`. It is written to the disk before the first request, so that all of
                 it is in the page cache, clean, and charged to this container.

Any other path is 404. The answer is a JSON object that says what was done. Sockets and HTTP cost
CPU time beside that. `--workers` processes share the listening socket; each serves every connection
in a thread of its own, of which one computes at a time: so at most that many CPUs are used. A
worker that was killed is replaced.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "127.0.0.1"
_MIB = 2**20
_NS_PER_MS = 1_000_000
# Some 10 µs between two readings of the clock, each of which is a system call.
_CHUNK = range(500)


class WorkingSet:
    """Memory that is filled once, and of which every page can be written again.

    Anonymous and shared: forked workers see one, so its size does not depend on their number.
    """

    def __init__(self, mib: int) -> None:
        self._memory = mmap.mmap(-1, mib * _MIB)
        self.touch()

    def touch(self) -> int:
        """Write one byte to each page, and return how many there are."""
        pages = len(self._memory) // mmap.PAGESIZE
        self._memory[:: mmap.PAGESIZE] = b"x" * pages
        return pages


class FileSet:
    """A file of which pages are read at random, each as likely as any other."""

    def __init__(self, path: str, mib: int, reads: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        for _ in range(mib):
            _write_all(self._file, os.urandom(_MIB))
        # A page that still has to be written cannot be taken away when memory is short.
        os.fsync(self._file)
        # What was read shall be what was asked for, and not what lies behind it.
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)
        self._pages = mib * _MIB // mmap.PAGESIZE
        self._reads = reads

    def read(self) -> int:
        """Read as many pages as one request does, and return how many."""
        for _ in range(self._reads):
            page = random.randrange(self._pages)
            os.pread(self._file, mmap.PAGESIZE, page * mmap.PAGESIZE)
        return self._reads


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def compute(cpu_ms: float) -> float:
    """Compute until this thread has used so much CPU time; return how much it was, in ms."""
    begin = now = time.thread_time_ns()
    while now < begin + cpu_ms * _NS_PER_MS:
        sum(_CHUNK)
        now = time.thread_time_ns()
    return (now - begin) / _NS_PER_MS


class Server(ThreadingHTTPServer):
    """The listening socket, and what a request costs."""

    request_queue_size = 512

    def __init__(
        self, port: int, cpu_ms: float, working_set: WorkingSet, file_set: FileSet | None
    ) -> None:
        self.cpu_ms = cpu_ms
        self.working_set = working_set
        self.file_set = file_set
        super().__init__((ADDRESS, port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment: of two, the second would wait for an acknowledgement.
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        """Answer a request."""
        if self.path == "/":
            self._answer(200, {"cpu_ms": round(compute(self.server.cpu_ms), 3)})
        elif self.path == "/memory":
            self._answer(200, {"pages": self.server.working_set.touch()})
        elif self.path == "/file" and self.server.file_set is not None:
            self._answer(200, {"pages": self.server.file_set.read()})
        else:
            self._answer(404, {"error": "there are /, /memory and, with --file, /file"})

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each request would be a load of its own."""


def supervise(server: Server, workers: int) -> None:
    """Keep so many workers running until SIGTERM ends this process, and they with it."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    # Its one writing end is here: however this process ends, workers read the end of the file.
    alive, here = os.pipe()
    for _ in range(workers):
        _start(server, alive, here)
    while True:
        os.wait()
        _start(server, alive, here)


def _start(server: Server, alive: int, here: int) -> None:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(here)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.read(alive, 1)
        os._exit(0)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="A web service of known cost.")
    parser.add_argument("--cpu-ms", type=float, default=5.0, help="CPU time of a GET /")
    parser.add_argument("--memory-mib", type=_at_least_one, default=32, help="the working set")
    parser.add_argument("--file", metavar="PATH", help="of GET /file; none is written without it")
    parser.add_argument("--file-mib", type=_at_least_one, default=64, help="how large that is")
    parser.add_argument("--reads", type=_at_least_one, default=100, help="pages of a GET /file")
    parser.add_argument("--workers", type=_at_least_one, default=2, help="processes that serve")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    file_set = FileSet(given.file, given.file_mib, given.reads) if given.file else None
    server = Server(given.port, given.cpu_ms, WorkingSet(given.memory_mib), file_set)
    supervise(server, given.workers)


if __name__ == "__main__":
    main()
