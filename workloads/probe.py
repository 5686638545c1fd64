#!/usr/bin/env python3
"""The measuring program inside the container: fixed work, counted per millisecond, and stalls.

It needs only Python's standard library and writes only to one shared-memory file, which the host
made, sized and mapped before the container started. `probe.py FILE` reads what to do from the
file's header, so that one layout is known to both sides (cgbench/probe.py reads it):

    page 0     header of eight-byte integers, by index:
               0 magic  1 layout version  2 workers  3 buckets per worker  4 stalls per worker
               5 bucket length in ns  6 stall threshold in ns  7 iterations per unit
               8 t0 (CLOCK_MONOTONIC ns; written by the probe)  9 stop (written by the host)
    then, for each worker:
      one page  0 state (0 absent, 1 running, 2 finished)  1 process id  2 stalls seen
               3 units done  4 longest unit in ns, stalls apart
      buckets  one uint32 each: units finished in that bucket
      stalls   two int64 each: begin (CLOCK_MONOTONIC ns), length in ns

A stall is a gap between two readings of the clock that is longer than the threshold. One unit of
work lies inside each gap, so a stall's length is too long by less than one unit (index 4).
CLOCK_MONOTONIC is the same in a container and on its host, unless a time namespace is used.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from itertools import repeat

PAGE = 4096
MAGIC = 0x6367_6265_6E63_6831
LAYOUT = 1
RUNNING, FINISHED = 1, 2
WORKERS, BUCKETS, STALLS, BUCKET_NS, THRESHOLD_NS, ITERATIONS, T0, STOP = range(2, 10)
STATE, PID, STALLS_SEEN, UNITS, LONGEST_UNIT = range(5)


def spin(header: memoryview, worker: memoryview, buckets: memoryview, stalls: memoryview) -> None:
    """Work without a pause; count units per bucket and note every stall."""
    clock, iterations = time.monotonic_ns, header[ITERATIONS]
    bucket_ns, threshold, start = header[BUCKET_NS], header[THRESHOLD_NS], header[T0]
    last_bucket, capacity = len(buckets), len(stalls) // 2
    seen = done = total = bucket = longest = 0
    last = clock()
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
            worker[STALLS_SEEN] = seen
        elif gap > longest:
            longest = gap
        last = now
        done += 1
        current = (now - start) // bucket_ns
        if current != bucket:
            # The unit that straddles a boundary counts in the bucket it ends in.
            buckets[bucket] = done - 1
            total += done - 1
            worker[UNITS], worker[LONGEST_UNIT] = total, longest
            done = 1
            bucket = current
            if current >= last_bucket or header[STOP]:
                break
    worker[STATE] = FINISHED


def main(path: str) -> int:
    """Run the workers that the header of the file at `path` asks for; return the exit status."""
    descriptor = os.open(path, os.O_RDWR)
    memory = memoryview(mmap.mmap(descriptor, 0))
    os.close(descriptor)
    header = memory[:PAGE].cast("q")
    if header[0] != MAGIC or header[1] != LAYOUT:
        print(f"probe: {path} has magic {header[0]:#x} layout {header[1]}", file=sys.stderr)
        return 2
    stride = PAGE + align(4 * header[BUCKETS]) + align(16 * header[STALLS])
    header[T0] = time.monotonic_ns()
    for number in range(header[WORKERS]):
        child = os.fork()
        if child == 0:
            base = PAGE + number * stride
            worker = memory[base : base + PAGE].cast("q")
            first = base + PAGE
            buckets = memory[first : first + 4 * header[BUCKETS]].cast("I")
            first += align(4 * header[BUCKETS])
            stalls = memory[first : first + 16 * header[STALLS]].cast("q")
            worker[PID] = os.getpid()
            worker[STATE] = RUNNING
            spin(header, worker, buckets, stalls)
            os._exit(0)
    for _ in range(header[WORKERS]):
        status = os.waitstatus_to_exitcode(os.wait()[1])
        if status:
            # One worker was killed. Leaving ends the container, and with it the other workers.
            return 128 - status if status < 0 else status
    return 0


def align(size: int) -> int:
    """Round `size` up to whole pages."""
    return -(-size // PAGE) * PAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
