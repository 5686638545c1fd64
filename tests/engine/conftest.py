"""A directory that makes an image, and debootstrap as a shell script."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cgbench import programs

Script = Callable[[str, str], None]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY probe.py /opt/\n")
    (directory / "probe.py").write_text("pass\n")
    return directory


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which root file systems are made during this test."""
    directory = tmp_path / "trees"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that puts a shell script first where a would-be root finds programs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setattr(programs, "SYSTEM", f"{directory}:{programs.SYSTEM}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def write(name: str, body: str) -> None:
        file = directory / name
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    write("unshare", 'shift; exec "$@"')
    write("apt-get", "exit 1")
    return write
