"""A made-up Docker daemon at a real socket: old, foreign, hanging, or talking nonsense."""

from __future__ import annotations

import http.server
import json
import platform
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

OLD = {"Version": "17.03.2", "ApiVersion": "1.27", "MinAPIVersion": "1.12"}
PRESENT: dict[str, object] = {"Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24",
                              "Components": [{"Name": "Podman Engine"}]}  # fmt: skip
HERE = {"KernelVersion": platform.release(), "CgroupDriver": "cgroupfs"}


class MadeUpDaemon(http.server.BaseHTTPRequestHandler):
    """Answers with `version` and `info`, and knows no other request.

    Requests that `hangs` matches are never answered, until `released`; where `drops` matches, the
    connection is closed instead; those that `cut` matches
    get a stream of one message that ends in the middle of the next. With `knows_update`, it says
    that there is no such container; `says` is what it answers to all else.
    """

    version: Mapping[str, object] = OLD
    info: Mapping[str, object] = HERE
    knows_update = False
    hangs = drops = cut = "^$"
    says: tuple[int, bytes] = (404, b"page not found")
    released: threading.Event

    def do_GET(self) -> None:
        """Answer a question."""
        if self._hung():
            return
        if re.search(self.cut, self.path):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            message = json.dumps({"Action": "start", "timeNano": 5,
                                  "Actor": {"ID": "a", "Attributes": {}}}).encode()  # fmt: skip
            self.wfile.write(b"%x\r\n%s\r\n" % (len(message), message) + b"ffff\r\n{")
            self.close_connection = True
        elif self.path.endswith("/version"):
            self._answer(200, json.dumps(self.version).encode())
        elif self.path.endswith("/info"):
            self._answer(200, json.dumps(self.info).encode())
        else:
            self._answer(*self.says)

    def do_POST(self) -> None:
        """Answer a request."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._hung():
            return
        if self.knows_update and "cgbench-nobody" in self.path:
            self._answer(404, b'{"message": "No such container"}')
        else:
            self._answer(*self.says)

    def do_DELETE(self) -> None:
        """Answer a request to remove something."""
        self.do_POST()

    def _hung(self) -> bool:
        if not re.search(f"{self.hangs}|{self.drops}", self.path):
            return False
        if re.search(self.hangs, self.path):
            self.released.wait(60)
        self.close_connection = True
        return True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return whose request it is."""
        return "local"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has gone away is no news."""


@contextmanager
def listening(socket: Path, **what: object) -> Iterator[str]:
    """Let a made-up daemon that is so and so answer at a socket, and yield its address."""
    released = threading.Event()
    daemon = type("Daemon", (MadeUpDaemon,), {**what, "released": released})
    with _Server(str(socket), daemon) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"unix://{socket}"
        finally:
            released.set()
            server.shutdown()
            thread.join()
