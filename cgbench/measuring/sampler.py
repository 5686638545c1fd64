"""Read a cgroup's files on deadlines, in a process of its own, and say how late each reading was.

The process is sampler_process.py; this is the side that starts it, stops it and never waits for it
without a limit.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from cgbench.errors import SamplerError
from cgbench.measuring.readings import Readings, Target, read_spool
from cgbench.records.trial import SamplerFigures
from cgbench.spec.experiment import Sampling
from cgbench.units import NS_PER_S, NS_PER_US

PRIORITY = 50
"""SCHED_FIFO priority: above every ordinary task, below the kernel's own threads at 99."""

PATIENCE_S = 20.0
"""How long an answer of the process may take; an emulated CPU needs a second to start it."""

_LOOP = Path(__file__).with_name("sampler_process.py")


class Sampler:
    """A running sampler process; `start` it, `stop` it, then take what it read.

    `limit_s` ends it even if nobody else does; the death of its parent ends it as well. A file
    that is not there keeps it from starting, unless it is `forgiving`: then it reads as gone.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        sampling: Sampling,
        spool: Path,
        limit_s: float,
        *,
        forgiving: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._targets = tuple(targets)
        self._sampling = sampling
        self._spool = spool
        self._limit_s = limit_s
        self._forgiving = forgiving
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._said = b""

    def start(self) -> None:
        """Start sampling. Raises SamplerError when the process does not get ready in time."""
        specification = {
            "files": [str(target.path) for target in self._targets],
            "slow": [index for index, target in enumerate(self._targets) if target.slow],
            "period_ns": NS_PER_S // self._sampling.fast_hz,
            "slow_every": self._sampling.fast_hz // self._sampling.slow_hz,
            "spool": str(self._spool),
            "priority": PRIORITY,
            "limit_s": self._limit_s,
            "forgiving": self._forgiving,
        }
        # Files, not pipes: a process that hangs can neither block the one that writes to it nor
        # the one that reads its complaints.
        try:
            self._complaints = _in_memory("complaints")
            with _in_memory("specification") as source:
                source.write(json.dumps(specification).encode() + b"\n")
                source.seek(0)
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_LOOP)],
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    bufsize=0,
                )
        except OSError as error:
            raise SamplerError(
                f"the sampler did not start: {error.strerror}",
                "Check that the host has memory and processes to spare.",
            ) from error
        self._answer("start")

    def stop(self) -> tuple[Readings, SamplerFigures]:
        """Stop sampling and return what was read and what it cost.

        Raises SamplerError when the process died before, or does not end in time.
        """
        if self._process is None:
            raise SamplerError("the sampler was never started")
        self._process.terminate()
        figures = self._answer("finish")
        self.close()
        readings = read_spool(self._spool, self._targets, self._sampling, figures["start_ns"])
        return readings, _figures(readings, figures, self._sampling, len(self._targets))

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                # It has nothing to give back: what it reads and writes belongs to others. A
                # stopped process dies at once only since it is continued, too.
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None

    def _answer(self, purpose: str) -> Mapping[str, Any]:
        """Return the next line of the process. Raises SamplerError where there is none in time."""
        assert self._process is not None
        assert self._complaints is not None
        line = self._line(self._process)
        if line is None:
            self.close()
            raise SamplerError(
                f"the sampler did not {purpose} within {self._patience_s:g} s and was killed",
                "Check whether something stops or starves real-time processes on this host.",
            )
        if line:
            answer: Mapping[str, Any] = json.loads(line)
            return answer
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        self.close()
        raise SamplerError(
            f"the sampler did not {purpose}: {said[-1] if said else 'no answer'}",
            "Check that the container still runs and that /dev/shm has room.",
        )

    def _line(self, process: subprocess.Popen[bytes]) -> bytes | None:
        """Return the next line it prints, empty where it ends without, None where it is late."""
        assert process.stdout is not None
        limit = time.monotonic() + self._patience_s
        while b"\n" not in self._said:
            left = max(0.0, limit - time.monotonic())
            if not select.select([process.stdout], [], [], left)[0]:
                return None
            part = process.stdout.read(4096)
            if not part:
                return b""
            self._said += part
        line, _, self._said = self._said.partition(b"\n")
        return line


def _in_memory(name: str) -> IO[bytes]:
    return os.fdopen(os.memfd_create(name), "w+b")


def _figures(
    readings: Readings, answer: Mapping[str, Any], sampling: Sampling, files: int
) -> SamplerFigures:
    if not readings.begin_ns.size:
        raise SamplerError("the sampler took no sample", "Lengthen the schedule's hold times.")
    late = (readings.begin_ns - readings.deadline_ns) / NS_PER_US
    p50, p99 = np.percentile(late, [50, 99])
    return SamplerFigures(
        requested_hz=sampling.fast_hz,
        achieved_hz=answer["ticks"] * NS_PER_S / answer["wall_ns"],
        ticks=answer["ticks"],
        missed=answer["missed"],
        late_p50_us=p50,
        late_p99_us=p99,
        late_max_us=late.max(),
        reading_p50_us=float(np.median(readings.end_ns - readings.begin_ns)) / NS_PER_US,
        cpu_pct=100 * answer["cpu_ns"] / answer["wall_ns"],
        scheduling=answer["scheduling"],
        files=files,
    )
