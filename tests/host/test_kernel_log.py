"""Kills are found in the kernel's log, whatever a process calls itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.host import kernel_log
from cgbench.records.cause import OomKill

ID = "335955da7764" + "0" * 52
OWN = f"/docker/{ID}"


def line(
    out: str = f"oom_memcg={OWN}", group: str = OWN, task: str = "python3",
    constraint: str = "CONSTRAINT_MEMCG", nodemask: str = "(null)",
) -> str:  # fmt: skip
    return (
        f"oom-kill:constraint={constraint},nodemask={nodemask},cpuset={ID},mems_allowed=0,{out},"
        f"task_memcg={group},task={task},pid=9529,uid=65534"
    )


def test_a_kill_names_the_group_whose_limit_was_reached_and_that_of_the_task() -> None:
    assert kernel_log.parse(line(), 7.5) == OomKill(
        at=7.5, constraint="CONSTRAINT_MEMCG", out=OWN, group=OWN, task="python3", pid=9529
    )


def test_where_the_host_ran_out_no_group_did() -> None:
    found = kernel_log.parse(line("global_oom", constraint="CONSTRAINT_NONE", nodemask="0-1"), 1.0)
    assert found is not None
    assert (found.out, found.group, found.constraint) == (None, OWN, "CONSTRAINT_NONE")


@pytest.mark.parametrize("task", ["a,task=b", "x,pid=1,uid=0", "oom_memcg=/", "", "a b"])
def test_a_task_cannot_pass_for_another_group_by_its_name(task: str) -> None:
    found = kernel_log.parse(line(task=task), 1.0)
    assert found is not None
    assert (found.group, found.out, found.task, found.pid) == (OWN, OWN, task, 9529)


def test_what_the_log_escapes_is_plain_again() -> None:
    found = kernel_log.parse(line(task=r"a\x0ab"), 1.0)
    assert found is not None
    assert found.task == "a\nb"


@pytest.mark.parametrize("message", ["", "usb 1-1: new device", "oom-kill:constraint=", "Killed"])
def test_other_messages_tell_of_no_kill(message: str) -> None:
    assert kernel_log.parse(message, 1.0) is None


def log(tmp_path: Path, *messages: str) -> kernel_log.KernelLog:
    """Read a log of which each message was written a second after the one before."""
    path = tmp_path / "kmsg"
    path.write_text("".join(
        f"6,{at},{at * 1_000_000},-;{message}\n" for at, message in enumerate(messages, 1)
    ))  # fmt: skip
    found = kernel_log.read(path, begin=1000.0)
    assert found is not None
    return found


def test_without_a_group_a_kill_is_told_only_where_no_other_message_names_it(
    tmp_path: Path,
) -> None:
    """The kernel writes one message in parts, and others may come between."""
    killed = "Memory cgroup out of memory: Killed process 9529 (python3) total-vm:1kB"
    alone = "Out of memory: Killed process 77 (a (b) c) total-vm:1kB"
    found = log(tmp_path, line(), killed)
    assert [one.group for one in found.kills] == [OWN]
    assert kernel_log.parse(killed, 1.0) is not None
    (one,) = log(tmp_path, alone).kills
    assert (one.group, one.out, one.task, one.pid) == (None, None, "a (b) c", 77)


def test_records_carry_the_time_of_the_wall(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_text(f"6,1,2500000,-;{line()}\n SUBSYSTEM=x\n")
    found = kernel_log.read(path, begin=1000.0)
    assert found is not None
    assert found.since == 1002.5
    assert [one.at for one in found.kills] == [1002.5]


def test_a_log_that_may_not_be_read_is_none(tmp_path: Path) -> None:
    assert kernel_log.read(tmp_path / "absent") is None


def test_a_fork_that_was_refused_is_told_with_its_group(tmp_path: Path) -> None:
    said = "cgroup: fork rejected by pids controller in "
    found = log(tmp_path, "boot", f"{said}{OWN}", f"my {said}/a", f"{said}/with\\x20blank", said)
    assert [(one.at, one.group) for one in found.refusals] == [
        (1002.0, OWN), (1004.0, "/with blank"),
    ]  # fmt: skip
    assert found.kills == ()
