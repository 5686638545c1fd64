"""What guests are made from: how disks and their layers are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import disks
from tests.lab import host as hosts


def test_the_disk_is_named_after_what_it_is_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    host = hosts.load("trixie")
    name = disks.digest(host)
    assert disks.digest(host) == disks.digest(hosts.load("trixie-runc")) == name
    assert disks.digest(hosts.load("bookworm")) != name
    assert disks.digest(hosts.load("trixie-podman")) != name
    monkeypatch.setenv("LAB_MIRROR", "http://mirror.invalid/debian")
    assert disks.digest(host) != name
    assert "build_disk" in {path.name for path in disks.build_inputs()}


def test_the_cache_is_where_the_user_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disks.cache() == tmp_path / "cgbench" / "lab"


def test_the_layer_with_an_image_is_named_after_it(tmp_path: Path) -> None:
    (tmp_path / ".image").write_text("cgbench/workload:811434210f6f\n")
    assert disks.stocked(Path("/disk"), tmp_path) == Path("/disk/with-image-811434210f6f.qcow2")
