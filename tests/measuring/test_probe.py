"""The probe: its loops on a simulated clock, and the program as a process on a real shared file."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import sub
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import ProbeError
from cgbench.measuring import probe, probe_checks
from cgbench.measuring.probe import PAGE, ProbeFile, Tally, Task, WorkerLog
from cgbench.spec.workload import ProbeKind

relaxed = settings(deadline=None)

SCRIPT = Path(__file__).parents[2] / "workloads" / "probe.py"
MS = 1_000_000
PATIENCE_S = 20
ATTEMPTS = 10


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("probe_in_the_container", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


inside = imported(SCRIPT)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


# Both sides


def test_both_sides_agree_on_the_layout() -> None:
    for name in ("PAGE", "MAGIC", "LAYOUT", "KINDS"):
        assert getattr(inside, name) == getattr(probe, name)
    assert (0, inside.RUNNING, inside.FINISHED) == (
        probe._ABSENT,
        probe_checks.RUNNING,
        probe_checks.FINISHED,
    )


@given(st.integers(0, 2**40))
@relaxed
def test_both_sides_round_up_to_the_same_pages(size: int) -> None:
    assert inside.align(size) == probe._align(size)
    assert 0 <= inside.align(size) - size < PAGE
    assert inside.align(size) % PAGE == 0


def test_the_host_writes_every_word_where_the_probe_looks_for_it(tmp_path: Path) -> None:
    task = Task(
        "fork", size=2**33, count=7, pace_ns=5 * MS, spread=True, waits=True, timeout_ns=9 * MS
    )
    with ProbeFile(tmp_path / "probe", 3, 2.5, os.getuid(), task) as file:
        header = struct.unpack_from("<18q", file.path.read_bytes())
        file.release()
        released = struct.unpack_from("<18q", file.path.read_bytes())
    assert header[0] == inside.MAGIC
    assert header[1] == inside.LAYOUT
    assert header[inside.WORKERS] == 3
    assert header[inside.BUCKETS] == 2501
    assert header[inside.STALLS] == 10_000
    assert header[inside.BUCKET_NS] == probe.BUCKET_NS
    assert header[inside.THRESHOLD_NS] == probe.THRESHOLD_NS
    assert header[inside.ITERATIONS] == probe.ITERATIONS_PER_UNIT
    assert (header[inside.T0], header[inside.STOP]) == (0, 0)
    assert inside.KINDS[header[inside.KIND]] == "fork"
    assert header[inside.SIZE] == 2**33
    assert (header[inside.COUNT], header[inside.PACE_NS]) == (7, 5 * MS)
    assert (header[inside.UNTIL], header[inside.SPREAD]) == (0, 1)
    assert (header[inside.WAITS], released[inside.WAITS]) == (1, 0)
    assert released[: inside.WAITS] == header[: inside.WAITS]
    assert released[inside.TIMEOUT_NS] == header[inside.TIMEOUT_NS] == 9 * MS


def test_without_a_task_the_probe_spins_and_each_kind_has_a_pace_of_its_own(
    tmp_path: Path,
) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid()) as file:
        assert file.task == Task("spin")
    paces = [Task(kind, size=1, count=1).pace for kind in probe.KINDS]
    assert paces == [0, MS, 0, 0, MS, 0, MS]
    assert Task("request", count=3).connections == 3


@pytest.mark.parametrize("kind", ["wake", "request"])
def test_there_is_room_for_every_wake_up_and_request(tmp_path: Path, kind: ProbeKind) -> None:
    task = Task(kind, count=1, pace_ns=100_000)
    with ProbeFile(tmp_path / "probe", 1, 10, os.getuid(), task) as file:
        header = struct.unpack_from("<16q", file.path.read_bytes())
    assert header[inside.STALLS] >= 100_000


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        (lambda: Task("memory"), "needs a size"),
        (lambda: Task("wake", pace_ns=0), "cannot keep a pace of 0"),
        (lambda: Task("request", count=1, pace_ns=10_000), "cannot keep a pace of 10 µs"),
        (lambda: Task("request"), "needs connections, and time for an answer"),
        (lambda: Task("request", count=1, timeout_ns=0), "needs connections, and time for an"),
        (lambda: Task("end", count=256), "no process can end with the status 256"),
        (lambda: Task("fork", count=-1), "cannot be negative"),
        (lambda: Task("memory", size=-1), "cannot be negative"),
        (lambda: Task("wake", pace_ns=-MS), "cannot be negative"),
    ],
)
def test_a_task_that_cannot_be_done_is_refused(task: Callable[[], Task], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        task()


# The file


def test_the_file_is_the_owners_alone_and_its_pages_are_there(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 2, 10, os.getuid()) as file:
        status = file.path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_uid == os.getuid()
    assert status.st_blocks * 512 >= status.st_size


def test_the_file_is_gone_afterwards_whatever_happened(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ProbeFile(tmp_path / "probe", 1, 1, os.getuid()):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_already_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "probe").write_text("precious")
    with pytest.raises(ProbeError, match=r"cannot make .*probe: File exists"):
        ProbeFile(tmp_path / "probe", 1, 1, os.getuid())
    assert (tmp_path / "probe").read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"cannot make .*absent/probe: No such file"):
        ProbeFile(tmp_path / "absent" / "probe", 1, 1, os.getuid())


def test_a_file_too_large_leaves_nothing_behind_and_says_how_large(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        with pytest.raises(ProbeError, match=r"cannot make .* of \d+ bytes: File too large") as no:
            ProbeFile(tmp_path / "probe", 1, 1, os.getuid())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert no.value.advice is not None
    assert "/dev/shm" in no.value.advice
    assert not list(tmp_path.iterdir())


def test_a_worker_that_never_began_is_an_error(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 2, 1, os.getuid()) as file:
        assert not file.running()
        with pytest.raises(ProbeError, match="worker 0 of the probe never began"):
            file.read()


# The loops, on a simulated clock


@dataclass
class Spun:
    """What the loop left behind in its memory."""

    buckets: list[int]
    stalls: list[tuple[int, int]]
    seen: int
    units: int
    longest: int
    state: int


def spin(times: Sequence[int], buckets: int, stalls: int, *, stop_from: int | None = None) -> Spun:
    """Run the loop with a clock that says `times`; t0 is 0, a bucket 1000 and a stall over 300."""
    header = memoryview(bytearray(PAGE)).cast("q")
    header[inside.BUCKET_NS], header[inside.THRESHOLD_NS] = 1000, 300
    worker = memoryview(bytearray(PAGE)).cast("q")
    counts = memoryview(bytearray(4 * buckets)).cast("I")
    kept = memoryview(bytearray(16 * stalls)).cast("q")
    ahead = iter(times)

    def clock() -> int:
        now = next(ahead)
        if stop_from is not None and now >= stop_from:
            header[inside.STOP] = 1
        return now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic_ns", clock)
        inside.work(inside.Worker(0, header, worker, counts, kept), inside.spin)
    pairs = list(kept)
    return Spun(
        list(counts),
        [pair for pair in zip(pairs[::2], pairs[1::2], strict=True) if pair[1]],
        worker[inside.STALLS_SEEN],
        worker[inside.UNITS],
        worker[inside.LONGEST_UNIT],
        worker[inside.STATE],
    )


@given(
    gaps=st.lists(st.one_of(st.integers(1, 299), st.integers(300, 2500)), min_size=1, max_size=80),
    first=st.integers(0, 1500),
    capacity=st.integers(1, 6),
)
@relaxed
def test_units_and_stalls_are_those_that_a_naive_count_finds(
    gaps: list[int], first: int, capacity: int
) -> None:
    buckets = 20
    times = [first]
    for gap in [*gaps, buckets * 1000]:
        times.append(times[-1] + gap)
    end = next(index for index, now in enumerate(times) if now >= buckets * 1000)
    spun = spin(times, buckets, capacity)
    # The unit that ends in a bucket counts there; the one that leaves the last bucket nowhere.
    counted = [0] * buckets
    for now in times[1:end]:
        counted[now // 1000] += 1
    assert spun.buckets == counted
    assert spun.units == sum(counted) == end - 1
    lengths = [(one, two - one) for one, two in pairwise(times[: end + 1])]
    stalls = [(begin, length) for begin, length in lengths if length > 300]
    assert spun.seen == len(stalls)
    assert spun.stalls == stalls[:capacity]
    assert spun.longest == max((length for _, length in lengths if length <= 300), default=0)
    assert spun.state == inside.FINISHED


def test_the_loop_looks_at_the_stop_word_once_per_bucket() -> None:
    spun = spin(range(0, 20_000, 100), 20, 1, stop_from=2500)
    assert spun.buckets[:4] == [9, 10, 10, 0]
    assert spun.units == 29
    assert spun.state == inside.FINISHED


class Sandbox:
    """A worker with its memory in this process, and a clock that moves only when told."""

    def __init__(self, *, buckets: int, pace: int = 0, count: int = 0) -> None:
        header = memoryview(bytearray(PAGE)).cast("q")
        header[inside.BUCKET_NS], header[inside.THRESHOLD_NS] = 1000, 300
        header[inside.PACE_NS], header[inside.COUNT] = pace, count
        self.worker = inside.Worker(
            0,
            header,
            memoryview(bytearray(PAGE)).cast("q"),
            memoryview(bytearray(4 * buckets)).cast("I"),
            memoryview(bytearray(16 * 300)).cast("q"),
        )
        self.now = 0

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def stalls(self) -> list[tuple[int, int]]:
        kept = list(self.worker.stalls)[: 2 * self.worker.words[inside.STALLS_SEEN]]
        return list(zip(kept[::2], kept[1::2], strict=True))

    def word(self, index: int) -> int:
        return int(self.worker.words[index])


@given(
    late=st.lists(st.integers(0, 5000), min_size=20, max_size=60),
    pace=st.integers(100, 2000),
)
@relaxed
def test_every_deadline_is_either_a_wake_up_or_skipped(late: list[int], pace: int) -> None:
    box = Sandbox(buckets=20, pace=pace)
    lateness = iter(late)

    def sleep(seconds: float) -> None:
        box.sleep(seconds)
        box.now += next(lateness, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic_ns", box.clock)
        patch.setattr(time, "sleep", sleep)
        inside.wake(box.worker)
    stalls = box.stalls()
    deadlines = [deadline for deadline, _ in stalls]
    assert all(deadline % pace == 0 for deadline in deadlines)
    assert all(one < two for one, two in pairwise(deadlines))
    assert all(lateness >= 0 for _, lateness in stalls)
    # Never bunched up: each deadline lies after the wake-up before it.
    assert all(one + lateness < two for (one, lateness), (two, _) in pairwise(stalls))
    assert box.word(inside.SKIPPED) + len(stalls) == deadlines[-1] // pace
    # The one that ended it came after the last bucket.
    assert box.word(inside.UNITS) == sum(box.worker.buckets) == len(stalls) - 1


def test_the_first_refusal_in_a_row_is_noted_with_its_time_and_all_are_counted() -> None:
    box = Sandbox(buckets=10, pace=1000, count=50)
    outcomes = iter("+--+-++---")

    def fork() -> int:
        if next(outcomes) == "-":
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return 4711

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic_ns", box.clock)
        patch.setattr(time, "sleep", box.sleep)
        patch.setattr(os, "fork", fork)
        patch.setattr(os, "waitpid", lambda pid, options: (0, 0))
        with pytest.raises(StopIteration):
            inside.fork(box.worker)
    assert list(box.worker.buckets) == [1, 0, 0, 1, 0, 1, 1, 0, 0, 0]
    assert box.stalls() == [(1000, 0), (4000, 0), (7000, 0)]
    assert box.word(inside.REFUSALS) == 6
    assert box.word(inside.LAST_ERRNO) == errno.EAGAIN
    assert box.word(inside.CHILDREN) == 4


# The program


@dataclass
class Probing:
    """A probe at work on a shared file."""

    process: subprocess.Popen[str]
    file: ProbeFile
    started_ns: int

    def pids(self) -> list[int]:
        """Return the workers' process ids, as they wrote them themselves."""
        workers, buckets, stalls = struct.unpack_from("<3q", self.file.path.read_bytes(), 16)
        stride = PAGE + inside.align(4 * buckets) + inside.align(16 * stalls)
        memory = self.file.path.read_bytes()
        return [
            struct.unpack_from("<5q", memory, PAGE + number * stride)[inside.PID]
            for number in range(workers)
        ]

    def units(self) -> int:
        """Return how many units its first worker has done so far."""
        return int(self.file.read()[0].units.sum())

    def buckets(self) -> list[int]:
        """Return how many buckets each worker has done a unit in so far."""
        return [int(np.count_nonzero(log.units)) for log in self.file.read()]

    def skipped(self) -> int:
        """Return how many deadlines its first worker has skipped so far."""
        return self.file.read()[0].tally.deadlines_skipped or 0

    def finish(self) -> tuple[WorkerLog, ...]:
        """Ask it to stop, wait, and return what its workers wrote."""
        self.file.stop()
        assert self.process.wait(PATIENCE_S) == 0
        return self.file.read()


