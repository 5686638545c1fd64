"""A probe ends by itself soon after cgbench has died."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgbench.errors import ProbeError
from cgbench.measuring import heartbeat
from cgbench.measuring.probe import ProbeFile, Task

INSIDE = Path(__file__).parents[2] / "workloads" / "probe.py"

BEATING = """
import contextlib, sys, time
from pathlib import Path
from cgbench.measuring.heartbeat import beating
with contextlib.ExitStack() as all_of_them:
    for path in sys.argv[1:]:
        all_of_them.enter_context(beating(Path(path), every_s=0.1, life_s=1))
    print("beating", flush=True)
    time.sleep(60)
"""


def _work(path: Path) -> subprocess.Popen[bytes]:
    """Start a probe. All share the last CPU: how much work they do is not tested."""
    work = subprocess.Popen(
        [sys.executable, "-I", "-S", str(INSIDE), str(path)], start_new_session=True
    )
    os.sched_setaffinity(work.pid, {max(os.sched_getaffinity(0))})
    return work


@contextlib.contextmanager
def _held(work: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a probe that would work without a pause stand still; then it goes on."""
    os.killpg(work.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(work.pid, signal.SIGCONT)


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def _counts_on(file: ProbeFile) -> None:
    """Wait until a probe has counted twice: in between it looked until when to work."""
    seen = {file._words(0).units}

    def counted() -> bool:
        seen.add(file._words(0).units)
        return len(seen) > 2

    _wait_until(counted)


TASKS = {
    "busy": Task(),
    "wake": Task("wake", pace_ns=10**6),
    "memory": Task("memory", size=2**30, pace_ns=10**8),
    "fork": Task("fork", count=2),
}


def test_the_work_goes_on_while_cgbench_lives_and_ends_soon_after_its_death(
    tmp_path: Path,
) -> None:
    paths = {name: tmp_path / name for name in TASKS}
    with contextlib.ExitStack() as ends:
        files = {
            name: ends.enter_context(ProbeFile(paths[name], 1, 60, 0, task))
            for name, task in TASKS.items()
        }
        host = ends.enter_context(
            subprocess.Popen([sys.executable, "-c", BEATING, *paths.values()],
                             stdout=subprocess.PIPE)
        )  # fmt: skip
        ends.callback(host.kill)
        assert host.stdout is not None
        assert host.stdout.readline() == b"beating\n"
        works = {}
        for name in TASKS:
            works[name] = ends.enter_context(_work(paths[name]))
            ends.callback(works[name].kill)
        _wait_until(lambda: all(file.running() for file in files.values()))
        with _held(works["busy"]):
            time.sleep(1.5)
        _counts_on(files["busy"])
        assert {name: work.poll() for name, work in works.items()} == dict.fromkeys(TASKS)
        host.kill()
        host.communicate()
        died = time.monotonic()
        with _held(works["busy"]):
            ended = {name: work.wait(30) for name, work in works.items() if name != "busy"}
        ended["busy"] = works["busy"].wait(30)
        assert ended == dict.fromkeys(TASKS, 0)
        assert time.monotonic() - died < 5


def test_another_program_keeps_its_exit_status_and_ends_soon_after_the_death(
    tmp_path: Path,
) -> None:
    def start(name: str, *command: str) -> subprocess.Popen[bytes]:
        path = tmp_path / name
        argv = heartbeat.followed(path, str(path), command)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(INSIDE), *argv[4:]], start_new_session=True
        )

    ends = start("ends", "sh", "-c", "exit 7")
    assert ends.wait(10) == 7
    # A container takes the child that watches with it; here there is none around the two.
    os.killpg(ends.pid, signal.SIGKILL)
    work = start("lasts", "sleep", "60")
    with heartbeat.beating(tmp_path / "lasts", every_s=0.1, life_s=1):
        time.sleep(2.5)
        assert work.poll() is None
    assert work.wait(5) == -signal.SIGKILL


def test_without_a_first_beat_the_work_lasts_to_its_deadline(tmp_path: Path) -> None:
    path = tmp_path / "worker"
    with ProbeFile(path, 1, 1.0, 0, TASKS["wake"]) as file:
        begin = time.monotonic()
        assert _work(path).wait(10) == 0
        assert time.monotonic() - begin > 0.9
        assert file.read()[0].units.sum() > 0


def test_the_life_is_longer_than_many_beats_and_within_ten_seconds() -> None:
    assert 5 * heartbeat._EVERY_S <= heartbeat.LIFE_S <= 9


def test_a_file_that_is_gone_or_a_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("gone", "link"):
        with (
            pytest.raises(ProbeError, match=f"cannot open .*{name}"),
            heartbeat.beating(tmp_path / name),
        ):
            pass
