"""The lab's machine as far as it goes without booting: names, pid files, last words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab import host as hosts
from tests.lab.host import DEFAULT, LabError
from tests.lab.machine import Machine


@pytest.fixture
def stopped(tmp_path: Path) -> Machine:
    (tmp_path / "state").mkdir()
    return Machine(tmp_path / "disk", tmp_path / "state", hosts.load(DEFAULT))


@pytest.mark.parametrize("text", ["", "no number", str(2**22 + 1)])
def test_a_pid_file_without_a_process_means_that_nothing_runs(stopped: Machine, text: str) -> None:
    (stopped.state / "qemu.pid").write_text(text)
    assert stopped.pid() is None


def test_a_pid_that_belongs_to_another_program_is_left_alone(stopped: Machine) -> None:
    (stopped.state / "qemu.pid").write_text(str(os.getpid()))
    assert stopped.pid() is None
    assert stopped.stop() is False
    assert not stopped.state.exists()


def test_a_lab_that_does_not_run_is_named_with_the_way_to_boot_it(stopped: Machine) -> None:
    with pytest.raises(LabError, match="not running; make lab boots it"):
        stopped.ssh("true", 1.0)


def test_a_qemu_that_cannot_start_says_why_at_once(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Machine, "_qemu", lambda _: ["sh", "-c", "echo no such machine >&2; exit 1"]
    )
    with pytest.raises(LabError, match="QEMU did not start: no such machine"):
        stopped.boot()


def test_the_disks_of_a_machine_that_runs_are_left_alone(
    stopped: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stopped.state / "overlay.qcow2").write_text("in use")
    monkeypatch.setattr(Machine, "pid", lambda _: 7)
    with pytest.raises(LabError, match=r"runs already \(process 7\); make lab-stop ends it"):
        stopped.prepare(tmp_path)
    assert (stopped.state / "overlay.qcow2").read_text() == "in use"


def test_a_boot_that_is_interrupted_leaves_no_qemu(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_self: Machine, _deadline: float) -> None:
        raise SystemExit(143)

    ends: list[bool] = []
    monkeypatch.setattr(Machine, "_qemu", lambda _: ["true"])
    monkeypatch.setattr(Machine, "_await", ended)
    monkeypatch.setattr(Machine, "stop", lambda _, keep_logs: ends.append(keep_logs))
    with pytest.raises(SystemExit):
        stopped.boot()
    assert ends == [True]


@pytest.mark.parametrize(
    ("console", "told"),
    [
        ("", "its kernel did not start"),
        ("[    0.1] Linux version 6.12\nKernel panic - no init\n", "systemd was not reached"),
        ("[    0.1] Linux version 6.12\nsystemd[1]: Failed to mount\n", "systemd was started"),
    ],
)
def test_a_boot_that_fails_says_how_far_it_came(
    stopped: Machine, console: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped.console.write_text(console)
    monkeypatch.setattr(Machine, "pid", lambda _: None)
    with pytest.raises(LabError, match="QEMU ended") as caught:
        stopped._await(float("inf"))
    assert told in str(caught.value)
    for line in console.splitlines():
        assert line in str(caught.value)