def command(file: ProbeFile, *more: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(SCRIPT), str(file.path), *map(str, more)]


@contextmanager
def probing(
    folder: Path,
    workers: int = 1,
    seconds: float = 30,
    task: Task | None = None,
    more: Sequence[Path] = (),
) -> Iterator[Probing]:
    with ProbeFile(folder / "probe", workers, seconds, os.getuid(), task) as file:
        started_ns = time.monotonic_ns()
        with subprocess.Popen(command(file, *more), stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_until(file.running)
                yield Probing(process, file, started_ns)
            finally:
                # Workers are not our children: they stop by the file.
                file.stop()
                process.wait(PATIENCE_S)


@pytest.mark.parametrize("workers", [1, 2])
def test_units_are_counted_in_the_buckets_of_their_time(tmp_path: Path, workers: int) -> None:
    with probing(tmp_path, workers) as one:
        began_ns, begun = time.monotonic_ns(), one.buckets()
        # On a loaded host that takes the longer.
        wait_until(lambda: min(map(sub, one.buckets(), begun)) > 100)
        logs = one.finish()
        ended_ns = time.monotonic_ns()
    assert [log.worker for log in logs] == list(range(workers))
    for log in logs:
        assert one.started_ns <= log.t0_ns <= began_ns
        assert log.units.shape == (30_001,)
        busy = np.flatnonzero(log.units)
        assert log.t0_ns + busy[-1] * MS <= ended_ns
        inside_ns = log.t0_ns + busy * MS
        assert np.count_nonzero((inside_ns >= began_ns) & (inside_ns < ended_ns)) >= 100
        assert 0 < log.longest_unit_ns <= probe.THRESHOLD_NS
        assert log.stalls_lost == 0
        assert np.all(log.stall_length_ns > probe.THRESHOLD_NS)
        assert np.all(np.diff(log.stall_begin_ns) > 0)


def test_a_worker_that_is_held_up_shows_one_stall_of_that_length(tmp_path: Path) -> None:
    """On a loaded host it may wait for its turn when it is stopped: then it is stopped again."""
    for attempt in range(ATTEMPTS):
        (folder := tmp_path / str(attempt)).mkdir()
        with probing(folder) as one:
            (pid,) = one.pids()
            time.sleep(0.05)
            held_ns = time.monotonic_ns()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)
            released_ns = time.monotonic_ns()
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.05)
            (log,) = one.finish()
        ends = log.stall_begin_ns + log.stall_length_ns
        middle = (held_ns + released_ns) // 2
        around = np.flatnonzero((log.stall_begin_ns < middle) & (ends > middle))
        assert len(around) == 1
        begin, end = log.stall_begin_ns[around[0]], ends[around[0]]
        assert released_ns <= end < released_ns + 1000 * MS
        buckets = (np.array([begin, end]) - log.t0_ns) // MS
        assert not log.units[buckets[0] + 1 : buckets[1]].any()
        if abs(begin - held_ns) < 45 * MS:
            return
    pytest.fail(f"in {ATTEMPTS} of {ATTEMPTS} it stalled, by far, at another time")


