"""The lab's machine as far as it goes without booting: names, pid files, last words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import host as hosts
from tests.lab import qemu
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


# What names itself in the file is no shell any more: its command line is its own.
QEMU = """#!/bin/sh
state=$1
shift
echo "$@" >"$state/arguments"
rm -f "$state/qemu.pid"
"$PYTHON" -c '
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
' "$state/qemu.pid" >/dev/null 2>&1 &
while ! [ -s "$state/qemu.pid" ]; do sleep 0.05; done
"""


@pytest.fixture
def running(stopped: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a process in QEMU's place, which saves its memory when it is told to."""
    script = tmp_path / "qemu"
    script.write_text(QEMU)
    script.chmod(0o700)
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setattr(Machine, "_qemu", lambda one: [str(script), str(one.state)])
    monkeypatch.setattr(Machine, "_await", lambda *_: None)
    monkeypatch.setattr(Machine, "read", lambda *_: "")
    monkeypatch.setattr(qemu, "write_memory", lambda _, into: into.write_text("memory"))
    for name in (qemu.OVERLAY, *qemu.DISKS):
        (stopped.state / name).write_text(name)
    stopped.boot()
    yield stopped
    stopped.stop()


def test_a_guest_that_is_suspended_goes_on_with_its_disks_at_another_port(running: Machine) -> None:
    running.suspend()
    assert running.pid() is None
    assert running.suspended
    running.resume()
    assert running.pid() is not None
    memory = running.state / qemu.MEMORY
    assert (running.state / "arguments").read_text() == f"-incoming file:{memory}\n"
    assert (running.state / qemu.OVERLAY).read_text() == qemu.OVERLAY
    assert int((running.state / "port").read_text()) > 0
    # Its disks say something else by now.
    assert not memory.exists()
    assert not running.suspended


def test_a_memory_that_cannot_be_saved_ends_the_guest_and_is_not_gone_on_with(
    running: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_state: Path, into: Path) -> None:
        into.write_text("mem")
        raise LabError("no room")

    monkeypatch.setattr(qemu, "write_memory", full)
    with pytest.raises(LabError, match="no room"):
        running.suspend()
    assert running.pid() is None
    assert not running.suspended
    assert not (running.state / qemu.OVERLAY).exists()


def test_what_is_kept_of_a_guest_that_booted_are_its_memory_and_disks(
    running: Machine, tmp_path: Path
) -> None:
    into = tmp_path / "saved"
    into.mkdir()
    running.console.write_text("systemd[1]: up\n")
    running.save(into)
    kept = {qemu.MEMORY, qemu.OVERLAY, qemu.SCRATCH, qemu.SWAP, qemu.CONSOLE}
    assert {path.name for path in into.iterdir()} == kept
    assert not running.state.exists()


def test_a_guest_that_goes_on_from_anothers_memory_gets_its_own_day_and_randomness(
    running: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.stop(keep_logs=True, keep_disks=True)
    told: list[str] = []
    monkeypatch.setattr(Machine, "read", lambda _, command, *__: told.append(command))
    running.boot(Path("/saved/memory"))
    assert (running.state / "arguments").read_text() == "-incoming file:/saved/memory\n"
    assert len(told) == 1
    for word in ("mount /carried", "date -s @", "/dev/urandom"):
        assert word in told[0]


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
