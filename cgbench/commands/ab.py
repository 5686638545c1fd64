"""A against B on one host now: trials of both alternate, so that drift meets both alike."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from cgbench.commands import lack
from cgbench.commands.candidate import Candidate, ended, open_candidate
from cgbench.commands.gate import BUDGET_S
from cgbench.commands.lack import Lack
from cgbench.commands.session import Session
from cgbench.errors import BaselineError
from cgbench.host.scratch.commands import undisturbed
from cgbench.judging import comparison
from cgbench.judging.comparison import ALPHA, EFFECT
from cgbench.judging.sides import gated_metrics
from cgbench.records.agreement import ALLOWABLE, names
from cgbench.records.baseline import Noise
from cgbench.records.comparison import Comparison
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.wording import count

LOOKS = (10, 14, 20, 28)
"""Pairs after which the comparison is looked at: with fewer no sign test could be sure enough."""

_COMMAND_TIMEOUT_S = 120
_LAST_BYTES = 4096
# Both sides meet the same neighbours: pairs are not sorted out by noise.
_ANY_NOISE = Noise(repetition=0, steal_cpus=sys.float_info.max, other_cpus=sys.float_info.max)


@dataclass(frozen=True)
class Sides:
    """The commands that put the host into one state each, and what the comparison is held to.

    `restore` is run at the end; without it, `a` is.
    """

    a: str
    b: str
    metrics: tuple[str, ...] = ()
    budget_s: float = BUDGET_S
    effect: float = EFFECT
    looks: tuple[int, ...] = LOOKS
    restore: str | None = None
    quick: bool = False


def switch(command: str) -> None:
    """Put the host into one state. Raises BaselineError when the command fails.

    What it starts in the background may go on, unless the command is cut off: then all of it ends.
    """
    # A file and not a pipe, which what goes on in the background would keep open.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, shell=True, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            # So that the terminal's Ctrl-C, which goes to a whole group, does not end it, too.
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(_COMMAND_TIMEOUT_S)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise BaselineError(
                f"`{command}` did not end within {_COMMAND_TIMEOUT_S:g} s and was killed",
                "Let it start what it needs in the background.",
            ) from None
        last = _last_line(said)
    if status != 0:
        raise BaselineError(
            f"`{command}` ended with exit status {status}{f': {last}' if last else ''}",
            "Nothing was measured with it; try it in a shell.",
        )


def _last_line(said: BinaryIO) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_BYTES))
    return "".join(said.read().decode(errors="replace").strip().splitlines()[-1:])


@contextmanager
def _left_as(command: str) -> Iterator[None]:
    """Put the host into the state of a command at the end, also after an error or an interrupt."""
    try:
        yield
    except BaseException as error:
        try:
            with undisturbed():
                switch(command)
        except BaselineError as refusal:
            error.add_note(f"the host was not put back: {refusal.message}")
        raise
    with undisturbed():
        switch(command)


def wanted(name: str, *, quick: bool) -> Experiment:
    """Read the experiment, in its short form if `quick`."""
    loaded = experiment_file.load(name)
    return loaded.shortened() if quick else loaded


def ab(experiment: Experiment, sides: Sides, session: Session) -> Comparison:
    """Alternate trials of A and B until every metric is decided or the budget is spent.

    The order within a pair turns round each time. In the end the host is in the state that
    `sides.restore` makes, however it ends. Raises BaselineError when a command or every trial
    fails.
    """
    with _left_as(sides.restore or sides.a):
        return _alternated(experiment, sides, session)


def _alternated(experiment: Experiment, sides: Sides, session: Session) -> Comparison:
    metrics = sides.metrics or gated_metrics(experiment)
    switch(sides.a)
    opened = functools.partial(
        open_candidate, experiment, metrics, _ANY_NOISE, session, quick=sides.quick
    )  # fmt: skip
    before = opened("A of ab")
    with ended(before):
        switch(sides.b)
        after = opened("B of ab")
        with ended(after):
            return _decided(before, after, sides, session)


def _decided(before: Candidate, after: Candidate, sides: Sides, session: Session) -> Comparison:
    deadline = time.monotonic() + sides.budget_s
    alpha = ALPHA / len(sides.looks)
    found: Comparison | None = None
    lacks = Lack()
    for look in sides.looks:
        complete = _pairs(before, after, sides, look, deadline)
        lacks = Lack() if complete else Lack(look - len(_both(before, after)), "for the next look")
        found = _look(before, after, sides, alpha)
        session.progress(f"{len(_both(before, after))} pairs: {found.overall}")
        if found.decided or not complete:
            break
    assert found is not None
    failed = (*before.disturbances, *after.disturbances)
    return lack.told(
        found.model_copy(update={"disturbances": failed}), lacks,
        count(len(_both(before, after)), "pair"), sides.budget_s,
        before.longest_s + after.longest_s, exhausted=before.exhausted,
    )  # fmt: skip


def _pairs(before: Candidate, after: Candidate, sides: Sides, target: int, deadline: float) -> bool:
    """Measure pairs until `target` are good; return False when time or repetitions ran out."""
    states = [(sides.a, before), (sides.b, after)]
    while len(_both(before, after)) < target:
        left = deadline - time.monotonic()
        if before.exhausted or before.longest_s + after.longest_s > left:
            return False
        for command, side in states if before.repetition % 2 == 0 else states[::-1]:
            switch(command)
            side.measure()
    return True


def _both(before: Candidate, after: Candidate) -> list[int]:
    return sorted(set(before.good) & set(after.good))


def _look(before: Candidate, after: Candidate, sides: Sides, alpha: float) -> Comparison:
    both = _both(before, after)
    if not both:
        raise BaselineError(
            f"{before.directory.path}: no pair of trials ended well",
            "Give it more time (--budget); the runs' reports show why trials failed.",
        )
    left, right = (
        side.side(both).model_copy(update={"name": name})
        for side, name in ((before, f"A: {sides.a}"), (after, f"B: {sides.b}"))
    )
    # Whatever differs was made to differ by the commands.
    return comparison.compare(
        left, right, allow=names(ALLOWABLE), alpha=alpha, effect=sides.effect, paired=True
    )
