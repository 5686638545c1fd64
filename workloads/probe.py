#!/usr/bin/env python3
"""The measuring program inside the container: known work, counted per millisecond, and stalls.

It needs only Python's standard library and writes only to one shared-memory file, which the host
made, sized and mapped before the container started. `probe.py FILE [PATH]` reads what to do from
the file's header, so that one layout is known to both sides (cgbench/probe.py reads it).
`probe.py --beside FILE COMMAND...` runs another program, which then ends with index 14 of a header
that holds nothing else. The layout:

    page 0     header of eight-byte integers, by index:
               0 magic  1 layout version  2 workers  3 buckets per worker  4 stalls per worker
               5 bucket length in ns  6 stall threshold in ns  7 iterations per unit
               8 t0 (CLOCK_MONOTONIC ns; written by the probe)  9 stop (written by the host)
               10 kind (index in KINDS)  11 size in bytes  12 count  13 pace in ns
               14 until when to work (CLOCK_MONOTONIC ns; 0 is for ever): the host writes a later
               time again and again, so that the work ends soon after its host side has died
               15 spread: 1 if each worker of spin keeps to one CPU, one to each as far as they go
               16 waits: 1 until the host lets the pace of `end` begin; a life lasts till then
               17 timeout in ns, after which a request counts as failed
    then, for each worker:
      one page  0 state (0 absent, 1 running, 2 finished)  1 process id  2 stalls seen
               3 units done  4 longest unit in ns, stalls apart  5 times it was started
               6 bytes held now  7 bytes held at most  8 children alive  9 refusals
               10 errno of the last refusal  11 deadlines skipped
               12 requests without an answer at the stop  13 deadlines met late by over 1 ms
      buckets  one uint32 each: units finished in that bucket
      stalls   two int64 each: begin (CLOCK_MONOTONIC ns), length in ns

The kinds of work, and what stands in the file for each:

    spin    works without a pause. A unit is a fixed number of iterations, a stall a gap between
            two readings of the clock that is longer than the threshold.
    wake    sleeps until a deadline every `pace`. A unit is one wake-up, and every wake-up is also
            a stall: its deadline, and how late it was. Deadlines that passed meanwhile are skipped.
    memory  fills a chunk of anonymous memory every `pace` until it holds `size` bytes, then goes
            on touching what it holds. A unit is one page; stalls as for spin, sleep apart.
    cache   reads `size` bytes of the file at PATH again and again through the page cache, and
            makes the file first where it is absent or too short. Units and stalls as for memory.
    fork    tries to fork a child every `pace` as long as fewer than `count` are alive. A unit is
            one child born. A refusal after a success is a stall of length 0.
    end     ends with the exit status `count` after `pace`, and leaves a file of `size` bytes at
            PATH if one is given. A unit is one life, and so is a stall.
    request asks a service every `pace`, over `count` connections. A unit is one right answer, and
            every request is a stall. It is the work of prober.py beside this file, which says more.

One unit of work lies inside each gap that is a stall of spin, so its length is too long by less
than one unit (index 4). When the container is started again, its workers go on in the same file.
CLOCK_MONOTONIC is the same in a container and on its host, unless a time namespace is used.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from itertools import repeat

# Modules that only types or comfort need stay out: contextlib alone would take 0.8 MB of memory
# and 5 ms, in containers whose limits may be small.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
MAGIC = 0x6367_6265_6E63_6831
LAYOUT = 6
KINDS = ("spin", "wake", "memory", "cache", "fork", "end", "request")
RUNNING, FINISHED = 1, 2
WORKERS, BUCKETS, STALLS, BUCKET_NS, THRESHOLD_NS, ITERATIONS, T0, STOP = range(2, 10)
KIND, SIZE, COUNT, PACE_NS, UNTIL, SPREAD, WAITS, TIMEOUT_NS = range(10, 18)
STATE, PID, STALLS_SEEN, UNITS, LONGEST_UNIT, STARTS = range(6)
HELD, HELD_MOST, CHILDREN, REFUSALS, LAST_ERRNO, SKIPPED, CENSORED, LATE = range(6, 14)

# Between two readings of the clock: a batch must stay well under the threshold, also where every
# page of it has to be cleared first.
BATCH = 16 * PAGE
CHUNK = 64 * PAGE
# How often a worker looks whether its CPU is still its own, in ns: two calls of some 1 µs.
LOOK_EVERY = 20_000_000
SYNC_EVERY = 8 * 2**20


class Misuse(Exception):
    """What the host asked for cannot be done; the message says why."""


class Worker:
    """One worker's part of the file: where it counts, notes stalls and tells of itself."""

    def __init__(
        self,
        number: int,
        header: memoryview,
        words: memoryview,
        buckets: memoryview,
        stalls: memoryview,
    ) -> None:
        self.number, self.header, self.words = number, header, words
        self.buckets, self.stalls = buckets, stalls

    def stall(self, begin: int, length: int) -> None:
        """Note a stall, as long as there is room."""
        seen = self.words[STALLS_SEEN]
        if 2 * seen < len(self.stalls):
            self.stalls[2 * seen] = begin
            self.stalls[2 * seen + 1] = length
        self.words[STALLS_SEEN] = seen + 1

    def gap(self, begin: int, end: int) -> None:
        """Note the time that a unit of work took: a stall when it is over the threshold."""
        if end - begin > self.header[THRESHOLD_NS]:
            self.stall(begin, end - begin)
        elif end - begin > self.words[LONGEST_UNIT]:
            self.words[LONGEST_UNIT] = end - begin

    def count(self, now: int, units: int) -> bool:
        """Count units that were done by `now`; say whether to go on."""
        bucket = (now - self.header[T0]) // self.header[BUCKET_NS]
        if bucket >= len(self.buckets):
            return False
        self.buckets[bucket] += units
        self.words[UNITS] += units
        return not (self.header[STOP] or 0 < self.header[UNTIL] < now)

    def keep_to_own_cpu(self) -> None:
        """Ask for the CPU that is this worker's among those that the container is offered.

        The first process never asks for any, so that its own are all that there are.
        """
        try:
            offered = sorted(os.sched_getaffinity(os.getppid()))
            own = {offered[self.number % len(offered)]}
            if os.sched_getaffinity(0) != own:
                os.sched_setaffinity(0, own)
        except OSError:
            pass  # The set was changed meanwhile; the next look finds the new one.

    def after(self, deadline: int, now: int) -> int:
        """Return the first deadline after `now`; those in between are skipped and counted."""
        pace = self.header[PACE_NS]
        skipped = max(0, (now - deadline) // pace)
        self.words[SKIPPED] += skipped
        return deadline + (skipped + 1) * pace


def spin(worker: Worker) -> None:
    """Work without a pause; count units per bucket and note every stall."""
    header, words, buckets, stalls = worker.header, worker.words, worker.buckets, worker.stalls
    clock, iterations = time.monotonic_ns, header[ITERATIONS]
    bucket_ns, threshold, start = header[BUCKET_NS], header[THRESHOLD_NS], header[T0]
    last_bucket, capacity = len(buckets), len(stalls) // 2
    seen, total, longest = words[STALLS_SEEN], words[UNITS], words[LONGEST_UNIT]
    look = 0 if header[SPREAD] else 2**63
    done = 0
    last = clock()
    bucket = min((last - start) // bucket_ns, last_bucket - 1)
    while True:
        for _ in repeat(None, iterations):
            pass
        now = clock()
        gap = now - last
        if gap > threshold:
            if seen < capacity:
                stalls[2 * seen] = last
                stalls[2 * seen + 1] = gap
            seen += 1
            words[STALLS_SEEN] = seen
        elif gap > longest:
            longest = gap
        last = now
        done += 1
        current = (now - start) // bucket_ns
        if current != bucket:
            # The unit that straddles a boundary counts in the bucket it ends in.
            buckets[bucket] = done - 1
            total += done - 1
            words[UNITS], words[LONGEST_UNIT] = total, longest
            done = 1
            bucket = current
            if now >= look:
                worker.keep_to_own_cpu()
                look = now + LOOK_EVERY
            if current >= last_bucket or header[STOP] or 0 < header[UNTIL] < now:
                break


def wake(worker: Worker) -> None:
    """Sleep from deadline to deadline and note how late each wake-up was."""
    sharpen_timers()
    deadline = time.monotonic_ns() + worker.header[PACE_NS]
    while True:
        sleep_until(deadline)
        now = time.monotonic_ns()
        worker.stall(deadline, now - deadline)
        if not worker.count(now, 1):
            break
        deadline = worker.after(deadline, now)


def memory(worker: Worker) -> None:
    """Fill memory chunk by chunk up to the size asked for, then touch it page by page."""
    words, pace = worker.words, worker.header[PACE_NS]
    size = align(worker.header[SIZE])
    # Python's own choice would be MAP_SHARED, which the kernel accounts as shared memory.
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:  # noqa: SIM105
        # A huge page would be charged whole at its first touch.
        area.madvise(mmap.MADV_NOHUGEPAGE)
    except OSError:
        pass  # EINVAL: this kernel has none.
    content, pages = memoryview(area), memoryview(area)[::PAGE]
    # Random, so that neither a compressed swap nor a search for equal pages makes it small.
    pattern, touch = os.urandom(BATCH), bytes(BATCH // PAGE)
    held = at = 0
    begin = deadline = time.monotonic_ns()
    while True:
        if held < size:
            end = min(held + BATCH, size)
            content[held:end] = pattern[: end - held]
            done, held = (end - held) // PAGE, end
            words[HELD], words[HELD_MOST] = held, max(held, words[HELD_MOST])
        else:
            done = min(len(touch), len(pages) - at)
            pages[at : at + done] = touch[:done]
            at = (at + done) % len(pages)
        now = time.monotonic_ns()
        worker.gap(begin, now)
        if not worker.count(now, done):
            break
        if pace and held < size and held % CHUNK == 0:
            deadline = worker.after(deadline, now)
            sleep_until(deadline)
            now = time.monotonic_ns()
        begin = now


def cache(worker: Worker, path: str) -> None:
    """Read the file at `path` from its begin to its end, and again."""
    descriptor = os.open(path, os.O_RDONLY)
    size = worker.header[SIZE] or os.fstat(descriptor).st_size
    buffers, at = [bytearray(BATCH)], 0
    begin = time.monotonic_ns()
    while True:
        got = os.preadv(descriptor, buffers, at)
        now = time.monotonic_ns()
        worker.gap(begin, now)
        if not worker.count(now, -(-got // PAGE)):
            break
        at = at + got if got and at + got < size else 0
        begin = now
    os.close(descriptor)


def make_file(path: str, size: int) -> None:
    """Make sure that the file at `path` has `size` bytes on its disk; what is missing is added.

    Raises Misuse when that would take more than 90 % of what the disk has free.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    have = os.fstat(descriptor).st_size
    if max(size, have) == 0:
        raise Misuse(f"{path} is empty, and no size is given")
    disk = os.fstatvfs(descriptor)
    if (size - have) * 10 > disk.f_bavail * disk.f_frsize * 9:
        free = disk.f_bavail * disk.f_frsize
        raise Misuse(f"{path} of {size} bytes needs more than 90 % of the {free} bytes free")
    content = os.urandom(BATCH)
    while have < size:
        have += os.pwrite(descriptor, content[: size - have], have)
        if have % SYNC_EVERY < BATCH or have >= size:
            # In small portions, so that a low memory limit is no obstacle.
            os.fdatasync(descriptor)
    # The first pass shall find nothing in the page cache.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def fork(worker: Worker) -> None:
    """Have children until enough are alive, and go on trying when the kernel refuses one."""
    words, wanted, pace = worker.words, worker.header[COUNT], worker.header[PACE_NS]
    # Children wait for the end of this pipe, which comes with the worker's, however it ends.
    ours, theirs = os.pipe()
    alive, refused = 0, False
    deadline = time.monotonic_ns()
    while True:
        while alive and os.waitpid(-1, os.WNOHANG)[0]:
            alive -= 1
        born = 0
        if alive < wanted:
            try:
                if os.fork() == 0:
                    os.close(theirs)
                    os.read(ours, 1)
                    os._exit(0)
            except OSError as error:
                words[REFUSALS] += 1
                words[LAST_ERRNO] = error.errno or 0
                if not refused:
                    worker.stall(time.monotonic_ns(), 0)
                refused = True
            else:
                born, refused = 1, False
                alive += 1
        words[CHILDREN] = alive
        now = time.monotonic_ns()
        if not worker.count(now, born):
            break
        if pace:
            deadline = worker.after(deadline, now)
            sleep_until(deadline)


def end(worker: Worker) -> None:
    """Live for as long as the host and the pace say; the exit status is not a worker's to give."""
    begin = freed = time.monotonic_ns()
    worker.count(begin, 1)
    while worker.header[WAITS] and worker.count(freed, 0):
        time.sleep(0.005)
        freed = time.monotonic_ns()
    sleep_until(freed + worker.header[PACE_NS])
    worker.stall(begin, time.monotonic_ns() - begin)


def sharpen_timers() -> None:
    """Let this process's sleeps end when they should, as far as the kernel can."""
    try:
        # Else the kernel may sleep 50 µs longer, to end several sleeps at once (prctl(2)).
        slack = os.open("/proc/self/timerslack_ns", os.O_WRONLY)
        os.write(slack, b"1")
        os.close(slack)
    except OSError:
        pass  # Then it is part of every lateness.


def sleep_until(deadline: int) -> None:
    """Sleep until the clock says `deadline`, if it does not yet."""
    left = deadline - time.monotonic_ns()
    if left > 0:
        time.sleep(left / 1e9)


def work(worker: Worker, kind: Callable[[Worker], None]) -> None:
    """Be one worker, from the word that it runs to the word that it finished."""
    words = worker.words
    words[PID] = os.getpid()
    words[STARTS] += 1
    # Of an earlier life, if there was one; what it counted goes on.
    words[HELD] = words[CHILDREN] = 0
    words[STATE] = RUNNING
    kind(worker)
    words[STATE] = FINISHED


def worker_at(memory: memoryview, number: int) -> Worker:
    """Return the part of the file that belongs to one worker."""
    header = memory[:PAGE].cast("q")
    base = PAGE + number * (PAGE + align(4 * header[BUCKETS]) + align(16 * header[STALLS]))
    first_bucket = base + PAGE
    first_stall = first_bucket + align(4 * header[BUCKETS])
    return Worker(
        number,
        header,
        memory[base:first_bucket].cast("q"),
        memory[first_bucket : first_bucket + 4 * header[BUCKETS]].cast("I"),
        memory[first_stall : first_stall + 16 * header[STALLS]].cast("q"),
    )


def chosen(header: memoryview, paths: list[str]) -> Callable[[Worker], None]:
    """Return the work that the header asks for, with what it needs beforehand done.

    Raises Misuse when there is no such kind, or something it needs is missing.
    """
    kinds: tuple[Callable[[Worker], None], ...]
    kinds = (spin, wake, memory, lambda worker: cache(worker, paths[0]), fork, end)
    if not 0 <= header[KIND] < len(KINDS):
        raise Misuse(f"no kind has the number {header[KIND]}")
    if KINDS[header[KIND]] == "request":
        raise Misuse("requests are the work of prober.py beside this program")
    if KINDS[header[KIND]] == "cache" and not paths:
        raise Misuse("the kind cache needs the path of a file as a second argument")
    if paths:
        try:
            make_file(paths[0], header[SIZE])
        except OSError as error:
            raise Misuse(f"cannot make {paths[0]}: {error.strerror}") from error
    return kinds[header[KIND]]


def beside(path: str, *command: str) -> None:
    """Become another program, with a child that kills it once the host has died."""
    descriptor = os.open(path, os.O_RDONLY)
    header = memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))[:PAGE].cast("q")
    os.close(descriptor)
    program = os.getpid()
    if os.fork() == 0:
        while not 0 < header[UNTIL] < time.monotonic_ns():
            time.sleep(0.5)
        os.kill(program, 9)
        os._exit(0)
    os.execvp(command[0], command)


def shared(path: str) -> memoryview:
    """Return the file at `path`, mapped. Raises Misuse where it is of another layout."""
    descriptor = os.open(path, os.O_RDWR)
    memory = memoryview(mmap.mmap(descriptor, 0))
    os.close(descriptor)
    header = memory[:PAGE].cast("q")
    if header[0] != MAGIC or header[1] != LAYOUT:
        raise Misuse(f"{path} has magic {header[0]:#x} layout {header[1]}")
    return memory


def run(memory: memoryview, job: Callable[[Worker], None]) -> int:
    """Give each worker that the header asks for its job, and wait; return the exit status."""
    header = memory[:PAGE].cast("q")
    # A container that was started again goes on with the time of its first life.
    header[T0] = header[T0] or time.monotonic_ns()
    for number in range(header[WORKERS]):
        if os.fork() == 0:
            job(worker_at(memory, number))
            os._exit(0)
    for _ in range(header[WORKERS]):
        status = os.waitstatus_to_exitcode(os.wait()[1])
        if status:
            # One worker was killed. Leaving ends the container, and with it the other workers.
            return 128 - status if status < 0 else status
    return 0


def main(path: str, *more: str) -> int:
    """Do the work that the header of the file at `path` asks for; return the exit status."""
    try:
        memory = shared(path)
        header = memory[:PAGE].cast("q")
        kind = chosen(header, list(more))
    except Misuse as error:
        print(f"probe: {error}", file=sys.stderr)
        return 2
    status = run(memory, lambda worker: work(worker, kind))
    return status or (header[COUNT] if kind is end else 0)


def align(size: int) -> int:
    """Round `size` up to whole pages."""
    return -(-size // PAGE) * PAGE


if __name__ == "__main__":
    if sys.argv[1] == "--beside":
        beside(*sys.argv[2:])
    sys.exit(main(*sys.argv[1:]))
