"""One case: a spoiler crossed with an option, measured and judged as `cgbench verify` does.

What must be said is stated by hand with each kind of spoiler, from what it does.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cgbench.engine import image
from cgbench.engine.connection import TIMEOUT_S
from cgbench.engine.engine import Engine
from cgbench.host import preconditions
from cgbench.judging import verdict
from cgbench.judging.run import Run, load
from cgbench.measuring import run as runner
from cgbench.measuring.progress import Silent
from cgbench.records.results import runs
from cgbench.records.run_directory import RunDirectory
from cgbench.records.verdict import Outcome, Verdict
from cgbench.spec import workload
from cgbench.spec.experiment import Experiment
from tests.bench.short_options import Short
from tests.made.relay import Relay, Spoiler, listening

TRIES = 3
# Verdicts that some value's workload must support, so that load may leave them open.
_OPEN_TO_LOAD = {Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.INCONCLUSIVE}


@dataclass(frozen=True)
class Expected:
    """The verdicts one of which must be given, whether it fails, and words that the reason has.

    Words are a pattern. `open` says that an inconclusive verdict is right: nothing was measured.
    """

    outcomes: frozenset[Outcome]
    fails: bool
    says: str = ""

    @property
    def words(self) -> str:
        """It as a table shows it."""
        status = f", exit {int(self.fails)}" if Outcome.REJECTED in self.outcomes else ""
        return " or ".join(sorted(self.outcomes)) + status


def must(*outcomes: Outcome, says: str = "", fails: bool | None = None) -> Expected:
    """Return what must be said; whether it fails follows from the verdicts unless it is given."""
    failing = {Outcome.WRONG, Outcome.INEFFECTIVE, Outcome.IGNORED, Outcome.DISCARDED,
               Outcome.REVERTED}  # fmt: skip
    alike = {one in failing for one in outcomes}
    assert fails is not None or len(alike) == 1, "some of these fail, and some do not"
    return Expected(frozenset(outcomes), alike.pop() if fails is None else fails, says)


@dataclass(frozen=True)
class Kind:
    """A kind of spoiler: how it is made for an option, what must then be said, and what it meets.

    `unmet` returns why it cannot meet an option, None if it can. `timeout_s` is how long cgbench
    waits for the daemon. `attended` ones need another container that nothing is asked of.
    """

    name: str
    does: str
    spoiler: Callable[[Short], Spoiler]
    expected: Callable[[Short], Expected]
    unmet: Callable[[Short], str | None] = lambda _short: None
    timeout_s: float = TIMEOUT_S
    attended: bool = False


@dataclass(frozen=True)
class Found:
    """What was said in a case, and the exceptions of the spoiler itself.

    `again` is how often it was measured before; a kept one was, by an earlier process.
    """

    verdict: Verdict
    faults: Sequence[BaseException] = ()
    again: int = 0
    kept: bool = False


@dataclass(frozen=True)
class Case:
    """A kind of spoiler and the option that it meets."""

    kind: Kind
    short: Short
    expected: Expected = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", self.kind.expected(self.short))

    @property
    def name(self) -> str:
        """It as a table shows it."""
        return f"{self.kind.name} × {self.short.name}"

    @property
    def firm(self) -> bool:
        """Whether it must be decided on a disturbed host, too: no load makes such a departure.

        That is the spoiler's, and not one which the option has by itself: who gets how much memory
        without a reservation is chance, and load moves it.
        """
        obeyed = self.kind.expected(replace(self.short, honest=Outcome.EFFECTIVE))
        return (self.expected.outcomes | obeyed.outcomes).isdisjoint(_OPEN_TO_LOAD)

    def measured(self, results: Path, tries: int = TRIES) -> Found:
        """Run the case; again, a few times and no more, where a disturbed host leaves it open.

        What was measured before is below `results`, and is judged anew instead.
        """
        folder = results / re.sub(r"[^a-z0-9-]+", "-", self.name)
        kept = [one for one in runs(folder) if one.run().status == "finished"]
        for again in range(max(tries, TRIES)):
            if again < len(kept):
                found = Found(self._judged(kept[again]), again=again, kept=True)
            else:
                found = self._measured(folder, again)
            if found.faults:
                # Nothing was shown: a daemon may refuse what the spoiler asks of it.
                continue
            if again + 1 >= tries:
                break
            if found.verdict.verdict is not Outcome.INCONCLUSIVE or self.wrong(found) is None:
                break
        return found

    def wrong(self, found: Found) -> str | None:
        """Say what is wrong with what was said, None if it is right."""
        said = found.verdict
        if found.faults:
            return f"the spoiler failed: {found.faults[0]!r}"
        if said.verdict not in self.expected.outcomes:
            return f"{said.verdict}, not {self.expected.words}"
        if said.fails != self.expected.fails:
            return f"exit status {int(said.fails)}, not {int(self.expected.fails)}"
        # Of several values the worst one's reason is the verdict's; each has its own.
        reasons = [said.reason, *(one.reason for one in said.values)]
        if not any(re.search(self.expected.says, one) for one in reasons):
            return f"the reason does not say {self.expected.says!r}"
        return None

    def _measured(self, results: Path, again: int) -> Found:
        loaded = self.short.attended if self.kind.attended else self.short.experiment
        run, relay = run_before(
            self.kind.spoiler(self.short), loaded, results, self.kind.timeout_s
        )  # fmt: skip
        said = verdict.judge(run, self.short.name)
        if relay.faults:
            # What nobody spoiled must not be judged later.
            shutil.rmtree(run.directory.path)
        return Found(said, relay.faults, again)

    def _judged(self, directory: RunDirectory) -> Verdict:
        run = load(directory)
        if run.stored is None:
            # They were computed by other rules.
            run.keep_rows()
        return verdict.judge(run, self.short.name)


def run_before(
    spoiler: Spoiler, loaded: Experiment, results: Path, timeout_s: float = TIMEOUT_S
) -> tuple[Run, Relay]:
    """Run an experiment against the daemon behind a spoiler."""
    met = preconditions.require(loaded.requires)
    with listening(spoiler) as relay:
        engine = Engine({**os.environ, **relay.environment}, timeout_s)
        try:
            tag = image.tag(workload.directory())
            begun = runner.begin(runner.Request(loaded, tag, results, seed=1), engine, met)
            runner.execute(begun, begun.run(), engine, Silent())
        finally:
            engine.close()
    run = load(begun)
    run.keep_rows()
    return run, relay


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for the results of cases."""
    return tempfile.TemporaryDirectory(prefix="cgbench-spoiled-")
