"""What a phase says of a target: met, missed, or nothing where others had the host's CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging import tune
from cgbench.judging.run import load
from cgbench.records.account import Account, ProcessUse
from cgbench.records.trial import Ending, Phase
from cgbench.records.tune import Observation
from cgbench.spec.target import Target
from tests.made import records
from tests.made.run_builder import MadeUp, build

S = 10**9


def account(idle: float, steal: float = 0.0, others: float = 0.0) -> Account:
    """Return where the CPU time of two CPUs went in one second."""
    used = 2.0 - idle - steal - others
    return Account(
        t_begin_ns=0, t_end_ns=S, cpus=2, idle_cpu_s=idle, steal_cpu_s=steal, cgbench_cpu_s=0.0,
        daemon_cpu_s=0.0, containers={"web": used},
        largest=(ProcessUse(pid=1, name="hog", cpu_s=others),) if others else (),
    )  # fmt: skip


def phase(spent: Account | None) -> Phase:
    return records.trial().phases[0].model_copy(update={"account": spent})


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        (None, None),
        (account(1.6), None),
        # A little beside it takes nothing where CPUs are idle.
        (account(1.4, others=0.3), None),
        (account(0.6, others=0.04), None),
        (account(0.3, others=1.4), "other processes used 1.40 CPUs (hog) meanwhile, and only 15 %"),
        (account(1.0, steal=0.1), "the hypervisor took 5 % of the host's CPU time meanwhile"),
    ],
)
def test_others_excuse_a_miss_only_where_they_left_no_cpu(
    spent: Account | None, said: str | None
) -> None:
    found = tune.disturbance(phase(spent))
    assert (found is None) is (said is None)
    assert said is None or (found is not None and found.startswith(said))


def seen(tmp_path: Path, target: Target, **update: object) -> list[Observation]:
    """Return what the phases of a made-up run say, each with these changes."""
    run = load(build(tmp_path, MadeUp(trials=1)))
    (trial,) = run.trials
    changed = tuple(one.model_copy(update=update) for one in trial.phases)
    trials = (trial.model_copy(update={"phases": changed}),)
    again = type(run)(run.directory, run.record, trials)
    limits = {one.requested: float(one.requested) for one in changed}
    return list(tune.observations(again, "worker", target, limits))


AT_MOST_A_CPU = Target(metric="cpus_used", bound="<=", value=10.0)
MORE_THAN_THERE_ARE = Target(metric="cpus_used", bound=">=", value=99.0)


def test_a_phase_is_judged_by_the_targets_metric(tmp_path: Path) -> None:
    found = seen(tmp_path, AT_MOST_A_CPU, account=account(1.5))
    assert found
    assert all(one.met is True and one.value is not None for one in found)
    missed = seen(tmp_path / "again", MORE_THAN_THERE_ARE, account=account(1.5))
    assert {one.met for one in missed} == {False}
    assert {one.reason for one in missed} == {None}


def test_a_miss_beside_other_load_does_not_count_but_a_hit_does(tmp_path: Path) -> None:
    beside = account(0.1, others=1.0)
    assert {one.met for one in seen(tmp_path, AT_MOST_A_CPU, account=beside)} == {True}
    missed = seen(tmp_path / "again", MORE_THAN_THERE_ARE, account=beside)
    assert {one.met for one in missed} == {None}
    assert all(one.reason is not None for one in missed)
    assert tune.counted(missed) == []


def test_what_was_not_measured_does_not_count(tmp_path: Path) -> None:
    target = Target(metric="latency_p99_ms", bound="<=", value=5)
    (first, *_) = seen(tmp_path, target)
    assert (first.met, first.value) == (None, None)
    assert first.reason is not None


def test_a_limit_that_is_refused_or_ends_the_program_is_missed(tmp_path: Path) -> None:
    ending = Ending(role="worker", t_ns=1, exit_code=137, oom_killed=True, reason="OOM-killed")
    found = seen(tmp_path, Target(metric="latency_p99_ms", bound="<=", value=5), ending=ending)
    assert {(one.met, one.reason) for one in found} == {(False, "OOM-killed")}
    (some, *_) = records.trial().phases
    change = some.change.model_copy(update={"error": "busy", "requested": "10000"})
    refused = seen(tmp_path / "again", AT_MOST_A_CPU, change=change)
    assert {(one.met, one.reason) for one in refused} == {(False, "the limit was refused: busy")}


def test_a_process_that_the_kernel_killed_is_a_miss_however_fast_the_others_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose workers are started anew may meet its target all the same."""
    run = load(build(tmp_path, MadeUp(trials=1)))
    (trial,) = run.trials
    first = trial.phases[0]
    of_first = next(row for row in run.every_row if row.phase == first.number)
    killed = of_first._replace(metric="oom_kills", value=2.0)
    monkeypatch.setitem(run.__dict__, "every_row", (*run.every_row, killed))
    limits = {one.requested: float(one.requested) for one in trial.phases}
    found = list(tune.observations(run, "worker", AT_MOST_A_CPU, limits))
    assert (found[0].met, found[0].reason) == (
        False, "the kernel killed 2 processes for lack of memory",
    )  # fmt: skip
    assert {one.met for one in found[1:]} == {True}
