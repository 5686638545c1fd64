"""What disturbed a trial excuses what it can explain: in direction, in size, and in that trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.judging.excuse import Excuse, excuse, explained, taken_cpus
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Harness
from cgbench.spec.band import Tolerance
from cgbench.units import NS_PER_S
from tests.made import records

ELAPSED_S, CPUS = 100.0, records.HOST.cpus


def account(steal: float = 0.0, others: float | None = 0.0) -> Harness:
    """Return the account of a trial in which so many CPUs went elsewhere."""
    return Harness(
        cgbench_cpu_s=0.1, daemon_cpu_s=0.1, elapsed_s=ELAPSED_S, steal_cpu_s=steal * ELAPSED_S,
        other_cpu_s=None if others is None else others * ELAPSED_S,
    )  # fmt: skip


def row(trial: int, value: float, metric: str = "cpus_used", unit: str = "CPUs") -> Row:
    return Row("x", trial, 1, "worker", "cpu-quota", "update", "50000", None, "50000", metric, unit,
               0.5, value, 0.0, 2001)  # fmt: skip


def estimate(median: float, expected: float = 0.5) -> Estimate:
    allowed = Tolerance(0.01, 0.01)
    return Estimate("CPUs", expected, median, None, None, None, 1, 0.0, tolerance=allowed)


def run(*accounts: Harness, rows: tuple[Row, ...], model: str = "Model 1") -> Run:
    trials = tuple(
        records.trial(number).model_copy(update={"harness": one})
        for number, one in enumerate(accounts, 1)
    )
    record = records.run(host=records.host(cpu_model=model))
    made = Run(RunDirectory(Path("in-memory")), record, trials)
    vars(made)["every_row"] = rows
    return made


def found(*accounts: Harness, values: tuple[float, ...], model: str = "Model 1") -> Excuse | None:
    rows = tuple(row(number, value) for number, value in enumerate(values, 1))
    middle = sorted(values)[len(values) // 2]
    return excuse(run(*accounts, rows=rows, model=model), rows, estimate(middle))


def test_what_was_taken_may_have_been_this_containers_and_nothing_is_added() -> None:
    one = found(account(steal=0.1, others=0.2), values=(0.3,))
    assert one is not None
    assert [one.low, one.high] == pytest.approx([0.3, 0.6])
    assert "the hypervisor took up to 0.10 CPUs away" in one.reason
    assert "other processes of this host used up to 0.20 CPUs" in one.reason


def test_a_quiet_host_explains_nothing() -> None:
    assert found(account(steal=0.02, others=0.1), values=(0.3,)) is None
    assert found(account(others=None), values=(0.3,)) is None


def test_one_disturbed_trial_of_three_does_not_move_the_median_beyond_the_others() -> None:
    quiet = account()
    one = found(quiet, account(others=1.0), quiet, values=(0.3, 0.1, 0.31))
    assert one is not None
    assert one.high == pytest.approx(0.31)


def test_an_emulated_cpu_explains_both_directions_within_what_was_seen() -> None:
    one = found(account(), values=(0.3,), model="QEMU TCG CPU version 2.5+")
    assert one is not None
    assert [one.low, one.high] == pytest.approx([0.3 - 0.195, 0.55])
    assert "emulated" in one.reason


def test_a_share_loses_no_more_than_the_hosts_cpus_lost() -> None:
    rows = (row(1, 30.0, "io_share_pct", "%"),)
    one = excuse(run(account(others=0.5), rows=rows), rows, estimate(30.0, 50.0))
    assert one is not None
    assert one.high == pytest.approx(30.0 + 25.0)


@pytest.mark.parametrize(("used", "explains"), [(0.0102, True), (0.034, False)])
def test_a_share_may_be_off_by_the_turns_that_a_window_cuts_where_load_leaves_few(
    used: float, explains: bool
) -> None:
    """Seen at a load of 6: 3.4 % of 3.03, where both had used 1.8 of 6 s; a tick is 4 ms."""
    rows = (row(1, 3.4, "cpu_share_pct", "%"), row(1, used))
    made = run(account(others=1.4), rows=rows)
    (trial,) = made.trials
    phase = records.phase().model_copy(update={"number": 1, "t_end_ns": 6 * NS_PER_S + 2_000})
    busy = replace(made, trials=(trial.model_copy(update={"phases": (phase,)}),))
    vars(busy)["every_row"] = rows
    felt = Estimate("%", 3.03, 3.4, None, None, None, 1, 12.0, tolerance=Tolerance(0.15, 0.15))
    one = excuse(busy, rows[:1], felt)
    assert one is not None
    assert one.explains(felt) is explains
    assert "other processes of this host used up to 1.40 CPUs" in one.reason
    assert excuse(run(account(), rows=rows), rows[:1], felt) is None
    assert excuse(run(account(others=1.4), rows=rows[:1]), rows[:1], felt) is None


def test_load_explains_nothing_of_what_it_cannot_take() -> None:
    rows = (row(1, 30.0, "memory_max_bytes", "bytes"),)
    assert excuse(run(account(others=1.0), rows=rows), rows, estimate(30.0, 50.0)) is None


@pytest.mark.parametrize(("value", "remains"), [(0.3, 0.1), (0.45, 0.0), (0.6, 0.1)])
def test_what_remains_is_what_the_excuse_leaves(value: float, remains: float) -> None:
    assert Excuse(value, value + 0.1, "x").remains(estimate(value)) == pytest.approx(remains)


def test_a_value_is_explained_only_where_nothing_remains() -> None:
    busy = account(others=0.2)
    near, far = (row(1, 0.31),), (row(1, 0.28),)
    key = near[0].key
    assert explained(run(busy, rows=near), key, "cpus_used", estimate(0.31)) is not None
    assert explained(run(busy, rows=far), key, "cpus_used", estimate(0.28)) is None
    assert explained(run(account(), rows=near), key, "cpus_used", estimate(0.31)) is None


def test_accounts_below_the_thresholds_are_no_disturbance() -> None:
    assert taken_cpus(None, CPUS) == 0
    assert taken_cpus(account(steal=0.02, others=0.1), CPUS) == 0
    assert taken_cpus(account(steal=0.03, others=0.11), CPUS) == pytest.approx(0.14)


def test_a_cpu_of_a_set_is_excused_where_almost_all_of_it_was_taken() -> None:
    def excused(taken: float) -> bool:
        rows = (row(1, 1.0, "set_cpus_used"),)
        felt = Estimate("CPUs", 2.0, 1.0, None, None, None, 1, -50.0, tolerance=Tolerance(0.0, 0.0))
        one = excuse(run(account(others=taken), rows=rows), rows, felt)
        return one is not None and one.explains(felt)

    assert excused(0.96)
    assert not excused(0.9)


def short_period(period: int, quota: int, steal: float, value: float) -> Excuse | None:
    """Return what excuses a value under a quota over a period; the host's tick is 4000 µs."""
    rows = (row(1, value),)
    made = run(account(steal=steal), rows=rows)
    settings = {"cpu-period": period, "cpu-quota": quota}
    phases = tuple(one.model_copy(update={"settings": settings}) for one in made.finished[0].phases)
    trials = (made.finished[0].model_copy(update={"phases": phases}),)
    made = Run(made.directory, made.record, trials)
    vars(made)["every_row"] = rows
    return excuse(made, rows, estimate(value))


