"""What a value lives through when the daemon restarts, and who may restart it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import EngineError, PreconditionError
from cgbench.measuring.idle import daemon_restart
from cgbench.spec.options import option
from tests.made.host_tree import hybrid
from tests.made.idle_supply import cat, containers, site


@pytest.mark.docker
def test_a_container_that_the_daemon_stopped_is_started_and_read_again() -> None:
    with site() as place:
        seen = {}

        def restart() -> None:
            # To a container this is what a restart of the daemon is without `live-restore`.
            # The one that was started beside them has stopped, and is removed when there is time.
            ids = containers(place, "status=running")
            seen.update({one: cat(one, "pids.max") for one in ids})
            subprocess.run(["docker", "kill", *ids], check=True)

        chosen = [option("cpu-shares"), option("pids-limit"), option("memory-swap")]
        reloads: list[int] = []
        stages = daemon_restart.across_daemon_restart(
            chosen, place, restart, lambda: reloads.append(1), stop_containers=True
        )
    assert sorted(seen.values()) == ["64", "max", "max", "max"]
    assert set(stages) == {"cpu-shares", "pids-limit", "memory-swap"}
    assert reloads == [1]
    ((reloaded, another, stage),) = stages["pids-limit"]
    assert (reloaded.stage, reloaded.survived) == ("daemon reload", True)
    assert (another.stage, another.survived) == ("another container after a reload", True)
    assert (stage.stage, stage.running) == ("daemon restart", True)
    assert stage.before.enforced == stage.after.enforced == "64"
    assert stage.survived is True
    # The example, and no swap at all.
    assert len(stages["memory-swap"]) == 2
    assert [each.survived for each in stages["memory-swap"][1]] == [True, True, True]


# How the daemon is restarted


class Systemctl:
    """Stands for systemctl(1): keeps what it was asked, exits as told."""

    def __init__(self, main: str = "77", **codes: int) -> None:
        self.asked: list[list[str]] = []
        self._codes, self._main = codes, main

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(command)
        code = self._codes.get(command[1].replace("-", "_"), 0)
        printed = f"{self._main}\n" if command[1] == "show" else ""
        return subprocess.CompletedProcess(command, code, printed, "masked\n")


SOCKET = "/run/docker.sock"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Process 77 is a daemon that listens at SOCKET, 78 is another one at another socket."""
    tree = hybrid(tmp_path / "host")
    head = "Num RefCount Protocol Flags Type St Inode Path\n"
    line = "0000: 00000002 00000000 00010000 0001 01 {} {}\n"
    listed = line.format(5, SOCKET) + line.format(6, "/run/other.sock") + line.format(7, "@x")
    tree.write("proc/net/unix", head + listed)
    for pid, inode in ((77, 5), (78, 6)):
        fd = tree.root / "proc" / str(pid) / "fd"
        fd.mkdir(parents=True)
        (fd / "3").symlink_to(f"socket:[{inode}]")
    return tree.root / "proc"


def test_a_daemon_that_systemd_did_not_start_is_left_alone(tmp_path: Path) -> None:
    systemctl = Systemctl()
    with pytest.raises(PreconditionError, match="not started by systemd") as caught:
        daemon_restart.by_systemd(SOCKET, tmp_path / "none", systemctl)
    assert systemctl.asked == []
    assert caught.value.advice is not None
    assert "--disturb-daemon" in caught.value.advice


def test_a_daemon_beside_systemd_is_left_alone(tmp_path: Path) -> None:
    systemctl = Systemctl(is_active=3)
    with pytest.raises(PreconditionError, match=r"not its docker\.service"):
        daemon_restart.by_systemd(SOCKET, tmp_path, systemctl)
    assert [command[1] for command in systemctl.asked] == ["is-active"]


def test_a_daemon_of_systemd_is_restarted_by_it_when_asked(tmp_path: Path, proc: Path) -> None:
    systemctl = Systemctl()
    restart = daemon_restart.by_systemd(SOCKET, tmp_path, systemctl, proc)
    assert [command[1] for command in systemctl.asked] == ["is-active", "show"]
    restart()
    assert systemctl.asked[2:] == [["systemctl", "restart", "docker.service"]]


@pytest.mark.parametrize(
    ("socket", "main"),
    [("/run/other.sock", "77"), (SOCKET, "78"), (SOCKET, "0"), (SOCKET, ""), ("/run/none", "77")],
)
def test_a_daemon_other_than_the_measured_one_is_never_restarted(
    tmp_path: Path, proc: Path, socket: str, main: str
) -> None:
    """Finding 12: DOCKER_HOST names a second daemon, and production's would be restarted."""
    systemctl = Systemctl(main)
    with pytest.raises(PreconditionError, match=f"the daemon at {socket} is not the one of docker"):
        daemon_restart.by_systemd(socket, tmp_path, systemctl, proc)
    assert [command[1] for command in systemctl.asked] == ["is-active", "show"]


class WithOthers:
    """A daemon that others have containers on."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def stopped_by_a_restart(self) -> list[str]:
        return list(self._names)


def test_others_containers_are_not_stopped_unasked() -> None:
    """Finding 12."""
    busy = cast(Engine, WithOthers("db", "queue", "shop", "web"))
    with pytest.raises(PreconditionError, match="would stop db, queue, shop and 1 more") as caught:
        daemon_restart.require_consent(busy, stop_containers=False)
    assert "--stop-containers" in str(caught.value.advice)
    daemon_restart.require_consent(busy, stop_containers=True)
    daemon_restart.require_consent(cast(Engine, WithOthers()), stop_containers=False)


def test_systemd_is_asked_to_read_its_units_anew() -> None:
    systemctl = Systemctl()
    daemon_restart.systemd_reload(systemctl)
    assert systemctl.asked == [["systemctl", "daemon-reload"]]
    with pytest.raises(EngineError, match="daemon-reload failed: masked"):
        daemon_restart.systemd_reload(Systemctl(daemon_reload=1))


def test_a_restart_that_fails_is_told_with_its_reason(tmp_path: Path, proc: Path) -> None:
    restart = daemon_restart.by_systemd(SOCKET, tmp_path, Systemctl(restart=1), proc)
    with pytest.raises(EngineError, match="failed: masked"):
        restart()


def test_a_systemd_that_never_answers_is_given_up_with_a_message(tmp_path: Path) -> None:
    def hanging(command: list[str], timeout: float, **_: Any) -> Any:
        raise subprocess.TimeoutExpired(command, timeout)

    with pytest.raises(EngineError, match="systemctl daemon-reload did not end within 120 s"):
        daemon_restart.systemd_reload(hanging)
    with pytest.raises(EngineError, match="did not end within 120 s"):
        daemon_restart.by_systemd(SOCKET, tmp_path, hanging)
