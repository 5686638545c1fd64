"""What a run found, in words with numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.judging.estimates import points
from cgbench.judging.run import Run, load
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Phase
from cgbench.reporting.words import headline
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_S
from tests.made.run_builder import MadeUp, build, refuse


def generous(settings: Settings) -> tuple[int | None, int]:
    """Give quotas below half a CPU twice what they ask for."""
    quota, period = bandwidth(settings)
    return (2 * quota if quota is not None and quota < 50_000 else quota), period


def crowded(settings: Settings) -> tuple[int | None, int]:
    """Let no container use more than 1.2 CPUs."""
    quota, period = bandwidth(settings)
    return (None if quota is None else min(quota, 6 * period // 5)), period


def rewritten(directory: RunDirectory, number: int, **change: object) -> RunDirectory:
    """Append another record of trial `number`, with the given fields of its first change."""
    trial = next(one for one in directory.trials() if one.number == number)
    first = trial.phases[0]
    changed: Phase = first.model_copy(update={"change": first.change.model_copy(update=change)})
    directory.append_trial(trial.model_copy(update={"phases": (changed, *trial.phases[1:])}))
    return directory


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return headline.sentences(load(build(tmp_path_factory.mktemp("results"), MadeUp(noise=0.0))))


def test_a_quota_that_holds_comes_first(held: list[str]) -> None:
    assert held[0] == "`--cpu-quota` held within 0.1 % at all 6 values, 10 % to 150 % of a CPU."


def test_time_to_effect_has_its_median_its_tail_and_its_stages(held: list[str]) -> None:
    # Settling is known to a millisecond.
    assert re.fullmatch(
        r"A change took hold in 1[123] ms \(p95 1[123] ms\); Docker answers after 15 ms, "
        r"the interface file shows the new value after 12 ms\.",
        held[1],
    )


def test_stalls_are_reported_where_they_are_longest_and_at_both_ends(held: list[str]) -> None:
    assert held[2] == (
        "Stalls reach 95 ms at 10 % of a CPU; the 99th percentile falls from 95 ms at 10 % to "
        "25 ms at 150 %."
    )


def test_docker_stats_that_agree_are_reported_briefly(held: list[str]) -> None:
    assert held[3] == (
        "`docker stats` came within 0.1 % of the usage counter over the same seconds."
    )


@pytest.mark.parametrize(("stolen", "told"), [(0.2, True), (0.001, False)])
def test_docker_stats_that_show_too_much_beside_steal_have_their_reason(
    stolen: float, told: bool, tmp_path: Path
) -> None:
    """Met by a new user: 8 to 15 % high, since the daemon divides by a time without steal."""
    directory = build(tmp_path, MadeUp(noise=0.0))
    stored = directory.phases()
    assert stored is not None
    for trial in directory.trials():
        assert trial.harness is not None
        taken = {"steal_cpu_s": stolen * trial.harness.elapsed_s}
        changed = trial.harness.model_copy(update=taken)
        directory.append_trial(trial.model_copy(update={"harness": changed}))
    directory.write_phases([
        row._replace(value=100 * (2 / 1.8 - 1)) if row.metric == "docker_stats_off_pct" else row
        for row in stored
    ])  # fmt: skip
    said = next(one for one in headline.sentences(load(directory)) if "docker stats" in one)
    assert said.startswith("`docker stats` showed up to 12 % more than the usage counter ")
    why = (
        "The hypervisor took up to 0.20 of 2 CPUs away in a trial, which `docker stats` leaves "
        "out of what it divides by: that makes 12 % of it."
    )
    assert said.endswith(why) == told


def test_periods_have_one_throughput_and_growing_stalls(tmp_path: Path) -> None:
    made = MadeUp(name="cpu-period-sweep", noise=0.0, hold_ns=6 * NS_PER_S)
    assert headline.sentences(load(build(tmp_path, made)))[0] == (
        "The same throughput at every `--cpu-period` from 5 ms to 1 s: 0.500 CPUs, within 0.1 % "
        "of what is declared; but stalls grow from 2.5 ms to 500 ms."
    )


def test_a_limit_that_lets_too_much_through_comes_first(tmp_path: Path) -> None:
    sentences = headline.sentences(load(build(tmp_path, MadeUp(kernel=generous, noise=0.0))))
    assert sentences[0] == (
        "`--cpu-quota` was not held at 2 of 6 values: at 10 % of a CPU the container had 0.200 "
        "CPUs against 0.100 declared (+100 %). Elsewhere it held within 0.1 %."
    )


def test_less_than_declared_is_not_blamed_on_the_limit(tmp_path: Path) -> None:
    made = MadeUp(kernel=crowded, noise=0.0, other_cpu_s=17.0, starves=True)
    assert headline.sentences(load(build(tmp_path, made)))[0] == (
        "`--cpu-quota` was not reached at 1 of 6 values: at 150 % of a CPU the container got only "
        "1.20 CPUs against 1.50 declared (−20 %). This is inconclusive: other processes of this "
        "host used up to 0.75 CPUs during a trial. Elsewhere it held within 1.1 %."
    )


def test_a_file_that_holds_something_else_comes_before_all(tmp_path: Path) -> None:
    sentences = headline.sentences(load(build(tmp_path, MadeUp(trials=1, file=lambda _text: "7"))))
    assert sentences[0] == (
        "The kernel does not hold the requested value at 6 of 6 values: after `--cpu-quota 10000` "
        "cpu.cfs_quota_us read 7, not 10000."
    )


def test_a_failed_trial_is_reported_beside_what_the_others_found(tmp_path: Path) -> None:
    made = MadeUp(failed={2: "the container of worker was OOM-killed"})
    sentences = headline.sentences(load(build(tmp_path, made)))
    assert sentences[0].startswith("`--cpu-quota` held")
    assert sentences[1] == "1 of 3 trials failed: the container of worker was OOM-killed."


def test_failures_come_first_where_only_the_lesser_part_was_measured(tmp_path: Path) -> None:
    made = MadeUp(failed={1: "killed", 2: "killed"})
    sentences = headline.sentences(load(build(tmp_path, made)))
    assert sentences[0] == "2 of 3 trials failed: killed."
    assert sentences[1].startswith("`--cpu-quota` held")


def test_several_reasons_are_counted(tmp_path: Path) -> None:
    made = MadeUp(failed={1: "killed", 2: "removed", 3: "killed"})
    assert headline.sentences(load(build(tmp_path, made))) == [
        "3 of 3 trials failed: killed (and 1 other reason)."
    ]


def test_a_failure_that_was_measured_again_is_forgotten(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(failed={2: "killed"}))
    again = next(trial for trial in directory.trials() if trial.number == 2)
    directory.append_trial(again.model_copy(update={"status": "ok", "reason": None}))
    load(directory).keep_rows()
    assert headline.sentences(load(directory))[0].startswith("`--cpu-quota` held")


def test_a_run_that_was_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    sentences = headline.sentences(load(build(tmp_path, MadeUp(status="interrupted", finished=1))))
    assert sentences[0] == "The run was not finished: 1 of 3 trials done."


def test_a_run_without_trials_says_that_nothing_was_measured(tmp_path: Path) -> None:
    assert headline.sentences(load(build(tmp_path, MadeUp(status="running", finished=0)))) == [
        "No trial has finished yet, so nothing was measured."
    ]


def test_docker_s_warnings_and_refusals_are_reported_once_each(tmp_path: Path) -> None:
    directory = build(tmp_path)
    for number in (1, 2):
        rewritten(directory, number, warnings=("Your kernel does not care.",))
    identity = "0123456789ab" + 52 * "c"
    refusal = f"docker update --cpu-quota 10000 was refused: container {identity}: too\nlarge."
    rewritten(directory, 3, error=refusal)
    sentences = headline.sentences(load(directory))
    assert sentences[1:3] == [
        "Docker refused `--cpu-quota 10000`: container 0123456789ab: too large.",
        "Docker warned: Your kernel does not care.",
    ]


def test_values_that_docker_refused_are_not_among_those_that_held(tmp_path: Path) -> None:
    """Met by a new user: "held within 0.1 %", where two of three values had been refused."""
    run = refuse(build(tmp_path), "25000", "docker update was refused: no")
    assert headline.sentences(run)[:2] == [
        "`--cpu-quota` held within 0.1 % at 5 of 6 values. Of the others nothing is known: "
        "1 refused.",
        "Docker refused `--cpu-quota 25000`: no.",
    ]


def test_a_workload_that_never_settles_is_reported(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=1))
    stored = directory.phases()
    assert stored is not None
    directory.write_phases([row for row in stored if row.metric != "settle_ms"])
    assert headline.sentences(load(directory))[1] == (
        "Docker answers after 15 ms, the interface file shows the new value after 12 ms; no "
        "workload was seen to settle after a change."
    )


def test_few_changes_have_a_slowest_one_and_no_percentile(tmp_path: Path) -> None:
    sentences = headline.sentences(load(build(tmp_path, MadeUp(trials=1, noise=0.0))))
    assert "(slowest of 11: 1" in sentences[1]


def test_a_figure_is_missing_and_so_is_its_sentence(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=1))
    stored = directory.phases()
    assert stored is not None
    directory.write_phases([row for row in stored if row.metric == "stalls_per_s"])
    assert headline.sentences(load(directory)) == [
        "`--cpu-quota` is inconclusive: 6 of 6 values had no reading: at 10000 there is no reading "
        "of the workload."
    ]


def with_rows(run: Run, change: Callable[[Row], Row]) -> Run:
    made = Run(run.directory, run.record, run.trials)
    vars(made)["every_row"] = tuple(map(change, run.every_row))
    return made


def test_changes_that_did_not_show_take_no_part_in_the_time_to_effect(tmp_path: Path) -> None:
    """Met by a new user: a change "took hold" before the file had it, by changes that a workload
    among rivals did not show.
    """
    run = load(build(tmp_path, MadeUp(noise=0.0)))

    def hide(row: Row) -> Row:
        hidden = row.metric == "settle_ms" and row.requested != "50000"
        return row._replace(value=0.0) if hidden else row

    every, some = (
        next(one for one in headline.sentences(of) if "Docker answers" in one)
        for of in (run, with_rows(run, hide))
    )
    seen = [one.value for one in run.rows if one.metric == "settle_ms" and one.requested == "50000"]
    assert f"(slowest of {len(seen)}: " in some
    assert " changes did not show in how the workload ran." in some
    assert "did not show" not in every
    nothing = with_rows(
        run, lambda row: row._replace(value=0.0) if row.metric == "settle_ms" else row
    )
    said = next(one for one in headline.sentences(nothing) if "Docker answers" in one)
    assert said.endswith("; no change showed in how the workload ran.")


def test_the_ends_of_stalls_are_those_of_one_curve(tmp_path: Path) -> None:
    """Met by a new user: from 65 ms, set by `run`, to 42 ms, set by `update`."""
    run = load(build(tmp_path, MadeUp(noise=0.0)))
    many = points(run)
    born = [
        replace(one, key=one.key._replace(via="run"), estimates=many[0].estimates)
        for one in many[1:]
    ]
    alone = headline._stalls(many, run.rows)
    assert alone is not None
    assert "; the 99th percentile falls from " in alone
    assert headline._stalls([*many, *born], run.rows) == alone


def test_kills_for_want_of_memory_are_told_with_their_value(tmp_path: Path) -> None:
    """Met by a new user: a run that asks who is killed when had no word of its three kills."""
    run = load(build(tmp_path, MadeUp(noise=0.0)))
    assert not any("killed" in one for one in headline.sentences(run))

    def kill(row: Row) -> Row:
        struck = row.metric == "stall_time_pct" and row.requested == "10000"
        return row._replace(metric="oom_kills", value=1.0) if struck else row

    assert (
        "The kernel killed a process for want of memory in worker at 10 % of a CPU."
        in headline.sentences(with_rows(run, kill))
    )