@pytest.mark.parametrize("spread", [True, False])
def test_workers_keep_to_a_cpu_each_of_those_that_the_first_process_is_offered(
    tmp_path: Path, spread: bool
) -> None:
    every = os.sched_getaffinity(0)
    with probing(tmp_path, 3, task=Task(spread=spread)) as one:

        def shared_out(offered: set[int]) -> bool:
            # Not spread, a worker keeps what it was born with, whatever its parent gets.
            cpus = sorted(offered)
            wanted = [{cpus[number % len(cpus)]} if spread else every for number in range(3)]
            return [os.sched_getaffinity(pid) for pid in one.pids()] == wanted

        for offered in (every, {min(every)}, every):
            os.sched_setaffinity(one.process.pid, offered)
            wait_until(partial(shared_out, offered))
        assert os.sched_getaffinity(one.process.pid) == every


def test_a_probe_ends_by_itself_when_its_buckets_are_full(tmp_path: Path) -> None:
    with probing(tmp_path, seconds=0.2) as one:
        assert one.process.wait(PATIENCE_S) == 0
        (log,) = one.file.read()
    assert log.units.shape == (201,)
    assert log.units.sum() > 0


def test_what_was_written_so_far_can_be_read_while_it_works(tmp_path: Path) -> None:
    with probing(tmp_path) as one:
        wait_until(lambda: one.units() > 0)
        (early,) = one.file.read()
        wait_until(lambda: one.units() > early.units.sum())
        (late,) = one.finish()
    assert 0 < early.units.sum() < late.units.sum()
    last = int(np.flatnonzero(early.units)[-1])
    assert np.array_equal(early.units[:last], late.units[:last])


