#!/usr/bin/env python3
"""A batch job: `passes.py FILE` compresses a file with xz again and again, to nowhere.

After each pass it prints a JSON line: `pass` counts from 1, `seconds` is the time it took,
`cpu_seconds` the CPU time of xz, `bytes` what went in and `compressed` what came out. It goes on
until it is ended, or for `--passes`. `--generate FILE` makes the file instead: always the same 4
MiB of words, which xz makes three times smaller.

`--preset` is xz's own: 3 takes 32 MiB of memory, 6 takes 94 MiB. `--threads` are xz's, too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

SIZE = 2**20
_SEED = 1
_VOCABULARY = 20_000
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
_READ = 2**16


def generated() -> bytes:
    """Return the text that is compressed: drawn words, the frequent ones more often."""
    draw = random.Random(_SEED)
    words = ["".join(draw.choices(_LETTERS, k=draw.randint(2, 9))) for _ in range(_VOCABULARY)]
    parts, length = [], 0
    while length < SIZE:
        # The square makes early words frequent, as those of a language are.
        word = words[int(draw.random() ** 2 * _VOCABULARY)]
        parts.append(word)
        length += len(word) + 1
    return " ".join(parts).encode()[:SIZE]


def compress(file: Path, preset: int, threads: int) -> dict[str, float]:
    """Compress a file once, and return what that took. Raises CalledProcessError if xz fails."""
    command = ["xz", "--stdout", f"-{preset}", f"--threads={threads}", str(file)]
    begin, compressed = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as xz:
        assert xz.stdout is not None
        while part := os.read(xz.stdout.fileno(), _READ):
            compressed += len(part)
        _pid, status, used = os.wait4(xz.pid, 0)
        xz.returncode = os.waitstatus_to_exitcode(status)
    if xz.returncode != 0:
        raise subprocess.CalledProcessError(xz.returncode, command)
    return {
        "seconds": round(time.monotonic() - begin, 6),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 6),
        "bytes": file.stat().st_size,
        "compressed": compressed,
    }


def main() -> None:
    """Make the file, or compress it until the end."""
    parser = argparse.ArgumentParser(description="Compress a file again and again.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--generate", action="store_true", help="make the file, and end")
    parser.add_argument("--passes", type=int, help="how many; without it, until it is ended")
    parser.add_argument("--preset", type=int, default=3, choices=range(10))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.generate:
        given.file.write_bytes(generated())
        return
    # As the first process of a container it would not hear of it otherwise.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    done = 0
    while given.passes is None or done < given.passes:
        try:
            took = compress(given.file, given.preset, given.threads)
        except subprocess.CalledProcessError as error:
            sys.exit(f"xz ended with {error.returncode}")
        done += 1
        print(json.dumps({"pass": done, **took}), flush=True)


if __name__ == "__main__":
    main()
