"""What a value lives through: pause, restart of the container, restart of the daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgbench.errors import EngineError, PreconditionError
from cgbench.measuring.idle import survival
from cgbench.measuring.idle.containers import Supply
from cgbench.spec.options import option, update_body
from tests.made.idle_supply import cat, containers, site
from tests.made.idle_supply import supply as new_supply


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


@pytest.mark.docker
def test_a_quota_survives_pause_and_restart_as_cat_says(supply: Supply) -> None:
    found = survival.measure(option("cpu-quota"), supply)
    with supply.fresh() as idle:
        container_id = idle.container_id
        file = ("cpu.cfs_quota_us", "cpu.max")
        born = cat(container_id, *file)
        supply.site.engine.update_raw(container_id, update_body({"cpu-quota": 30_000}))
        limited = cat(container_id, *file)
        subprocess.run(["docker", "restart", "-t", "0", container_id], check=True)
        restarted = cat(container_id, *file)
    assert found.refusal is None
    assert found.born.enforced == born != limited
    assert [stage.stage for stage in found.stages] == ["pause", "restart"]
    for stage in found.stages:
        assert stage.before.enforced == limited
        assert stage.running
        assert stage.message == ""
    assert found.stages[0].survived is True
    assert found.stages[1].after.enforced == restarted
    assert found.stages[1].survived is (restarted == limited)


@pytest.mark.docker
def test_a_restart_policy_has_no_file_so_docker_is_asked(supply: Supply) -> None:
    found = survival.measure(option("restart"), supply)
    assert found.file is None
    for stage in found.stages:
        assert stage.before.enforced is None
        assert "on-failure" in str(stage.after.declared)
        assert stage.survived is True


@pytest.mark.docker
def test_a_value_that_never_took_hold_has_nothing_to_survive(supply: Supply) -> None:
    # The one memory node that most hosts have is what a container is born with.
    with supply.fresh() as idle:
        if len(idle.cgroup.offered("mems")) > 1 or cat(idle.container_id, "cpuset.mems") != "0":
            pytest.skip("this host has more than one node, or names none at birth")
    found = survival.measure(option("cpuset-mems"), supply)
    assert [stage.survived for stage in found.stages] == [None, None]


@pytest.mark.docker
def test_a_container_that_the_daemon_stopped_is_started_and_read_again() -> None:
    with site() as place:
        seen = {}

        def restart() -> None:
            # To a container this is what a restart of the daemon is without `live-restore`.
            ids = containers(place)
            seen.update({one: cat(one, "pids.max") for one in ids})
            subprocess.run(["docker", "kill", *ids], check=True)

        chosen = [option("cpu-shares"), option("pids-limit")]
        reloads: list[int] = []
        stages = survival.across_daemon_restart(chosen, place, restart, lambda: reloads.append(1))
    assert sorted(seen.values()) == ["64", "max"]
    assert set(stages) == {"cpu-shares", "pids-limit"}
    assert reloads == [1]
    reloaded, stage = stages["pids-limit"]
    assert (reloaded.stage, reloaded.survived) == ("daemon reload", True)
    assert (stage.stage, stage.running) == ("daemon restart", True)
    assert stage.before.enforced == stage.after.enforced == "64"
    assert stage.survived is True


# How the daemon is restarted


class Systemctl:
    """Stands for systemctl(1): keeps what it was asked, exits as told."""

    def __init__(self, **codes: int) -> None:
        self.asked: list[list[str]] = []
        self._codes = codes

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(command)
        code = self._codes.get(command[1].replace("-", "_"), 0)
        return subprocess.CompletedProcess(command, code, "", "masked\n")


def test_a_daemon_that_systemd_did_not_start_is_left_alone(tmp_path: Path) -> None:
    systemctl = Systemctl()
    with pytest.raises(PreconditionError, match="not started by systemd") as caught:
        survival.by_systemd(tmp_path / "none", systemctl)
    assert systemctl.asked == []
    assert caught.value.advice is not None
    assert "--disturb-daemon" in caught.value.advice


def test_a_daemon_beside_systemd_is_left_alone(tmp_path: Path) -> None:
    systemctl = Systemctl(is_active=3)
    with pytest.raises(PreconditionError, match=r"not its docker\.service"):
        survival.by_systemd(tmp_path, systemctl)
    assert [command[1] for command in systemctl.asked] == ["is-active"]


def test_a_daemon_of_systemd_is_restarted_by_it_when_asked(tmp_path: Path) -> None:
    systemctl = Systemctl()
    restart = survival.by_systemd(tmp_path, systemctl)
    assert [command[1] for command in systemctl.asked] == ["is-active"]
    restart()
    assert systemctl.asked[1:] == [["systemctl", "restart", "docker.service"]]


def test_systemd_is_asked_to_read_its_units_anew() -> None:
    systemctl = Systemctl()
    survival.systemd_reload(systemctl)
    assert systemctl.asked == [["systemctl", "daemon-reload"]]
    with pytest.raises(EngineError, match="daemon-reload failed: masked"):
        survival.systemd_reload(Systemctl(daemon_reload=1))


def test_a_restart_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    restart = survival.by_systemd(tmp_path, Systemctl(restart=1))
    with pytest.raises(EngineError, match="failed: masked"):
        restart()
