"""What is done once, ahead of boots: made where it is lacking, and never taken half made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import ahead, qemu
from tests.lab import host as hosts
from tests.lab.disks import STOCKED
from tests.lab.host import LabError, LabHost
from tests.lab.machine import Machine

TRIXIE = hosts.load("trixie")


class Guests:
    """Guests that are not booted: what was done with them, and how they boot."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails = False

    def prepare(self, machine: Machine, _cargo: Path, layer: Path | None = None) -> None:
        above = "" if layer is None else f" on {layer.name}"
        self.done.append(f"{'counted' if machine.counted else 'ordinary'}{above}")

    def keep(self, _machine: Machine, layer: Path) -> None:
        layer.write_text("layer")

    def save(self, _machine: Machine, into: Path) -> None:
        (into / qemu.MEMORY).write_text("memory")
        if self.fails:
            raise LabError("no room")


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    made = Guests()
    monkeypatch.setattr(Machine, "prepare", lambda *given: made.prepare(*given))
    monkeypatch.setattr(Machine, "keep", lambda *given: made.keep(*given))
    monkeypatch.setattr(Machine, "save", lambda *given: made.save(*given))
    monkeypatch.setattr(Machine, "boot", lambda _: None)
    monkeypatch.setattr(Machine, "stop", lambda _: None)
    monkeypatch.setattr(qemu, "version", lambda: (10, 0, 2))
    return made


@pytest.fixture
def cargo(tmp_path: Path) -> Path:
    (tmp_path / "cargo").mkdir()
    (tmp_path / "cargo" / ".image").write_text("cgbench/workload:811434210f6f\n")
    return tmp_path / "cargo"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def test_the_image_is_loaded_once_for_a_disk_by_the_hosts_clock(
    guests: Guests, disk: Path, cargo: Path
) -> None:
    found = [ahead.stocked(TRIXIE, disk, cargo) for _ in range(2)]
    assert found == [disk / f"{STOCKED}811434210f6f.qcow2"] * 2
    assert guests.done == ["ordinary"]


def test_with_another_image_goes_what_was_made_with_the_one_before(
    guests: Guests, disk: Path, cargo: Path
) -> None:
    old = disk / f"{STOCKED}0.qcow2"
    old.touch()
    (disk / "booted-0").mkdir()
    (disk / "booted-0" / qemu.MEMORY).touch()
    (disk / "disk.img").touch()
    made = ahead.stocked(TRIXIE, disk, cargo)
    assert guests.done == ["ordinary"]
    assert sorted(disk.iterdir()) == sorted([disk / "disk.img", made])


@pytest.fixture
def booted(guests: Guests, disk: Path, cargo: Path) -> Callable[[LabHost], Path]:
    layer = disk / f"{STOCKED}1.qcow2"
    return lambda host: ahead.booted(host, disk, cargo, layer)


def test_hosts_that_boot_alike_go_on_from_one_memory(
    guests: Guests, booted: Callable[[LabHost], Path]
) -> None:
    saved = booted(TRIXIE)
    assert (saved / qemu.MEMORY).read_text() == "memory"
    assert booted(hosts.load("trixie-runc")) == booted(hosts.load("trixie-cgroupfs")) == saved
    assert guests.done == [f"counted on {STOCKED}1.qcow2"]
    # Two memory nodes are another machine.
    assert booted(hosts.load("trixie-nodes")) != saved
    assert len(guests.done) == 2


def test_another_qemu_boots_a_guest_of_its_own_in_place_of_those_before(
    guests: Guests, booted: Callable[[LabHost], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, other = booted(TRIXIE), booted(hosts.load("trixie-nodes"))
    assert saved.exists()
    monkeypatch.setattr(qemu, "version", lambda: (10, 1, 0))
    anew = booted(TRIXIE)
    assert anew.exists()
    assert not any(one.exists() for one in (saved, other))


def test_a_memory_that_was_not_saved_is_not_taken_for_one(
    guests: Guests, booted: Callable[[LabHost], Path]
) -> None:
    guests.fails = True
    with pytest.raises(LabError, match="no room"):
        booted(TRIXIE)
    guests.fails = False
    assert (booted(TRIXIE) / qemu.MEMORY).exists()
    assert len(guests.done) == 2