def test_stalls_beyond_the_room_for_them_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With this threshold every unit is a stall.
    monkeypatch.setattr(probe, "THRESHOLD_NS", 1)
    monkeypatch.setattr(probe_checks, "SHORTEST_PACE_NS", 1)
    monkeypatch.setattr(probe, "STALLS_PER_SECOND", 1)
    with probing(tmp_path) as one:
        wait_until(lambda: one.file.read()[0].stalls_lost > 0)
        (log,) = one.finish()
    assert len(log.stall_begin_ns) == len(log.stall_length_ns) == 1024
    assert log.stalls_lost > 0
    assert np.all(np.diff(log.stall_begin_ns) > 0)


def test_a_killed_worker_ends_the_probe_with_128_and_its_signal(tmp_path: Path) -> None:
    with probing(tmp_path, workers=2) as one:
        os.kill(one.pids()[1], signal.SIGKILL)
        assert one.process.wait(PATIENCE_S) == 128 + signal.SIGKILL
        # In a container the other worker ends with the first process; here it wants to be told.
        one.file.stop()
        wait_until(lambda: one.file._words(0).state == inside.FINISHED)


@pytest.mark.parametrize("word", [0, 1])
def test_a_file_of_another_kind_or_layout_is_refused(tmp_path: Path, word: int) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid()) as file:
        with file.path.open("r+b") as raw:
            raw.seek(8 * word)
            raw.write(struct.pack("<q", 4711))
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(SCRIPT), str(file.path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"probe: {file.path} has magic")
    assert "Traceback" not in done.stderr


