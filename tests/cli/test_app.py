"""The command line: exit codes, messages, and what a killed run leaves."""

from __future__ import annotations

import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgbench import __version__
from cgbench.cli import app
from cgbench.engine.engine import Engine
from cgbench.host import description, interrupts, lock, preconditions
from cgbench.judging.run import load
from cgbench.records import run_directory, writing
from cgbench.records.results import TRUTH, runs
from cgbench.records.verdict import Outcome
from tests.made import truth_tables
from tests.made.command import PATIENCE_S, anew, cgbench, started
from tests.made.quiet import disturbed, holds
from tests.made.short_experiment import write


def complaint(*arguments: str | Path, status: int = 2, **environment: str) -> str:
    """Run the command, which must fail with `status` and say so shortly; return its words."""
    limit = time.monotonic() + PATIENCE_S
    while True:
        done = cgbench(*arguments, environment=environment)
        # One cgbench measures at a time, and another test may be the one that does.
        if "is measuring on this host" not in done.stderr or time.monotonic() > limit:
            break
        time.sleep(0.5)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def ours(*arguments: str | Path, status: int = 2, **environment: str) -> str:
    """The same, for errors of our own: one or two lines."""
    said = complaint(*arguments, status=status, **environment)
    assert said.startswith("cgbench: ")
    assert 1 <= len(said.strip().splitlines()) <= 2
    return said


def test_an_unknown_experiment_is_answered_with_the_nearest_name() -> None:
    assert "cpu-quota-sweep?" in ours("run", "cpu-quota-swep")


@pytest.mark.parametrize(("callers", "used"), [(0, 0o022), (0o002, 0o022), (0o077, 0o077)])
def test_nobody_else_may_write_to_what_is_made_whatever_the_umask_was(
    monkeypatch: pytest.MonkeyPatch, callers: int, used: int
) -> None:
    """Second rank (1): with umask 0 any user could forge a lease for root to act on."""
    seen: list[int] = []

    def note() -> None:
        seen.append(os.umask(0o022))

    monkeypatch.setattr(app, "command", lambda _only: note)
    # This process has more to do.
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda _number: None)
    monkeypatch.setattr(interrupts, "install", lambda: None)
    before = os.umask(callers)
    try:
        app.main()
    finally:
        os.umask(before)
    assert seen == [used]


@pytest.mark.parametrize("name", ["audit", "verify", "image", "baseline"])
def test_a_command_that_is_built_alone_is_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    monkeypatch.setattr(sys, "argv", ["cgbench"])
    for built in (app.command(), app.command(name)):
        with pytest.raises(SystemExit):
            built([name, "--help"])
        said.append(capsys.readouterr().out)
    assert f"cgbench {name}" in said[0]
    assert said[0] == said[1]


def test_a_command_does_not_wait_for_what_only_others_need() -> None:
    program = (
        "import sys; from cgbench.cli import app\n"
        "app.command('audit')\n"
        "others = {'cgbench.cli.measure', 'cgbench.spec', 'cgbench.engine', 'rich', 'pydantic'}\n"
        "assert not others & set(sys.modules), others & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_missing_file_is_named() -> None:
    assert "/nowhere/x.toml" in ours("run", "/nowhere/x.toml")


def test_broken_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\ntitle = = 1\n')
    assert "line 2" in ours("run", path)


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('hold = "1s"', 'hold = "1s"\nholdd = "1s"', "steps.1.holdd"),
        ("trials = 1", 'trials = "many"', "trials"),
        ("[20000, 50000]", "[999]", "cpu-quota 999 is below 1000"),
        ('hold = "1s"', 'hold = "-1s"', "hold"),
        ('workload = "spin"', 'workload = "spinn"', "Did you mean spin?"),
        ("cpu-quota = [", "cpu-qota = [", "Did you mean --cpu-quota?"),
    ],
)
def test_a_bad_experiment_file_is_answered_with_the_key(
    tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    path = write(tmp_path)
    content = path.read_text()
    assert was in content
    path.write_text(content.replace(was, becomes))
    assert message in ours("run", path)


def test_an_empty_schedule_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().split("[[steps]]")[0] + "steps = []\n")
    assert "steps" in ours("run", path)


def test_neither_or_both_of_experiment_and_resume_is_a_usage_error() -> None:
    assert "--resume" in complaint("run")
    assert "--resume" in complaint("run", "cpu-quota-sweep", "--resume", "x")


