from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.commands import ab
from cgbench.commands.candidate import Candidate
from cgbench.commands.session import Session
from cgbench.engine import image
from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.errors import BaselineError
from cgbench.host import procfs
from cgbench.host.interrupts import Interrupted
from cgbench.host.scratch import commands
from cgbench.records.comparison import Comparison, Ending, Judgement
from cgbench.spec import experiment_file, workload
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Settings
from cgbench.spec.step import Step
from cgbench.units import NS_PER_MS
from tests.commands.test_gate import MadeUp
from tests.made.quiet import any_disturbed, holds


def test_a_command_that_fails_is_named_with_its_status_and_last_words() -> None:
    with pytest.raises(BaselineError, match=r"`echo no >&2; exit 3` ended .* status 3: no"):
        ab.switch("echo no >&2; exit 3")


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(BaselineError, match=r"`no-such-command` ended with exit status 127"):
        ab.switch("no-such-command")


def test_a_command_that_succeeds_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    ab.switch("echo quiet")
    assert capfd.readouterr().out == ""


def test_a_command_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ab, "_COMMAND_TIMEOUT_S", 0.1)
    with pytest.raises(BaselineError, match="did not end within"):
        ab.switch("exec sleep 5")


def test_all_that_a_command_started_ends_when_it_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Found by reading: the shell was killed, and its children went on."""
    # Time enough for a shell to start beside other load.
    monkeypatch.setattr(ab, "_COMMAND_TIMEOUT_S", 2)
    file = shlex.quote(str(tmp_path / "pid"))
    with pytest.raises(BaselineError, match="was killed"):
        ab.switch(f"sleep 60 & echo $! >{file}; wait")
    child = int((tmp_path / "pid").read_text())
    assert commands.until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    seen = procfs.process(pid)
    return seen is not None and seen.state != "Z"


def test_a_command_may_leave_something_in_the_background(tmp_path: Path) -> None:
    """Found by reading: it held the pipes, so that the advice which names it did not work."""
    file = shlex.quote(str(tmp_path / "pid"))
    begin = time.monotonic()
    ab.switch(f"sleep 60 & echo $! >{file}")
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "pid").read_text())
    assert _runs(child)
    os.kill(child, signal.SIGKILL)


Alternate = Callable[[BaseException | None, str | None], str]


@pytest.fixture
def alternate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alternate:
    """Return what ends a comparison with an error, if any, and says in which state the host is."""
    state = tmp_path / "state"

    def end(error: BaseException | None, restore: str | None) -> str:
        def alternated(_experiment: object, sides: ab.Sides, _session: object) -> None:
            ab.switch(sides.b)
            if error is not None:
                raise error

        monkeypatch.setattr(ab, "_alternated", alternated)
        to = f">{shlex.quote(str(state))}"
        sides = ab.Sides(f"echo a {to}", f"echo b {to}", restore=restore and f"{restore} {to}")
        with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
            ab.ab(cast(Experiment, None), sides, cast(Session, None))
        return state.read_text().strip()

    return end


@pytest.mark.parametrize("error", [None, BaselineError("x"), Interrupted(), RuntimeError()])
def test_the_host_ends_as_a_makes_it_or_as_restore_does(
    alternate: Alternate, error: BaseException | None
) -> None:
    """Found by reading: it was left in whichever state came last."""
    assert alternate(error, None) == "a"
    assert alternate(error, "echo before") == "before"


def test_a_host_that_cannot_be_put_back_is_named_beside_what_happened(alternate: Alternate) -> None:
    error = Interrupted()
    assert alternate(error, "exit 3; echo") == "b"
    (note,) = error.__notes__
    assert note.startswith("the host was not put back: `exit 3; echo >")
    assert note.endswith("` ended with exit status 3")


class Switched(Engine):
    """Gives 10 % less quota while a file is there."""

    def __init__(self, flag: Path) -> None:
        super().__init__()
        self._flag = flag

    def update(self, container_id: str, settings: Settings) -> Answer:
        share = 0.9 if self._flag.exists() else 1.0
        return super().update(
            container_id,
            {
                name: round(share * int(value)) if name == "cpu-quota" else value
                for name, value in settings.items()
            },
        )


def _short() -> Experiment:
    whole = experiment_file.load("cpu-quota-sweep")
    step = Step(set={"cpu-quota": (30_000,)}, hold=600 * NS_PER_MS)
    return whole.model_copy(update={"steps": (step,), "warmup": 200 * NS_PER_MS})


def alternated(folder: Path, looks: tuple[int, ...]) -> tuple[Path, Comparison]:
    """Compare a host that gives the quota with one that gives 10 % less, in turns."""
    flag = folder / "less"
    name = shlex.quote(str(flag))
    sides = ab.Sides(f"rm -f {name}", f"touch {name}", ("cpus_used",), 240, looks=looks)
    engine = Switched(flag)
    try:
        tag = image.tag(workload.directory())
        return folder, ab.ab(_short(), sides, Session(engine, tag, folder, 1))
    finally:
        engine.close()


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_alternating_trials_tell_two_states_of_the_host_apart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Seven pairs are the fewest that are sure enough, and none of them may be disturbed. Where one
    # was, there are as many as the command takes until it is sure.
    looks = chain([(7,)], repeat(ab.LOOKS))
    looked: list[tuple[int, ...]] = []

    def measured() -> tuple[Path, Comparison]:
        looked.append(next(looks))
        return alternated(tmp_path_factory.mktemp("ab"), looked[-1])

    def claim(found: tuple[Path, Comparison]) -> None:
        (one,) = found[1].findings
        assert found[1].paired
        assert len(one.baseline) == len(one.candidate)
        assert len(one.baseline) in looked[-1]
        assert one.judgement is Judgement.REGRESSED
        assert one.change_pct == pytest.approx(-10, abs=2)

    holds(claim, measured, lambda found: any_disturbed(found[0]), patience_s=300)


@pytest.mark.docker
def test_a_command_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    engine = Engine()
    try:
        session = Session(engine, image.tag(workload.directory()), tmp_path, 1)
        with pytest.raises(BaselineError, match="`false` ended with exit status 1"):
            ab.ab(_short(), ab.Sides("true", "false"), session)
    finally:
        engine.close()


# Where it ends


class Side(MadeUp):
    """A made-up side of alternating trials, of which each after the third takes 100 s."""

    @property
    def repetition(self) -> int:
        return self._done

    def measure(self) -> None:
        super().measure()
        self.longest_s = 8.0 if self._done < 3 else 100.0


def _ended(looks: tuple[int, ...], budget_s: float) -> Comparison:
    drawn = random.Random(0)
    values = [0.5 * (1 + drawn.gauss(0, 0.05)) for _ in range(140)]
    before, after = Side(lambda at: values[at]), Side(lambda at: values[70 + at])
    terms = ab.Sides("true", "true", budget_s=budget_s, looks=looks)
    return ab._decided(
        cast("Candidate", before), cast("Candidate", after), terms,
        cast("Session", SimpleNamespace(progress=lambda _line: None)),
    )  # fmt: skip


def test_a_budget_that_ends_says_how_many_pairs_were_lacking() -> None:
    found = _ended((10,), budget_s=60)
    assert found.ended_by is Ending.BUDGET
    assert found.notes[-1] == (
        "the budget of 1 min ended after 3 pairs; 7 more were needed for the next look, which take "
        "about 23 min 20 s"
    )


def test_after_the_last_look_it_says_that_no_budget_helps() -> None:
    found = _ended((10,), budget_s=3600)
    assert found.ended_by is Ending.TRIALS
    assert found.notes[-1] == (
        "10 pairs were judged, and no more are measured, however long the budget"
    )
