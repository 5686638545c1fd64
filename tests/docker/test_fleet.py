"""A fleet of real hosts, of which one is this one over ssh: measured, lost, taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from cgbench.engine.engine import Engine
from cgbench.records import results as stored
from cgbench.records.run_directory import RunDirectory
from tests.made import command, short_experiment, ssh
from tests.made.ssh import SshHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

LOST_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh.served(tmp_path_factory.mktemp("ssh")) as found:
        yield found


@pytest.fixture
def hosts(host: SshHost, tmp_path: Path) -> Path:
    """A file of two hosts: this one, and one that is not there."""
    path = tmp_path / "hosts.toml"
    path.write_text(
        f'[defaults]\nuser = "root"\nkey = "{host.folder}/key"\n'
        f'known_hosts = "{host.folder}/known_hosts"\npython = "{sys.executable}"\n'
        f'[[hosts]]\nname = "here"\naddress = "127.0.0.1"\nport = {host.port}\n'
        '[[hosts]]\nname = "gone"\naddress = "127.0.0.1"\nport = 1\n'
    )
    return path


def fleet_of(results: Path) -> dict[str, Any]:
    (path,) = results.glob("fleet/*/fleet.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return {one["name"]: one for one in found["members"]} | {"name": found["name"]}


def left_on(host: SshHost) -> list[Path]:
    return list((host.folder / ".cache" / "cgbench" / "fleet" / "runs").glob("*"))


def workers(host: SshHost) -> list[psutil.Process]:
    """Return the workers that were started over that host's ssh."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mine = process.environ().get("HOME") == str(host.folder)
            if mine and "cgbench.fleet.worker" in process.cmdline():
                found.append(process)
    return found


def test_an_experiment_runs_on_a_host_and_what_it_measured_is_fetched(
    engine: Engine, host: SshHost, hosts: Path, tmp_path: Path
) -> None:
    experiment, results = short_experiment.write(tmp_path), tmp_path / "results"
    done = command.anew("fleet", "--results", results, hosts, "run", experiment)
    # One host gave nothing, which the status says; the other was not kept from it.
    assert done.returncode == 2, done.stderr
    assert "gone: unreachable: ssh does not reach 127.0.0.1" in done.stdout
    found = fleet_of(results)
    assert (found["here"]["state"], found["here"]["status"]) == ("done", 0)
    assert found["here"]["host"]["hostname"] == os.uname().nodename
    assert found["here"]["worker_cpu_s"] < found["here"]["seconds"]
    (run,) = stored.runs(results / "fleet" / found["name"] / "hosts" / "here" / "results")
    assert [trial.status for trial in RunDirectory(run.path).trials()] == ["ok"]
    assert (results / "fleet" / found["name"] / "report.html").exists()
    assert left_on(host) == []
    assert workers(host) == []
    assert engine.leftovers() == []


@contextmanager
def at_work(
    engine: Engine, hosts: Path, folder: Path, *, hold: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a fleet of this one host, and yield it once its container is there."""
    options = ("--results", folder / "results", "--host", "here")
    experiment = short_experiment.write(folder, hold=hold)
    with command.started("fleet", *options, hosts, "run", experiment) as process:
        until(lambda: bool(engine.leftovers()), "no container was started")
        yield process


def test_a_host_that_is_lost_is_told_in_time_leaves_nothing_and_is_taken_up_again(
    engine: Engine, host: SshHost, hosts: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    with at_work(engine, hosts, tmp_path, hold="4s") as process:
        (worker,) = workers(host)
        worker.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        _out, said = process.communicate(timeout=120)
        assert time.monotonic() - killed < LOST_WITHIN_S
    assert process.returncode == 2, said
    assert "here: lost: its worker" in said
    # The kernel ended the measurement with its worker, which removed its containers.
    until(lambda: not engine.leftovers(), "a container was left")
    again = command.anew(
        "fleet", "--results", results, "--host", "here", "--resume", "fleet", hosts
    )
    assert again.returncode == 0, again.stderr
    assert fleet_of(results)["here"]["state"] == "done"
    assert left_on(host) == []


def test_an_interrupt_ends_every_child_and_names_the_next_move(
    engine: Engine, host: SshHost, hosts: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    with at_work(engine, hosts, tmp_path, hold="60s") as process:
        process.send_signal(signal.SIGINT)
        _out, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert f"--resume {fleet_of(results)['name']}" in said
    assert engine.leftovers() == []
    assert workers(host) == []
    cleaned = command.anew("fleet", "--results", results, "--host", "here", hosts, "clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert "clean: 1 of 1 host" in cleaned.stdout
    assert left_on(host) == []


def test_a_killed_fleet_leaves_nothing_at_work(
    engine: Engine, host: SshHost, hosts: Path, tmp_path: Path
) -> None:
    with at_work(engine, hosts, tmp_path, hold="60s") as process:
        process.kill()
    until(lambda: not workers(host), "a worker outlived its fleet")
    until(lambda: not engine.leftovers(), "a container was left")


def test_a_host_that_another_cgbench_measures_on_is_busy(
    host: SshHost, hosts: Path, tmp_path: Path
) -> None:
    script = "import time\nfrom cgbench.host import lock\nwith lock.exclusively():\n"
    script += "    print('held', flush=True)\n    time.sleep(120)\n"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as other:  # fmt: skip
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            done = command.anew(
                "fleet", "--results", tmp_path / "results", "--host", "here", hosts, "verify",
                "pids-limit", "--quick",
            )  # fmt: skip
        finally:
            other.kill()
    assert done.returncode == 2
    assert "here: busy: process" in done.stdout
    assert left_on(host) == []


def until(holds: Any, otherwise: str) -> None:
    """Wait for what must become so; far longer than it takes."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)