def test_the_probe_needs_nothing_but_the_standard_library() -> None:
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    top = {name.partition(".")[0] for name in done.stdout.split()}
    assert top <= set(sys.stdlib_module_names) | {"__main__"}


# Its other kinds


def refused(file: ProbeFile, *more: Path) -> str:
    """Run a probe that ends at once with a complaint, and return that."""
    done = subprocess.run(
        command(file, *more), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("probe: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_kind_that_this_probe_does_not_know_is_refused(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid()) as file:
        with file.path.open("r+b") as raw:
            raw.seek(8 * inside.KIND)
            raw.write(struct.pack("<q", len(inside.KINDS)))
        assert "no kind has the number 7" in refused(file)


def test_a_sleeper_wakes_up_about_as_often_as_it_was_told(tmp_path: Path) -> None:
    begin = time.monotonic()
    with probing(tmp_path, task=Task("wake", pace_ns=2 * MS)) as one:
        # On a loaded host it may miss most of them.
        wait_until(lambda: one.units() >= 50 and one.units() + one.skipped() >= 450)
        (log,) = one.finish()
    most = 500 * (time.monotonic() - begin) + 1
    assert log.kind == "wake"
    skipped = log.tally.deadlines_skipped
    assert skipped is not None
    assert 450 <= log.units.sum() + skipped <= most
    assert log.units.sum() >= 50
    assert log.stall_length_ns.min() >= 0
    # Every wake-up is there but the one that saw the stop.
    assert 0 <= len(log.stall_begin_ns) - log.units.sum() <= 1
    assert np.all(np.diff(log.stall_begin_ns) % (2 * MS) == 0)
    assert np.percentile(log.stall_length_ns, 5) < MS


def test_a_sleeper_that_is_held_up_skips_the_deadlines_that_passed(tmp_path: Path) -> None:
    with probing(tmp_path, task=Task("wake")) as one:
        (pid,) = one.pids()
        time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)
        held_ns = time.monotonic_ns()
        time.sleep(0.2)
        released_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)
        (log,) = one.finish()
    skipped = log.tally.deadlines_skipped
    assert skipped is not None
    assert skipped >= 198
    worst = int(np.argmax(log.stall_length_ns))
    assert log.stall_begin_ns[worst] <= held_ns + MS
    assert log.stall_begin_ns[worst] + log.stall_length_ns[worst] >= released_ns
    assert log.stall_length_ns[worst] >= 198 * MS


