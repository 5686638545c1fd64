"""Damage files at random and see that every command answers: `make fuzz N=5000 SEED=1`.

Half of the damage puts hostile texts in the place of others. Anything but a success or one clear
error is a finding, and so is a file outside the results, a control character in an output, markup
of others in a page, JUnit that is no XML, and more memory than 500 MiB. It is printed with its
seed and its case, which tests/fuzz/found.jsonl keeps as a regression test. Exit status 1 if there
is one.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz import calls, damage, inputs, outputs
from tests.fuzz.damage import Case
from tests.fuzz.inputs import Input

PATIENCE_S = 30
MEMORY_BYTES = 6 * 2**30
# Memory that was freed in pieces is not given back: after so many inputs another process goes on.
IN_A_ROW = 1000
Answer = tuple[int, str, str]
"""The seed, `ok` or `finding`, and what was said."""


def answer(one: Input, case: Case, scratch: Path) -> str:
    """Return what reading a damaged copy of an input came to. Raises what is a finding."""
    folder = scratch / "results" / "experiment" / "20261124T101530Z-3f9c"
    shutil.rmtree(scratch / "results", ignore_errors=True)
    shutil.copytree(one.folder, folder)
    damage.apply(case, folder)
    with outputs.within(scratch / "results"):
        return calls.answer(one.kind, folder)


def _work(pipe: Connection, seeds: range, scratch: Path, known: Sequence[Input]) -> None:
    """Answer seed after seed, in a process of its own: damage may end it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Ctrl-C reaches the whole group; the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = tempfile.mkdtemp(dir=scratch)
    begun_mib = outputs.memory_mib()
    for seed in seeds:
        one, case = inputs.draw(known, seed)
        pipe.send((seed, "begun", json.dumps({"input": one.name, **case})))
        try:
            said = answer(one, case, scratch)
            outputs.check_memory(begun_mib)
            pipe.send((seed, "ok", said))
        except BaseException as error:  # noqa: BLE001
            pipe.send((seed, "finding", f"{_described(error)}"))
            # What it took in memory, or left behind, would be found again and again.
            return
    pipe.send((seeds.stop, "done", ""))


def _described(error: BaseException) -> str:
    """Return an error with the last places of cgbench that it came through."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [f"{name.rpartition('cgbench/')[2]}:{line}" for name, line in frames
            if "cgbench/" in name and "/tests/" not in name]  # fmt: skip
    said = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {said} at {' > '.join(ours[-3:])};"


def answers(
    first: int, number: int, scratch: Path, known: Sequence[Input] = ()
) -> Iterator[Answer]:
    """Yield the answer to each seed, whatever becomes of the process that looks for it.

    What is damaged are copies of the inputs `known`, or of those that are prepared here.
    """
    context = multiprocessing.get_context("fork")
    known = known or inputs.prepare(Path(tempfile.mkdtemp(dir=scratch)))
    seed, end = first, first + number
    while seed < end:
        ours, theirs = context.Pipe()
        worker = context.Process(
            target=_work, args=(theirs, range(seed, min(end, seed + IN_A_ROW)), scratch, known)
        )
        worker.start()
        theirs.close()
        case, answered = "", False
        while True:
            try:
                if not ours.poll(PATIENCE_S if case else 10 * PATIENCE_S):
                    yield seed, "finding", f"no answer within {PATIENCE_S} s {case}"
                    break
                seed, what, said = ours.recv()
            except EOFError:
                if not answered:
                    yield seed, "finding", f"the process ended {case}"
                break
            answered = what != "begun"
            if what == "begun":
                case = said
                continue
            if what == "done":
                # The next seed is that of the next process.
                seed -= 1
                break
            yield seed, what, f"{said} {case}" if what == "finding" else said
        ours.close()
        worker.kill()
        worker.join()
        seed += 1


def main() -> int:
    """Run the cases asked for and print what was found."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--number", type=int, default=5000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    chosen = parser.parse_args()
    begin = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-", dir=os.environ.get("FUZZ_DIR")) as folder,
        # Ctrl-C ends it early, and what was answered until then is reported.
        contextlib.suppress(KeyboardInterrupt),
    ):
        for seed, what, said in answers(chosen.seed, chosen.number, Path(folder)):
            counts["read" if said == "read" else "refused" if what == "ok" else what] += 1
            if what == "finding":
                print(f"seed {seed}: {said}", flush=True)
    took = time.monotonic() - begin
    print(
        f"{counts.total()} damaged inputs from seed {chosen.seed} in {took:.0f} s: "
        f"{counts['refused']} refused in one line, {counts['read']} read, "
        f"{counts['finding']} findings"
    )
    return 1 if counts["finding"] else 0


if __name__ == "__main__":
    sys.exit(main())
