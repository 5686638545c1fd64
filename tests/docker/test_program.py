"""Programs of one's own on real containers: their known answers, networks, ends and errors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cgbench.engine.engine import Engine
from cgbench.judging.run import Run, load
from cgbench.records.results import runs
from tests.made import command, own_program
from tests.made.quiet import disturbed, holds

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SLEEP_MS, CPU_MS, RATE = 20.0, 2.0, 200
ONE_STEP = '[[steps]]\nset = { cpus = "0.8" }\nhold = "2s"'


def measured(folder: Path, program: str, steps: str = ONE_STEP) -> Run:
    path = own_program.experiment(folder, program, steps=steps)
    done = command.cgbench("run", path, "--results", folder / "results", "--no-report")
    assert done.returncode == 0, done.stdout + done.stderr
    return load(runs(folder / "results")[-1])


def values(run: Run, role: str = "server", requested: str | None = None) -> dict[str, float]:
    return {
        row.metric: row.value
        for row in run.every_row
        if row.role == role and requested in (None, row.requested)
    }


@pytest.mark.usefixtures("engine")
def test_latency_and_work_are_those_that_the_server_is_known_for(tmp_path: Path) -> None:
    """A sleep of 20 ms is an answer after 20 ms; 200 times 2 ms of CPU time is 0.4 CPUs.

    With half of that, requests queue up, and most of them come late or fail.
    """

    def measure() -> Run:
        program = own_program.toml(sleep_ms=SLEEP_MS, cpu_ms=CPU_MS, rate=RATE)
        steps = '[[steps]]\nset = { cpus = ["0.8", "0.2"] }\nhold = "2s"'
        return measured(tmp_path, program, steps)

    def claim(run: Run) -> None:
        found = values(run, requested="0.8")
        assert found["failed_pct"] == 0
        assert found["requests_per_s"] == pytest.approx(RATE, rel=0.05)
        # The sleep and the computing come before the answer, however busy the host is.
        assert SLEEP_MS + CPU_MS <= found["latency_p50_ms"] <= 2 * (SLEEP_MS + CPU_MS)
        assert found["latency_p99_ms"] >= found["latency_p50_ms"]
        assert found["cpus_used"] >= RATE * CPU_MS / 1000 * 0.95
        # What the load itself uses is its own container's.
        assert 0 < values(run, "server-load", "0.8")["cpus_used"] < 1
        half = values(run, requested="0.2")
        assert half["latency_p99_ms"] > 4 * found["latency_p50_ms"]
        assert half["throttled_periods_pct"] > 90
        assert half["cpus_used"] == pytest.approx(0.2, rel=0.1)
        assert half["requests_per_s"] < 0.7 * RATE

    holds(claim, measure, disturbed)
    (trial,) = load(runs(tmp_path / "results")[-1]).trials
    assert [one.role for one in trial.containers] == ["server", "server-load"]
    assert trial.containers[0].probe == "request"


def test_a_load_reaches_a_program_over_a_bridge_of_their_own_and_leaves_none(
    tmp_path: Path, engine: Engine
) -> None:
    run = measured(tmp_path, own_program.toml(sleep_ms=5, rate=100, network="bridge"))
    assert values(run)["requests_per_s"] == pytest.approx(100, rel=0.2)
    assert engine.networks.leftovers() == []


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            {"asked": own_program.PORT + 1, "ready_within": "1s"},
            "does not listen on TCP port 18081 after 1 s, but on 0.0.0.0:18080; the last it "
            "printed: listening",
        ),
        ({"address": "no-address"}, "the container of server ended by itself (exit status 1)"),
    ],
)
def test_a_program_that_never_gets_ready_is_one_line_and_leaves_nothing(
    tmp_path: Path, program: dict[str, object], said: str
) -> None:
    path = own_program.experiment(
        tmp_path,
        own_program.toml(**program),  # type: ignore[arg-type]
        steps=ONE_STEP,
    )
    done = command.cgbench("run", path, "--results", tmp_path / "results")
    assert done.returncode == 1
    (trial,) = load(runs(tmp_path / "results")[-1]).trials
    assert trial.reason is not None
    assert said in trial.reason


@pytest.mark.usefixtures("engine")
def test_an_image_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    text = 'image = "nobody/knows:this"\nload = { url = "http://127.0.0.1:80/", rate = 10 }'
    path = own_program.experiment(tmp_path, text, steps=ONE_STEP)
    done = command.cgbench("run", path, "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "the image nobody/knows:this is missing" in done.stderr
    assert "docker pull nobody/knows:this" in done.stderr


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("program", "low", "refused_or_killed"),
    [({"hold_mib": 24}, "6m", True), ({"lives_s": 3}, "60m", False)],
)
def test_a_limit_that_is_refused_and_an_end_under_one_are_results_of_their_phase(
    tmp_path: Path, program: dict[str, float], low: str, refused_or_killed: bool
) -> None:
    """What holds 24 MiB without swap fits into 6 MiB nowhere: v1 refuses that, v2 kills for it."""
    steps = (
        '[[steps]]\nset = { memory = "64m", memory-swap = "64m" }\nhold = "500ms"\n'
        f'[[steps]]\nset = {{ memory = "{low}", memory-swap = "{low}" }}\nhold = "8s"\n'
        "may_end = true"
    )
    made = own_program.toml(rate=100, **program)  # type: ignore[arg-type]
    path = own_program.experiment(tmp_path, made, steps=steps)
    path.write_text(path.read_text().replace('option = "cpus"', 'option = "memory"'))
    done = command.cgbench("run", path, "--results", tmp_path / "results", "--no-report")
    (trial,) = load(runs(tmp_path / "results")[-1]).trials
    assert (trial.status, done.returncode) == ("ok", 0), trial.reason
    change, ending = trial.phases[-1].change, trial.phases[-1].ending
    if refused_or_killed:
        assert change.error is not None or (ending is not None and ending.exit_code == 137)
    else:
        assert change.error is None
        assert ending is not None
        assert (ending.role, ending.exit_code) == ("server", 3)


FILE_MIB = 32
OF_A_FILE = f"""
image = "cgbench/web"
command = ["python3", "/opt/cgbench/service.py", "--file", "/var/tmp/set",
           "--file-mib", "{FILE_MIB}", "--memory-mib", "1"]