def test_without_a_daemon_the_message_says_where_it_was_looked_for(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to get as far")
    address = f"unix://{tmp_path}/none"
    assert address in ours("run", "cpu-quota-sweep", DOCKER_HOST=address)


def test_a_remote_daemon_is_refused() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to get as far")
    assert "remote" in ours("run", "cpu-quota-sweep", DOCKER_HOST="tcp://127.0.0.1:9")


def test_without_root_the_exit_status_is_4() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give it up")
    done = cgbench("run", "cpu-quota-sweep", without_root=True)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("cgbench: cgbench must run as root")


def test_an_unknown_run_is_named_with_the_place_searched(tmp_path: Path) -> None:
    assert str(tmp_path) in ours("report", "20200101", "--results", tmp_path)


def test_list_and_show_speak_json(tmp_path: Path) -> None:
    listed = json.loads(cgbench("list", "--json", "-", "--results", tmp_path).stdout)
    assert {"cpu-quota-sweep", "cpu-period-sweep"} <= {one["name"] for one in listed["experiments"]}
    assert (listed["runs"], listed["truth_tables"]) == ([], [])
    shown = json.loads(cgbench("show", "cpu-period-sweep", "--json", "-").stdout)
    assert shown["option"] == "cpu-period"


def test_show_opens_the_truth_tables_that_list_names(tmp_path: Path) -> None:
    table = truth_tables.table(Outcome.EFFECTIVE)
    name = "20260101T000000Z-0001"
    kept = writing.write_file(tmp_path / "verify" / name / TRUTH, json.dumps(table.to_json()))
    assert name in cgbench("list", "--results", tmp_path).stdout
    for named in (name, "20260101T", "verify", kept, kept.parent):
        done = cgbench("show", named, "--results", tmp_path)
        assert "✓ effective" in done.stdout, done.stderr
    printed = cgbench("show", name, "--results", tmp_path, "--json", "-").stdout
    assert json.loads(printed) == json.loads(kept.read_text())


def test_the_version_is_told() -> None:
    assert cgbench("--version").stdout == f"cgbench {__version__}\n"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("--memry", "no such option: --memry\nDid you mean --memory?"),
        ("--quik", "no such option: --quik\nDid you mean --quick?"),
        ("--memory=64m", "--memory=64m: verify tries values of its own\nLeave --memory."),
        ("memry", "unknown option: memry\nDid you mean --memory?"),
    ],
)
def test_verify_knows_what_a_misspelled_option_was_meant_to_be(written: str, message: str) -> None:
    assert message in ours("verify", written)


def test_verify_takes_an_option_as_docker_does() -> None:
    """It was refused, although every table prints `--memory`."""
    if os.geteuid() != 0:
        pytest.skip("needs root to get as far")
    for name in ("memory", "--memory"):
        assert "remote" in ours("verify", name, DOCKER_HOST="tcp://127.0.0.1:9")


def test_show_explains_an_experiment_in_words() -> None:
    said = cgbench("show", "cpu-quota-sweep").stdout
    assert "docker update --cpu-quota 10000" in said


def test_no_help_text_has_words_that_typer_would_take_for_markup() -> None:
    every = app.application()
    commands = [
        command
        for typed in (every, *(one.typer_instance for one in every.registered_groups))
        for command in (typed.registered_commands if typed is not None else ())
    ]
    assert len(commands) >= 16
    for command in commands:
        assert command.callback is not None
        assert "[" not in (inspect.getdoc(command.callback) or "")
        for one in inspect.signature(command.callback, eval_str=True).parameters.values():
            for option in getattr(one.annotation, "__metadata__", ()):
                assert "[" not in (option.help or "")


# On real containers


def no_trace() -> bool:
    engine = Engine()
    left = engine.leftovers()
    engine.close()
    return not left and not lock.scratch_leftovers()


def only_run(results: Path) -> run_directory.RunDirectory:
    (directory,) = runs(results)
    return directory


