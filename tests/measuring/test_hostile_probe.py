"""A container may write anything to its probe file (finding 9): its trial fails, nothing else."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cgbench.errors import ProbeError, ProbeSilent
from cgbench.measuring import probe
from cgbench.measuring.probe import BUCKET_NS, PAGE, ProbeFile, Task, WorkerLog

WORKERS, BUCKETS = 2, 101
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
ODD = (LARGEST, SMALLEST, -1, 0, 1, 2, 255, 2**31, 2**32, 2**53, -(2**32), 10**18)
STATE, PID, SEEN, UNITS, LONGEST, STARTS, HELD, MOST, CHILDREN, REFUSALS, ERRNO, SKIPPED = range(12)
CENSORED, LATE = 12, 13
T0, STOP = 8, 9


class Written:
    """A probe file with what two workers of kind spin wrote, and ways to change it."""

    def __init__(self, file: ProbeFile) -> None:
        self.file = file
        # As if the workers had spun for 30 ms until now.
        self.now_ns = time.monotonic_ns()
        file._made_ns = self.now_ns - 50 * BUCKET_NS
        self.t0 = file._made_ns + 10 * BUCKET_NS
        self.word(T0, self.t0)
        self.size = file.path.stat().st_size
        for number in range(WORKERS):
            units = np.full(30, 200 + number, np.uint32)
            stalls = [self.t0 + 2 * BUCKET_NS, 300_000, self.t0 + 5 * BUCKET_NS, 400_000]
            words = [2, 7, 2, int(units.sum()), 5000, 1, 0, 0, 0, 0, 0, 0, 0, 0]
            self.write(self.base(number), struct.pack("<14q", *words))
            self.write(self.base(number) + PAGE, units.tobytes())
            self.write(self.stalls(number), struct.pack("<4q", *stalls))

    def base(self, number: int) -> int:
        return PAGE + number * self.file._stride

    def stalls(self, number: int) -> int:
        return self.base(number) + PAGE + probe._align(4 * BUCKETS)

    def write(self, offset: int, content: bytes) -> None:
        with self.file.path.open("r+b") as raw:
            raw.seek(offset)
            raw.write(content)

    def word(self, index: int, value: int, offset: int = 0) -> None:
        self.write(offset + 8 * index, struct.pack("<q", value))

    def own(self, index: int, value: int) -> None:
        self.word(index, value, self.base(1))

    def stall(self, index: int, value: int) -> None:
        self.word(index, value, self.stalls(1))

    def bucket(self, index: int, value: int) -> None:
        self.write(self.base(1) + PAGE + 4 * index, struct.pack("<I", value))

    def cut(self, size: int) -> None:
        os.truncate(self.file.path, size)

    def noise(self, generator: random.Random) -> None:
        """Write something random to random places, or cut the file off."""
        for _ in range(generator.choice((1, 1, 1, 2, 5, 40))):
            # Most of the file is room for stalls that nobody reads.
            regions = (0, self.base(0), self.base(1), self.base(1) + PAGE, self.stalls(0))
            place = generator.choice(regions) + 8 * generator.randrange(16)
            how = generator.randrange(4)
            if how == 0:
                self.word(0, generator.choice(ODD), place)
            elif how == 1:
                self.write(place, generator.randbytes(generator.randrange(1, 2000)))
            elif how == 2:
                self.word(0, time.monotonic_ns() + generator.randrange(-(10**12), 10**12), place)
            else:
                self.cut(generator.randrange(self.size))
                if generator.random() < 0.5:
                    self.cut(self.size)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with ProbeFile(tmp_path / "worker", WORKERS, 0.1, os.getuid()) as file:
        yield Written(file)


def attempt(file: ProbeFile) -> tuple[WorkerLog, ...] | ProbeError:
    """Do with a file what a trial does."""
    try:
        file.running()
        file.stop()
        return file.read()
    except ProbeError as error:
        return error


def is_true(log: WorkerLog, true: WorkerLog) -> bool:
    """Say whether a log has the figures that were written before the file was changed."""
    return (
        log.t0_ns == true.t0_ns
        and log.tally == true.tally
        and log.stalls_lost == true.stalls_lost
        and np.array_equal(log.units, true.units)
        and np.array_equal(log.stall_begin_ns, true.stall_begin_ns)
        and np.array_equal(log.stall_length_ns, true.stall_length_ns)
        and 0 <= log.longest_unit_ns <= probe.THRESHOLD_NS
    )


def test_what_a_probe_wrote_is_read_as_it_was_written(written: Written) -> None:
    logs = attempt(written.file)
    assert not isinstance(logs, ProbeError)
    assert [int(log.units.sum()) for log in logs] == [6000, 6030]
    assert [log.stall_length_ns.tolist() for log in logs] == [[300_000, 400_000]] * 2
    assert {log.t0_ns for log in logs} == {written.t0}


def test_a_thousand_random_contents_crash_nothing_and_give_no_false_figure(tmp_path: Path) -> None:
    refused = 0
    for seed in range(1000):
        with ProbeFile(tmp_path / "worker", WORKERS, 0.1, os.getuid()) as file:
            written = Written(file)
            true = file.read()
            written.noise(random.Random(seed))
            found = attempt(file)
            if isinstance(found, ProbeError):
                refused += 1
                assert found.message.startswith(("the probe file of worker ", "worker "))
            else:
                assert all(map(is_true, found, true)), f"seed {seed}: {found}"
    assert refused > 500


CHOSEN: dict[str, tuple[Callable[[Written], None], str]] = {
    "cut to nothing": (lambda one: one.cut(0), "was cut off"),
    "cut in the header": (lambda one: one.cut(40), "was cut off"),
    "cut behind the header": (lambda one: one.cut(PAGE), "was cut off"),
    "cut in a worker's words": (lambda one: one.cut(one.base(1) + 20), "was cut off"),
    "cut in its buckets": (lambda one: one.cut(one.base(1) + PAGE + 9), "was cut off"),
    "cut in its stalls": (lambda one: one.cut(one.stalls(1) + 9), "was cut off"),
    "another layout": (lambda one: one.word(1, 99), "word 1 of its header is 99"),
    "more workers": (lambda one: one.word(2, 2**40), "word 2 of its header"),
    "longer buckets": (lambda one: one.word(5, 2_000_000), "word 5 of its header"),
    "a higher threshold": (lambda one: one.word(6, 10**9), "word 6 of its header"),
    "another kind": (lambda one: one.word(10, 3), "word 10 of its header"),
    "a stop of its own": (lambda one: one.word(STOP, 1), "asked to stop too early"),
    "a begin of never": (lambda one: one.word(T0, 0), "began outside the trial"),
    "a begin in the future": (lambda one: one.word(T0, LARGEST), "began outside the trial"),
    "a begin before time": (lambda one: one.word(T0, SMALLEST), "began outside the trial"),
    "a begin before the trial": (
        lambda one: one.word(T0, one.file._made_ns - 1), "began outside the trial"
    ),
    "an unknown state": (lambda one: one.own(STATE, 3), "its state is 3"),
    "stalls seen below nothing": (lambda one: one.own(SEEN, -1), "number of stalls is -1"),
    "the fewest stalls": (lambda one: one.own(SEEN, SMALLEST), "number of stalls is -9"),
    "the most stalls": (lambda one: one.own(SEEN, LARGEST), "number of stalls is 9"),
    "more stalls than there are": (lambda one: one.own(SEEN, 3), "a stall began outside"),
    "a unit over the threshold": (lambda one: one.own(LONGEST, 200_001), "longest unit is 200001"),
    "no start": (lambda one: one.own(STARTS, 0), "number of starts is 0"),
    "memory that nobody asked for": (lambda one: one.own(HELD, 4096), "memory held is 4096"),
    "negative refusals": (lambda one: one.own(REFUSALS, -5), "number of refusals is -5"),
    "requests without any": (lambda one: one.own(CENSORED, 1), "unanswered requests is 1"),
    "late without requests": (lambda one: one.own(LATE, 1), "number of late requests is 1"),
    "skipped for ages": (lambda one: one.own(SKIPPED, LARGEST), "skipped deadlines is 9"),
    "more units than counted": (lambda one: one.bucket(3, 900), "have 6729 units, and its count"),
    "the most units": (lambda one: one.bucket(3, 2**32 - 1), "4294967295 units were done in a"),
    "units of the future": (lambda one: one.bucket(100, 5), "units were done after it was read"),
    "a stall before the trial": (lambda one: one.stall(0, one.t0 - 1), "a stall began outside"),
    "a stall that goes on": (lambda one: one.stall(3, 10**12), "a stall ended outside"),
    "a stall that ended before": (lambda one: one.stall(1, -1), "a stall ended outside"),
    "a stall below the threshold": (lambda one: one.stall(1, 200_000), "shorter than 200001 ns"),
    "the longest stall": (lambda one: one.stall(1, LARGEST), "a stall ended outside"),
    "stalls that overlap": (lambda one: one.stall(1, 4 * BUCKET_NS), "not in the order"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHOSEN)
def test_a_chosen_content_is_refused_with_its_reason(
    written: Written, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, reason = CHOSEN[change]
    # On a slow host too, what lies ahead is read before it has come.
    monkeypatch.setattr(time, "monotonic_ns", lambda: written.now_ns)
    act(written)
    found = attempt(written.file)
    assert isinstance(found, ProbeError)
    assert "the probe file of worker was damaged by its container: " in found.message
    assert reason in found.message


def test_a_worker_that_takes_its_word_back_never_began(written: Written) -> None:
    written.own(STATE, 0)
    assert isinstance(attempt(written.file), ProbeSilent)


def test_a_file_that_grew_costs_nothing(written: Written) -> None:
    written.cut(2**40)
    assert not isinstance(attempt(written.file), ProbeError)


def test_figures_of_a_task_are_held_to_that_task(tmp_path: Path) -> None:
    tasks = (
        (Task("memory", size=5000), MOST, 8192, "most memory held is 8193"),
        (Task("fork", count=3), CHILDREN, 3, "number of children is 4"),
    )
    for task, index, most, reason in tasks:
        with ProbeFile(tmp_path / "worker", WORKERS, 0.1, os.getuid(), task) as file:
            written = Written(file)
            for number in range(WORKERS):
                written.word(SEEN, 0, written.base(number))
            written.own(index, most)
            assert not isinstance(attempt(file), ProbeError)
            written.own(index, most + 1)
            assert reason in str(attempt(file))


def test_the_most_is_written_a_moment_after_what_is_held(tmp_path: Path) -> None:
    """Seen beside load: a reader between the two words called the file damaged."""
    with ProbeFile(
        tmp_path / "worker", WORKERS, 0.1, os.getuid(), Task("memory", size=5000)
    ) as file:
        written = Written(file)
        for number in range(WORKERS):
            written.word(SEEN, 0, written.base(number))
        written.own(HELD, 4096)
        written.own(MOST, 0)
        tallies = [one.tally for one in file.read()]
    assert (4096, 4096) in [(one.bytes_held, one.bytes_held_most) for one in tallies]


# Requests

PACE, TIMEOUT = 2 * BUCKET_NS, 5 * BUCKET_NS


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[Written]:
    """A file in which one worker noted ten requests: seven right answers, two failures, one that
    was unanswered at the stop.
    """
    task = Task("request", count=4, pace_ns=PACE, timeout_ns=TIMEOUT)
    with ProbeFile(tmp_path / "worker", WORKERS, 0.1, os.getuid(), task) as file:
        written = Written(file)
        lengths = [100, 200, 0, 400, 500, 600, 0, 800, 900, 1000]
        for number in range(WORKERS):
            units = np.zeros(30, np.uint32)
            units[3] = 7
            words = [2, 7, 10, 7, BUCKET_NS, 1, 0, 0, 0, 2, 111, 0, 1, 3]
            written.write(written.base(number), struct.pack("<14q", *words))
            written.write(written.base(number) + PAGE, units.tobytes())
            for at, length in enumerate(lengths):
                due = written.t0 + at * PACE
                written.write(written.stalls(number) + 16 * at, struct.pack("<2q", due, length))
        yield written


def test_requests_are_read_as_they_were_written(requests: Written) -> None:
    logs = attempt(requests.file)
    assert not isinstance(logs, ProbeError)
    tally = logs[1].tally
    assert (tally.failed, tally.last_failure) == (2, "connection refused")
    assert (tally.unanswered, tally.late) == (1, 3)
    assert logs[1].stall_length_ns.tolist()[:4] == [100, 200, 0, 400]
    assert logs[1].longest_unit_ns == BUCKET_NS


def test_a_reason_that_no_prober_gives_is_unknown(requests: Written) -> None:
    requests.own(ERRNO, LARGEST)
    logs = attempt(requests.file)
    assert not isinstance(logs, ProbeError)
    assert logs[1].tally.last_failure == "unknown"


IMPOSSIBLE: dict[str, tuple[Callable[[Written], None], str]] = {
    "due before the trial": (lambda one: one.stall(0, one.t0 - 1), "due outside the trial"),
    "due in the future": (lambda one: one.stall(18, 2**62), "due outside the trial"),
    "an answer before": (lambda one: one.stall(1, -2), "answered outside the trial"),
    "an answer of the future": (lambda one: one.stall(19, 2**40), "answered outside the trial"),
    "after its timeout": (lambda one: one.stall(1, TIMEOUT), "5000000 ns after it was due"),
    "too close": (lambda one: one.stall(2, one.t0 + PACE - 1), "less than 2000000 ns apart"),
    "too far": (lambda one: one.stall(18, one.t0 + 9 * PACE + 1), "more than 2000000 ns apart"),
    "a failure more": (lambda one: one.stall(1, 0), "3 failed and 7 did not"),
    "one that still waits": (lambda one: one.stall(1, -1), "2 failed and 7 did not"),
    "a failure less": (lambda one: one.stall(5, 7), "1 failed and 9 did not"),
    "unanswered ones more": (lambda one: one.own(CENSORED, 2), "its counts say 2 and 9"),
    "more than there can be": (lambda one: one.own(SEEN, 22), "number of stalls is 22"),
    "late for ages": (lambda one: one.own(LONGEST, 2**50), "longest unit is 11258999"),
    "later than there are": (lambda one: one.own(LATE, 10**6), "late requests is 1000000"),
    "fewer than none": (lambda one: one.own(CENSORED, -1), "unanswered requests is -1"),
    "a longer timeout": (lambda one: one.word(17, 2**40), "word 17 of its header"),
}  # fmt: skip


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_requests_that_cannot_be_are_refused_with_the_reason(
    requests: Written, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, reason = IMPOSSIBLE[change]
    monkeypatch.setattr(time, "monotonic_ns", lambda: requests.now_ns)
    act(requests)
    assert reason in str(attempt(requests.file))


def test_a_new_life_may_leave_a_gap_and_waiting_requests_and_only_one_for_each(
    requests: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: requests.now_ns)
    requests.stall(18, requests.t0 + 9 * PACE + 777)
    requests.stall(17, -1)
    requests.own(STARTS, 2)
    logs = attempt(requests.file)
    assert not isinstance(logs, ProbeError)
    # It was due longer ago than any may wait.
    assert logs[1].stall_length_ns[8] == 0
    requests.stall(16, requests.t0 + 8 * PACE + 5)
    assert "more than 2000000 ns apart" in str(attempt(requests.file))


def test_no_content_of_a_probers_file_crashes_its_reader(tmp_path: Path, requests: Written) -> None:
    true = requests.file.read()
    whole = requests.file.path.read_bytes()
    refused = 0
    for seed in range(300):
        requests.cut(len(whole))
        requests.write(0, whole)
        requests.file._stopped = False
        requests.noise(random.Random(seed))
        found = attempt(requests.file)
        refused += isinstance(found, ProbeError)
        if not isinstance(found, ProbeError):
            assert [one.t0_ns for one in found] == [one.t0_ns for one in true]
            assert all((one.stall_length_ns >= 0).all() for one in found)
            assert all((np.diff(one.stall_begin_ns) >= PACE).all() for one in found)
    assert refused > 150
