"""`cgbench why` reads what Docker and the kernel still hold, also of a container that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from cgbench.commands.why import Sources, why
from cgbench.engine.engine import Engine
from cgbench.errors import DockerUnavailable, EngineError
from cgbench.records.cause import Cause, Explained, What
from cgbench.records.watch import Mark
from tests.made.containers import PID, STARTED, Daemon, Host, identity


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def explained(host: Host, daemon: Daemon, name: str = "web", begin: float = 0.0) -> Explained:
    sources = Sources(host.root / "proc", host.root, host.root / "kmsg", begin)
    return why(name, cast(Engine, daemon), 0.0, sources, sleep=lambda _: None)


def killed(host: Host, at: float) -> None:
    group = f"/docker/{identity(PID)}"
    host.write(
        "kmsg",
        f"6,1,0,-;boot\n6,2,{at * 1e6:.0f},-;oom-kill:constraint=CONSTRAINT_MEMCG,"
        f"nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={group},task_memcg={group},"
        "task=sh,pid=9,uid=0\n",
    )


def test_one_that_ended_for_its_memory_limit(host: Host) -> None:
    daemon = Daemon(web={})
    daemon.states["web"] = "exited"
    daemon.ends["web"] = {"exit_code": 137, "finished": STARTED + 10}
    daemon.happens("die", "web", STARTED + 10, exitCode="137")
    killed(host, STARTED + 9.9)
    found = explained(host, daemon)
    assert [(one.what, one.level) for one in found.causes] == [(What.KILLED, "container")]
    assert found.unknown == ()


def test_one_that_runs_is_looked_at_on_every_level(host: Host) -> None:
    daemon = Daemon(web={})
    host.group(PID, memory_events="max 0\noom_kill 1")
    host.write("sys/fs/cgroup/docker/cpu.stat", "usage_usec 1\nnr_periods 10\nnr_throttled 9\n")
    host.write(f"proc/{PID}/status", "Uid:\t1000\t1000\nThreads:\t5\nCapEff:\t0000000000000000\n")
    host.write(f"proc/{PID}/limits", "Max processes             5          7       processes\n")
    host.write("proc/77/status", "Uid:\t1000\t1000\nThreads:\t2\nCapEff:\t0000000000000000\n")
    killed(host, STARTED - 500)
    found = explained(host, daemon)
    assert [(one.what, one.level, one.limit) for one in found.causes] == [
        (What.CHILD_KILLED, "none", "memory"),
        (What.THROTTLED, "container", "cpus"),
        (What.THROTTLED, "ancestor", "cpus"),
        (What.FORK_REFUSED, "none", "pids"),
        (What.FORK_REFUSED, "user", "processes-of-user"),
    ]
    assert "there are 7: 5 in it, 2 elsewhere" in found.causes[-1].reason


def test_one_that_was_removed_is_known_by_what_docker_remembers(host: Host) -> None:
    daemon = Daemon(web={})
    for at, action in enumerate(("start", "die", "destroy")):
        daemon.happens(action, "web", STARTED + at, exitCode="3")
    del daemon.configs["web"]
    found = explained(host, daemon)
    assert [one.what for one in found.causes] == [What.EXIT, What.REMOVED]
    assert (found.name, found.state) == ("web", "removed")


def test_a_name_of_two_that_were_removed_is_refused(host: Host) -> None:
    daemon = Daemon(web={}, web2={})
    daemon.happens("die", "web")
    daemon.events.append(
        daemon.events[0].model_copy(update={"container_id": daemon.identities["web2"]})
    )
    daemon.configs.clear()
    with pytest.raises(EngineError, match="no container called web"):
        explained(host, daemon)


def test_one_that_docker_forgot_is_known_by_what_watch_kept(host: Host) -> None:
    cause = Cause(what=What.KILLED, limit="memory", level="container", reason="its own")
    kept = [Mark(kind="ended", at="2026-01-01", id="ab" * 32, name="old", cause=cause)]
    sources = Sources(host.root / "proc", host.root, host.root / "kmsg", 0.0)
    engine = cast(Engine, Daemon(web={}))
    found = why("old", engine, 0.0, sources, marks=kept)
    assert (found.state, [one.what for one in found.causes]) == ("removed", [What.KILLED])
    twice = [*kept, kept[0].model_copy(update={"id": "cd" * 32})]
    with pytest.raises(EngineError, match="no container called old"):
        why("old", engine, 0.0, sources, marks=twice)


def test_a_name_that_nobody_remembers_is_refused(host: Host) -> None:
    with pytest.raises(EngineError, match="no container called wob"):
        explained(host, Daemon(web={}), "wob")


def test_a_process_that_is_another_ones_here_is_refused(host: Host) -> None:
    daemon = Daemon(web={})
    host.write(f"proc/{PID}/cgroup", "0::/user.slice/somebody\n")
    with pytest.raises(DockerUnavailable, match="not this host's"):
        explained(host, daemon)


def test_one_that_ends_while_it_is_read_is_explained_by_its_end(host: Host) -> None:
    daemon = Daemon(web={})
    daemon.ends["web"] = {"exit_code": 3, "finished": STARTED + 1}

    before = daemon.past

    def past(container_id: str) -> object:
        found = before(container_id)
        daemon.states["web"] = "exited"
        return found

    daemon.past = past  # type: ignore[method-assign,assignment]
    found = explained(host, daemon)
    assert [one.what for one in found.causes] == [What.EXIT]