def await_trials(results: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has `count` finished trials and samples the next."""
    limit = time.monotonic() + 60
    while not (runs(results) and len(only_run(results).trials()) >= count and is_sampled()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)


def is_sampled() -> bool:
    """Say whether a trial has come so far that its sampler writes."""
    return any((preconditions.SCRATCH / lock.PARENT).glob("*/spool"))


@pytest.mark.docker
def test_a_run_leaves_report_figures_and_no_container(tmp_path: Path) -> None:
    def measured() -> Path:
        done = anew("run", write(tmp_path), "--results", tmp_path, "--json", "-")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["trials"], answer["failed"]) == (1, [])
        assert Path(answer["report"]).stat().st_size < 6 * 2**20
        assert no_trace()
        return Path(answer["path"])

    def claim(path: Path) -> None:
        shown = json.loads(cgbench("show", path, "--json", "-").stdout)
        used = [one for one in shown["summary"] if one["metric"] == "cpus_used"]
        assert [one["enforced"] for one in used] == ["20000", "50000"]
        assert [one["median"] for one in used] == pytest.approx([0.2, 0.5], rel=0.1)

    holds(claim, measured, lambda path: disturbed(load(run_directory.RunDirectory(path))))


# A closed terminal sends SIGHUP.
@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupt_keeps_finished_trials_and_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started("run", write(tmp_path, trials=3), "--results", tmp_path) as process:
        await_trials(tmp_path, 1, process)
        process.send_signal(number)
        _out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    name = only_run(tmp_path).path.name
    assert said.splitlines()[-3:] == [
        f"cgbench: finished trials are kept; go on with: cgbench run --resume {name}",
        f"cgbench: no page was written; write it with: cgbench report {name}",
        "cgbench: interrupted",
    ]
    assert not (only_run(tmp_path).path / "report.html").exists()
    assert only_run(tmp_path).run().status == "interrupted"
    assert len(only_run(tmp_path).trials()) == 1
    assert no_trace()


@pytest.fixture
def cleaned() -> Iterator[None]:
    """Remove what a killed command left, also where the test does not come as far as that."""
    yield
    cgbench("clean")


@pytest.mark.docker
@pytest.mark.usefixtures("cleaned")
def test_after_kill_9_clean_removes_every_trace_and_resume_measures_the_rest(
    tmp_path: Path,
) -> None:
    with started("run", write(tmp_path, trials=2), "--results", tmp_path) as process:
        await_trials(tmp_path, 1, process)
        process.kill()
        process.communicate()
    assert not no_trace(), "a killed cgbench cannot have cleaned up"
    done = cgbench("clean")
    assert done.returncode == 0, done.stderr
    assert "removed 1 container" in done.stdout
    assert no_trace()
    first = only_run(tmp_path).trials()[0]
    done = anew("run", "--resume", only_run(tmp_path).path.name, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    trials = only_run(tmp_path).trials()
    assert [one.number for one in trials] == [1, 2]
    assert trials[0] == first
    assert only_run(tmp_path).run().status == "finished"


@pytest.mark.docker
@pytest.mark.usefixtures("cleaned")
def test_after_kill_9_containers_end_by_themselves_within_their_deadline(tmp_path: Path) -> None:
    engine = Engine()
    with started("run", write(tmp_path, hold="500ms"), "--results", tmp_path) as process:
        limit = time.monotonic() + 30
        while not engine.leftovers():
            assert time.monotonic() < limit
            time.sleep(0.05)
        (container_id,) = engine.leftovers()
        process.kill()
        process.communicate()
    # 30 s beyond the schedule, documented in docs/explanation/safety.md.
    limit = time.monotonic() + 40
    while (state := engine.state(container_id)) and state.running:
        assert time.monotonic() < limit, "the container outlived its deadline"
        time.sleep(0.2)
    engine.close()
    assert cgbench("clean").returncode == 0
    assert no_trace()


@pytest.mark.docker
def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    with lock.exclusively():
        done = cgbench("run", write(tmp_path), "--results", tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("cgbench: ")
    assert len(done.stderr.strip().splitlines()) == 2
    assert f"process {os.getpid()}" in done.stderr


@pytest.mark.docker
def test_a_quota_beyond_the_hosts_cpus_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = write(tmp_path, quotas=f"[{100_000 * (description.cpus() + 1)}]")
    assert f"this host's {description.cpus()} CPUs" in ours("run", path, "--results", tmp_path)
    assert no_trace()


@pytest.mark.docker
def test_an_unwritable_results_directory_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert str(blocked) in ours("run", write(tmp_path), "--results", blocked)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        size = f"size={megabytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest.mark.docker
def test_a_disk_too_full_to_begin_is_reported_with_its_free_space(tmp_path: Path) -> None:
    with small_disk(1) as disk:
        assert "free" in ours("run", write(tmp_path), "--results", disk)


@pytest.mark.docker
def test_a_disk_that_fills_up_stops_the_run_and_keeps_finished_trials(tmp_path: Path) -> None:
    arguments = ("run", write(tmp_path, trials=3), "--results")
    with small_disk(80) as disk, started(*arguments, disk) as process:
        await_trials(disk, 1, process)
        _fill(disk)
        _out, said = process.communicate(timeout=60)
        assert process.returncode == 2, said
        assert "disk full" in said
        assert "Traceback" not in said
        assert len(only_run(disk).trials()) == 1
    assert no_trace()


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            return


@pytest.mark.docker
def test_a_failed_trial_gives_exit_status_1_and_the_run_goes_on(tmp_path: Path) -> None:
    engine = Engine()
    with started("run", write(tmp_path, trials=2), "--results", tmp_path) as process:
        await_trials(tmp_path, 0, process)
        own = f"{process.pid}-"
        for container_id in engine.leftovers(is_dead=lambda owner: owner.startswith(own)):
            engine.remove(container_id)
        engine.close()
        out, said = process.communicate(timeout=120)
    assert process.returncode == 1, out + said
    assert [trial.status for trial in only_run(tmp_path).trials()] == ["failed", "ok"]
    assert "removed from outside" in said
