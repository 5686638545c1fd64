"""A proxy before Docker's socket: all passes as it is, but for what a spoiler does to updates.

It listens in a folder of its own that only root can enter; DOCKER_HOST points cgbench at it.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.engine.endpoint import STANDARD
from tests.made.wire import Head, Wire, connected

_CREATE = re.compile(r"POST /v[0-9.]+(/containers/create\S*)")
_UPDATE = re.compile(r"POST /v[0-9.]+/containers/([0-9a-f]{64})/update")
_START = re.compile(r"POST /v[0-9.]+/containers/([0-9a-f]{64})/start")
_INSPECT = re.compile(r"GET /v[0-9.]+/containers/([0-9a-f]{64})/json")
_EVENTS = re.compile(r"GET /v[0-9.]+/events")

Document = dict[str, object]
Values = Mapping[str, object]


@dataclass(frozen=True)
class Reply:
    """An answer to a request; `hang_up` ends the connection without one."""

    status: int = 200
    body: bytes = b'{"Warnings":null}\n'
    hang_up: bool = False

    @property
    def ok(self) -> bool:
        """Whether it says that all went well."""
        return self.status < 300

    @property
    def document(self) -> Document:
        """Its JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


OK = Reply()


def refusal(status: int, message: str) -> Reply:
    """Return an answer that refuses something."""
    return Reply(status, json.dumps({"message": message}).encode())


def warned(text: str) -> Reply:
    """Return an answer that accepts something with a warning."""
    return Reply(body=json.dumps({"Warnings": [text]}).encode())


# How the daemon says that a container has ended, is being removed, or was.
_GONE = (
    b"is not running", b"a stopped container", b"marked for removal", b"No such container",
    b"no such file or directory",
)  # fmt: skip

_BROKEN = refusal(500, "the spoiler itself failed")


