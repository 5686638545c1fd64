"""Kill cgbench at random moments and look at what is left: `make chaos N=100 SEED=1`.

Starts run, verify, gate and ab of several experiments with their results in a temporary folder, and
ends each by one signal: kill -9, after which `cgbench clean` has to remove everything, or SIGHUP,
SIGTERM or SIGINT, after which nothing may be left without it. Each round is reported; the exit
status is 1 if anything was left, lost or touched. It needs root, the image and an idle Docker.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.engine import image
from cgbench.records.results import runs
from cgbench.spec import workload
from tests.bench import decoys, world
from tests.bench.left import differences, unreadable
from tests.made import short_experiment
from tests.made.command import ended
from tests.made.heeded_signals import heed

SIGNALS = (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
_SOONEST_S, _LATEST_S = 0.2, 14.0
# An interrupted swapoff or a container on a busy disk takes its time.
_END_S = 180.0
_LOAD_S = 10.0


@dataclass(frozen=True)
class Job:
    """A command to kill, in words for the report.

    With `loads`, each of its containers is a load that must end soon after a kill -9.
    """

    words: str
    arguments: tuple[str, ...]
    loads: bool = True


def jobs(short: Path) -> list[Job]:
    """Return what is started: every kind of command, and experiments that make all there is."""
    experiments = (
        "cpu-quota-sweep", "memory-swap-sweep", "memory-reservation-pressure",
        "blkio-weight-contention", "restart-policy", "pids-limit-sweep",
    )  # fmt: skip
    return [
        # Docker starts the containers of restart-policy again and again; those of verify sleep.
        *(
            Job(f"run {name}", ("run", name, "--quick"), loads=name != "restart-policy")
            for name in experiments
        ),
        Job("verify cpu-quota", ("verify", "cpu-quota"), loads=False),
        Job("verify memory-swap", ("verify", "memory-swap"), loads=False),
        Job("gate", ("gate", str(short), "--baseline", "chaos")),
        Job("ab", ("ab", str(short), "--a", "true", "--b", "true")),
    ]


class Campaign:
    """Rounds on one host, with their results in one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder / "results"
        self._said = folder / "said"
        self._random = random.Random(seed)
        self._short = short_experiment.write(folder, trials=4, hold="400ms")
        self._jobs = jobs(self._short)
        self._prepared = False
        self.load_s = 0.0

    def _prepare(self) -> None:
        """Measure the baseline that the gate compares with."""
        for arguments in (
            ("run", str(self._short), "--no-report"),
            ("baseline", "set", "short", "--name", "chaos"),
        ):
            done = self._start(arguments)
            with ended(done):
                status = done.wait(300)
            if status != 0:
                said = self._said.read_text(errors="replace")
                raise SystemExit(f"cannot prepare: {' '.join(arguments)}: {said}")
        self._prepared = True

    def round(self, number: signal.Signals | None = None) -> tuple[str, list[str]]:
        """Start one command, end it, and return what was done and what is wrong after it."""
        job = self._random.choice(self._jobs)
        sent = number or self._random.choice(SIGNALS)
        after_s = self._random.uniform(_SOONEST_S, _LATEST_S)
        # Ctrl-C in a terminal reaches every process of the group.
        whole_group = sent is signal.SIGINT and self._random.random() < 0.5
        if "--baseline" in job.arguments and not self._prepared:
            self._prepare()
        before = world.look()
        process = self._start(job.arguments)
        with ended(process):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after_s)
            kept = self._lines()
            if process.poll() is None:
                (os.killpg if whole_group else os.kill)(process.pid, sent)
            faults = self._end(process, sent)
        if sent is signal.SIGKILL:
            try:
                faults += self._load_ends() if job.loads else []
            finally:
                faults += self._clean()
        faults += differences(before)
        faults += self._lost(kept)
        to = " to its group" if whole_group else ""
        return f"{sent.name}{to} after {after_s:.1f} s in {job.words}", faults

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        # A file and not a pipe, which could be full when nobody reads.
        with self._said.open("w") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "cgbench", *arguments, "--results", str(self._folder)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                start_new_session=True, env={**os.environ, world.MARK: "1"},
            )  # fmt: skip

    def _end(self, process: subprocess.Popen[bytes], sent: signal.Signals) -> list[str]:
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return [f"did not end within {_END_S:g} s"]
        said = self._said.read_text(errors="replace")
        # It may have ended by itself before the signal came.
        allowed = {0, 1, 3, -sent if sent is signal.SIGKILL else 130}
        faults = [f"unexpected error: {said.strip()}"] if "unexpected error" in said else []
        if process.returncode not in allowed or "Traceback" in said:
            faults.append(f"exit status {process.returncode}: {said.strip()[-300:]}")
        return faults

    def _load_ends(self) -> list[str]:
        """Wait until no container of ours runs; note the longest time that it took."""
        begin = time.monotonic()
        while running := world.running():
            if time.monotonic() - begin > _LOAD_S:
                return [f"still running {_LOAD_S:g} s after the kill: {one}" for one in running]
            time.sleep(0.1)
        self.load_s = max(self.load_s, time.monotonic() - begin)
        return []

    def _clean(self) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cgbench", "clean"],
            capture_output=True, text=True, check=False, timeout=_END_S,
        )  # fmt: skip
        return [] if done.returncode == 0 else [f"clean: {done.stderr.strip()}"]

    def _lines(self) -> dict[Path, bytes]:
        """Return the whole lines of every trials.jsonl: the trials that are finished."""
        found = {}
        for path in self._folder.glob("*/*/trials.jsonl"):
            content = path.read_bytes()
            found[path] = content[: content.rfind(b"\n") + 1]
        return found

    def _lost(self, kept: dict[Path, bytes]) -> list[str]:
        faults = [
            f"{path}: a finished trial was lost"
            for path, lines in kept.items()
            if not path.exists() or not path.read_bytes().startswith(lines)
        ]
        for directory in runs(self._folder):
            faults += unreadable(directory)
        return faults


def main() -> int:
    """Run the rounds asked for and print each as it ends."""
    parser = argparse.ArgumentParser(prog="tests.bench.chaos", description=__doc__)
    parser.add_argument("--number", type=int, default=20, help="Number of rounds.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of everything drawn.")
    parser.add_argument("--signal", choices=[one.name for one in SIGNALS], default=None)
    asked = parser.parse_args()
    only = None if asked.signal is None else signal.Signals[asked.signal]
    heed()
    print(f"seed {asked.seed}, {asked.number} rounds", flush=True)
    counted: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        decoys.planted(image.tag(workload.directory())),
    ):
        campaign = Campaign(Path(folder), asked.seed)
        for number in range(1, asked.number + 1):
            done, faults = campaign.round(only)
            counted["rounds"] += 1
            counted["bad"] += bool(faults)
            print(f"{number:4} {'bad' if faults else 'ok ':<4} {done}", flush=True)
            for fault in faults:
                print(f"          {fault}", flush=True)
    print(f"after a kill -9 the load was gone within {campaign.load_s:.1f} s")
    print(f"{counted['bad']} of {counted['rounds']} rounds left, lost or touched something")
    return int(counted["bad"] > 0)


if __name__ == "__main__":
    sys.exit(main())