def status_bytes(pid: int, key: str, file: str = "status") -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(key)


@pytest.mark.parametrize("size", [24 * 2**20, 5 * PAGE, 1])
def test_memory_is_held_and_is_the_workers_own_to_the_page(tmp_path: Path, size: int) -> None:
    whole = inside.align(size)
    with probing(tmp_path, task=Task("memory", size=size)) as one:
        wait_until(lambda: one.file.read()[0].tally.bytes_held == whole)
        (pid,) = one.pids()
        held = status_bytes(pid, "RssAnon")
        huge = status_bytes(pid, "AnonHugePages", "smaps_rollup")
        wait_until(lambda: one.file.read()[0].units.sum() > 0)
        (before,) = one.file.read()
        wait_until(lambda: one.file.read()[0].units.sum() > before.units.sum())
        (log,) = one.finish()
    assert log.tally.bytes_held == log.tally.bytes_held_most == whole
    # The interpreter itself takes some.
    assert whole <= held < whole + 12 * 2**20
    assert huge == 0
    assert log.tally.deadlines_skipped is None
    assert log.units.sum() > before.units.sum(), "it goes on touching what it holds"


def test_memory_grows_no_faster_than_its_pace(tmp_path: Path) -> None:
    chunks = 5
    task = Task("memory", size=chunks * inside.CHUNK, pace_ns=30 * MS)
    with probing(tmp_path, task=task) as one:
        wait_until(lambda: one.file.read()[0].tally.bytes_held == task.size)
        elapsed_ns = time.monotonic_ns() - one.file.read()[0].t0_ns
        (log,) = one.finish()
    assert elapsed_ns >= (chunks - 1) * task.pace
    grown = np.cumsum(log.units)
    pages = inside.CHUNK // PAGE
    when = [int(np.argmax(grown >= number * pages)) for number in range(1, chunks + 1)]
    assert all(two - one >= 1 for one, two in pairwise(when))
    assert when[-1] - when[0] >= (chunks - 2) * task.pace // MS


