"""Measuring rows of the atlas, as far as it goes without booting: what is left, what is lost."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cgbench.records import atlas as records
from cgbench.records.verdict import Outcome
from tests.lab import atlas, by_hand
from tests.lab import host as hosts
from tests.lab.atlas import Measured
from tests.lab.host import LabError
from tests.lab.machine import Machine
from tests.made import atlas_rows

TABLE = json.dumps(atlas_rows.table({"cpus": Outcome.EFFECTIVE}).to_json())


def measured(name: str, *, quick: bool) -> Measured:
    assert quick
    if name == "bookworm":
        raise LabError("not up in time")
    return Measured(TABLE, "runc\t1.1.15\nsystemd\t257.8-1\n")


def test_each_row_is_a_file_and_one_that_fails_loses_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = atlas.rows(["bookworm", "trixie"], tmp_path, quick=True, measure=measured)
    assert failed == ["bookworm"]
    assert "bookworm: not measured: not up in time" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["trixie.json"]
    row = records.read(tmp_path / "trixie.json")
    assert row.title.startswith("Debian 13 as it is")
    assert row.packages == {"runc": "1.1.15", "systemd": "257.8-1"}


def test_a_row_by_todays_rules_is_not_measured_again_unless_more_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas.rows(["trixie"], tmp_path, quick=True, measure=measured)
    assert atlas.fresh("trixie", tmp_path, quick=True)
    # Its table has the verdicts alone.
    assert not atlas.fresh("trixie", tmp_path, quick=False)
    monkeypatch.setattr("cgbench.records.rules.digest", lambda: "others")
    assert not atlas.fresh("trixie", tmp_path, quick=True)


def test_a_row_that_is_damaged_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "trixie.json").write_text("{")
    assert not atlas.fresh("trixie", tmp_path, quick=True)


def test_a_row_that_a_shell_disagrees_with_is_told_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Measured(TABLE, "", ("--cpus 0.5: effective, and by hand it was not",))
    failed = atlas.rows(["trixie"], tmp_path, quick=True, measure=lambda *_, **__: found)
    assert failed == ["trixie"]
    assert "trixie: a shell disagrees: --cpus 0.5: effective" in capsys.readouterr().err


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
    name: str, quick: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ssh(_self: Machine, command: str, *_: object, **__: object) -> object:
        asked.append(command)
        return subprocess.CompletedProcess(command, 4, "", "")

    monkeypatch.setattr(Machine, "ssh", ssh)
    monkeypatch.setattr(Machine, "pid", lambda _: 1)
    machine = Machine(tmp_path, tmp_path, hosts.load(name))
    with pytest.raises(LabError, match="ended with 4"):
        atlas.in_guest(machine, quick=quick)
    assert words in asked[0]


def test_a_row_is_of_the_day_that_it_was_measured_on_whatever_the_guest_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Machine, "ssh", lambda _, command, *__, **___: subprocess.CompletedProcess(command, 0)
    )
    said = json.dumps(json.loads(TABLE) | {"started": "2031-01-01T00:00:00+00:00"})
    monkeypatch.setattr(Machine, "read", lambda _, command: said if "truth" in command else "")
    monkeypatch.setattr(Machine, "pid", lambda _: 1)
    monkeypatch.setattr(by_hand, "disagreements", lambda *_: [])
    found = atlas.in_guest(Machine(tmp_path, tmp_path, hosts.load("trixie")), quick=True)
    started = datetime.fromisoformat(json.loads(found.table)["started"])
    assert abs((datetime.now(UTC) - started).total_seconds()) < 3600


def test_a_guest_that_ends_while_it_is_measured_is_told_with_what_it_said_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, tmp_path, hosts.load("trixie"))
    machine.console.write_text("systemd[1]: up\nKernel panic - not syncing\n")
    closed = subprocess.CompletedProcess("ssh", 255, "", "closed by remote host")
    monkeypatch.setattr(Machine, "ssh", lambda *_, **__: closed)
    with pytest.raises(LabError, match=r"(?s)the guest ended meanwhile.*Kernel panic") as caught:
        atlas.on_lab_host("trixie", quick=True, boot=lambda _name: machine)
    assert "systemd was started" in str(caught.value)
    # What it printed stays where it failed.
    assert machine.console.exists()


def test_rows_that_are_measured_at_once_each_say_whether_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_once: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def apart(name: str, _folder: Path, *, quick: bool) -> subprocess.Popen[bytes]:
        assert quick
        process = subprocess.Popen(["sh", "-c", f"sleep 0.3; exit {int(name == 'bookworm')}"])
        running.append(process)
        at_once.append(sum(one.poll() is None for one in running))
        return process

    monkeypatch.setattr(atlas, "_apart", apart)
    monkeypatch.setattr(atlas, "_LOOK_EVERY_S", 0.05)
    names = ["trixie", "bookworm", "forky"]
    assert atlas.together(names, tmp_path, quick=True, jobs=2) == ["bookworm"]
    assert max(at_once) == 2
    said = capsys.readouterr().out
    assert "bookworm: ended with 1" in said
    assert said.count(": done") == 2


def test_guests_that_are_measured_at_once_end_with_who_measures_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    left = list(started)

    def interrupted(_seconds: float) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(atlas, "_apart", lambda *_, **__: left.pop())
    monkeypatch.setattr("tests.lab.atlas.time.sleep", interrupted)
    with pytest.raises(SystemExit):
        atlas.together(["trixie", "forky"], tmp_path, quick=True, jobs=2)
    assert all(one.poll() is not None for one in started)
