#!/usr/bin/env python3
"""The prober inside a container: it asks a service on a fixed schedule, and times every answer.

`prober.py FILE http://HOST:PORT/PATH` sends GET; `prober.py FILE tcp://HOST:PORT PAYLOAD` sends a
text, in which `\\r`, `\\n` and `\\xHH` stand for bytes, and waits for a whole line. Without a
payload it only connects. FILE is laid out as probe.py beside this program says; of its header
`pace` is the time between two requests of a worker, `count` how many connections it may have open,
and `timeout` how long after it was due a request counts as failed.

A worker is absent until the service has given one right answer; until then the reason stands in its
word 10. From then on a request is due every `pace`, whatever became of those before it. It is sent
at once if a connection is free, else it waits in a queue. Every request is one entry of the stalls:
the time at which it was due, and the ns from then to the last byte of its answer, 0 if it failed,
-1 as long as neither is known. At the stop, one without an answer gets the time it has waited.
Entries stand in the order in which they were due, and none is left out.

In a worker's words, 3 counts right answers, 9 failures; 10 is the last one's errno, or minus the
status of an answer, with ENODATA where the service closed the connection before the answer was
whole, and EPROTO where it was no answer by its protocol. Word 4 is by how many ns a request was
noticed late at most, 13 counts those that were late by over 1 ms: that is this program's fault.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
import time
from errno import EINPROGRESS, ENODATA, EPROTO, ETIMEDOUT

# Python's option -I leaves the program's own folder out.
sys.path.insert(0, __file__.rpartition("/")[0])

import probe
from probe import Misuse, Worker
from protocol import FORMS, Malformed, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNANSWERED, FAILED = -1, 0
LATE_NS = 1_000_000
RETRY_S = 0.01
# How often it looks for the stop, at least.
LOOK_NS = 10_000_000
AT_ONCE = 65_536


class Connection:
    """One connection: `number` is the request that it is on, -1 for none.

    `unsent` is what is left of that; `blocked` says that the socket is to tell when it takes more.
    """

    __slots__ = ("answer", "blocked", "connecting", "number", "socket", "unsent")

    def __init__(self, one: socket.socket, number: int, target: Target) -> None:
        self.socket, self.number = one, number
        self.answer, self.unsent = target.answer(), target.request
        self.blocked = self.connecting = True


class OpenLoop:
    """One worker's requests, its connections, and the queue between what is due and what is sent.

    Requests are numbered from 0. Those from `sent` up to `due` wait in the queue; `flying` are sent
    and unanswered, in the order of their numbers.
    """

    def __init__(self, worker: Worker, target: Target) -> None:
        header = worker.header
        self.header, self.words, self.target = header, worker.words, target
        self.entries, self.buckets = worker.stalls, worker.buckets
        self.pace, self.timeout = header[probe.PACE_NS], header[probe.TIMEOUT_NS]
        self.most = header[probe.COUNT]
        self.start_ns, self.bucket_ns = header[probe.T0], header[probe.BUCKET_NS]
        self.end_ns = self.start_ns + len(self.buckets) * self.bucket_ns
        # Of an earlier life, if there was one; what it noted stays.
        self.first = self.words[probe.STALLS_SEEN]
        self.room = len(self.entries) // 2 - self.first
        self.begin = time.monotonic_ns() + self.pace
        self.due = self.sent = 0
        self.expiry = self.begin + self.timeout
        self.flying: dict[int, Connection] = {}
        self.open: dict[int, Connection] = {}
        self.free: list[Connection] = []
        self.closed: set[int] = set()
        self.stopping = False
        self.epoll = select.epoll()

    def run(self) -> None:
        """Ask until the stop, or until the file is full."""
        clock, waiting = time.monotonic_ns, (self.epoll.fileno(),)
        while not self.over(now := clock()):
            if self.begin + self.due * self.pace <= now:
                now = self.notice(now)
            if self.expiry <= now:
                self.expire(now)
            wait = min(self.begin + self.due * self.pace, self.expiry, now + LOOK_NS) - clock()
            # Not epoll's own time: it is rounded up to milliseconds.
            if wait <= 0 or select.select(waiting, (), (), wait / 1e9)[0]:
                self.look()
        self.stop()

    def over(self, now: int) -> bool:
        """Say whether to end: the host says so, or there is no room for more."""
        return stopped(self.header) or now >= self.end_ns or self.due >= self.room

    def notice(self, now: int) -> int:
        """Enter every request that is due by now, and send what can be sent; return the time."""
        words, entries = self.words, self.entries
        while (due := self.begin + self.due * self.pace) <= now and self.due < self.room:
            at = self.first + self.due
            entries[2 * at], entries[2 * at + 1] = due, UNANSWERED
            self.due += 1
            words[probe.STALLS_SEEN] = at + 1
            late = now - due
            if late > words[probe.LONGEST_UNIT]:
                words[probe.LONGEST_UNIT] = late
            if late > LATE_NS:
                words[probe.LATE] += 1
            self.send_queued(now)
            now = time.monotonic_ns()
        return now

    def send_queued(self, now: int) -> None:
        """Send what waits as long as a connection is free, but nothing that is too late."""
        while self.sent < self.due:
            number = self.sent
            if self.begin + number * self.pace + self.timeout <= now:
                self.failed(number, ETIMEDOUT)
            elif self.stopping:
                return
            elif self.free:
                one = self.free.pop()
                one.number, one.unsent = number, self.target.request
                self.flying[number] = one
                self.push(one)
            elif len(self.open) < self.most:
                self.connect(number)
            else:
                return
            self.sent += 1

    def connect(self, number: int) -> None:
        """Open a connection for a request, which follows once it is open."""
        try:
            opened = socket.socket(self.target.family, socket.SOCK_STREAM)
        except OSError as error:
            self.failed(number, error.errno or EPROTO)
            return
        one = Connection(opened, number, self.target)
        self.open[opened.fileno()] = self.flying[number] = one
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        why = opened.connect_ex(self.target.address)
        if why in (0, EINPROGRESS):
            self.epoll.register(opened.fileno(), select.EPOLLIN | select.EPOLLOUT)
        else:
            self.fail(one, why)

    def look(self) -> None:
        """Take what has come on the connections, and use those that became free."""
        self.closed.clear()
        for descriptor, event in self.epoll.poll(0):
            # Its number may be another connection's by now, of which nothing has come.
            if descriptor in self.closed:
                continue
            one = self.open[descriptor]
            if one.connecting:
                self.opened(one)
            elif event & select.EPOLLOUT:
                self.push(one)
            else:
                self.receive(one)
            now = time.monotonic_ns()
            if self.begin + self.due * self.pace <= now:
                self.notice(now)
            elif self.sent < self.due:
                self.send_queued(now)

    def opened(self, one: Connection) -> None:
        """Go on with a connection that is open now, or was refused."""
        why = one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        one.connecting = False
        if why:
            self.fail(one, why)
        elif self.target.request:
            self.push(one)
        else:
            one.answer.keep = False
            self.answered(one, time.monotonic_ns())

    def push(self, one: Connection) -> None:
        """Send what is left of a request, as far as the socket takes it."""
        try:
            one.unsent = one.unsent[one.socket.send(one.unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self.fail(one, error.errno or EPROTO)
            return
        if one.blocked != bool(one.unsent):
            one.blocked = not one.blocked
            events = select.EPOLLIN | (select.EPOLLOUT if one.blocked else 0)
            self.epoll.modify(one.socket.fileno(), events)

    def receive(self, one: Connection) -> None:
        """Take what came on a connection: a piece of an answer, or its end."""
        try:
            data = one.socket.recv(AT_ONCE)
            now = time.monotonic_ns()
            # What comes on an idle one nobody asked for: it is of no use any more.
            if one.number < 0 or not (data or one.answer.ended()):
                self.fail(one, ENODATA)
            elif not data or one.answer.feed(data):
                self.answered(one, now)
        except BlockingIOError:
            pass
        except Malformed:
            self.fail(one, EPROTO)
        except OSError as error:
            self.fail(one, error.errno or EPROTO)

    def answered(self, one: Connection, now: int) -> None:
        """Note an answer that is whole, and free its connection."""
        if now >= self.end_ns:
            return  # No bucket is left for it: it is as if it came later still.
        number, answer = one.number, one.answer
        length = now - self.begin - number * self.pace
        del self.flying[number]
        if answer.fault or length >= self.timeout:
            self.failed(number, answer.fault or ETIMEDOUT)
        else:
            self.entries[2 * (self.first + number) + 1] = length
            self.buckets[(now - self.start_ns) // self.bucket_ns] += 1
            self.words[probe.UNITS] += 1
        if answer.keep and not one.unsent:
            one.number, one.answer = -1, self.target.answer()
            self.free.append(one)
        else:
            self.close(one)

    def fail(self, one: Connection, why: int) -> None:
        """Close a connection; the request that it is on, if any, has failed."""
        if one.number < 0:
            self.free.remove(one)
        else:
            del self.flying[one.number]
            self.failed(one.number, why)
        self.close(one)

    def failed(self, number: int, why: int) -> None:
        """Note that a request has failed."""
        self.entries[2 * (self.first + number) + 1] = FAILED
        self.words[probe.REFUSALS] += 1
        self.words[probe.LAST_ERRNO] = why

    def close(self, one: Connection) -> None:
        """Close a connection, and with it what epoll knows of it."""
        descriptor = one.socket.fileno()
        del self.open[descriptor]
        self.closed.add(descriptor)
        one.socket.close()

    def expire(self, now: int) -> None:
        """Give up what is unanswered for too long, and use the room of its connections."""
        while self.flying:
            number = next(iter(self.flying))
            if self.begin + number * self.pace + self.timeout > now:
                break
            self.fail(self.flying[number], ETIMEDOUT)
        self.send_queued(now)
        oldest = next(iter(self.flying), self.sent)
        self.expiry = self.begin + oldest * self.pace + self.timeout

    def stop(self) -> None:
        """Enter what is due by now, take what has come, and note how long the rest has waited."""
        self.stopping = True
        self.notice(time.monotonic_ns())
        self.look()
        now = time.monotonic_ns()
        self.expire(now)
        for number in (*self.flying, *range(self.sent, self.due)):
            at = 2 * (self.first + number)
            self.entries[at + 1] = max(1, now - self.entries[at])
            self.words[probe.CENSORED] += 1


def stopped(header: memoryview) -> bool:
    """Say whether the host asked for the end, or has died."""
    return header[probe.STOP] != 0 or 0 < header[probe.UNTIL] < time.monotonic_ns()


def first_answer(target: Target, header: memoryview) -> int:
    """Ask once; return 0 for a right answer, else the reason why there is none, as word 10 has."""
    answer, unsent, connecting = target.answer(), target.request, True
    deadline = time.monotonic_ns() + header[probe.TIMEOUT_NS]
    try:
        with socket.socket(target.family, socket.SOCK_STREAM) as asked:
            asked.setblocking(False)
            if (why := asked.connect_ex(target.address)) not in (0, EINPROGRESS):
                return why
            while time.monotonic_ns() < deadline and not stopped(header):
                taker = (asked,) if connecting or unsent else ()
                readable, writable, _ = select.select((asked,), taker, (), RETRY_S)
                if writable and connecting:
                    connecting = False
                    why = asked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if why or not target.request:
                        return why
                elif writable:
                    unsent = unsent[asked.send(unsent) :]
                elif readable:
                    data = asked.recv(AT_ONCE)
                    if not (data or answer.ended()):
                        return ENODATA
                    if not data or answer.feed(data):
                        return answer.fault
    except Malformed:
        return EPROTO
    except OSError as error:
        return error.errno or EPROTO
    return ETIMEDOUT


def ready(worker: Worker, target: Target, addresses: list[tuple[int, Any]]) -> bool:
    """Ask until the service has given a right answer; say whether it has before the stop."""
    words, tries = worker.words, 0
    before = words[probe.LAST_ERRNO] if words[probe.REFUSALS] else 0
    while not stopped(worker.header):
        target.family, target.address = addresses[tries % len(addresses)]
        why = first_answer(target, worker.header)
        words[probe.LAST_ERRNO] = why or before
        if not why:
            return True
        tries += 1
        time.sleep(RETRY_S)
    return False


def main(path: str, url: str, payload: str | None = None) -> int:
    """Ask as the header of the file at `path` says; return the exit status."""
    try:
        memory = probe.shared(path)
        kind = memory[: probe.PAGE].cast("q")[probe.KIND]
        if not 0 <= kind < len(probe.KINDS) or probe.KINDS[kind] != "request":
            raise Misuse(f"{path} asks for work of probe.py beside this program")
        target = Target(url, payload)
        addresses = target.addresses()
    except Misuse as error:
        print(f"prober: {error}", file=sys.stderr)
        return 2

    def ask(worker: Worker) -> None:
        probe.sharpen_timers()
        # A search for cycles would make requests late, and there are none.
        gc.disable()
        if ready(worker, target, addresses):
            probe.work(worker, lambda one: OpenLoop(one, target).run())

    return probe.run(memory, ask)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"prober: give FILE and URL, {FORMS}, and for tcp:// a PAYLOAD")
    sys.exit(main(*sys.argv[1:]))