read_only = false
load = {{ url = "http://127.0.0.1:8080/file", rate = 200 }}
"""


@pytest.mark.usefixtures("engine")
def test_what_does_not_fit_is_read_again_and_again_and_nothing_is_killed(tmp_path: Path) -> None:
    """Every page of a file is asked for, and with less memory than the file not all can stay."""
    steps = "".join(
        f'[[steps]]\nset = {{ memory = "{mib}m", memory-swap = "{mib}m" }}\n'
        'hold = "2s"\nsettle = "1s"\n'
        for mib in (4 * FILE_MIB, FILE_MIB)
    )
    path = own_program.experiment(tmp_path, OF_A_FILE, steps=steps)
    text = path.read_text().replace('option = "cpus"', 'option = "memory"')
    path.write_text(text.replace('memory = "64m"', f'memory = "{4 * FILE_MIB}m"'))
    done = command.cgbench("run", path, "--results", tmp_path / "results", "--no-report")
    assert done.returncode == 0, done.stdout + done.stderr
    run = load(runs(tmp_path / "results")[-1])
    ample, short = (values(run, requested=f"{mib}m") for mib in (4 * FILE_MIB, FILE_MIB))
    assert ample["refaults_per_s"] < short["refaults_per_s"] / 10
    assert short["memory_max_bytes"] <= FILE_MIB * 2**20
    assert ample["oom_kills"] == short["oom_kills"] == 0
    (trial,) = run.finished
    # The kernel's own counter, as it stood at the ends of the second phase.
    begin, end = (one.t_end_ns for one in trial.phases)
    with run.directory.tables(trial.number) as tables:
        t_ns = tables.sample("server", "t_ns")
        again = tables.sample("server", "memory.stat:workingset_refault_file", float)
    counted = again[(t_ns >= begin) & (t_ns <= end) & (again == again)]
    assert counted[-1] - counted[0] > 1000
    # It reads its image's files itself, and is charged for them.
    held = ample["memory_bytes"] - FILE_MIB * 2**20
    warm = trial.containers[0].warm_bytes
    assert warm is not None
    assert warm < held


def test_nothing_outlives_a_cgbench_that_is_killed(tmp_path: Path, engine: Engine) -> None:
    """The guard's first process ends by itself, and the kernel ends all others with it."""
    steps = '[[steps]]\nset = { cpus = "0.8" }\nhold = "60s"'
    path = own_program.experiment(tmp_path, own_program.toml(rate=50), steps=steps)
    with command.started("run", path, "--results", tmp_path / "results") as process:
        end = time.monotonic() + 60
        while len(_running(engine)) < 3:
            assert time.monotonic() < end, "they never started"
            time.sleep(0.1)
        time.sleep(1)
        process.kill()
    end = time.monotonic() + 60
    while _running(engine):
        assert time.monotonic() < end, "something still runs"
        time.sleep(0.2)
    assert command.cgbench("clean").returncode == 0


def _running(engine: Engine) -> list[str]:
    return [one for one in engine.leftovers() if (state := engine.state(one)) and state.running]
