"""QEMU's command line, and the programs without which no guest is made."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import disks, guests, qemu
from tests.lab import host as hosts
from tests.lab.host import DEFAULT, LabError


def command_of(name: str, *, counted: bool = False) -> list[str]:
    command = qemu.command(hosts.load(name), Path("/d"), Path("/s"), "1", counted=counted)
    return [str(word) for word in command]


@pytest.mark.parametrize(
    ("counted", "options"),
    [
        (False, ["-accel", "tcg,thread=multi"]),
        (True, ["-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off"]),
    ],
)
def test_the_clock_is_the_hosts_or_counts_instructions(counted: bool, options: list[str]) -> None:
    command = command_of(DEFAULT, counted=counted)
    begin = command.index("-accel")
    assert command[begin : begin + len(options)] == options
    assert ("-icount" in command) is counted


def test_a_clock_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CLOCK", "sun")
    with pytest.raises(LabError, match="LAB_CLOCK is 'sun'"):
        qemu.counted()


def test_a_host_is_booted_with_its_own_parameters() -> None:
    command = command_of("bookworm-v1")
    said = command[command.index("-append") + 1].split()
    assert said[0] == "root=/dev/vda"
    assert "systemd.unified_cgroup_hierarchy=0" in said[1:]


def test_only_the_scratch_device_is_slowed() -> None:
    drives = [word for word in command_of(DEFAULT) if word.startswith("file=")]
    slowed = [drive for drive in drives if "throttling" in drive]
    assert len(drives) == 4
    assert [drive.split(",")[0] for drive in slowed] == [f"file=/s/{qemu.SCRATCH}"]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Have every program be there, and say this of its version."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("LAB_CLOCK", "instructions")

    def write(text: str) -> None:
        for name in qemu._PROGRAMS:
            (tmp_path / name).write_text(f"#!/bin/sh\necho '{text}'\n")
            (tmp_path / name).chmod(0o755)

    return write


def test_a_qemu_that_lets_a_cpu_starve_is_refused_where_the_clock_counts(
    says: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    says("QEMU emulator version 10.0.2")
    qemu.require()
    says("QEMU emulator version 7.2.22 (Debian)")
    with pytest.raises(LabError, match=r"QEMU 7\.2\.22 lets a CPU starve .* 8\.1 does not"):
        qemu.require()
    monkeypatch.setenv("LAB_CLOCK", "host")
    qemu.require()


def test_a_qemu_that_names_no_version_is_refused(says: Callable[[str], None]) -> None:
    says("odd")
    with pytest.raises(LabError, match="--version says 'odd'"):
        qemu.require()


@pytest.mark.parametrize("boot", [guests.booted, lambda name: guests.beside(hosts.load(name))])
def test_what_is_not_installed_is_said_before_a_disk_is_built(
    boot: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Met on a new machine: a disk was built for two minutes before qemu-img was asked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(qemu, "path", lambda: str(tmp_path))
    with pytest.raises(LabError, match=r"not installed: qemu-system-x86_64, .*; \.ci/setup lab"):
        boot(DEFAULT)
    assert not disks.cache().exists()


@contextmanager
def answering(path: Path, *answers: list[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    """A QEMU that says these lines, one list a command; yields what it was asked."""
    asked: list[dict[str, object]] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rwb") as file:
            file.write(b'{"QMP": {}}\n')
            file.flush()
            for answer in answers:
                asked.append(json.loads(file.readline()))
                file.writelines(json.dumps(one).encode() + b"\n" for one in answer)
                file.flush()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield asked
        thread.join(10)


def test_the_monitor_passes_over_events(tmp_path: Path) -> None:
    status: list[dict[str, object]] = [
        {"event": "STOP"}, {"return": {"status": "completed"}},
    ]  # fmt: skip
    with (
        answering(tmp_path / "m", [{"return": {}}], status) as asked,
        qemu.Monitor(tmp_path / "m") as monitor,
    ):
        assert monitor.ask("query-migrate") == {"status": "completed"}
    assert [one["execute"] for one in asked] == ["qmp_capabilities", "query-migrate"]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([{"return": {}}, {"error": {"desc": "no room"}}], "QEMU refused migrate: no room"),
        ([{"return": {}}, {"return": {}}, {"return": {"status": "failed"}}], "saved: failed"),
        ([{"return": {}}], "QEMU (ended before it|did not) answer(ed)? migrate"),
    ],
)
def test_a_memory_that_is_not_saved_says_why(
    tmp_path: Path, answers: list[dict[str, object]], told: str
) -> None:
    with (
        answering(tmp_path / "monitor", *([answer] for answer in answers)) as asked,
        pytest.raises(LabError, match=told),
    ):
        qemu.write_memory(tmp_path, tmp_path / "memory")
    if len(asked) > 1:
        assert asked[1]["arguments"] == {"uri": f"file:{tmp_path}/memory"}