class Docker:
    """The real daemon."""

    def __init__(self, path: str = STANDARD) -> None:
        self.path = path

    def ask(self, method: str, path: str, document: object | None = None) -> Reply:
        """Send a request over a connection of its own and return the answer."""
        body = b"" if document is None else json.dumps(document).encode()
        with connected(self.path) as connection, Wire(connection) as wire:
            wire.send(
                f"{method} /v1.41{path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = wire.head()
            assert head is not None, "the daemon closed the connection"
            return Reply(head.status, wire.body(head))

    def inspect(self, container: str) -> Document:
        """Return what it says of a container."""
        return self.ask("GET", f"/containers/{container}/json").document

    def update(self, container: str, body: Mapping[str, object]) -> Reply:
        """Change a container's limits."""
        return self.ask("POST", f"/containers/{container}/update", dict(body))


@dataclass(frozen=True)
class Sent:
    """What was really sent to the daemon, when (CLOCK_MONOTONIC ns), and what it answered."""

    container: str
    body: Mapping[str, object]
    t_begin_ns: int
    t_end_ns: int
    reply: Reply


@dataclass
class Update:
    """One request to change a container: the `number`th of the run, with what held before it.

    `before` are the values that its keys had. What a spoiler really does of it is noted in `sent`.
    """

    relay: Relay
    container: str
    body: Document
    number: int
    t_request_ns: int
    before: Document
    sent: list[Sent] = field(default_factory=list)
    t_answer_ns: int | None = None

    def apply(
        self, body: Mapping[str, object] | None = None, container: str | None = None
    ) -> Reply:
        """Let the daemon make a change, by default the one that was asked for."""
        target, wanted = container or self.container, dict(self.body if body is None else body)
        begin_ns = time.monotonic_ns()
        reply = self.relay.docker.update(target, wanted)
        self.sent.append(Sent(target, wanted, begin_ns, time.monotonic_ns(), reply))
        return reply

    def surely(
        self, body: Mapping[str, object] | None = None, container: str | None = None
    ) -> None:
        """Let the daemon make a change that it must accept: else the spoiler did not do its work.

        What comes when the container has gone is too late, and no fault.
        """
        reply = self.apply(body, container)
        if not reply.ok and not any(words in reply.body for words in _GONE):
            raise AssertionError(f"the daemon would not spoil: {self.sent[-1]}")

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        """Do something some time after now, unless the run is over by then."""
        self.relay.later(after_s, what)


class Spoiler:
    """What is done to a run. By itself it does nothing: whoever spoils overrides one of these."""

    @contextmanager
    def around(self, relay: Relay) -> Iterator[None]:
        """Prepare the host before a run, and put it back after it."""
        yield

    def created(self, relay: Relay, document: Document) -> Document:
        """Return what a container shall be."""
        return document

    def started(self, relay: Relay, container: str) -> None:
        """Do something to a container that has been started, before cgbench knows of it."""

    def update(self, update: Update) -> Reply:
        """Answer a request to change a container."""
        return update.apply()

    def inspected(self, relay: Relay, container: str, document: Document) -> Document:
        """Return what is said of a container."""
        return document

    def hears(self, event: Document) -> bool:
        """Say whether an event is to be known of."""
        return True


class Relay:
    """The proxy while it listens: what it saw, and what it still has to do.

    `faults` are exceptions of the spoiler itself: then nothing was shown. `containers` are those
    that were started, in their order.
    """

    def __init__(self, spoiler: Spoiler, docker: Docker, address: str) -> None:
        self.spoiler = spoiler
        self.docker = docker
        self.address = address
        self.updates: list[Update] = []
        self.containers: list[str] = []
        self.faults: list[Exception] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """What points cgbench at it."""
        return {"DOCKER_HOST": f"unix://{self.address}"}

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        """Do something some time after now, unless it is over by then."""

        def wait() -> None:
            if not self._over.wait(after_s):
                self._watched(what)

        thread = threading.Thread(target=wait, daemon=True)
        self._threads.append(thread)
        thread.start()

    def pause(self, for_s: float) -> None:
        """Do nothing for some time, or until it is over."""
        self._over.wait(for_s)

    def end(self) -> None:
        """Let nothing more be done, and wait for what is being done."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def answer(self, request: Head, body: bytes, pass_on: Callable[[], Reply]) -> Reply | None:
        """Answer a request that spoilers know, None where it is none; `pass_on` asks the daemon."""
        line = " ".join(request.first)
        if found := _UPDATE.match(line):
            return self._updated(found[1], json.loads(body))
        if found := _CREATE.match(line):
            return self.docker.ask("POST", found[1], self.spoiler.created(self, json.loads(body)))
        if found := _START.match(line):
            container, reply = found[1], pass_on()
            if reply.ok:
                self.containers.append(container)
                self._watched(lambda: self.spoiler.started(self, container))
            return reply
        if found := _INSPECT.match(line):
            reply = pass_on()
            if not reply.ok:
                return reply
            said = self.spoiler.inspected(self, found[1], reply.document)
            return Reply(reply.status, json.dumps(said).encode())
        return None

    def heard(self, lines: bytes) -> bytes:
        """Return what is to be known of a stream of events."""
        kept = (line for line in lines.splitlines(keepends=True)
                if not line.strip() or self.spoiler.hears(json.loads(line)))  # fmt: skip
        return b"".join(kept)

    def knows(self, request: Head) -> bool:
        """Say whether a request is one that spoilers know."""
        line = " ".join(request.first)
        return any(one.match(line) for one in (_CREATE, _UPDATE, _START, _INSPECT))

    def _updated(self, container: str, body: Document) -> Reply:
        begin_ns = time.monotonic_ns()
        config = self.docker.inspect(container).get("HostConfig")
        assert isinstance(config, dict)
        before = {key: config.get(key) for key in body}
        with self._lock:
            update = Update(self, container, body, len(self.updates) + 1, begin_ns, before)
            self.updates.append(update)
        found: list[Reply] = []
        self._watched(lambda: found.append(self.spoiler.update(update)))
        update.t_answer_ns = time.monotonic_ns()
        return found[0] if found else _BROKEN

    def _watched(self, what: Callable[[], object]) -> None:
        """Do what a spoiler wants, and keep what goes wrong with it: no thread of its own may."""
        try:
            what()
        except Exception as fault:  # noqa: BLE001
            self.faults.append(fault)


class _Handler(socketserver.BaseRequestHandler):
    """One connection of a client, with one of its own to the daemon."""

    server: _Server

    def handle(self) -> None:
        """Pass requests on, one after the other, until an end closes."""
        # Either end may go away at any time, as clients of streams do.
        with (
            connected(self.server.relay.docker.path) as upstream,
            Wire(self.request) as client,
            Wire(upstream) as daemon,
            contextlib.suppress(OSError),
        ):
            self.server.connections += (self.request, upstream)
            while (request := client.head()) is not None:
                known = self.server.relay.knows(request)
                if not (self._answered if known else self._passed)(request, client, daemon):
                    return

    def _passed(self, request: Head, client: Wire, daemon: Wire) -> bool:
        """Pass a request and its answer on; say whether another may follow."""
        daemon.send(request.raw)
        client.pass_body(request, daemon)
        while (head := daemon.head()) is not None:
            client.send(head.raw)
            if head.raw_stream:
                client.pass_both_ways(daemon)
                return False
            if 100 <= head.status < 200:
                continue
            if request.first[0] != "HEAD" and head.status not in (204, 304):
                if head.length is None and not head.chunked:
                    daemon.pass_rest(client)
                    return False
                events = _EVENTS.match(" ".join(request.first))
                daemon.pass_body(head, client, self.server.relay.heard if events else bytes)
            return head.fields.get("connection", "").lower() != "close"
        return False

    def _answered(self, request: Head, client: Wire, daemon: Wire) -> bool:
        """Let the spoiler answer a request that it knows."""
        body = client.body(request)

        def pass_on() -> Reply:
            daemon.send(request.raw + body)
            head = daemon.head()
            assert head is not None, "the daemon closed the connection"
            without = head.status in (204, 304)
            return Reply(head.status, b"" if without else daemon.body(head))

        reply = self.server.relay.answer(request, body, pass_on)
        assert reply is not None
        if reply.hang_up:
            return False
        length = "" if reply.status == 204 else f"Content-Length: {len(reply.body)}\r\n"
        client.send(
            f"HTTP/1.1 {reply.status} Made up\r\nApi-Version: 1.41\r\n"
            f"Content-Type: application/json\r\n{length}\r\n".encode()
            + (b"" if reply.status == 204 else reply.body)
        )
        return True


class _Server(socketserver.ThreadingUnixStreamServer):
    def __init__(self, path: str, relay: Relay) -> None:
        super().__init__(path, _Handler)
        self.relay = relay
        self.connections: list[socket.socket] = []

    def handle_error(self, *_: object) -> None:
        """What a spoiler does wrong is in the faults of the relay."""

    def release(self) -> None:
        """End all connections, so that whatever waits on one goes on."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def listening(spoiler: Spoiler, docker: Docker | None = None) -> Iterator[Relay]:
    """Let a spoiler stand before the daemon, and put back whatever it did to the host."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgbench-relay-")))
        relay = Relay(spoiler, docker or Docker(), str(folder / "docker.sock"))
        server = stack.enter_context(_Server(relay.address, relay))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        stack.callback(server.release)
        stack.enter_context(spoiler.around(relay))
        stack.callback(relay.end)
        yield relay
