"""A search for the smallest limit: right where it can tell, and silent where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.commands import program_life, tune
from cgbench.commands.program_life import Lived
from cgbench.errors import CgbenchError, OptionError, TrialError
from cgbench.host import description
from cgbench.records import tune as records
from cgbench.records.tune import Verdict
from cgbench.spec import target, tunable
from cgbench.spec.program import Program
from tests.made import searches
from tests.made.searches import PROGRAM, Program20ms


@given(st.floats(0.06, 1.5))
@settings(max_examples=25, deadline=None)
def test_a_sharp_knee_is_found_and_confirmed(knee: float) -> None:
    live = Program20ms(knee)
    found = tune.tune(searches.asked(), live, seed=3)
    assert found.verdict is Verdict.FOUND, found.reason
    assert found.knee is not None
    assert found.suggested is not None
    assert found.knee.median == pytest.approx(knee, rel=0.05)
    assert knee <= found.suggested <= 1.15 * knee
    assert (found.confirmed, found.of) == (tune.SURE, tune.SURE)
    # What was suggested was tried in a life of its own afterwards.
    assert live.lives[-1] == [found.suggested] * tune.SURE


def test_a_blurred_knee_is_suggested_above_where_it_is_missed_now_and_then() -> None:
    within = 0
    for seed in range(20):
        found = tune.tune(searches.asked(), Program20ms(0.3, width=0.02, seed=seed), seed=seed)
        assert found.verdict is Verdict.FOUND
        assert found.suggested is not None
        within += 0.3 <= found.suggested <= 0.45
    assert within >= 18


def test_where_no_limit_suffices_that_is_said_after_it_was_tried_again() -> None:
    live = Program20ms(50.0)
    found = tune.tune(searches.asked(), live, seed=3)
    assert found.verdict is Verdict.NONE
    assert found.suggested is None
    assert live.lives[-1] == [2.0] * tune.SURE
    assert "not even 2 CPUs" in found.reason


def test_where_every_limit_suffices_the_lowest_is_suggested() -> None:
    found = tune.tune(searches.asked(), Program20ms(0.001), seed=3)
    assert found.verdict is Verdict.ALL
    assert found.suggested == 0.03
    assert "search lower" in found.reason


def test_where_time_ends_first_nothing_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 120))
    monkeypatch.setattr("cgbench.commands.tune.time.monotonic", lambda: float(next(clock)))
    found = tune.tune(searches.asked(), Program20ms(), seed=3)
    assert found.verdict is Verdict.UNDECIDED
    assert found.suggested is None
    assert found.knee is not None
    assert "give it more time" in found.reason


def test_what_does_not_count_decides_nothing() -> None:
    def disturbed(limits: Sequence[float]) -> Lived:
        seen = Program20ms(50.0)(limits).seen
        update = {"met": None, "reason": "others took 0.5 CPUs meanwhile"}
        return Lived(tuple(one.model_copy(update=update) for one in seen))

    found = tune.tune(searches.asked(), disturbed, seed=3)
    assert found.verdict is Verdict.UNDECIDED
    assert found.knee is None
    assert "others took 0.5 CPUs" in found.reason
    assert any("do not count" in note for note in found.notes)


def test_a_program_that_never_gets_ready_is_an_error_and_no_verdict() -> None:
    def dead(_limits: Sequence[float]) -> Lived:
        return Lived((), failed="web does not listen on TCP port 8080 after 30 s")

    with pytest.raises(TrialError, match="does not listen"):
        tune.tune(searches.asked(), dead, seed=3)


def test_memory_and_tasks_are_searched_as_well() -> None:
    live = Program20ms(100 * 2**20)
    found = tune.tune(searches.asked("memory", 8 * 2**20, 512 * 2**20), live, seed=3)
    assert found.suggested == pytest.approx(100 * 2**20, rel=0.1)
    assert found.suggested is not None
    assert found.suggested >= 100 * 2**20
    tasks = tune.tune(searches.asked("pids", 2, 512), Program20ms(40), seed=3)
    assert tasks.suggested is not None
    assert 40 <= tasks.suggested <= 46


def question(**more: object) -> program_life.Question:
    arguments: dict[str, object] = {
        "named": ("shop", PROGRAM), "target": target.parse("p99<=20ms"),
        "limit": tunable.tunable("cpus"), "low": None, "high": None,
    }  # fmt: skip
    return tune.question(**{**arguments, **more})  # type: ignore[arg-type]


def test_without_bounds_the_whole_host_is_searched() -> None:
    found = question()
    assert found.high == description.cpus()
    assert found.low == max(0.01, found.high / 64)
    # 200 requests at 100 a second, and what settles.
    assert found.hold_ns == 3 * 10**9


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"named": ("shop", Program(image="x"))}, "no load is put on it"),
        ({"high": 4096.0}, "--to 4096: this host has"),
        ({"low": 1.0, "high": 0.5}, "--from 1 CPU is not below --to 0.5 CPUs"),
        ({"low": 0.5, "high": 0.5}, "is not below"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_starts(
    more: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError) as caught:
        question(**more)
    assert said in caught.value.message
    assert caught.value.advice


def test_each_limit_is_tried_after_a_rest_at_the_highest() -> None:
    found = program_life.experiment(searches.asked(), [0.5, 0.1])
    assert [(dict(step.set), step.prepares, step.may_end) for step in found.steps] == [
        ({"cpus": "2"}, True, False), ({"cpus": "0.5"}, False, True),
        ({"cpus": "2"}, True, False), ({"cpus": "0.1"}, False, True),
    ]  # fmt: skip
    assert PROGRAM.load is not None
    assert found.steps[0].hold > PROGRAM.load.timeout
    assert [one.role for one in found.containers] == ["shop", "shop-load"]


def test_memory_is_tried_downwards_and_has_a_rest_only_where_it_would_not_sink() -> None:
    mib = 2**20
    asked = searches.asked("memory", 8 * mib, 512 * mib)
    found = program_life.experiment(asked, [64 * mib, 256 * mib, 64 * mib])
    assert [(step.set["memory"], step.prepares, step.settle) for step in found.steps] == [
        (256 * mib, False, asked.hold_ns), (64 * mib, False, asked.hold_ns),
        (512 * mib, True, None), (64 * mib, False, asked.hold_ns),
    ]  # fmt: skip
    assert all(step.hold == 2 * asked.hold_ns for step in found.steps if not step.prepares)


@pytest.mark.parametrize(
    ("warm", "said"),
    [(0, None), (30 * 2**20, "30 MiB of its image's files were in memory"),
     (None, "not known how much")],
)  # fmt: skip
def test_what_of_an_image_was_in_memory_before_is_told(warm: int | None, said: str | None) -> None:
    def lives(limits: Sequence[float]) -> Lived:
        return replace(Program20ms(100 * 2**20)(limits), warm=warm)

    found = tune.tune(searches.asked("memory", 8 * 2**20, 512 * 2**20), lives, seed=3)
    told = [note for note in found.notes if "image's files" in note]
    assert [note.startswith(("it is not known", "30 MiB")) for note in told] == [True] * len(told)
    assert (told == []) is (said is None)
    assert said is None or said in told[0]


def test_what_a_search_came_to_is_kept_and_read_again(tmp_path: Path) -> None:
    found = searches.found()
    folder = tune.keep(found, tmp_path)
    assert folder.parent.name == "tune"
    assert records.read(folder) == found
    page = tune.write_page(found, folder / "report.html").read_text()
    assert "docker update --cpus" in page
    (folder / "tune.json").write_text('{"schema_version": 1}')
    with pytest.raises(CgbenchError, match="not a search for a limit"):
        records.read(folder)
    (folder / "tune.json").write_text('{"schema_version": 99}')
    with pytest.raises(CgbenchError, match="newer cgbench"):
        records.read(folder)
    with pytest.raises(CgbenchError, match="nosuch"):
        records.read(tmp_path / "nosuch")
