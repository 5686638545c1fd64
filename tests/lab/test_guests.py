"""The guests of the lab: which one was booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import disks, guests
from tests.lab.host import DEFAULT


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
