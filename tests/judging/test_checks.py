"""Every doubt about a run: at its threshold there is none, beyond it there is."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging import checks
from cgbench.judging.run import Run
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import (
    Awaited,
    AwaitedState,
    FileChange,
    Harness,
    Phase,
    ProbeFigures,
    TrialRecord,
)
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made import records

ELAPSED_S = 100.0
NOTHING = Harness(
    cgbench_cpu_s=0.1, daemon_cpu_s=0.1, steal_cpu_s=0.0, other_cpu_s=0.0, elapsed_s=ELAPSED_S
)  # fmt: skip
PERIOD_MS = 100


def phase(quota: int = 50_000, held_ms: int = 100 * PERIOD_MS, *files: FileChange) -> Phase:
    """Return a phase of that quota, held for so long after the answer."""
    made = records.phase(*(files or (records.quota_file("50000"),)))
    settings = {"cpu-quota": quota, "cpu-period": 1000 * PERIOD_MS}
    change = made.change.model_copy(update={"settings": settings, "warnings": ()})
    end = change.t_answer_ns + held_ms * NS_PER_MS
    return made.model_copy(update={"change": change, "settings": settings, "t_end_ns": end})


def trial(number: int = 1, **changes: Any) -> TrialRecord:
    """Return a trial on a quiet host, with these fields changed."""
    probe = ProbeFigures(role="worker", worker=0, stalls=3, stalls_lost=0, longest_unit_us=4.5)
    quiet = {"harness": NOTHING, "phases": (phase(),), "probes": (probe,)}
    return records.trial(number).model_copy(update=quiet | changes)


def row(metric: str, value: float, number: int = 1) -> Row:
    return Row(
        experiment="cpu-quota-sweep", trial=1, phase=number, role="worker", option="cpu-quota",
        via="update", requested="50000", note=None, effective="50000", metric=metric, unit="",
        expected=None, value=value, error_pct=None, n_samples=10,
    )  # fmt: skip


def run(*trials: TrialRecord, rows: tuple[Row, ...] = (), **changes: Any) -> Run:
    """Return a run in memory; without trials, of as many quiet ones as are wanted."""
    chosen = trials or tuple(trial(number) for number in range(1, checks.TRIALS_WANTED + 1))
    record = records.run(**{"trials_planned": len(chosen), "status": "finished"} | changes)
    made = Run(RunDirectory(Path("in-memory")), record, chosen)
    vars(made)["every_row"] = rows
    return made


def many(**changes: Any) -> tuple[TrialRecord, ...]:
    """Return quiet trials but for the last, which has these fields changed."""
    quiet = [trial(number) for number in range(1, checks.TRIALS_WANTED)]
    return (*quiet, trial(checks.TRIALS_WANTED, **changes))


def steal(pct: float) -> Run:
    stolen = ELAPSED_S * records.HOST.cpus * pct / 100
    return run(*many(harness=NOTHING.model_copy(update={"steal_cpu_s": stolen})))


def others(cpus: float | None) -> Run:
    used = None if cpus is None else cpus * ELAPSED_S
    return run(*many(harness=NOTHING.model_copy(update={"other_cpu_s": used})))


def missed(of_a_thousand: int) -> Run:
    return run(*many(sampler=records.figures(1000 - of_a_thousand, of_a_thousand)))


def late(p99_us: float) -> Run:
    return run(*many(sampler=records.figures(1000, 0).model_copy(update={"late_p99_us": p99_us})))


def held_on(seconds: float, state: AwaitedState = "came") -> Run:
    awaited = Awaited(metric="tasks_max", state=state, held_on_ns=round(seconds * NS_PER_S))
    return run(*many(phases=(phase().model_copy(update={"awaited": awaited}),)))


def scheduled(name: str) -> Run:
    return run(*many(sampler=records.figures(1000, 0).model_copy(update={"scheduling": name})))


def speeds(pct_apart: float) -> Run:
    values = (100 - pct_apart / 2, 100.0, 100 + pct_apart / 2)
    return run(rows=tuple(row("work_per_cpu_s", one, at) for at, one in enumerate(values, 1)))


def apart(pct: float) -> Run:
    return run(rows=(row("cpus_used", 100.0), row("probe_cpus", 100.0 + pct)))


def periods(count: float) -> Run:
    return run(*many(phases=(phase(held_ms=round(count * PERIOD_MS)),)))


def quota(us: int) -> Run:
    return run(*many(phases=(phase(us),)))


def finished(count: int) -> Run:
    return run(*(trial(number) for number in range(1, count + 1)))


def lacking(count: int) -> Run:
    return run(trials_planned=checks.TRIALS_WANTED + count)


def failed(count: int) -> Run:
    broken = [
        trial(10 + number, status="failed", reason="killed") for number in range(count)
    ]  # fmt: skip
    return run(*many(), *broken)


def lost(stalls: int) -> Run:
    probe = ProbeFigures(role="worker", worker=0, stalls=3, stalls_lost=stalls, longest_unit_us=4)
    return run(*many(probes=(probe,)))


def broke(why: str | None) -> Run:
    (container,) = trial().containers
    return run(*many(containers=(container.model_copy(update={"docker_stats_broke": why}),)))


def read_back(text: str | None) -> Run:
    return run(*many(phases=(phase(50_000, 10_000, records.quota_file(text)),)))


def noticed(late: int) -> Run:
    probe = ProbeFigures(role="prober", worker=0, stalls=1000, stalls_lost=0,
                         longest_unit_us=35_400, failed=0, unanswered=0, late=late)  # fmt: skip
    return run(*many(probes=(probe,)))


def model(name: str) -> Run:
    return run(host=records.host(cpu_model=name))


@dataclass(frozen=True)
class Rule:
    """A check: what still passes, the first that does not, and what its reason says then."""

    name: str
    severity: checks.Severity
    made: Callable[[Any], Run]
    passes: Any
    doubtful: Any
    reason: str


RULES = (
    Rule("incomplete", "warning", lacking, 0, 1, "1 of 6 trials were not measured"),
    Rule("failed trial", "warning", failed, 0, 1, "trial 10 failed: killed"),
    Rule("few trials", "note", finished, 5, 4, "4 trials"),
    Rule("steal", "warning", steal, 1.0, 1.1, "up to 0.02 CPUs away"),
    Rule("other tenants unknown", "note", others, 0.0, None, "in 1 of 5 trials"),
    Rule("other tenants", "warning", others, 0.1, 0.11, "up to 0.11 CPUs"),
    Rule("emulated CPU", "note", model, "Model 1", "QEMU TCG CPU version 2.5+", "emulated"),
    Rule("speed drift", "note", speeds, 10.0, 11.0, "varied by 11 %"),
    Rule("missed samples", "warning", missed, 2, 3, "up to 0.30 %"),
    Rule("late samples", "note", late, 150.0, 151.0, "over 151 µs late"),
    Rule("sampler priority", "warning", scheduled, "SCHED_FIFO 1", "SCHED_OTHER", "SCHED_OTHER"),
    Rule("held on", "note", held_on, 1.0, 1.1, "held on for it by up to 1.1 s"),
    Rule("docker stats incomplete", "warning", broke, None, "why", "end of 1 container: why"),
    Rule("few periods", "note", periods, 50, 49.99, "fewer than 50 periods per phase at 1"),
    Rule("quota below a tick", "note", quota, 4000, 3999, "a quota of 3999 µs"),
    Rule("read-back", "warning", read_back, "50000", "49999", "cpu.cfs_quota_us held 49999"),
    Rule("stalls lost", "warning", lost, 0, 1, "1 stalls did not fit"),
    Rule("late prober", "warning", noticed, 10, 11, "to 1.1 % of a trial's requests over 1 ms "
         "after they were due, one 35 ms"),
    Rule("probe and kernel disagree", "warning", apart, 5.0, 5.1, "differ by 5.1 %"),
)  # fmt: skip


def named(name: str, found: list[checks.Check]) -> list[checks.Check]:
    return [check for check in found if check.name == name]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_value_at_the_threshold_raises_no_doubt(rule: Rule) -> None:
    assert checks.examine(rule.made(rule.passes)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_value_beyond_the_threshold_is_reported_with_its_number_and_advice(rule: Rule) -> None:
    (check,) = checks.examine(rule.made(rule.doubtful))
    assert (check.name, check.severity) == (rule.name, rule.severity)
    assert rule.reason in check.reason
    assert check.advice


def test_every_check_has_its_row_in_the_table() -> None:
    tree = ast.parse(Path(checks.__file__).read_text())
    names = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Check"
        and isinstance(call.args[0], ast.Constant)
    }
    assert names == {rule.name for rule in RULES}


@given(pct=st.floats(0, 100))
def test_steal_is_a_doubt_exactly_beyond_its_threshold(pct: float) -> None:
    found = steal(pct)
    (used,) = [one.harness.steal_cpu_s for one in found.trials[-1:] if one.harness is not None]
    share = 100 * used / ELAPSED_S / records.HOST.cpus
    assert bool(named("steal", checks.examine(found))) == (share > checks.STEAL_PCT)


def test_what_stands_still_is_no_sign_of_a_slow_host() -> None:
    assert checks.examine(held_on(3.0, "standing")) == []
    assert named("held on", checks.examine(held_on(20.0, "coming")))


def test_the_worst_trial_decides() -> None:
    worst = NOTHING.model_copy(update={"steal_cpu_s": 20.0})
    quiet = [trial(number) for number in (2, 3, 4, 5)]
    (check,) = checks.examine(run(trial(1, harness=worst), *quiet))
    assert "up to 0.20 CPUs" in check.reason


def test_the_median_decides_whether_probe_and_kernel_disagree() -> None:
    # One phase of three strays far: the workers of the others ran as the kernel says.
    pairs = [(100.0, 100.0), (100.0, 101.0), (100.0, 300.0)]
    found = tuple(
        row(metric, value, at)
        for at, pair in enumerate(pairs, 1)
        for metric, value in zip(("cpus_used", "probe_cpus"), pair, strict=True)
    )
    assert checks.examine(run(rows=found)) == []


def test_a_trial_that_failed_is_not_asked_what_disturbed_it() -> None:
    noisy = NOTHING.model_copy(update={"steal_cpu_s": 50.0})
    broken = trial(9, status="failed", reason="killed", harness=noisy)
    assert {check.name for check in checks.examine(run(*many(), broken))} == {"failed trial"}


def test_trials_that_were_not_measured_raise_no_other_doubt_than_that() -> None:
    bare = trial(1, harness=None, sampler=None, probes=(), phases=())
    assert {check.name for check in checks.examine(run(bare))} == {"few trials"}
    assert {check.name for check in checks.examine(run(trial(1, status="failed", reason="x")))} == {
        "failed trial"
    }


def test_an_unlimited_quota_has_no_periods_and_no_tick() -> None:
    assert checks.examine(run(*many(phases=(phase(-1, held_ms=1),)))) == []


def test_a_kernel_whose_tick_is_not_known_raises_no_doubt_about_it() -> None:
    made = run(*many(phases=(phase(1000),)), host=records.host(timer_hz=None))
    assert checks.examine(made) == []


def test_a_file_that_is_not_judged_is_not_compared() -> None:
    free = records.quota_file("7").model_copy(update={"expected": None})
    assert checks.examine(run(*many(phases=(phase(50_000, 10_000, free),)))) == []


def test_what_docker_warned_of_is_reported_once() -> None:
    warned = phase()
    change = warned.change.model_copy(update={"warnings": ("dropped",)})
    phases = (warned.model_copy(update={"change": change}),) * 3
    (check,) = checks.examine(run(*many(phases=phases)))
    assert check.reason == "Docker warned: dropped"


def test_warnings_stand_before_notes() -> None:
    noisy = NOTHING.model_copy(update={"steal_cpu_s": 50.0, "other_cpu_s": None})
    found = checks.examine(run(*many(harness=noisy), host=records.host(cpu_model="QEMU TCG")))
    severities = [check.severity for check in found]
    assert severities == sorted(severities, reverse=True)
    assert len(set(severities)) == 2


@pytest.mark.parametrize(("text", "changed"), [("-1", False), ("50000", True)])
def test_a_refused_change_is_a_doubt_only_where_the_kernel_changed(
    text: str, *, changed: bool
) -> None:
    one = phase(50_000, 10_000, records.quota_file(text))
    refused = one.model_copy(update={"change": one.change.model_copy(update={"error": "no"})})
    reasons = [check.reason for check in examined(refused)]
    assert (
        reasons
        == ["cpu-quota 50000 was refused; cpu.cfs_quota_us went from -1 to 50000 all the same"]
        * changed
    )


def examined(one: Phase) -> list[checks.Check]:
    return named("read-back", checks.examine(run(*many(phases=(one,)))))