def test_a_late_tick_loses_the_rest_of_the_quota_where_a_period_is_shorter_than_two() -> None:
    """Half a CPU over 5 ms lost 3 % where 0.6 % was stolen, and 11 % where a fifth was."""
    one = short_period(5000, 2500, steal=0.01, value=0.484)
    assert one is not None
    # A tick that is a millisecond late loses up to 2.5 ms.
    assert one.high == pytest.approx(0.484 + 0.01 * (2500 / 1000 - 1))
    assert "shorter than two" in one.reason
    assert one.explains(estimate(0.484))


def test_a_late_tick_excuses_no_larger_departure_than_it_can_make() -> None:
    one = short_period(5000, 2500, steal=0.01, value=0.4)
    assert one is not None
    assert not one.explains(estimate(0.4))
    assert short_period(5000, 2500, steal=0.0, value=0.484) is None


@pytest.mark.parametrize(("period", "quota"), [(8000, 4000), (100000, 50000), (4000, 2000)])
def test_a_late_tick_is_no_excuse_where_it_loses_no_more_than_it_is_late(
    period: int, quota: int
) -> None:
    assert short_period(period, quota, steal=0.01, value=0.484) is None


def under_a_quota(
    throttled: float, skipped: float | None, value: float, taken: float = 0.3
) -> Excuse | None:
    """Return what excuses a value of half a CPU, given in how many periods it was throttled."""
    one = row(1, value)
    rows = [one, row(1, throttled, "throttled_periods_pct", "%")]
    if skipped is not None:
        rows.append(row(1, skipped, "skipped_periods_pct", "%"))
    return excuse(run(account(steal=taken), rows=tuple(rows)), (one,), estimate(value))


def test_a_period_in_which_it_was_throttled_lost_nothing_whatever_else_ran() -> None:
    """A quota that was halved beside 0.3 stolen CPUs is wrong, and not left open."""
    one = under_a_quota(throttled=98.0, skipped=0.0, value=0.25)
    assert one is not None
    assert one.high == pytest.approx(0.25 + 0.02 * 0.5)
    assert not one.explains(estimate(0.25))


def test_what_the_other_periods_had_may_have_been_taken() -> None:
    one = under_a_quota(throttled=40.0, skipped=0.0, value=0.25)
    assert one is not None
    assert one.high == pytest.approx(0.25 + 0.3)
    assert one.explains(estimate(0.25))
    # No more than was taken at all.
    one = under_a_quota(throttled=0.0, skipped=0.0, value=0.25, taken=0.1)
    assert one is not None
    assert one.high == pytest.approx(0.35)


def test_periods_that_the_kernel_skipped_may_have_been_lost() -> None:
    one = under_a_quota(throttled=100.0, skipped=12.0, value=0.45)
    assert one is not None
    assert one.high == pytest.approx(0.45 + 0.12 * 0.5)


def test_without_a_count_of_skipped_periods_all_that_was_taken_may_have_been_its_own() -> None:
    one = under_a_quota(throttled=98.0, skipped=None, value=0.25)
    assert one is not None
    assert one.high == pytest.approx(0.55)


def test_what_ran_while_the_host_stood_still_may_count_on_either_side_of_a_windows_end() -> None:
    """Met on a host that lost 0.4 CPUs: a tenth of a CPU was 6 % short of it."""
    one = row(1, 0.48)
    rows = (one, row(1, 1.5, "stood_still_pct", "%"))
    found = excuse(run(account(), rows=rows), (one,), estimate(0.48))
    assert found is not None
    workers = records.run().experiment.containers[0].workers
    assert found.high == pytest.approx(0.48 + min(workers, CPUS) * 0.015)
    assert found.low == pytest.approx(0.48 - min(workers, CPUS) * 0.015)
    assert found.reason == "this host stood still just before an end of the window"
    still = (one, row(1, 0.0, "stood_still_pct", "%"))
    assert excuse(run(account(), rows=still), (one,), estimate(0.48)) is None
