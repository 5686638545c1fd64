"""The guests of the lab: which one was booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import disks, guests
from tests.lab import host as hosts
from tests.lab.host import DEFAULT, LabError


def test_the_machine_that_was_booted_is_known_by_its_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert guests.machine().host.name == DEFAULT
    running = disks.cache() / "running"
    running.mkdir(parents=True)
    (running / "host").write_text("bookworm")
    (running / "disk").write_text("/disk")
    assert (guests.machine().host.name, guests.machine().disk) == ("bookworm", Path("/disk"))


def test_a_machine_that_another_measures_is_left_alone_until_that_one_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trixie, bookworm = hosts.load("trixie"), hosts.load("bookworm")
    refused = pytest.raises(LabError, match="another process measures it")
    with guests.claimed(trixie), guests.claimed(bookworm), refused, guests.claimed(trixie):
        pass
    with guests.claimed(trixie):
        pass
