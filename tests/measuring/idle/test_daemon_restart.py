"""What a value lives through when the daemon restarts, and who may restart it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from cgbench.errors import EngineError, PreconditionError
from cgbench.measuring.idle import daemon_restart
from cgbench.spec.options import option
from tests.made.idle_supply import cat, containers, site


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
        stages = daemon_restart.across_daemon_restart(
            chosen, place, restart, lambda: reloads.append(1)
        )
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
        daemon_restart.by_systemd(tmp_path / "none", systemctl)
    assert systemctl.asked == []
    assert caught.value.advice is not None
    assert "--disturb-daemon" in caught.value.advice


def test_a_daemon_beside_systemd_is_left_alone(tmp_path: Path) -> None:
    systemctl = Systemctl(is_active=3)
    with pytest.raises(PreconditionError, match=r"not its docker\.service"):
        daemon_restart.by_systemd(tmp_path, systemctl)
    assert [command[1] for command in systemctl.asked] == ["is-active"]


def test_a_daemon_of_systemd_is_restarted_by_it_when_asked(tmp_path: Path) -> None:
    systemctl = Systemctl()
    restart = daemon_restart.by_systemd(tmp_path, systemctl)
    assert [command[1] for command in systemctl.asked] == ["is-active"]
    restart()
    assert systemctl.asked[1:] == [["systemctl", "restart", "docker.service"]]


def test_systemd_is_asked_to_read_its_units_anew() -> None:
    systemctl = Systemctl()
    daemon_restart.systemd_reload(systemctl)
    assert systemctl.asked == [["systemctl", "daemon-reload"]]
    with pytest.raises(EngineError, match="daemon-reload failed: masked"):
        daemon_restart.systemd_reload(Systemctl(daemon_reload=1))


def test_a_restart_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    restart = daemon_restart.by_systemd(tmp_path, Systemctl(restart=1))
    with pytest.raises(EngineError, match="failed: masked"):
        restart()


def test_a_systemd_that_never_answers_is_given_up_with_a_message(tmp_path: Path) -> None:
    def hanging(command: list[str], timeout: float, **_: Any) -> Any:
        raise subprocess.TimeoutExpired(command, timeout)

    with pytest.raises(EngineError, match="systemctl daemon-reload did not end within 120 s"):
        daemon_restart.systemd_reload(hanging)
    with pytest.raises(EngineError, match="did not end within 120 s"):
        daemon_restart.by_systemd(tmp_path, hanging)
