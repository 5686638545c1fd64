"""`cgbench watch` marks what changed, says what happened just before, and outlasts its daemon."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cgbench.commands import audit, happenings, tolls
from cgbench.commands import watch as watching
from cgbench.commands.audit import Place
from cgbench.commands.chosen import Wanted
from cgbench.commands.watch import Watch
from cgbench.engine.engine import Engine
from cgbench.errors import EngineError
from cgbench.host import systemd
from cgbench.records.audit import Audited, Found
from cgbench.records.cause import Cause, Explained, What
from cgbench.records.watch import Mark
from tests.made.containers import MIB, PID, Daemon, Host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host without systemd, on which nobody waits for what Docker tells."""
    monkeypatch.setattr(happenings, "_TOLD_S", 0.0)
    monkeypatch.setattr(watching, "_RETRY_S", 0.0)
    monkeypatch.setattr(systemd, "reloaded_s", lambda: None)
    monkeypatch.setattr(watching, "why", lambda *_: pytest.fail("not asked for"))
    return Host(tmp_path)


@pytest.fixture
def daemon(host: Host) -> Daemon:
    host.group(PID, pids_max="50", memory_max=str(64 * MIB), cpu_max="50000 100000")
    return Daemon(web={"PidsLimit": 50, "Memory": 64 * MIB, "NanoCpus": 500_000_000})


def watched(host: Host, daemon: Daemon, *names: str, every_s: float = 0.0) -> Watch:
    def connect() -> Engine:
        return cast(Engine, daemon)

    place = Place(host.root / "proc", host.root)
    return Watch(Wanted(names), connect, place, every_s=every_s)


@pytest.fixture
def watch(host: Host, daemon: Daemon) -> Iterator[Watch]:
    with watched(host, daemon) as made:
        made.look()
        yield made
    assert daemon.closed >= 1


def test_a_reading_has_what_is_used_and_what_may_be(watch: Watch) -> None:
    (one,) = watch.look().readings
    assert (one.cpus_limit, one.memory_limit, one.tasks_limit) == (0.5, 64 * MIB, 50)
    assert (one.memory_bytes, one.tasks, one.kills) == (MIB, 1, 1)
    assert one.cpus == 0.0


def test_use_is_what_grew_between_two_looks(watch: Watch, host: Host) -> None:
    watch.look()
    host.path(PID, "cpu.stat").write_text(
        "usage_usec 5100000\nnr_periods 110\nnr_throttled 30\nthrottled_usec 5000"
    )
    time.sleep(0.1)
    (one,) = watch.look().readings
    assert one.throttled_pct == 50
    assert one.cpus is not None
    assert 0 < one.cpus < 1.1
    (still,) = watch.look().readings
    assert still.cpus == 0, "what did not change used nothing"


def used(host: Host, ms: int) -> None:
    host.path(PID, "cpu.stat").write_text(
        f"usage_usec {5_000_000 + 1000 * ms}\nnr_periods 110\nnr_throttled 30\nthrottled_usec 5000"
    )


def test_looks_much_closer_than_agreed_give_no_rate(host: Host, daemon: Daemon) -> None:
    with watched(host, daemon, every_s=0.4) as watch:
        used(host, 50)
        (one,) = watch.look().readings
        assert (one.cpus, one.throttled_pct) == (None, None)
        time.sleep(0.25)
        (one,) = watch.look().readings
        assert one.cpus == 0


