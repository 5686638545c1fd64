"""The sampler's process, started and stopped; one that hangs is not waited for."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from cgbench.errors import SamplerError
from cgbench.measuring.readings import Target
from cgbench.measuring.sampler import Sampler
from cgbench.measuring.sampler_process import TICK
from cgbench.spec.experiment import Sampling
from tests.measuring.test_readings import MS, PERIOD, TEN_TO_ONE, column, cpu_stat


def sampler(folder: Path, *targets: Target, limit_s: float = 60) -> Sampler:
    return Sampler(targets, Sampling(fast_hz=200, slow_hz=20), folder / "spool", limit_s)


def loops() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if any("sampler_process" in word for word in child.cmdline())
    ]


def test_a_run_of_the_sampler_gives_columns_and_figures(tmp_path: Path) -> None:
    limit, usage = tmp_path / "cpu.max", tmp_path / "cpu.stat"
    limit.write_text("max 100000\n")
    usage.write_bytes(cpu_stat(100))
    target = Target("worker", limit, text=True)
    running = sampler(tmp_path, target, Target("worker", usage, slow=True))
    running.start()
    time.sleep(0.3)
    requested = time.monotonic_ns()
    # In place, as the kernel does: the sampler keeps its files open.
    with limit.open("r+b") as file:
        file.write(b"5000 10000")
    time.sleep(0.3)
    readings, figures = running.stop()
    history = readings.history(limit, requested - PERIOD, time.monotonic_ns())
    assert history is not None
    assert history.texts == ("max 100000", "5000 10000")
    assert abs(history.readings[1].t_ns - requested) < 250 * MS
    texts = column(readings, "worker", "cpu.max")
    assert texts[0] == "max 100000"
    assert texts[-1] == "5000 10000"
    assert set(column(readings, "worker", "cpu.stat:nr_throttled")) == {50, None}
    assert np.all(readings.begin_ns >= readings.deadline_ns)
    assert np.all(readings.end_ns >= readings.begin_ns)
    assert figures.ticks == len(readings.begin_ns)
    assert figures.requested_hz == 200
    assert 0 < figures.achieved_hz <= 201
    assert 0 <= figures.late_p50_us <= figures.late_p99_us <= figures.late_max_us
    assert 0 < figures.cpu_pct < 100
    assert figures.files == 2
    assert figures.scheduling.startswith("SCHED_")
    assert not loops()


def test_a_sampler_that_cannot_open_a_file_does_not_start(tmp_path: Path) -> None:
    absent = Target("worker", tmp_path / "absent")
    with pytest.raises(SamplerError, match=r"did not start: FileNotFoundError: .*absent") as caught:
        sampler(tmp_path, absent).start()
    assert caught.value.advice
    assert not loops()


def test_a_sampler_without_room_for_its_spool_says_so(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    running = Sampler(
        [Target("worker", tmp_path / "cpu.max", text=True)], TEN_TO_ONE, Path("/dev/full"), 60
    )
    running.start()
    time.sleep(0.1)
    with pytest.raises(SamplerError, match=r"did not finish: .*No space left"):
        running.stop()
    assert not loops()


def test_a_sampler_that_was_killed_says_that_it_did_not_finish(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    running = sampler(tmp_path, Target("worker", tmp_path / "cpu.max", text=True))
    running.start()
    (loop,) = loops()
    loop.kill()
    with pytest.raises(SamplerError, match="the sampler did not finish: no answer"):
        running.stop()
    assert not loops()


def test_a_sampler_that_had_no_time_says_that_it_took_no_sample(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    running = sampler(tmp_path, Target("worker", tmp_path / "cpu.max"), limit_s=0)
    running.start()
    with pytest.raises(SamplerError, match="took no sample"):
        running.stop()


def test_a_sampler_that_was_stopped_is_killed_after_a_while_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    target = Target("worker", tmp_path / "cpu.max", text=True)
    running = Sampler([target], TEN_TO_ONE, tmp_path / "spool", 60)
    running.start()
    running._patience_s = 0.5
    (loop,) = loops()
    os.kill(loop.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(
        SamplerError, match=r"did not finish within 0\.5 s and was killed"
    ) as caught:
        running.stop()
    assert caught.value.advice
    assert time.monotonic() - began < 5
    assert not loops()


def test_a_sampler_that_never_gets_ready_is_killed_after_a_while(tmp_path: Path) -> None:
    # Nobody writes to the pipe, so opening it never ends.
    os.mkfifo(tmp_path / "pipe")
    running = Sampler(
        [Target("worker", tmp_path / "pipe")], TEN_TO_ONE, tmp_path / "spool", 60, patience_s=0.5
    )
    with pytest.raises(SamplerError, match=r"did not start within 0\.5 s and was killed"):
        running.start()
    assert not loops()


def test_closing_a_stopped_process_does_not_wait_for_it(tmp_path: Path) -> None:
    running = sampler(tmp_path)
    running.start()
    (loop,) = loops()
    os.kill(loop.pid, signal.SIGSTOP)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 5
    assert not loops()


def test_closing_ends_the_process_and_may_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    running = sampler(tmp_path, Target("worker", tmp_path / "cpu.max", text=True))
    running.close()
    running.start()
    assert len(loops()) == 1
    running.close()
    running.close()
    assert not loops()


def test_stopping_what_never_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SamplerError, match="never started"):
        sampler(tmp_path).stop()


def test_sampling_without_any_file_still_keeps_the_time(tmp_path: Path) -> None:
    running = sampler(tmp_path)
    running.start()
    time.sleep(0.1)
    readings, figures = running.stop()
    assert figures.ticks == len(readings.begin_ns) > 0
    assert (tmp_path / "spool").stat().st_size == TICK.size * figures.ticks


def test_a_sampler_for_which_there_is_no_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none_left)
    none = sampler(tmp_path)
    with pytest.raises(SamplerError, match="did not start: Resource temporarily unavailable"):
        none.start()
    none.close()
