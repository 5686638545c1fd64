"""Cleaning up: one line without rights, and one thing that stays keeps no other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from cgbench.commands import clean
from cgbench.engine import base_image
from cgbench.engine.engine import Engine
from cgbench.errors import DockerUnavailable, EngineError, ScratchError
from cgbench.host import lock
from cgbench.host.scratch import commands, leftovers, ownership
from tests.made.command import cgbench

# As the first PID namespace would write it, of this boot, while the tests' own is another.
ELSEWHERE = "77-5-4a5ff6c2-4026531836"


class Daemon:
    """Has two containers of the dead, of which the first stays, and one of another namespace."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def leftovers(self, is_dead: Callable[[str], bool]) -> list[str]:
        return ["stuck", "loose", *(["foreign"] if is_dead(ELSEWHERE) else [])]

    def remove(self, container: str) -> None:
        if container == "stuck":
            raise EngineError("cannot remove stuck")
        self.removed.append(container)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    def left() -> list[Path]:
        return sorted(tmp_path.iterdir())

    for name in ("cgbench-1", "cgbench-2"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(lock, "scratch_leftovers", left)
    monkeypatch.setattr(leftovers, "give_back", lambda: ["swap"])
    monkeypatch.setattr(base_image, "sweep", lambda is_dead: [])
    monkeypatch.setattr(ownership, "is_dead", lambda owner: owner != ELSEWHERE)
    return left


def test_one_thing_that_cannot_be_removed_keeps_no_other(
    folders: Callable[[], list[Path]],
) -> None:
    daemon = Daemon()
    with pytest.raises(EngineError, match="cannot remove stuck"):
        clean.remove_leftovers(cast(Engine, daemon))
    assert daemon.removed == ["loose"]
    assert folders() == []


def test_a_daemon_that_does_not_list_its_containers_keeps_no_folder(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_daemon: Daemon, **_named: object) -> list[str]:
        raise EngineError("did not answer within 60 s")

    monkeypatch.setattr(Daemon, "leftovers", late)
    with pytest.raises(EngineError, match="did not answer"):
        clean.remove_leftovers(cast(Engine, Daemon()))
    assert folders() == []


def test_by_force_containers_of_the_living_go_too(folders: Callable[[], list[Path]]) -> None:
    """Finding 17 b: without it, those of a cgbench in another PID namespace stay."""
    daemon = Daemon()
    with pytest.raises(EngineError, match="cannot remove stuck"):
        clean.remove_leftovers(cast(Engine, daemon), force=True)
    assert daemon.removed == ["loose", "foreign"]


def test_a_folder_that_cannot_be_removed_is_named(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(16, "Device or resource busy", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(ScratchError, match=r"cannot remove .*/cgbench-1: Device or resource busy"):
        clean.remove_leftovers(None)


def test_without_a_daemon_all_but_containers_is_removed(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Engine:
        raise DockerUnavailable("no daemon")

    monkeypatch.setattr(clean, "Engine", none)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    with pytest.raises(DockerUnavailable):
        clean.clean(force=True)
    assert folders() == []


@pytest.mark.parametrize(
    "arguments", ["clean", "clean --force", "ab cpu-quota-sweep --a true --b true", "verify"]
)
def test_without_root_there_is_one_line_and_status_4(arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give it up")
    done = cgbench(*arguments.split(), without_root=True)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("cgbench: ")
    assert done.stderr.rstrip().endswith("Run it with sudo.")
    assert len(done.stderr.splitlines()) == 2
