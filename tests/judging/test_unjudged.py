"""What has no figure is named, and why: it was refused, never measured, or never read."""

from __future__ import annotations

from pathlib import Path

from cgbench.judging.run import load
from cgbench.judging.unjudged import Unjudged, plain, unjudged
from tests.made.run_builder import MadeUp, build, refuse

REFUSAL = "docker update --cpu-quota 25000 was refused: no such\nthing: unknown"


def said(found: tuple[Unjudged, ...]) -> list[tuple[str, str, str]]:
    return [(one.key.requested, one.state, one.reason) for one in found]


def test_a_run_that_is_whole_leaves_nothing_out(tmp_path: Path) -> None:
    assert unjudged(load(build(tmp_path))) == ()


def test_a_value_that_docker_refused_is_named_with_its_words(tmp_path: Path) -> None:
    """Met by a new user: two of three steps were refused, and the rows were gone."""
    run = refuse(build(tmp_path), "25000", REFUSAL)
    (found,) = unjudged(run)
    assert (found.state, found.reason) == ("refused", "no such thing: unknown")
    assert (found.words, found.raw) == ("25 % of a CPU", "--cpu-quota 25000")
    assert found.to_json() == {
        "role": "worker", "option": "cpu-quota", "via": "update", "requested": "25000",
        "note": None, "state": "refused", "reason": "no such thing: unknown",
    }  # fmt: skip


def test_a_value_that_was_refused_now_and_then_is_named_beside_its_figures(tmp_path: Path) -> None:
    run = refuse(build(tmp_path), "25000", REFUSAL, only=[2])
    assert "25000" in {row.requested for row in run.rows}
    (found,) = unjudged(run)
    assert found.state == "refused"
    assert found.reason == "2 of 6 times: no such thing: unknown"


def test_a_value_to_which_no_finished_trial_came_was_not_measured(tmp_path: Path) -> None:
    run = load(build(tmp_path, MadeUp(status="running", finished=0)))
    assert {state for _, state, _ in said(unjudged(run))} == {"not measured"}


def test_a_value_that_was_accepted_and_never_read_is_named(tmp_path: Path) -> None:
    directory = build(tmp_path)
    stored = directory.phases()
    assert stored is not None
    directory.write_phases([row for row in stored if row.requested != "25000"])
    assert [(value, state) for value, state, _ in said(unjudged(load(directory)))] == [
        ("25000", "no reading")
    ]


def test_a_refusal_is_told_without_the_command_and_most_of_an_identity() -> None:
    identity = "0123456789ab" + 52 * "c"
    assert plain(f"docker update was refused: container {identity}: no : unknown") == (
        "container 0123456789ab: no"
    )
