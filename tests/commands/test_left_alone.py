"""What carries cgbench's name and not its mark is named, in one printable line each, and stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from cgbench.commands import left_alone
from cgbench.engine.engine import Engine
from cgbench.engine.facts import NamedAlike
from cgbench.errors import EngineError
from cgbench.host.scratch import ownership
from cgbench.host.scratch.scratch_file import PREFIX
from tests.fuzz.outputs import check_text
from tests.made.host_tree import HostTree, hybrid

DEAD = NamedAlike("cgbench-dead", marked=True, owner="77-5")


class Daemon:
    """Lists containers, or nothing at all."""

    def __init__(self, *containers: NamedAlike) -> None:
        self._containers = list(containers)

    def named_alike(self) -> list[NamedAlike]:
        if not self._containers:
            raise EngineError("did not answer within 60 s")
        return self._containers


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    made = hybrid(tmp_path)
    for folder in ("var/tmp", "dev/shm", "run/cgbench"):
        (made.root / folder).mkdir(parents=True, exist_ok=True)
    return made


def named(tree: HostTree, *containers: NamedAlike) -> list[str]:
    daemon = cast(Engine, Daemon(*containers))
    found = left_alone.named(daemon, tree.root, tree.root / "dev/shm")
    return [line.replace(str(tree.root), "") for line in found]


def test_where_there_is_nothing_nothing_is_named(tree: HostTree) -> None:
    (tree.root / "dev/shm/cgbench").mkdir(0o711)
    assert named(tree, DEAD) == []


def test_containers_of_others_and_of_the_living_are_named(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "is_dead", lambda owner: owner == "77-5")
    mine = NamedAlike("cgbench-mine", marked=False, owner="")
    live = NamedAlike("cgbench-live", marked=True, owner="88-9")
    # That of the dead could not be removed, which is another line.
    assert named(tree, mine, live, DEAD) == [
        "container cgbench-mine: it does not carry cgbench's label",
        "container cgbench-live: its cgbench may still run",
    ]


def test_a_daemon_that_does_not_answer_is_named_and_keeps_no_other_line(tree: HostTree) -> None:
    (tree.root / "dev/shm/cgbench-out").mkdir()
    first, second = named(tree)
    assert first == "containers: the daemon did not list them: did not answer within 60 s"
    assert second.startswith("/dev/shm/cgbench-out: ")


def test_where_no_daemon_runs_all_but_containers_is_named(tree: HostTree) -> None:
    (tree.root / "dev/shm/cgbench-out").mkdir()
    (only,) = left_alone.named(None, tree.root, tree.root / "dev/shm")
    assert "/dev/shm/cgbench-out: " in only


def test_folders_files_and_leases_that_are_not_ours_are_named_with_the_reason(
    tree: HostTree,
) -> None:
    """Finding 17 d: results that are kept in /dev/shm have another form than a trial's folder."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    tree.process(88, 9)
    (tree.root / "dev/shm/cgbench-out").mkdir()
    (tree.root / "dev/shm/cgbench-x").symlink_to("/etc")
    tree.write(f"var/tmp/{PREFIX}88-9-00aa", "x")
    tree.write("run/cgbench/zram-forged.json", "{}")
    other = tree.write(f"var/tmp/{PREFIX}77-5-00bb", "x")
    os.chown(other, 65534, 65534)
    unlike = "its name, kind, mode or inode is not that of what cgbench makes"
    assert named(tree, DEAD) == [
        f"/dev/shm/cgbench-out: {unlike}",
        "/dev/shm/cgbench-x: it is a link",
        f"/var/tmp/{PREFIX}77-5-00bb: it belongs to user 65534",
        f"/var/tmp/{PREFIX}88-9-00aa: its cgbench may still run",
        f"/run/cgbench/zram-forged.json: {unlike}",
    ]
    assert other.exists()


def test_a_name_that_would_steer_a_terminal_is_one_printable_line(tree: HostTree) -> None:
    (tree.root / "dev/shm/cgbench-\x1b[31m\n\u202e").mkdir()
    (line,) = named(tree, DEAD)
    check_text(line, "the line")
    assert len(line.splitlines()) == 1
