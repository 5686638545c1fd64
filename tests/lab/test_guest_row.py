"""A row that a guest measures, as far as it goes without booting: begun, left, gone on with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cgbench.records.verdict import Outcome
from tests.lab import by_hand, guest_row, qemu
from tests.lab import host as hosts
from tests.lab.guest_row import Begun, Measured
from tests.lab.host import LabError, LabHost
from tests.lab.machine import Machine
from tests.made import atlas_rows

TABLE = atlas_rows.table({"cpus": Outcome.EFFECTIVE}).to_json()


class Guest:
    """A guest that does what it is told, and what it was told.

    It says `status` when it is asked how measuring has ended, and `ends` while it is waited for.
    """

    def __init__(self, folder: Path, name: str = "trixie") -> None:
        self.machine = Machine(folder, folder / "guest", hosts.load(name))
        self.machine.state.mkdir()
        self.asked: list[str] = []
        self.done: list[str] = []
        self.runs = False
        self.status = "0"
        self.ends: Callable[[], None] = lambda: None

    def boot(self, host: LabHost) -> Machine:
        assert host == self.machine.host
        self.done.append("boot")
        self.machine.state.mkdir(exist_ok=True)
        self.runs = True
        return self.machine

    def ssh(self, command: str, *_: object, **__: object) -> subprocess.CompletedProcess[str]:
        self.asked.append(command)
        self.ends()
        return subprocess.CompletedProcess(command, 0, "", "")

    def read(self, command: str, *_: object) -> str:
        self.asked.append(command)
        if "truth.json" in command and command.startswith("cat"):
            return json.dumps(TABLE | {"started": "2031-01-01T00:00:00+00:00"})
        return f"{self.status}\n" if "cat status" in command else "runc\t1.1.15\ncrun\n"

    def suspend(self) -> None:
        self.done.append("suspend")
        self.runs = False
        (self.machine.state / qemu.MEMORY).write_text("memory")

    def resume(self) -> None:
        self.done.append("resume")
        self.runs = True

    def stop(self, *, keep_logs: bool = False) -> bool:
        self.done.append("stop, logs kept" if keep_logs else "stop")
        self.runs = False
        return True

    def told(self, method: str) -> Callable[..., object]:
        """Return a method of a machine that this guest answers."""
        return lambda _machine, *given, **more: getattr(self, method)(*given, **more)

    def measured(self, *, quick: bool = True) -> Measured:
        return guest_row.measured(self.machine.host.name, quick=quick, boot=self.boot)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Guest]:
    def make(name: str = "trixie") -> Guest:
        guest = Guest(tmp_path, name)
        # Where a host is claimed.
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(qemu, "require", lambda: None)
        monkeypatch.setattr(qemu, "version", lambda: (10, 0, 2))
        monkeypatch.setattr(guest_row, "left", lambda _host: guest.machine)
        for method in ("ssh", "read", "suspend", "resume", "stop"):
            monkeypatch.setattr(Machine, method, guest.told(method))
        monkeypatch.setattr(Machine, "pid", lambda _: 1 if guest.runs else None)
        monkeypatch.setattr(by_hand, "disagreements", lambda *_: [])
        return guest

    return make


def interrupted() -> None:
    raise SystemExit(143)


@pytest.mark.parametrize(
    ("name", "quick", "words"),
    [
        ("trixie", True, "verify --quick --no-report"),
        ("trixie", False, "verify --interactions --disturb-daemon --no-report"),
        # There is no daemon to restart.
        ("trixie-podman", False, "verify --interactions --no-report"),
    ],
)
def test_a_host_is_asked_for_all_that_it_can_show(
    made: Callable[..., Guest], name: str, quick: bool, words: str
) -> None:
    guest = made(name)
    guest.measured(quick=quick)
    assert words in guest.asked[0]
    assert guest.done == ["stop", "boot", "stop"]


def test_a_row_is_of_the_day_that_it_was_measured_on_whatever_the_guest_says(
    made: Callable[..., Guest],
) -> None:
    found = made().measured()
    started = datetime.fromisoformat(json.loads(found.table)["started"])
    assert abs(datetime.now(UTC) - started) < timedelta(hours=1)
    # One that is known and not installed has no version.
    assert found.packages == "runc\t1.1.15\n"


def test_a_row_goes_on_in_the_guest_in_which_it_was_left(made: Callable[..., Guest]) -> None:
    guest = made()
    guest.ends = interrupted
    with pytest.raises(SystemExit):
        guest.measured()
    assert guest.done[-1] == "suspend"
    begun = guest_row._begun(guest.machine)
    assert begun is not None
    guest.ends, guest.done, guest.asked = lambda: None, [], []
    found = guest.measured()
    assert guest.done == ["resume", "stop"]
    assert not any("cgbench verify" in command for command in guest.asked)
    assert json.loads(found.table)["started"] == begun.at


def test_a_guest_that_still_measures_is_only_waited_for(made: Callable[..., Guest]) -> None:
    guest = made()
    guest.runs = True
    asked = Begun.now(guest.machine, quick=True)
    (guest.machine.state / "row.json").write_text(asked.model_dump_json())
    guest.measured()
    assert guest.done == ["stop"]


@pytest.mark.parametrize(
    "change",
    [{"quick": False}, {"rules": "others"}, {"disk": "others"}, {"qemu": "others"}, {"host": None}],
)
def test_a_row_that_was_begun_otherwise_is_begun_anew(
    made: Callable[..., Guest], change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    guest = made()
    host = guest.machine.host
    if "host" in change:
        change = {"host": host.model_copy(update={"nodes": 2})}
    begun = Begun.now(guest.machine, quick=True).model_copy(update=change)
    (guest.machine.state / "row.json").write_text(begun.model_dump_json())
    guest.suspend()
    guest.measured()
    assert guest.done == ["suspend", "stop", "boot", "stop"]
    assert "is left, for what is asked for is not that" in capsys.readouterr().out


def test_a_note_that_is_damaged_or_without_a_guest_is_begun_anew(
    made: Callable[..., Guest],
) -> None:
    guest = made()
    (guest.machine.state / "row.json").write_text("{")
    guest.runs = True
    guest.measured()
    asked = Begun.now(guest.machine, quick=True)
    (guest.machine.state / "row.json").write_text(asked.model_dump_json())
    guest.measured()
    assert guest.done == ["stop", "boot", "stop"] * 2


def test_a_connection_that_ends_before_measuring_does_is_made_again(
    made: Callable[..., Guest],
) -> None:
    guest = made()
    guest.status = "running"
    waits = 0

    def once_more() -> None:
        nonlocal waits
        waits += 1
        guest.status = "0" if waits == 3 else "running"

    guest.ends = once_more
    guest.measured()
    assert waits == 3


def test_measuring_that_fails_is_told_with_its_status(made: Callable[..., Guest]) -> None:
    guest = made()
    guest.status = "4"
    with pytest.raises(LabError, match="`cgbench verify` ended with 4"):
        guest.measured()
    assert guest.done[-1] == "stop, logs kept"


def test_a_guest_that_ends_while_it_is_measured_is_told_with_what_it_said_last(
    made: Callable[..., Guest],
) -> None:
    guest = made()
    guest.machine.console.write_text("systemd[1]: up\nKernel panic - not syncing\n")

    def ended() -> None:
        guest.runs = False

    guest.ends = ended
    with pytest.raises(LabError, match=r"(?s)the guest ended meanwhile.*Kernel panic") as caught:
        guest.measured()
    assert "systemd was started" in str(caught.value)
    # What it printed stays where it failed.
    assert guest.done[-1] == "stop, logs kept"
