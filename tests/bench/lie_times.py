"""Time to effect against a proxy that delays by a known time, before or after the answer.

A thread beside the proxy reads the kernel's file all the time: it changed between the last reading
of the old text and the first one of the new.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from cgbench.host import cgroups
from cgbench.judging.run import Run
from cgbench.spec.experiment import Experiment
from cgbench.units import NS_PER_MS
from tests.bench import lie_answers as lie
from tests.bench.figure import Figure, at_most
from tests.bench.lie_answers import Answers
from tests.bench.short_options import shorts
from tests.bench.spoiled import run_before
from tests.made.relay import Relay, Reply, Spoiler, Update

DELAYS_MS = (50, 200, 600, 3000)
MOST_OFF_MS = 5.0
_AFTER_NS = 700 * NS_PER_MS
_EVERY_S = 0.0003
_FILE = ("cpu", "cpu.cfs_quota_us")


@dataclass(frozen=True)
class Changed:
    """Between which moments a file changed, and when the relay answered."""

    after_ns: int
    before_ns: int


@dataclass
class Watched(Spoiler):
    """Answers as a function does, and looks when the file really changes."""

    answers: Answers
    seen: list[Changed] = field(default_factory=list)

    def update(self, update: Update) -> Reply:
        """Answer as the function does."""
        state = update.relay.docker.inspect(update.container)["State"]
        assert isinstance(state, dict)
        path = cgroups.find(state["Pid"]).path(*_FILE)
        threading.Thread(target=self._watch, args=(path, update), daemon=True).start()
        return self.answers(update)

    def _watch(self, path: Path, update: Update) -> None:
        before, since_ns = path.read_text(), time.monotonic_ns()
        while True:
            began_ns = time.monotonic_ns()
            if path.read_text() != before:
                self.seen.append(Changed(since_ns, time.monotonic_ns()))
                return
            since_ns = began_ns
            time.sleep(_EVERY_S)


def _held(delay_ms: int) -> Experiment:
    """Return a quota's experiment whose phases last longer than the delay."""
    short = shorts()["cpu-quota"].experiment
    hold = {"hold": delay_ms * NS_PER_MS + _AFTER_NS}
    steps = tuple(step.model_copy(update=hold) for step in short.steps)
    return short.model_copy(update={"steps": steps})


def _off(of_ns: int, changed: Changed) -> float:
    """Return by how many ms a moment lies outside of what was seen."""
    off_ns = max(changed.after_ns - of_ns, of_ns - changed.before_ns, 0)
    return off_ns / NS_PER_MS


def off_ms(run: Run, seen: Sequence[Changed], relay: Relay) -> tuple[float, float]:
    """Return by how many ms the times to the file and to the answer are off.

    They are medians over all changes, as what `cgbench verify` says of them is.
    """
    (trial,) = run.finished
    by_file, by_answer = [], []
    for phase, changed, update in zip(trial.phases, seen, relay.updates, strict=True):
        (file,) = phase.change.files
        assert file.t_changed_ns is not None
        assert update.t_answer_ns is not None
        by_file.append(_off(file.t_changed_ns, changed))
        by_answer.append(abs(phase.change.t_answer_ns - update.t_answer_ns) / NS_PER_MS)
    return median(by_file), median(by_answer)


def figures(results: Path) -> list[Figure]:
    """Measure each delay in each place, and return by how much what is said is off."""
    # The proxy and cgbench are threads of one interpreter here, which hands over every 5 ms.
    sys.setswitchinterval(_EVERY_S)
    found = []
    for delay_ms in DELAYS_MS:
        places: dict[str, Answers] = {
            "after the answer": lie.late(delay_ms / 1000),
            "before the answer": lie.answered_late(delay_ms / 1000),
            "before both": lie.held_back(delay_ms / 1000),
        }
        for place, answers in places.items():
            spoiler = Watched(answers)
            run, relay = run_before(spoiler, _held(delay_ms), results)
            by_file, by_answer = off_ms(run, spoiler.seen, relay)
            off = max(by_file, by_answer)
            name = f"delay of {delay_ms} ms {place}: off by"
            found.append(at_most(name, MOST_OFF_MS, off, " ms", digits=1))
    return found
