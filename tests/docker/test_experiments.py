"""Every built-in experiment, run for real in a short form, shows what it is there to show.

Only what holds on every host is asserted; what differs from host to host is left to the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import description, lock, preconditions
from cgbench.host.scratch import leftovers
from cgbench.judging import verdict
from cgbench.judging.run import Run, load
from cgbench.measuring import run as runner
from cgbench.measuring.progress import Silent
from cgbench.records.run import Row
from cgbench.records.verdict import Outcome
from cgbench.spec import experiment_file, workload
from cgbench.spec.experiment import Experiment
from cgbench.spec.options import option
from cgbench.spec.programs import workload_of
from cgbench.spec.step import Step
from cgbench.units import NS_PER_MS
from tests.made.quiet import disturbed, holds

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

HOLD_NS = 400 * NS_PER_MS
# Two periods of a quota after the change, and two more that show something.
ASKED_NS = 500 * NS_PER_MS
GROWING_NS = 3_000 * NS_PER_MS

Measure = Callable[[], Run]


def short(name: str) -> Experiment:
    """Return an experiment with one trial, each value once, and holds just long enough.

    What grows, forks or ends must come to its end. It has seconds for that, and is held on where it
    needs more.
    """
    loaded = experiment_file.load(name)
    growing = {"memory", "fork", "end"}
    grows = {workload_of(loaded, one).probe for one in loaded.containers} & growing
    # A rate of single requests shows only over many of them.
    rated = any(option(name).per_device for step in loaded.steps for name in step.set)
    steps = tuple(
        one.model_copy(update={"repeat": 1}) for step in loaded.steps for one in one_by_one(step)
    )
    hold_ns = GROWING_NS if grows or rated else ASKED_NS if loaded.programs else HOLD_NS
    quick = loaded.quick.model_copy(update={"hold": hold_ns, "trials": 1})
    return loaded.model_copy(update={"steps": steps, "quick": quick}).shortened()


def one_by_one(step: Step) -> Iterator[Step]:
    """Yield a step for each value: one with a short period needs no hold for a long one."""
    number = max(len(one) if isinstance(one, tuple) else 1 for one in step.set.values())
    for at in range(number):
        settings = {
            name: one[at] if isinstance(one, tuple) else one for name, one in step.set.items()
        }
        yield step.model_copy(update={"set": settings})


def experiment(name: str) -> Callable[[Callable[[Run], None]], Callable[[Measure], None]]:
    """Make a test of a claim about this experiment's run, measured again where disturbed."""

    def made(claim: Callable[[Run], None]) -> Callable[[Measure], None]:
        def test(measure: Measure) -> None:
            holds(claim, measure, disturbed)

        return pytest.mark.experiment(name)(test)

    return made


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    assert engine.leftovers() == []
    assert lock.scratch_leftovers() == []
    assert leftovers.leftovers() == []
    engine.close()


