"""Verdicts: each is reached by what was measured, and by nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from cgbench.judging import verdict
from cgbench.judging.run import Run, load
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Change, Ending, FileChange, Phase, TrialRecord
from cgbench.records.verdict import Outcome, Verdict
from cgbench.spec import experiment_file
from cgbench.spec.band import Tolerance
from cgbench.spec.conversions import bandwidth
from cgbench.spec.metrics import METRICS
from cgbench.spec.option import Settings
from cgbench.spec.precondition import Precondition
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made import drawn_counts, records, run_builder
from tests.made.run_builder import MadeUp, obedient


def scaled(factor: float) -> Callable[[Settings], tuple[int | None, int]]:
    def kernel(settings: Settings) -> tuple[int | None, int]:
        quota, period = bandwidth(settings)
        return (None if quota is None else round(quota * factor)), period

    return kernel


more_than_declared, less_than_declared = scaled(1.08), scaled(0.92)


def deaf(_settings: Settings) -> tuple[int | None, int]:
    return 40_000, 100_000


def unlimited(_settings: Settings) -> tuple[int | None, int]:
    return None, 100_000


def unchanged(_text: str) -> str:
    return "-1"


def rewritten(directory: RunDirectory, change: Callable[[Change], Change]) -> RunDirectory:
    """Replace every change of a run by what `change` makes of it."""

    def altered(trial: TrialRecord) -> TrialRecord:
        phases = tuple(
            phase.model_copy(update={"change": change(phase.change)}) for phase in trial.phases
        )
        return trial.model_copy(update={"phases": phases})

    trials = [altered(trial) for trial in directory.trials()]
    (directory.path / "trials.jsonl").unlink()
    (directory.path / "phases.parquet").unlink(missing_ok=True)
    for trial in trials:
        directory.append_trial(trial)
    return directory


def test_what_is_declared_enforced_and_felt_is_effective(tmp_path: Path) -> None:
    found = verdict.judge(load(run_builder.build(tmp_path)), "cpu-quota")
    assert found.verdict is Outcome.EFFECTIVE
    assert found.declared.accepted == 33
    assert all(point.within for point in found.experienced)
    assert {point.requested for point in found.experienced} == {
        "10000", "25000", "50000", "75000", "100000", "150000",
    }  # fmt: skip
    assert found.enforced["cpu.cfs_quota_us"].after == "10000"
    assert found.time_to_effect_ms.answer == pytest.approx(15)
    assert found.time_to_effect_ms.enforced == pytest.approx(12)
    assert found.advice is None
    assert found.evidence == (records.RUN,)


def test_a_value_outside_the_band_is_imprecise_and_the_reason_says_by_how_much(
    tmp_path: Path,
) -> None:
    directory = run_builder.build(tmp_path, MadeUp(kernel=more_than_declared))
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.IMPRECISE
    assert "+8." in found.reason or "+7." in found.reason
    assert found.advice


@pytest.mark.parametrize("factor", [0.5, 1.12])
def test_a_value_far_outside_the_band_is_wrong(tmp_path: Path, factor: float) -> None:
    run = load(run_builder.build(tmp_path, MadeUp(kernel=scaled(factor))))
    found = verdict.judge(run, "cpu-quota")
    assert found.verdict is Outcome.WRONG
    assert re.search("(6 of 6 values|, 5) were wrong: at [0-9]+, cpus_used was", found.reason)


def as_systemd(settings: Settings) -> tuple[int | None, int]:
    """Round a quota up to the next percent of a CPU, as the systemd driver does."""
    quota, period = bandwidth(settings)
    return (None if quota is None else math.ceil(100 * quota / period) * period // 100), period


def rounded_text(text: str) -> str:
    return str(math.ceil(int(text) / 1000) * 1000) if int(text) > 0 else text


@pytest.mark.parametrize("text", [rounded_text, str])
def test_values_on_the_grid_of_systemd_show_nothing_of_its_rounding(
    tmp_path: Path, text: Callable[[str], str]
) -> None:
    made = MadeUp(kernel=as_systemd, file=text, trials=1)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.EFFECTIVE, found.reason


def test_a_quota_off_the_grid_that_the_file_holds_rounded_is_imprecise(tmp_path: Path) -> None:
    made = MadeUp(kernel=as_systemd, file=rounded_text, trials=1, quotas=(36500, 41700, 50000))
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.IMPRECISE
    assert [one.verdict.value for one in found.values] == ["imprecise", "imprecise", "effective"]
    assert "cpu.cfs_quota_us held 37000 where cpu-quota 36500 should give 36500" in (
        found.values[0].reason
    )


def test_a_small_quota_that_rounding_makes_a_third_larger_is_wrong(tmp_path: Path) -> None:
    made = MadeUp(kernel=as_systemd, file=rounded_text, trials=1, quotas=(36500, 1500, 41700))
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.WRONG
    assert "held 2000 where cpu-quota 1500 should give 1500" in found.reason


def test_a_small_quota_whose_rounding_no_file_shows_is_wrong_by_its_workload(
    tmp_path: Path,
) -> None:
    made = MadeUp(
        kernel=as_systemd, trials=1, quotas=(36500, 1500, 41700), hold_ns=4 * NS_PER_S,
        host=records.HOST.model_copy(update={"timer_hz": 1000}),
    )  # fmt: skip
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.WRONG
    assert "at 1500, cpus_used was 0.02" in found.reason


def test_a_small_quota_is_judged_by_its_file_alone_where_ticks_are_long(tmp_path: Path) -> None:
    made = MadeUp(
        trials=1, quotas=(36500, 1500, 41700),
        host=records.HOST.model_copy(update={"timer_hz": 100}),
    )  # fmt: skip
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.EFFECTIVE
    assert "of 3 values 2 held, 1 was not judged by a workload" in found.reason
    assert "judged by its file alone" in found.values[1].reason
    assert [point.within for point in found.experienced] == [True, None, True]


def test_a_workload_that_does_not_change_makes_it_ineffective(tmp_path: Path) -> None:
    found = verdict.judge(load(run_builder.build(tmp_path, MadeUp(kernel=deaf))), "cpu-quota")
    assert found.verdict is Outcome.INEFFECTIVE
    assert "stayed between" in found.reason


def test_a_file_that_never_changes_makes_it_ignored(tmp_path: Path) -> None:
    made = MadeUp(kernel=unlimited, file=unchanged)
    directory = rewritten(
        run_builder.build(tmp_path, made),
        lambda change: change.model_copy(
            update={"files": tuple(f.model_copy(update={"before": "-1"}) for f in change.files)}
        ),
    )
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.IGNORED
    assert "stayed -1" in found.reason


def test_the_same_with_a_warning_is_discarded(tmp_path: Path) -> None:
    made = MadeUp(kernel=unlimited, file=unchanged)
    directory = rewritten(
        run_builder.build(tmp_path, made),
        lambda change: change.model_copy(
            update={
                "files": tuple(f.model_copy(update={"before": "-1"}) for f in change.files),
                "warnings": ("Limit discarded.",),
            }
        ),
    )
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.DISCARDED
    assert "Limit discarded." in found.reason
    assert found.declared.warnings == ("Limit discarded.",)


@pytest.mark.parametrize("late_ms", [50, 200, 600])
def test_an_answer_that_comes_before_the_effect_is_marked_and_the_effect_is_timed(
    tmp_path: Path, late_ms: int
) -> None:
    made = MadeUp(late_ns=late_ms * NS_PER_MS, trials=1)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.EFFECTIVE, found.reason
    times = found.time_to_effect_ms
    assert times.answered_first == found.declared.accepted
    assert times.enforced == pytest.approx(15 + late_ms)
    assert times.experienced is not None
    assert times.experienced >= late_ms
    assert found.enforced["cpu.cfs_quota_us"].after == "10000"


def test_refusals_alone_are_rejected_with_the_daemons_words(tmp_path: Path) -> None:
    directory = rewritten(
        run_builder.build(tmp_path),
        lambda change: change.model_copy(update={"error": "refused: no such thing"}),
    )
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.REJECTED
    assert "no such thing" in found.reason
    assert found.declared.accepted == 0


def test_a_file_that_another_update_undid_is_reverted(tmp_path: Path) -> None:
    directory = rewritten(
        run_builder.build(tmp_path),
        lambda change: change.model_copy(
            update={"files": tuple(f.model_copy(update={"held": "-1"}) for f in change.files)}
        ),
    )
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.REVERTED
    assert "held -1" in found.reason


def test_a_disturbed_host_makes_a_miss_inconclusive_and_no_pass(tmp_path: Path) -> None:
    made = MadeUp(kernel=less_than_declared, other_cpu_s=20.0, starves=True)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "other processes" in found.reason


def test_a_disturbed_host_never_adds_to_what_a_container_gets(tmp_path: Path) -> None:
    made = MadeUp(kernel=more_than_declared, other_cpu_s=20.0)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.IMPRECISE


def test_what_was_taken_explains_no_more_than_itself(tmp_path: Path) -> None:
    # 0.15 CPUs of others, and half of what was asked is missing.
    made = MadeUp(kernel=scaled(0.5), other_cpu_s=0.15 * 25, starves=True)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.WRONG
    by = {one.requested: one.verdict for one in found.values}
    assert by["10000"] is Outcome.INCONCLUSIVE
    assert by["150000"] is Outcome.WRONG


def test_what_was_throttled_all_the_same_was_taken_by_nobody(tmp_path: Path) -> None:
    """A quota that is used up at half of what was asked is wrong on a busy host, too."""
    made = MadeUp(kernel=scaled(0.5), other_cpu_s=40.0)
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert {one.verdict for one in found.values} == {Outcome.WRONG}


def test_a_disturbed_host_does_not_spoil_a_hit(tmp_path: Path) -> None:
    found = verdict.judge(load(run_builder.build(tmp_path, MadeUp(other_cpu_s=20.0))), "cpu-quota")
    assert found.verdict is Outcome.EFFECTIVE


def starved(settings: Settings) -> tuple[int | None, int]:
    quota, period = bandwidth(settings)
    return (None if quota is None else min(quota, 9_500)), period


def test_a_workload_that_others_starve_is_inconclusive_and_not_ineffective(tmp_path: Path) -> None:
    busy = run_builder.build(
        tmp_path / "busy", MadeUp(kernel=starved, other_cpu_s=40.0, starves=True)
    )
    quiet = run_builder.build(tmp_path / "quiet", MadeUp(kernel=starved))
    assert verdict.judge(load(busy), "cpu-quota").verdict is Outcome.INCONCLUSIVE
    assert verdict.judge(load(quiet), "cpu-quota").verdict is Outcome.INEFFECTIVE


def test_other_load_explains_no_workload_that_gets_more_whatever_is_asked_for(
    tmp_path: Path,
) -> None:
    directory = run_builder.build(tmp_path, MadeUp(kernel=deaf, other_cpu_s=40.0))
    assert verdict.judge(load(directory), "cpu-quota").verdict is Outcome.INEFFECTIVE


def test_without_a_good_trial_nothing_is_concluded(tmp_path: Path) -> None:
    made = MadeUp(trials=1, failed={1: "the container was removed"})
    found = verdict.judge(load(run_builder.build(tmp_path, made)), "cpu-quota")
    assert found.verdict is Outcome.INCONCLUSIVE
    assert found.reason.endswith("; trial 1 failed: the container was removed")
    assert found.experienced == ()


def test_an_unmet_precondition_is_named_and_nothing_is_claimed() -> None:
    loaded = experiment_file.load("cpu-rt-budget")
    found = verdict.unsupported(loaded, "cpu-rt-runtime", "the kernel has no such thing")
    assert found.verdict is Outcome.UNSUPPORTED
    assert "no such thing" in found.reason
    assert found.evidence == ()


def test_a_verdict_survives_json() -> None:
    loaded = experiment_file.load("cpu-rt-budget")
    found = verdict.unsupported(loaded, "cpu-rt-runtime", "x")
    assert Verdict.model_validate_json(found.model_dump_json()) == found


def test_an_ending_is_kept_with_its_phase() -> None:
    ending = Ending(role="a", t_ns=1, exit_code=137, oom_killed=True, reason="killed")
    assert Ending.model_validate_json(ending.model_dump_json()) == ending


def test_an_emulated_cpu_makes_a_miss_inconclusive_since_its_steal_is_not_seen(
    tmp_path: Path,
) -> None:
    for kernel, outcome in (
        (more_than_declared, Outcome.INCONCLUSIVE),
        (obedient, Outcome.EFFECTIVE),
        (deaf, Outcome.INEFFECTIVE),
    ):
        directory = run_builder.build(tmp_path / outcome, MadeUp(kernel=kernel))
        record = directory.run()
        emulated = record.host.model_copy(update={"cpu_model": "QEMU TCG CPU version 2.5+"})
        directory.write_run(record.model_copy(update={"host": emulated}))
        found = verdict.judge(load(directory), "cpu-quota")
        assert found.verdict is outcome
        assert ("CPUs are emulated" in found.reason) == (outcome is Outcome.INCONCLUSIVE)


def test_a_value_with_no_interface_file_is_ignored_or_discarded(tmp_path: Path) -> None:
    bare = rewritten(run_builder.build(tmp_path), lambda one: one.model_copy(update={"files": ()}))
    directory = run_builder.unfelt(bare)
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is Outcome.IGNORED
    assert "no interface file" in found.reason
    warned = rewritten(directory, lambda one: one.model_copy(update={"warnings": ("dropped",)}))
    found = verdict.judge(load(warned), "cpu-quota")
    assert found.verdict is Outcome.DISCARDED
    assert "dropped" in found.reason


def test_another_metric_is_judged_where_the_first_was_not_counted(tmp_path: Path) -> None:
    directory = run_builder.build(tmp_path)
    record = directory.run()
    assert record.experiment.verify is not None
    both = record.experiment.verify.model_copy(
        update={"metric": "off_mask_cpu_ms", "otherwise": "cpus_used"}
    )
    shaped = record.experiment.model_copy(update={"verify": both})
    directory.write_run(record.model_copy(update={"experiment": shaped}))
    found = verdict.judge(load(directory), "cpu-quota")
    assert {point.metric for point in found.experienced} == {"cpus_used"}


@pytest.mark.parametrize(
    ("met", "outcome", "words"),
    [
        (False, Outcome.UNSUPPORTED, "this host lacks two-nodes"),
        (True, Outcome.INCONCLUSIVE, "there is no reading of the workload"),
    ],
)
def test_a_figure_is_waited_for_only_where_the_host_can_give_it(
    tmp_path: Path, met: bool, outcome: Outcome, words: str
) -> None:
    """Of the CPUs of a set nothing is known without a list of them, and a set is declared."""
    directory = run_builder.build(tmp_path)
    record = directory.run()
    assert record.experiment.verify is not None
    needy = record.experiment.verify.model_copy(
        update={"metric": "off_mask_cpu_ms", "needs": (Precondition.TWO_NODES,)}
    )
    containers = tuple(
        one.model_copy(update={"options": {**one.options, "cpuset-cpus": "0"}})
        for one in record.experiment.containers
    )
    shaped = record.experiment.model_copy(update={"verify": needy, "containers": containers})
    update = {"experiment": shaped, "preconditions": {"two-nodes": met}}
    directory.write_run(record.model_copy(update=update))
    for_all = directory.trials()
    (directory.path / "trials.jsonl").unlink()
    for trial in for_all:
        phases = tuple(
            one.model_copy(update={"settings": {**one.settings, "cpuset-cpus": "0"}})
            for one in trial.phases
        )
        directory.append_trial(trial.model_copy(update={"phases": phases}))
    found = verdict.judge(load(directory), "cpu-quota")
    assert found.verdict is outcome
    assert words in found.reason


@pytest.mark.parametrize(
    ("metric", "value", "grown", "holds"),
    [
        ("cpus_used", 104, False, True),
        ("cpus_used", 106, True, False),
        ("cpus_used", 94, True, False),
        ("memory_max_bytes", 96, True, True),
        ("memory_max_bytes", 106, False, False),
        # Ended below its limit: that was too early. Not ended, or at once: it never got there.
        ("memory_max_bytes", 50, True, False),
        ("memory_max_bytes", 50, False, None),
        # A reservation is a floor.
        ("memory_kept_bytes", 130, False, True),
        ("memory_kept_bytes", 94, False, False),
    ],
)
def test_a_value_holds_within_its_band_where_it_tells_anything(
    metric: str, value: float, grown: bool, holds: bool | None
) -> None:
    assert METRICS[metric].holds(value, 100, Tolerance(5, 5), grown=grown) is holds


# Points: each container's value by itself, the median over trials


def contention(folder: Path, values: dict[str, list[list[float]]]) -> Run:
    """Keep a run in which two containers are given 512 shares, one after the other.

    `values` are the shares of each container measured in its own phases, by trial.
    """
    directory = RunDirectory.create(folder, "contention", "run")
    spec = experiment_file.load("cpu-shares-contention")
    directory.write_run(records.run().model_copy(update={"experiment": spec}))
    rows: list[Row] = []
    for number, by_trial in enumerate(zip(*values.values(), strict=True), 1):
        phases: list[Phase] = []
        for role, measured in zip(values, by_trial, strict=True):
            for value in measured:
                begin_ns = 10 * len(phases)
                moments = {"t_request_ns": begin_ns + 1, "t_answer_ns": begin_ns + 2}
                phases.append(
                    Phase(number=len(phases) + 1, role=role, option="cpu-shares",
                          change=SHARES.model_copy(update=moments), settings=SHARES.settings,
                          t_end_ns=begin_ns + 9)
                )  # fmt: skip
                rows.append(
                    Row("contention", number, len(phases), role, "cpu-shares", "update", "512",
                        None, "512", "cpu_share_pct", "%", 50.0, value, 2 * value - 100, 9)
                )  # fmt: skip
        whole = records.trial(number)
        containers = tuple(
            whole.containers[0].model_copy(update={"role": one.role}) for one in spec.containers
        )
        part = {"phases": tuple(phases), "containers": containers, "probes": (), "harness": None}
        directory.append_trial(whole.model_copy(update=part))
    directory.write_phases(rows)
    return load(directory)


SHARES = Change(
    requested="512", note=None, settings={"cpu-shares": 512}, via="update",
    t_request_ns=1, t_answer_ns=2,
    files=(FileChange(file="cpu.shares", before="1024", after="512", expected="512"),),
)  # fmt: skip


def test_two_containers_given_one_value_are_two_points(tmp_path: Path) -> None:
    run = contention(tmp_path, {"small": [[50.0]], "big": [[60.0]]})
    found = verdict.judge(run, "cpu-shares")
    assert [(one.role, one.requested, one.value) for one in found.experienced] == [
        ("small", "512", 50.0), ("big", "512", 60.0),
    ]  # fmt: skip
    assert [one.within for one in found.experienced] == [True, False]


def test_the_value_at_a_point_is_the_median_over_trials_and_not_over_phases(
    tmp_path: Path,
) -> None:
    # Over the five phases the median were 60; the trials say 50, 50 and 60.
    run = contention(tmp_path, {"small": [[50.0], [50.0], [60.0, 60.0, 60.0]]})
    (point,) = verdict.judge(run, "cpu-shares").experienced
    (entry,) = run.summary
    assert point.value == entry.estimate.median == 50.0
    assert point.within


def test_a_value_judged_by_another_metric_shows_its_figure_beside_the_verdict() -> None:
    """Where a CPU of a set cannot be used, `0 ms off the set` alone would look right."""
    found = 0
    for seed in range(60):
        made = drawn_counts.sets(Random(seed))
        one = verdict.judge(made.run, made.option)
        decided = [each for each in one.values if "set_cpus_used was" in each.reason
                   and each.verdict is not Outcome.EFFECTIVE]  # fmt: skip
        shown = [each for each in one.experienced if each.metric == "set_cpus_used"]
        assert [each.label for each in decided] == [each.label for each in shown]
        assert all(each.value < (each.expected or 0) and not each.within for each in shown)
        found += len(shown)
    assert found
