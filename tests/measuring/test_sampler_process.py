"""The sampling loop: first on a clock and files of our own, then as the process it is."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.measuring import sampler_process
from cgbench.measuring.sampler_process import GONE, HEADER, TICK_FILE

relaxed = settings(deadline=None)

LOOP = Path(sampler_process.__file__)
MS = 1_000_000
# Whatever ends by itself does so long before this; only a fault comes near.
PROMPT_S = 10
_real_write = os.write

Content = bytes | None


@dataclass
class Spool:
    """A spool read back: ticks as (number, begin, end), readings as (tick, file, content)."""

    ticks: list[tuple[int, int, int]] = field(default_factory=list)
    readings: list[tuple[int, int, Content]] = field(default_factory=list)

    @staticmethod
    def of(data: bytes) -> Spool:
        spool, offset = Spool(), 0
        while offset < len(data):
            tick, file, length = HEADER.unpack_from(data, offset)
            offset += HEADER.size
            if length == GONE:
                spool.readings.append((tick, file, None))
                continue
            content = data[offset : offset + length]
            assert len(content) == length
            offset += length
            if file == TICK_FILE:
                assert tick == len(spool.ticks)
                spool.ticks.append(struct.unpack("<qqq", content))
            else:
                spool.readings.append((tick, file, content))
        return spool

    def changes(self, file: int) -> list[Content]:
        """The contents that one file went through."""
        return [content for _, number, content in self.readings if number == file]

    def every(self, file: int) -> list[Content]:
        """The content of one file at every tick."""
        changed = {tick: content for tick, number, content in self.readings if number == file}
        contents: list[Content] = []
        for tick in range(len(self.ticks)):
            contents.append(changed.get(tick, contents[-1] if contents else None))
        return contents


# On a simulated clock


@dataclass
class World:
    """A clock that only sleeping and reading move, and files that follow a script.

    `script` has for each tick the content of every file; None is a failing read. `costs` says
    for each tick how long reading takes.
    """

    script: Sequence[Sequence[Content]]
    costs: Sequence[int]
    slow: frozenset[int] = frozenset()
    now: int = 1_000_000_000
    tick: int = -1
    stop: list[int] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    stepped_down: list[str] = field(default_factory=list)
    cpu_share: float = 0.0
    most_written: int = 1 << 30

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += round(seconds * 1e9)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        assert (size, offset) == (1 << 15, 0)
        if descriptor == 0:
            # File 0 is fast and read first: a new tick has begun.
            self.tick += 1
            self.now += self.costs[self.tick]
            if self.tick == len(self.script) - 1:
                self.stop.append(15)
        self.reads.append((self.tick, descriptor))
        content = self.script[self.tick][descriptor]
        if content is None:
            raise OSError(19, "No such device")
        return content

    def process_time(self) -> int:
        return int(self.now * self.cpu_share)

    def write(self, descriptor: int, content: bytearray) -> int:
        return _real_write(descriptor, content[: self.most_written])

    def run(self, period: int, slow_every: int, limit_s: float = 3600) -> dict[str, int]:
        """Run the loop in this world; the spool goes to `self.spool`."""
        files = [(number, number, 1 << 15) for number in range(len(self.script[0]))]
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as file:
            patch.setattr(time, "monotonic_ns", self.clock)
            patch.setattr(time, "sleep", self.sleep)
            patch.setattr(time, "process_time_ns", self.process_time)
            patch.setattr(os, "pread", self.pread)
            patch.setattr(os, "write", self.write)
            figures = sampler_process.sample(
                [entry for entry in files if entry[0] not in self.slow],
                [entry for entry in files if entry[0] in self.slow],
                file.fileno(),
                (period, slow_every, limit_s),
                self.stop,
                self.stepped_down.append,
            )
            file.seek(0)
            self.spool = Spool.of(file.read())
        return figures


contents = st.one_of(st.none(), st.sampled_from([b"", b"0\n", b"1\n"]), st.binary(max_size=40))


@given(st.lists(st.tuples(contents, contents, contents), min_size=1, max_size=60))
@relaxed
def test_every_reading_can_be_told_from_the_spool(script: list[tuple[Content, ...]]) -> None:
    world = World(script, [0] * len(script))
    figures = world.run(period=MS, slow_every=10)
    assert figures["ticks"] == len(world.spool.ticks) == len(script)
    for file in range(3):
        assert world.spool.every(file) == [contents[file] for contents in script]


@given(st.lists(st.tuples(contents), min_size=2, max_size=60))
@relaxed
def test_a_reading_is_written_only_where_it_differs(script: list[tuple[Content, ...]]) -> None:
    world = World(script, [0] * len(script))
    world.run(period=MS, slow_every=10)
    changes = world.spool.changes(0)
    assert all(one != other for one, other in pairwise(changes))


def test_what_does_not_fit_one_write_is_spooled_whole() -> None:
    script = [[bytes([number % 256]) * 5000] for number in range(200)]
    world = World(script, [0] * len(script))
    world.run(period=MS, slow_every=10)
    assert world.spool.every(0) == [contents[0] for contents in script]


def test_a_short_write_is_gone_on_with_and_tears_no_record() -> None:
    script = [[bytes([number % 256]) * 5000] for number in range(50)]
    world = World(script, [0] * len(script), most_written=777)
    world.run(period=MS, slow_every=10)
    assert world.spool.every(0) == [contents[0] for contents in script]


def test_a_sampler_that_misses_in_a_hundred_turns_in_a_row_steps_down_and_says_why() -> None:
    world = World([[b"x"]] * 150, [2 * MS] * 150)
    world.run(period=MS, slow_every=10)
    assert world.stepped_down == ["it missed a deadline in 100 turns in a row"]


def test_hold_ups_that_are_made_good_are_no_reason_to_step_down() -> None:
    # One of a second, as of a virtual machine that was stopped; then 99 misses, twice.
    costs = [1000 * MS, 0, *[2 * MS] * 99, 0, 0, *[2 * MS] * 99, 0, 0]
    world = World([[b"x"]] * len(costs), costs)
    world.run(period=MS, slow_every=10)
    assert world.stepped_down == []


@pytest.mark.parametrize(("share", "steps_down"), [(0.9, True), (0.5, False)])
def test_a_sampler_that_takes_most_of_a_cpu_steps_down(share: float, steps_down: bool) -> None:
    world = World([[b"x"]] * 1100, [MS // 2] * 1100, cpu_share=share)
    world.run(period=MS, slow_every=10)
    assert bool(world.stepped_down) == steps_down
    assert all(why == "it used more than 75% of a CPU" for why in world.stepped_down)


def test_the_brake_gives_real_time_up_once_and_keeps_the_first_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda _pid, policy, _param: asked.append(policy))
    brake = sampler_process.Brake()
    assert brake.words("SCHED_FIFO 50") == "SCHED_FIFO 50"
    brake.step_down("one")
    brake.step_down("two")
    assert asked == [os.SCHED_OTHER]
    assert brake.words("SCHED_FIFO 50") == "SCHED_FIFO 50, then SCHED_OTHER: one"


@given(costs=st.lists(st.integers(0, 5 * MS), min_size=1, max_size=60))
@relaxed
def test_deadlines_are_absolute_and_what_was_missed_is_counted_and_never_bunched(
    costs: list[int],
) -> None:
    world = World([[b"x"]] * len(costs), costs)
    figures = world.run(period=MS, slow_every=10)
    numbers = [number for number, _, _ in world.spool.ticks]
    assert len(set(numbers)) == len(numbers) == figures["ticks"]
    assert figures["missed"] == numbers[-1] - figures["ticks"]
    for number, begin, _ in world.spool.ticks:
        assert begin == figures["start_ns"] + number * MS
    for (_, begin, end), cost in zip(world.spool.ticks, costs, strict=True):
        assert end - begin == cost
    # No deadline is skipped that could have been met.
    for (number, _, end), (following, _, _) in pairwise(world.spool.ticks):
        assert following == max(number, (end - figures["start_ns"]) // MS) + 1


@given(
    costs=st.lists(st.integers(0, 3 * MS), min_size=1, max_size=80), slow_every=st.integers(1, 12)
)
@relaxed
def test_slow_files_are_read_at_the_deadlines_that_their_pace_divides(
    costs: list[int], slow_every: int
) -> None:
    world = World([[b"x", b"y"]] * len(costs), costs, slow=frozenset({1}))
    world.run(period=MS, slow_every=slow_every)
    due = [tick for tick, (number, _, _) in enumerate(world.spool.ticks) if not number % slow_every]
    assert [tick for tick, file in world.reads if file == 1] == due
    assert [tick for tick, file in world.reads if file == 0] == list(range(len(costs)))


def test_the_limit_ends_the_loop_at_its_last_deadline() -> None:
    world = World([[b"x"]] * 100, [0] * 100)
    figures = world.run(period=MS, slow_every=10, limit_s=0.05)
    assert figures["ticks"] == 50
    assert figures["wall_ns"] == 50 * MS


# As a process


@dataclass
class Running:
    """A sampler process that said it is ready."""

    process: subprocess.Popen[str]
    spool: Path
    ready: dict[str, Any]

    def finish(self) -> tuple[dict[str, Any], Spool]:
        """Wait for its figures and its end."""
        assert self.process.stdout is not None
        figures = json.loads(self.process.stdout.readline())
        assert self.process.wait(PROMPT_S) == 0
        return figures, Spool.of(self.spool.read_bytes())

    def stop(self) -> tuple[dict[str, Any], Spool]:
        """Ask it to finish, then wait."""
        self.process.terminate()
        return self.finish()


def specification(folder: Path, files: Sequence[Path | str], **changes: object) -> str:
    plain: dict[str, object] = {
        "files": [str(file) for file in files],
        "slow": [],
        "period_ns": 2 * MS,
        "slow_every": 10,
        "spool": str(folder / "spool"),
        "priority": 1,
        "limit_s": 60,
    }
    return json.dumps(plain | changes) + "\n"


@contextmanager
def sampling(folder: Path, files: Sequence[Path | str], **changes: object) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(LOOP)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(specification(folder, files, **changes))
            process.stdin.flush()
            yield Running(process, folder / "spool", json.loads(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    path = tmp_path / "counter"
    path.write_text("0000\n")
    return path


def test_it_says_what_scheduling_it_got_and_when_it_ends_what_it_did(
    tmp_path: Path, counter: Path
) -> None:
    with sampling(tmp_path, [counter]) as loop:
        time.sleep(0.3)
        figures, spool = loop.stop()
    assert loop.ready["ready"] is True
    assert loop.ready["scheduling"].startswith(("SCHED_FIFO 1", "SCHED_OTHER nice"))
    assert figures["scheduling"] == loop.ready["scheduling"]
    assert figures["ticks"] == len(spool.ticks) > 0
    assert spool.ticks[-1][0] == figures["ticks"] + figures["missed"]
    assert figures["wall_ns"] >= 0.3e9
    assert 0 < figures["cpu_ns"] < figures["wall_ns"]
    assert spool.changes(0) == [b"0000\n"]


def test_the_kernel_bounds_how_long_it_may_hold_a_cpu(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter]) as loop:
        limits = resource.prlimit(loop.process.pid, resource.RLIMIT_RTTIME)
        loop.process.send_signal(signal.SIGXCPU)
        time.sleep(0.2)
        policy = os.sched_getscheduler(loop.process.pid)
        figures, _spool = loop.stop()
    assert policy == os.SCHED_OTHER
    assert figures["scheduling"].endswith("then SCHED_OTHER: a turn took 1 s of CPU time")
    assert limits == (1_000_000, 2_000_000)


def test_no_reading_begins_before_its_deadline(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter]) as loop:
        time.sleep(0.3)
        figures, spool = loop.stop()
    for number, begin, end in spool.ticks:
        assert figures["start_ns"] + number * 2 * MS <= begin <= end


def test_a_file_that_is_rewritten_meanwhile_is_spooled_value_by_value_in_order(
    tmp_path: Path, counter: Path
) -> None:
    written = [f"{number:04}\n".encode() for number in range(31)]
    moments = {written[0]: 0}

    def rewrite() -> None:
        descriptor = os.open(counter, os.O_WRONLY)
        for value in written[1:]:
            moments[value] = time.monotonic_ns()
            os.pwrite(descriptor, value, 0)
            time.sleep(0.02)
        os.close(descriptor)

    with sampling(tmp_path, [counter]) as loop:
        thread = threading.Thread(target=rewrite)
        time.sleep(0.1)
        thread.start()
        thread.join()
        time.sleep(0.1)
        figures, spool = loop.stop()
    seen = spool.changes(0)
    # A host may keep the loop off its CPUs for longer than one value lasts; never more than that.
    assert [value for value in written if value in seen] == seen
    assert len(seen) >= len(written) - figures["missed"]
    assert seen[-1] == written[-1]
    for tick, _, value in spool.readings:
        assert value is not None
        assert spool.ticks[tick][2] >= moments[value]


def test_slow_files_are_read_at_the_slow_pace(tmp_path: Path, counter: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("0000\n")
    stop = threading.Event()

    def rewrite() -> None:
        descriptors = [os.open(path, os.O_WRONLY) for path in (counter, slow)]
        number = 0
        while not stop.wait(0.002):
            number += 1
            for descriptor in descriptors:
                os.pwrite(descriptor, f"{number:04}\n".encode(), 0)
        for descriptor in descriptors:
            os.close(descriptor)

    thread = threading.Thread(target=rewrite)
    with sampling(tmp_path, [counter, slow], slow=[1], slow_every=25) as loop:
        thread.start()
        time.sleep(0.6)
        stop.set()
        thread.join()
        _figures, spool = loop.stop()
    ticks = [tick for tick, file, _ in spool.readings if file == 1]
    assert ticks
    assert all(spool.ticks[tick][0] % 25 == 0 for tick in ticks)
    assert len(spool.changes(0)) > len(spool.changes(1))


def test_a_slow_file_may_grow(tmp_path: Path, counter: Path) -> None:
    grown = b"7:0 rbytes=1\n" * 1000
    with sampling(tmp_path, [counter], slow=[0], slow_every=1) as loop:
        time.sleep(0.1)
        counter.write_bytes(grown)
        time.sleep(0.3)
        _figures, spool = loop.stop()
    assert spool.changes(0)[-1] == grown


def test_a_file_that_cannot_be_read_any_more_is_told_once_and_the_others_go_on(
    tmp_path: Path, counter: Path
) -> None:
    # What stands in /proc for a process answers ESRCH once the process is gone, as the files of
    # a removed cgroup answer ENODEV.
    with (
        subprocess.Popen(["sleep", "60"]) as mortal,
        sampling(tmp_path, [f"/proc/{mortal.pid}/comm", counter]) as loop,
    ):
        time.sleep(0.2)
        mortal.kill()
        mortal.wait()
        counter.write_text("0001\n")
        time.sleep(0.3)
        _figures, spool = loop.stop()
    assert spool.changes(0) == [b"sleep\n", None]
    assert spool.changes(1)[-1] == b"0001\n"


def test_a_file_that_is_unlinked_keeps_what_it_said(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter]) as loop:
        time.sleep(0.1)
        counter.unlink()
        time.sleep(0.1)
        _figures, spool = loop.stop()
    assert spool.changes(0) == [b"0000\n"]


def test_it_ends_promptly_when_terminated(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter]) as loop:
        before = time.monotonic()
        loop.stop()
    assert time.monotonic() - before < PROMPT_S / 2


def test_it_ends_by_itself_at_its_limit(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter], limit_s=0.3) as loop:
        figures, spool = loop.finish()
    # On a host that was held up, the last reading comes late.
    assert spool.ticks[-2][0] < 150 <= spool.ticks[-1][0]
    assert figures["ticks"] + figures["missed"] == spool.ticks[-1][0]


def test_an_interrupt_from_the_terminal_does_not_end_it(tmp_path: Path, counter: Path) -> None:
    with sampling(tmp_path, [counter]) as loop:
        loop.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert loop.process.poll() is None
        figures, _spool = loop.stop()
    assert figures["ticks"] > 0


PARENT = """
import subprocess, sys, time
loop, specification = sys.argv[1:]
child = subprocess.Popen([sys.executable, "-I", "-S", loop], stdin=subprocess.PIPE, text=True)
child.stdin.write(specification)
child.stdin.flush()
time.sleep(600)
"""


def test_it_ends_when_its_parent_is_killed(tmp_path: Path, counter: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(LOOP), specification(tmp_path, [counter])],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert json.loads(parent.stdout.readline())["ready"]
        parent.kill()
        before = time.monotonic()
        # The pipe ends when its last writer does, and that is the loop.
        last_words = parent.stdout.read()
    assert time.monotonic() - before < PROMPT_S
    assert json.loads(last_words)["ticks"] >= 0


def test_an_absent_file_ends_it_before_it_is_ready(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LOOP)],
        input=specification(tmp_path, [absent]),
        capture_output=True,
        text=True,
        timeout=PROMPT_S,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert str(absent) in done.stderr.splitlines()[-1]


def test_it_starts_without_cgbench_and_its_libraries() -> None:
    code = f"import runpy, sys; runpy.run_path({str(LOOP)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"cgbench", "numpy", "pydantic", "subprocess"} & set(done.stdout.split())
