"""Cleaning up: one line without rights, and one thing that stays keeps no other."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from cgbench.cli import app
from cgbench.commands import clean, left_alone
from cgbench.engine import base_image
from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.errors import (
    DockerUnavailable,
    EngineError,
    NotGivenBack,
    PreconditionError,
    Refusal,
    ScratchError,
)
from cgbench.host import lock
from cgbench.host.scratch import commands, leftovers, ownership
from tests.made.command import cgbench

# As the first PID namespace would write it, of this boot, while the tests' own is another.
ELSEWHERE = "77-5-4a5ff6c2-4026531836"


class Daemon:
    """Has two containers of the dead, of which the first stays, and one of another namespace."""

    def __init__(self, runs: bool | None = True) -> None:
        self.removed: list[str] = []
        self.runs = runs

    def leftovers(self, is_dead: Callable[[str], bool]) -> list[str]:
        return ["stuck", "loose", *(["foreign"] if is_dead(ELSEWHERE) else [])]

    def remove(self, container: str) -> None:
        if container == "stuck":
            raise EngineError("cannot remove stuck", "Try `cgbench clean` later.")
        self.removed.append(container)

    def state(self, container: str) -> State | None:
        assert container == "stuck"
        if self.runs is None:
            raise EngineError("did not answer within 60 s")
        return State(self.runs, 0, 0, False, "")

    def close(self) -> None:
        pass


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
    removed = clean.remove_leftovers(cast(Engine, daemon))
    assert [str(one) for one in removed.kept] == ["cannot remove stuck. Try `cgbench clean` later."]
    assert daemon.removed == ["loose"]
    assert folders() == []
    assert (removed.containers, removed.directories, removed.lent) == (1, 2, 1)


def test_a_daemon_that_does_not_list_its_containers_keeps_no_folder(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_daemon: Daemon, **_named: object) -> list[str]:
        raise EngineError("did not answer within 60 s")

    monkeypatch.setattr(Daemon, "leftovers", late)
    (kept,) = clean.remove_leftovers(cast(Engine, Daemon())).kept
    assert "did not answer" in str(kept)
    assert kept.in_the_way, "nobody knows what runs"
    assert folders() == []


def test_by_force_containers_of_the_living_go_too(folders: Callable[[], list[Path]]) -> None:
    """Finding 17 b: without it, those of a cgbench in another PID namespace stay."""
    daemon = Daemon()
    (kept,) = clean.remove_leftovers(cast(Engine, daemon), force=True).kept
    assert "cannot remove stuck" in str(kept)
    assert daemon.removed == ["loose", "foreign"]


def test_a_folder_that_cannot_be_removed_is_named(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(16, "Device or resource busy", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    kept = clean.remove_leftovers(None).kept
    assert [one.in_the_way for one in kept] == [False, False]
    assert re.search(r"cannot remove .*/cgbench-1: Device or resource busy", str(kept[0]))
    assert "/cgbench-2" in str(kept[1])


@pytest.mark.parametrize("runs", [True, None])
def test_a_container_that_stays_refuses_a_run_while_it_may_run(
    folders: Callable[[], list[Path]], runs: bool | None
) -> None:
    """Finding 13: let only what is in the way refuse a run."""
    daemon = Daemon(runs)
    with pytest.raises(PreconditionError, match="cannot remove stuck; what is measured") as caught:
        clean.make_room(cast(Engine, daemon))
    assert caught.value.advice == "Try `cgbench clean` later."
    assert daemon.removed == ["loose"]
    assert folders() == []


def test_a_container_that_stays_and_has_ended_refuses_no_run_and_is_named(
    folders: Callable[[], list[Path]],
) -> None:
    daemon = Daemon(runs=False)
    assert clean.make_room(cast(Engine, daemon)) == [
        "cannot remove stuck. Try `cgbench clean` later."
    ]
    assert daemon.removed == ["loose"]


def test_of_what_was_lent_only_swap_refuses_a_run(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else has a name of its own; what is swapped out goes to whatever swap there is."""
    refusals = [Refusal(ScratchError("cannot remove loop device", "Wait."), False)]

    def refuse() -> list[str]:
        raise NotGivenBack("several", None, refusals, ["scratch file"])

    monkeypatch.setattr(leftovers, "give_back", refuse)
    daemon = cast(Engine, Daemon(runs=False))
    removed = clean.remove_leftovers(daemon)
    assert removed.lent == 1
    assert clean.make_room(daemon)[-1] == "cannot remove loop device. Wait."
    refusals.append(Refusal(ScratchError("cannot remove swap on /dev/x"), True))
    with pytest.raises(PreconditionError, match="cannot remove swap on /dev/x; what is measured"):
        clean.make_room(daemon)


def test_the_command_names_each_thing_that_stays_and_what_it_leaves_alone(
    folders: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clean, "Engine", Daemon)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    monkeypatch.setattr(left_alone, "named", lambda engine: ("/dev/shm/cgbench-x: it is a link",))
    assert app.command()(["clean", "--force"], standalone_mode=False) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == ["left alone: /dev/shm/cgbench-x: it is a link"]
    assert err == "cgbench: cannot remove stuck. Try `cgbench clean` later.\n"


def test_without_a_daemon_all_but_containers_is_removed(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Engine:
        raise DockerUnavailable("no daemon")

    monkeypatch.setattr(clean, "Engine", none)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    monkeypatch.setattr(left_alone, "named", lambda engine: ())
    with pytest.raises(DockerUnavailable):
        clean.clean(force=True)
    assert folders() == []


def test_without_a_daemon_what_stays_is_named_beside_the_error(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Engine:
        raise DockerUnavailable("no daemon")

    def refuse() -> list[str]:
        raise ScratchError("no rights")

    monkeypatch.setattr(clean, "Engine", none)
    monkeypatch.setattr(commands, "require_root", lambda: None)
    monkeypatch.setattr(leftovers, "give_back", refuse)
    monkeypatch.setattr(left_alone, "named", lambda engine: () if engine else ("/x: it is a link",))
    with pytest.raises(DockerUnavailable) as caught:
        clean.clean(force=True)
    assert caught.value.__notes__ == ["no rights.", "left alone: /x: it is a link"]


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