def test_a_rate_is_over_the_time_between_both_readings_of_the_counter(
    host: Host, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first one and the first look a container is judged, which takes its time."""
    judged = audit.audited

    def slowly(*arguments: Any) -> list[Audited]:
        found = judged(*arguments)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(audit, "audited", slowly)
    with watched(host, daemon) as watch:
        used(host, 100)
        (one,) = watch.look().readings
    assert one.cpus is not None
    assert 0 < one.cpus <= 0.5


def test_a_foreign_writer_is_told_with_what_is_declared(watch: Watch, host: Host) -> None:
    host.path(PID, "pids.max").write_text("40\n")
    (mark,) = watch.look().marks
    assert (mark.kind, mark.name, mark.limit, mark.before, mark.after) == (
        "changed", "web", "pids", "50", "40",
    )  # fmt: skip
    assert mark.path == str(host.path(PID, "pids.max"))
    assert mark.just_before is None
    assert mark.finding is Found.DIFFERS
    look = watch.look()
    assert look.marks == ()
    assert look.readings[0].tasks_limit == 40


def test_what_is_not_as_it_says_at_the_first_look_is_told_once(host: Host) -> None:
    host.group(PID, pids_max="40")
    with watched(host, Daemon(web={"PidsLimit": 50})) as watch:
        (mark,) = watch.look().marks
        assert (mark.kind, mark.limit, mark.finding) == ("differs", "pids", Found.DIFFERS)
        assert mark.path == str(host.path(PID, "pids.max"))
        assert watch.look().marks == ()


def test_an_update_of_docker_is_told_as_one(watch: Watch, host: Host, daemon: Daemon) -> None:
    host.path(PID, "pids.max").write_text("60\n")
    daemon.configs["web"] = {"PidsLimit": 60, "Memory": 64 * MIB, "NanoCpus": 500_000_000}
    daemon.happens("update", "web", time.time())
    (mark,) = watch.look().marks
    assert (mark.just_before or "").startswith("docker update, 0.")
    assert mark.finding is Found.IN_FORCE


def test_what_docker_did_long_ago_or_to_another_is_not_what_changed_it(
    watch: Watch, host: Host, daemon: Daemon
) -> None:
    daemon.happens("update", "web", time.time() - 60)
    host.path(PID, "pids.max").write_text("40\n")
    (mark,) = watch.look().marks
    assert mark.just_before is None


def test_a_group_above_that_changes_is_told_and_whom_it_binds(watch: Watch, host: Host) -> None:
    host.write("sys/fs/cgroup/docker/pids.max", "20\n")
    with watched(host, Daemon(web={"PidsLimit": 50})) as again:
        assert {mark.kind for mark in again.look().marks} == {"differs"}
        host.write("sys/fs/cgroup/docker/pids.max", "10\n")
        marks = again.look().marks
    assert [(one.name, one.limit, one.before, one.after) for one in marks] == [
        ("web", "pids", "20.0", "10.0"), ("", None, "20", "10"),
    ]  # fmt: skip
    assert marks[0].finding is Found.TIGHTER_ABOVE


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 3\n", "killed"),
        ("pids.events", "max 9\n", "refused"),
    ],
)
def test_kills_and_refused_forks_are_explained_at_once(
    watch: Watch, host: Host, monkeypatch: pytest.MonkeyPatch, file: str, text: str, kind: str
) -> None:
    asked: list[object] = []

    def why(name: str, *_: object) -> object:
        asked.append(name)
        raise EngineError("nobody knows")

    monkeypatch.setattr(watching, "why", why)
    host.path(PID, file).write_text(text)
    (mark,) = watch.look().marks
    assert mark.kind == kind
    assert mark.reason.startswith("2 ")
    assert mark.reason.endswith("nobody knows")
    assert len(asked) == 1


def test_what_happens_every_second_is_told_once_a_minute_with_how_often(
    host: Host, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why(*_: object) -> object:
        raise EngineError("nobody knows")

    monkeypatch.setattr(watching, "why", why)
    now = [1_000_000.0]
    place = Place(host.root / "proc", host.root)
    with Watch((Wanted()), lambda: cast(Engine, daemon), place, lambda: now[0]) as watch:
        marks: list[Mark] = []
        for second in range(131):
            now[0] += 1
            host.path(PID, "pids.events").write_text(f"max {7 + 2 * second}\n")
            marks += watch.look().marks
        assert [one.reason for one in marks] == [
            "2 forks refused: nobody knows",
            "120 forks refused since 13:46:42: nobody knows",
            "120 forks refused since 13:47:42: nobody knows",
        ]
        daemon.states["web"] = "exited"
        daemon.happens("die", "web", time.time(), exitCode="3")
        marks = list(watch.look().marks)
    assert [(one.kind, one.reason) for one in marks] == [
        ("refused", "18 forks refused since 13:48:42"), ("ended", "nobody knows"),
    ]  # fmt: skip


def test_a_refused_fork_is_explained_by_nothing_else(
    watch: Watch, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = Cause(what=What.FROZEN, level="none", reason="it is paused")
    refused = Cause(what=What.FORK_REFUSED, limit="pids", level="container", reason="50 of 50")
    for number, (causes, said) in enumerate(
        (((paused, refused), "50 of 50"), ((paused,), "nothing is known of why")), 1
    ):
        found = Explained(id="a", name="web", state="paused", causes=causes)
        monkeypatch.setattr(watching, "why", lambda *_, found=found: found)
        monkeypatch.setattr(tolls, "AGAIN_S", 0.0)
        host.path(PID, "pids.events").write_text(f"max {7 + number}\n")
        (mark,) = watch.look().marks
        assert mark.reason.endswith(f": {said}")


def test_marks_of_one_look_are_in_order_of_time(
    host: Host, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stamped while causes are looked for; here, each one before the last."""
    now = itertools.count(2000, -1)
    with watched(host, daemon) as watch:
        watch.look()
        monkeypatch.setattr(watch, "_wall", lambda: next(now))
        host.path(PID, "pids.max").write_text("40\n")
        host.path(PID, "memory.max").write_text("4096\n")
        marks = watch.look().marks
    assert len(marks) == 2
    assert [one.at for one in marks] == sorted(one.at for one in marks)


def test_who_ends_and_comes_is_told(
    watch: Watch, host: Host, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why(*_: object) -> object:
        raise EngineError("it ended by itself")

    monkeypatch.setattr(watching, "why", why)
    daemon.states["web"] = "exited"
    daemon.happens("die", "web", time.time(), exitCode="3")
    look = watch.look()
    assert [(one.kind, one.reason) for one in look.marks] == [("ended", "it ended by itself")]
    assert look.readings[0].state == "exited"
    daemon.states["web"] = "running"
    daemon.happens("start", "web", time.time())
    look = watch.look()
    assert [one.kind for one in look.marks] == ["came"]
    assert look.readings[0].tasks_limit == 50
    daemon.happens("destroy", "web", time.time())
    assert watch.look().readings == ()


def test_while_the_daemon_is_away_changes_are_seen_and_told_so(
    watch: Watch, host: Host, daemon: Daemon
) -> None:
    daemon.away = True
    daemon.feed.broken = "the stream broke"
    assert [one.kind for one in watch.look().marks] == ["daemon gone"]
    host.path(PID, "pids.max").write_text("40\n")
    (mark,) = watch.look().marks
    assert (mark.before, mark.after, mark.finding) == ("50", "40", None)
    assert "Docker does not answer" in mark.reason
    daemon.away = False
    assert [one.kind for one in watch.look().marks] == ["daemon back"]
    host.path(PID, "pids.max").write_text("30\n")
    (mark,) = watch.look().marks
    assert mark.just_before == "Docker's daemon was started anew"
    assert mark.finding is Found.DIFFERS


def test_a_group_that_vanishes_before_docker_says_so_has_ended_and_is_no_change(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files that are open stay readable in an ordinary directory, as they do not in a cgroup.
    (one,) = watch._seen.values()
    monkeypatch.setattr(one.group, "look", lambda: None)
    look = watch.look()
    assert look.marks == ()
    assert [(one.name, one.state) for one in look.readings] == [("web", "ended")]


def test_a_name_that_nobody_has_is_told_at_once(host: Host, daemon: Daemon) -> None:
    with (
        pytest.raises(EngineError, match="no container called wob"),
        watched(host, daemon, "web", "wob"),
    ):
        pass


def test_a_label_that_nobody_has_is_told_at_once_and_its_containers_may_come_and_go(
    host: Host, daemon: Daemon
) -> None:
    def labelled(label: str) -> Watch:
        return Watch(Wanted(labels=[label]), lambda: cast(Engine, daemon),
                     Place(host.root / "proc", host.root))  # fmt: skip

    daemon.labels["web"] = {"tier": "front"}
    with (
        pytest.raises(EngineError, match="no running container has the label tear"),
        labelled("tear"),
    ):
        pass
    with labelled("tier") as watch:
        daemon.states["web"] = "exited"
        daemon.feed.broken = "the stream broke"
        watch.look()
        assert watch.look().readings == (), "none is left, and the daemon is there again"


def test_a_name_is_not_taken_for_the_beginning_of_anothers_identity(
    host: Host, daemon: Daemon
) -> None:
    both = Daemon(web={}, **{"0a": {}})
    host.group(PID + 1)
    assert both.identities["web"].startswith("0a")
    with watched(host, both, "0a") as watch:
        assert [one.name for one in watch.look().readings] == ["0a"]
    with watched(host, both, "0a0a") as watch:
        assert [one.name for one in watch.look().readings] == ["web"]


def test_a_named_container_is_known_again_by_its_name(host: Host, daemon: Daemon) -> None:
    with watched(host, daemon, "web") as watch:
        assert [one.name for one in watch.look().readings] == ["web"]