def test_a_file_is_made_as_large_as_asked_and_read_again_and_again(tmp_path: Path) -> None:
    file, size = tmp_path / "file", 3 * 2**20 + 5000
    with probing(tmp_path, task=Task("cache", size=size), more=[file]) as one:
        wait_until(lambda: one.file.read()[0].units.sum() > 3 * size // PAGE)
        (log,) = one.finish()
    assert file.stat().st_size == size
    assert file.stat().st_blocks * 512 >= size
    assert log.units.max() <= 10 * size // PAGE
    assert log.tally == Tally()


def test_a_file_that_is_large_enough_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"precious" * 1000)
    with probing(tmp_path, task=Task("cache"), more=[file]) as one:
        wait_until(lambda: one.file.read()[0].units.sum() > 10)
        (log,) = one.finish()
    assert file.read_bytes() == b"precious" * 1000
    # 8000 bytes are two pages each time.
    assert log.units.sum() % 2 == 0


def test_a_file_is_completed_where_an_earlier_attempt_ended(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"begun")
    with probing(tmp_path, task=Task("cache", size=100_000), more=[file]) as one:
        one.finish()
    assert file.read_bytes()[:5] == b"begun"
    assert file.stat().st_size == 100_000


def test_a_file_that_would_fill_its_disk_is_refused_with_the_numbers(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid(), Task("cache", size=2**60)) as file:
        said = refused(file, tmp_path / "file")
    assert f"of {2**60} bytes needs more than 90 % of the" in said
    assert (tmp_path / "file").stat().st_size == 0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["file"], "file is empty, and no size is given"),
        (["absent/file"], "cannot make .*: No such file or directory"),
        ([], "needs the path of a file"),
    ],
)
def test_a_file_that_cannot_be_made_is_refused_with_the_reason(
    tmp_path: Path, more: list[str], complaint: str
) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid(), Task("cache")) as file:
        assert re.search(complaint, refused(file, *(tmp_path / name for name in more)))


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_forker_has_as_many_children_as_wanted_and_replaces_one_that_died(
    tmp_path: Path,
) -> None:
    with probing(tmp_path, task=Task("fork", count=5)) as one:
        (pid,) = one.pids()
        wait_until(lambda: one.file.read()[0].tally.children == 5)
        children = children_of(pid)
        assert len(children) == 5
        os.kill(children[0], signal.SIGKILL)
        wait_until(lambda: int(one.file.read()[0].units.sum()) == 6)
        wait_until(lambda: one.file.read()[0].tally.children == 5)
        children = children_of(pid)
        (log,) = one.finish()
    assert (log.tally.refusals, log.tally.last_refusal) == (0, None)
    assert len(log.stall_begin_ns) == 0
    wait_until(lambda: not any(alive(child) for child in children))


def test_children_die_with_a_forker_that_is_killed(tmp_path: Path) -> None:
    with probing(tmp_path, task=Task("fork", count=4)) as one:
        (pid,) = one.pids()
        wait_until(lambda: one.file.read()[0].tally.children == 4)
        children = children_of(pid)
        os.kill(pid, signal.SIGKILL)
        assert one.process.wait(PATIENCE_S) == 128 + signal.SIGKILL
        wait_until(lambda: not any(alive(child) for child in children))


@pytest.mark.parametrize("status", [0, 3])
def test_a_life_ends_with_the_status_asked_for_and_the_next_goes_on_in_the_same_file(
    tmp_path: Path, status: int
) -> None:
    task = Task("end", count=status, pace_ns=50 * MS)
    with ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file:
        t0 = set()
        for life in (1, 2):
            done = subprocess.run(command(file), timeout=PATIENCE_S, check=False)
            assert done.returncode == status
            (log,) = file.read()
            t0.add(log.t0_ns)
            assert log.tally.starts == log.units.sum() == len(log.stall_begin_ns) == life
    assert len(t0) == 1
    assert np.all(log.stall_length_ns >= 50 * MS)
    assert log.stall_begin_ns[1] >= log.stall_begin_ns[0] + log.stall_length_ns[0]


