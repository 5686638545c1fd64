"""The facts beside a run's findings."""

from __future__ import annotations

from pathlib import Path

from cgbench.judging import estimates
from cgbench.judging.run import load
from cgbench.reporting.words import run_facts
from cgbench.spec import experiment_file
from cgbench.spec.emulated import slowed
from tests.made.run_builder import MadeUp, build


def test_the_table_names_its_files_and_the_coverage_of_its_intervals(tmp_path: Path) -> None:
    many = estimates.points(load(build(tmp_path, MadeUp(trials=5))))
    assert run_facts.table_words(many, "cpus_used") == (
        "Enforced is cpu.cfs_quota_us as read back. Experienced is the median across trials. The "
        "interval covers the true median with a probability of 94 %; it comes from the order of "
        "the trials and assumes no distribution."
    )


def test_one_trial_is_said_to_allow_no_interval(tmp_path: Path) -> None:
    many = estimates.points(load(build(tmp_path, MadeUp(trials=1))))
    assert run_facts.table_words(many, "cpus_used").endswith("one trial allows no interval.")
    assert "no error is given" in run_facts.table_words(many, None)


def test_the_host_is_shown_with_what_matters_to_limits(tmp_path: Path) -> None:
    facts = dict(run_facts.host_facts(build(tmp_path, MadeUp(status="running", finished=0)).run()))
    assert facts["CPUs"] == "2 × Model <1> & co"
    assert facts["Memory"] == "8 GiB, no swap"
    assert facts["Kernel"] == "6.1.0, 250 Hz"
    assert facts["cgroup"] == "v1, cgroupfs driver"


def test_measuring_is_shown_with_its_lateness_and_its_cost(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=2, other_cpu_s=2.27))
    facts = dict(run_facts.measuring_facts(directory.run(), load(directory).trials))
    assert facts["Trials"] == "2 of 2 measured"
    assert facts["Order"] == "shuffled with seed 7"
    assert facts["Hold times"].startswith("2 s each")
    assert facts["Late: p50, p99, max"] == "11, 41, 80 µs"
    assert facts["Missed"].startswith("0 of 4")
    assert facts["Scheduling class"] == "SCHED_FIFO 50"
    assert facts["Other processes"] == "0.100 CPUs"
    assert "Docker's daemons" not in facts
    assert not {"CPU clock", "Slowed by heat", "A task waited for a CPU"} & set(facts)


def test_what_is_not_known_of_others_is_said_so(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=2, other_cpu_s=None))
    facts = dict(run_facts.measuring_facts(directory.run(), load(directory).trials))
    assert facts["Other processes"] == "not known"


def test_how_the_cpus_fared_is_shown_where_the_kernel_reports_it(tmp_path: Path) -> None:
    cpu = {"mhz": 2400.0, "thermal_throttles": 3, "waited_s": 0.0}
    directory = build(tmp_path, MadeUp(trials=2, cpu=cpu))
    facts = dict(run_facts.measuring_facts(directory.run(), load(directory).trials))
    assert facts["CPU clock"] == "2400 MHz"
    assert facts["Slowed by heat"] == "6 times"
    assert facts["A task waited for a CPU"] == "0.0 % of the time"


def test_failed_trials_and_quick_runs_are_reported(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=2, failed={1: "killed"}))
    record = directory.run().model_copy(update={"quick": True})
    facts = dict(run_facts.measuring_facts(record, load(directory).trials))
    assert facts["Trials"] == "1 of 2 measured, 1 failed, quick"


def test_nothing_measured_leaves_only_the_plan(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=2, status="running", finished=0))
    facts = dict(run_facts.measuring_facts(directory.run(), []))
    assert facts["Hold times"] == "–"
    assert "Missed" not in facts


def test_a_built_in_experiment_is_run_again_by_its_name(tmp_path: Path) -> None:
    record = build(tmp_path, MadeUp(status="running", finished=0)).run()
    shaped = experiment_file.load("cpu-quota-sweep").shortened().model_copy(update={"trials": 4})
    again = run_facts.how_to_run_again(
        record.model_copy(update={"experiment": shaped, "quick": True})
    )
    assert again.command == "cgbench run cpu-quota-sweep --quick --trials 4 --seed 7"
    assert again.words == "The seed gives the trials the same order."


def test_an_emulated_host_ran_the_same_experiment_for_longer(tmp_path: Path) -> None:
    record = build(tmp_path, MadeUp(status="running", finished=0)).run()
    emulated = record.host.model_copy(update={"cpu_model": "QEMU TCG CPU version 2.5+"})
    shaped = slowed(experiment_file.load("pids-limit-sweep"))
    again = run_facts.how_to_run_again(
        record.model_copy(update={"experiment": shaped, "host": emulated})
    )
    assert again.words == "The seed gives the trials the same order."


def test_an_experiment_that_changed_since_is_reported(tmp_path: Path) -> None:
    again = run_facts.how_to_run_again(build(tmp_path, MadeUp(status="running", finished=0)).run())
    assert "differs from the one that ran" in again.words


def test_a_users_own_experiment_is_run_again_from_its_file(tmp_path: Path) -> None:
    record = build(tmp_path, MadeUp(status="running", finished=0)).run()
    own = record.experiment.model_copy(update={"name": "my-sweep"})
    again = run_facts.how_to_run_again(record.model_copy(update={"experiment": own}))
    assert again.command == "cgbench run my-sweep.toml --trials 3 --seed 7"
    assert "its own file" not in again.words
    assert "run.json" in again.words