@pytest.fixture
def measure(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Measure:
    """Return what runs the experiment that the test's marker names; every trial must end well."""
    marker = request.node.get_closest_marker("experiment")
    assert marker is not None
    loaded = short(marker.args[0])
    lacking = [
        name for name, met in preconditions.preconditions(loaded.requires).items() if not met
    ]
    if lacking:
        pytest.skip(f"this host lacks {lacking[0]}")
    tag = image.tag(workload.directory())

    def measured() -> Run:
        directory = runner.begin(runner.Request(loaded, tag, tmp_path, seed=1), engine, {})
        runner.execute(directory, directory.run(), engine, Silent())
        assert [trial.reason for trial in directory.trials() if trial.reason] == []
        return load(directory)

    return measured


def values(run: Run, metric: str) -> list[float]:
    """Return a metric in the order of the phases."""
    return [row.value for row in run.rows if row.metric == metric]


def rows(run: Run, metric: str) -> list[Row]:
    return [row for row in run.rows if row.metric == metric]


def refusals(run: Run) -> list[str]:
    return [
        phase.change.error
        for trial in run.trials
        for phase in trial.phases
        if phase.change.error is not None
    ]


@experiment("cpu-quota-sweep")
def test_a_quota_is_raised_and_lowered(run: Run) -> None:
    used = values(run, "cpus_used")
    assert used[:3] == sorted(used[:3])
    assert used[0] == pytest.approx(0.1, abs=0.05)
    assert used[-1] == pytest.approx(0.1, abs=0.05)


@experiment("cpus-sweep")
def test_cpus_are_raised_and_lowered(run: Run) -> None:
    used = values(run, "cpus_used")
    assert used[0] == pytest.approx(0.1, abs=0.05)
    assert used[2] == pytest.approx(0.5, rel=0.2)


@experiment("cpu-period-sweep")
def test_stalls_grow_with_the_period(run: Run) -> None:
    stalls = values(run, "stall_max_ms")
    assert stalls[-1] > 3 * stalls[4] > 3 * stalls[2]
    assert stalls[-1] == pytest.approx(500, rel=0.3)


@experiment("cpu-shares-contention")
def test_a_smaller_weight_gets_a_smaller_share(run: Run) -> None:
    shares = [row.value for row in rows(run, "cpu_share_pct") if row.role == "small"]
    assert shares[0] > shares[2] > shares[4]


@experiment("cpuset-cpus-moves")
def test_no_cpu_time_is_used_off_the_set(run: Run) -> None:
    assert set(values(run, "off_mask_cpu_ms")) <= {0.0}


@experiment("cpuset-mems")
def test_where_memory_lies_is_told_where_there_is_another_node(run: Run) -> None:
    phases = run.trials[0].phases
    found = verdict.judge(run, "cpuset-mems")
    if run.record.host.memory_nodes == 1:
        assert [phase.effective for phase in phases] == ["0"]
        # Nothing can be off the only node, so that a figure of it would show nothing.
        assert not rows(run, "off_nodes_bytes")
        assert found.verdict is Outcome.UNSUPPORTED
        assert "two-nodes" in found.reason
    else:
        assert [phase.effective for phase in phases] == ["0", "1", "0"]
        assert len(rows(run, "off_nodes_bytes")) == 3


@experiment("cpu-rt-budget")
def test_every_real_time_update_has_an_answer_and_a_reading(run: Run) -> None:
    phases = run.trials[0].phases
    assert len(phases) == 4
    assert all(phase.change.error or phase.change.files for phase in phases)


@experiment("memory-limit-sweep")
def test_memory_never_exceeds_its_limit_and_growth_ends_in_a_kill(run: Run) -> None:
    judged = [row for row in rows(run, "memory_max_bytes") if row.expected is not None]
    slack = 64 * 4096 * description.cpus()
    assert judged
    for row in judged:
        assert row.value <= (row.expected or 0) + slack, row
    endings = [
        phase.ending for trial in run.trials for phase in trial.phases if phase.ending is not None
    ]
    assert len(endings) >= 3
    assert all(ending.oom_killed and ending.exit_code == 137 for ending in endings)


@experiment("memory-reservation-pressure")
def test_two_readers_press_on_their_parents_limit(run: Run) -> None:
    held = rows(run, "memory_bytes")
    assert {row.role for row in held} == {"reserved", "rival"}
    cap = run.record.experiment.group
    assert cap is not None
    for row in held:
        # What one loses the other gains from moment to moment: medians do not add up to the cap.
        assert 0.1 * cap < row.value <= cap, row


@experiment("memory-swap-sweep")
def test_memory_and_swap_together_never_exceed_their_limit(run: Run) -> None:
    judged = [row for row in rows(run, "memory_swap_max_bytes") if row.expected is not None]
    assert judged
    for row in judged:
        assert row.value <= 1.03 * (row.expected or 0), row
    assert max(values(run, "swap_max_bytes")) > 0


@experiment("kernel-memory")
def test_kernel_memory_is_declared_and_read_back(run: Run) -> None:
    phases = run.trials[0].phases
    assert len(phases) == 3
    assert phases[0].change.settings == {"kernel-memory": "32m"}


@experiment("blkio-weight-contention")
def test_two_readers_share_a_scratch_device(run: Run) -> None:
    shares = rows(run, "io_share_pct")
    assert {row.role for row in shares} == {"heavy", "light"}
    for phase in {row.phase for row in shares}:
        total = sum(row.value for row in shares if row.phase == phase)
        assert total == pytest.approx(100)


@experiment("pids-limit-sweep")
def test_the_limit_on_tasks_is_exact_and_lowering_it_kills_nobody(run: Run) -> None:
    assert values(run, "tasks_max") == [12, 24, 40, 40, 48]


@experiment("restart-policy")
def test_restarts_are_counted_and_their_pauses_grow(run: Run) -> None:
    for row in rows(run, "restarts"):
        if row.expected is not None:
            assert row.value == row.expected, row
    assert min(values(run, "backoff_ms")) > 90
    found = verdict.judge(run, "restart")
    assert found.verdict is Outcome.EFFECTIVE, found.reason
    # Whoever follows `docker stats` meanwhile can keep Podman from starting a container again.
    for trial in run.trials:
        with run.directory.tables(trial.number) as tables:
            assert {one.role for one in trial.containers} == {"fails", "succeeds"}
            assert all(not tables.docker_stats(one.role)["t_ns"].size for one in trial.containers)


@experiment("update-storm")
def test_the_more_often_a_quota_is_rewritten_the_more_cpu_leaks(run: Run) -> None:
    used = values(run, "cpus_used")
    assert used[0] == pytest.approx(0.2, abs=0.08)
    assert used[-1] > used[0]
    rewrites = [phase.rewrites for phase in run.trials[0].phases]
    assert rewrites[0] == 0 < rewrites[3] <= rewrites[4]


@experiment("update-latency")
def test_every_option_is_changed_and_answered(run: Run) -> None:
    phases = run.trials[0].phases
    assert len({phase.option for phase in phases}) == 15
    assert refusals(run) == []
    for phase in phases:
        assert phase.change.t_answer_ns > phase.change.t_request_ns


@experiment("noisy-neighbour")
def test_the_victims_wake_ups_are_measured_beside_each_hog(run: Run) -> None:
    late = rows(run, "wake_p99_us")
    assert {row.role for row in late} == {"victim"}
    assert len(late) == 8
    assert all(row.value > 0 for row in late)


@experiment("parent-limits")
def test_below_a_parent_nobody_gets_more_than_it_has_whatever_docker_says(run: Run) -> None:
    """On v1 the kernel refuses more; on v2 it takes it, and gives no more either."""
    used = [row.value for row in rows(run, "cpus_used") if row.role == "worker"]
    assert used[0] == pytest.approx(0.25, abs=0.08)
    assert max(used) <= 0.66, "the parent has 0.6 CPUs"
    started = [row.value for row in rows(run, "tasks_max") if row.role == "forker"]
    assert started[-2] == 20
    assert 20 < started[-1] <= 40, "the parent has 40 tasks"


@experiment("device-throttle")
def test_a_rate_that_a_container_is_born_with_holds_and_one_that_is_written_follows(
    run: Run,
) -> None:
    assert refusals(run) == []
    for phase in run.trials[0].phases:
        (file,) = phase.change.files
        assert file.held == file.expected, "the kernel's line names the device"
    found = [row for row in rows(run, "io_bytes_per_s") if row.expected is not None]
    # None gets more, however busy the host is; a rate is paid out within a tenth of a second.
    for row in found:
        assert row.expected is not None
        assert 0 < row.value <= 1.5 * row.expected
    read = {row.requested: row.value for row in found if row.role == "reader"}
    assert read["2m"] < read["8m"] < read["16m"]


@experiment("shared-memory")
def test_files_in_a_shared_tmpfs_are_charged_to_who_made_them_and_to_no_guest(run: Run) -> None:
    trial = run.trials[0]
    size = 24 * 2**20
    most = {(row.role, row.phase): row.value for row in rows(run, "memory_max_bytes")}
    assert most["maker", 1] > size
    for number in (1, 2, 3):
        assert most["guest", number] < size, "it goes through the whole file"
    ended = [phase.ending for phase in trial.phases]
    assert [one.role for one in ended if one is not None] == ["maker"]
    done = [row for row in rows(run, "work_per_s") if row.role == "guest"]
    assert done[-1].value > 0, "the file outlives its maker"


@experiment("network-modes")
def test_a_server_answers_over_every_network(run: Run) -> None:
    for role in ("loopback", "bridged", "hosted"):
        rows = [one for one in run.rows if one.role == role and one.requested == "-1"]
        found = {one.metric: one.value for one in rows}
        assert found["failed_pct"] == 0
        assert found["requests_per_s"] == pytest.approx(500, rel=0.1)


@experiment("ways-to-give-one-cpu")
def test_a_web_service_is_measured_under_each_way_to_give_it_one_cpu(run: Run) -> None:
    rows = [one for one in run.rows if one.role == "web" and one.metric == "latency_p50_ms"]
    assert len({one.note for one in rows}) == 4
    # Each request costs 5 ms of CPU time, whoever gives it.
    assert all(one.value >= 5 for one in rows)


@experiment("live-change")
def test_what_clients_see_of_each_change_is_measured(run: Run) -> None:
    (trial,) = run.finished
    felt = {row.phase: row.value for row in rows(run, "spike_ms")}
    made = [phase for phase in trial.phases if phase.change.error is None]
    assert {phase.option for phase in made} >= {"cpus", "cpuset-cpus", "memory", "pids-limit"}
    assert set(felt) == {phase.number for phase in made}
    # Each request costs 5 ms of CPU time, 30 of them in a second more than a tenth of a CPU.
    (late,) = (row for row in rows(run, "latency_p50_ms")
               if (row.role, row.note) == ("light", "too few"))  # fmt: skip
    assert late.value > 4 * 5
    (steady,) = (row for row in rows(run, "latency_p50_ms")
                 if (row.role, row.note) == ("light", "enough again"))  # fmt: skip
    assert steady.value < late.value / 2


def test_every_built_in_experiment_is_run_here() -> None:
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    named = {
        mark.args[0]
        for test in tests
        for mark in getattr(test, "pytestmark", ())
        if mark.name == "experiment"
    }
    assert named == set(experiment_file.builtin_names())
