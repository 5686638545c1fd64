"""A process is limited and killed only if its cgroup is the container's (finding 8)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.errors import CgroupError, DockerUnavailable, TrialError
from cgbench.measuring import container, own_process
from cgbench.measuring.container import Birth
from cgbench.measuring.idle.containers import Idle
from cgbench.measuring.site import Site
from cgbench.spec.container import Container
from tests.made.host_tree import HostTree, hybrid
from tests.made.processes import MadeUpEngine, living
from tests.measuring.test_container import Starting, plan

ID = "0123456789abcdef" * 4


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return hybrid(tmp_path / "host")


def in_group(tree: HostTree, pid: int, path: str) -> None:
    """Put a process into a group of every hierarchy."""
    tree.write(f"proc/{pid}/cgroup", f"4:cpu:{path}\n3:memory:{path}\n1:name=systemd:{path}\n")


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/cgbench-x/{ID}",
        f"/cgbench.slice/cgbench-x.slice/docker-{ID}.scope",
        f"/../{ID}",
    ],
)
def test_a_process_is_the_containers_by_either_driver_and_below_a_parent(
    tree: HostTree, path: str
) -> None:
    in_group(tree, 7, path)
    assert own_process.is_own(7, ID, tree.root / "proc")


@pytest.mark.parametrize("path", ["/", "/system.slice/sshd.service", f"/docker/{ID[::-1]}"])
def test_any_other_process_is_not(tree: HostTree, path: str) -> None:
    in_group(tree, 7, path)
    assert not own_process.is_own(7, ID, tree.root / "proc")


@pytest.mark.parametrize("path", [f"/docker/{ID}", "/system.slice/sshd.service"])
def test_a_process_is_killed_only_if_it_is_the_containers(tree: HostTree, path: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        in_group(tree, sleeper.pid, path)
        own = ID in path
        assert own_process.kill(sleeper.pid, ID, tree.root / "proc") is own
        if not own:
            assert sleeper.poll() is None
            sleeper.kill()
        assert sleeper.wait() == -signal.SIGKILL
    assert not own_process.kill(sleeper.pid, ID, tree.root / "proc")


def test_a_process_that_nobody_can_look_at_is_left_alone(tree: HostTree) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        assert not own_process.kill(sleeper.pid, ID, tree.root / "proc")
        assert sleeper.poll() is None
        sleeper.kill()


def test_a_process_that_is_gone_is_an_error(tree: HostTree) -> None:
    with pytest.raises(CgroupError, match="No such file"):
        own_process.is_own(7, ID, tree.root / "proc")


def start(engine: Starting, tree: HostTree, folder: Path) -> None:
    with ExitStack() as stack:
        spec = Container(role="worker", workload="spin")
        birth = Birth("cgbench-x", "image", "x", 30, folder, proc=tree.root / "proc")
        running = container.start(stack, spec, plan(), cast(Engine, engine), birth)
        # As a trial does on its way out.
        container.kill([running])


@pytest.fixture
def stranger(tree: HostTree) -> Iterator[int]:
    """Yield a process of this host that a daemon elsewhere happens to have the number of."""
    with living() as (_container, process):
        in_group(tree, process.pid, "/system.slice/sshd.service")
        yield process.pid
        assert process.poll() is None, "it must not be killed"


def test_a_process_of_another_namespace_is_refused_and_lives_on(
    tree: HostTree, tmp_path: Path, stranger: int
) -> None:
    engine = Starting(State(True, stranger, 0, False, ""))
    with pytest.raises(DockerUnavailable, match="its processes are not this host's"):
        start(engine, tree, tmp_path)


def test_a_number_that_was_given_to_another_process_meanwhile_is_an_end(
    tree: HostTree, tmp_path: Path, stranger: int
) -> None:
    engine = Starting(None)
    engine.states = [State(True, stranger, 0, False, ""), State(False, 0, 3, False, "")]
    with pytest.raises(TrialError, match=r"ended by itself \(exit status 3\)"):
        start(engine, tree, tmp_path)


def idle(tree: HostTree, *states: State) -> Idle:
    engine = cast(Engine, MadeUpEngine(list(states)))
    return Idle(Site(engine, "image", "x", proc=tree.root / "proc", root=tree.root), ID)


def test_an_idle_container_of_another_namespace_is_refused(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.measuring.idle.containers._LAG_S", 0.0)
    in_group(tree, os.getpid(), "/init.scope")
    with pytest.raises(DockerUnavailable, match="its processes are not this host's"):
        idle(tree, State(True, os.getpid(), 0, False, ""))


def test_an_idle_container_that_was_started_again_is_found_in_its_new_process(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.measuring.idle.containers._LAG_S", 0.0)
    in_group(tree, 7, "/init.scope")
    in_group(tree, 8, f"/docker/{ID}")
    before, after = (State(True, pid, 0, False, "") for pid in (7, 8))
    assert idle(tree, before, before, after).find()