def test_a_life_that_waits_ends_after_its_release_and_the_next_one_by_itself(
    tmp_path: Path,
) -> None:
    task = Task("end", count=3, pace_ns=50 * MS, waits=True)
    with ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file:
        with subprocess.Popen(command(file)) as first:
            wait_until(file.running)
            time.sleep(0.2)
            assert first.poll() is None
            released_ns = time.monotonic_ns()
            file.release()
            assert first.wait(PATIENCE_S) == 3
        assert subprocess.run(command(file), timeout=PATIENCE_S, check=False).returncode == 3
        (log,) = file.read()
    assert log.tally.starts == log.units.sum() == len(log.stall_begin_ns) == 2
    assert log.stall_begin_ns[0] + log.stall_length_ns[0] >= released_ns + 50 * MS
    assert log.stall_length_ns[0] >= 250 * MS


@pytest.mark.parametrize("ending", ["its host dies", "its host asks"])
def test_a_life_that_is_never_released_ends_all_the_same(tmp_path: Path, ending: str) -> None:
    task = Task("end", pace_ns=1 * MS, waits=True)
    with (
        ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file,
        subprocess.Popen(command(file)) as life,
    ):
        wait_until(file.running)
        if ending == "its host asks":
            file.stop()
        else:
            with file.path.open("r+b") as header:
                header.seek(8 * inside.UNTIL)
                header.write(struct.pack("<q", 1))
        assert life.wait(PATIENCE_S) == 0


def test_a_release_by_the_container_itself_is_found_out(tmp_path: Path) -> None:
    task = Task("end", pace_ns=1 * MS, waits=True)
    with ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file:
        with file.path.open("r+b") as header:
            header.seek(8 * inside.WAITS)
            header.write(struct.pack("<q", 0))
        subprocess.run(command(file), timeout=PATIENCE_S, check=True)
        with pytest.raises(ProbeError, match="word 16 of its header is 0, not 1"):
            file.read()


def test_a_container_that_waits_again_after_its_release_is_found_out(tmp_path: Path) -> None:
    task = Task("end", pace_ns=1 * MS, waits=True)
    with ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file:
        file.release()
        subprocess.run(command(file), timeout=PATIENCE_S, check=True)
        file.read()
        with file.path.open("r+b") as header:
            header.seek(8 * inside.WAITS)
            header.write(struct.pack("<q", 1))
        with pytest.raises(ProbeError, match="word 16 of its header is 1, not 0"):
            file.read()


def test_a_life_leaves_the_file_that_it_was_asked_for(tmp_path: Path) -> None:
    left = tmp_path / "left"
    task = Task("end", size=100_000, pace_ns=1 * MS)
    with ProbeFile(tmp_path / "probe", 1, 30, os.getuid(), task) as file:
        subprocess.run([*command(file), str(left)], timeout=PATIENCE_S, check=True)
    assert left.stat().st_size == 100_000


def test_a_spinner_that_is_started_again_adds_to_what_it_had(tmp_path: Path) -> None:
    with probing(tmp_path) as one:
        wait_until(lambda: one.units() > 0)
        os.kill(one.pids()[0], signal.SIGKILL)
        one.process.wait(PATIENCE_S)
        (first,) = one.file.read()
        with subprocess.Popen(command(one.file)) as again:
            wait_until(lambda: one.file.read()[0].tally.starts == 2)
            wait_until(lambda: one.units() > first.units.sum())
            one.file.stop()
            assert again.wait(PATIENCE_S) == 0
        (second,) = one.file.read()
    assert second.t0_ns == first.t0_ns
    last = int(np.flatnonzero(first.units)[-1])
    assert np.array_equal(second.units[: last + 1], first.units[: last + 1])
    assert second.units.sum() > first.units.sum()
