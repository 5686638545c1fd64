"""The probe: its loop on a simulated clock, and the program as a process on a real shared file."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench import probe
from cgbench.errors import ProbeError
from cgbench.probe import PAGE, ProbeFile, WorkerLog

relaxed = settings(deadline=None)

SCRIPT = Path(__file__).parent.parent / "workloads" / "probe.py"
MS = 1_000_000
PATIENCE_S = 20


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
    for name in ("PAGE", "MAGIC", "LAYOUT"):
        assert getattr(inside, name) == getattr(probe, name)
    assert (0, inside.RUNNING, inside.FINISHED) == (probe._ABSENT, 1, probe._FINISHED)


@given(st.integers(0, 2**40))
@relaxed
def test_both_sides_round_up_to_the_same_pages(size: int) -> None:
    assert inside.align(size) == probe._align(size)
    assert 0 <= inside.align(size) - size < PAGE
    assert inside.align(size) % PAGE == 0


def test_the_host_writes_every_word_where_the_probe_looks_for_it(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 3, 2.5, os.getuid()) as file:
        header = struct.unpack_from("<10q", file.path.read_bytes())
    assert header[0] == inside.MAGIC
    assert header[1] == inside.LAYOUT
    assert header[inside.WORKERS] == 3
    assert header[inside.BUCKETS] == 2501
    assert header[inside.STALLS] == 10_000
    assert header[inside.BUCKET_NS] == probe.BUCKET_NS
    assert header[inside.THRESHOLD_NS] == probe.THRESHOLD_NS
    assert header[inside.ITERATIONS] == probe.ITERATIONS_PER_UNIT
    assert (header[inside.T0], header[inside.STOP]) == (0, 0)


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


# The loop, on a simulated clock


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
        inside.spin(header, worker, counts, kept)
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

    def finish(self) -> tuple[WorkerLog, ...]:
        """Ask it to stop, wait, and return what its workers wrote."""
        self.file.stop()
        assert self.process.wait(PATIENCE_S) == 0
        return self.file.read()


@contextmanager
def probing(folder: Path, workers: int = 1, seconds: float = 30) -> Iterator[Probing]:
    with ProbeFile(folder / "probe", workers, seconds, os.getuid()) as file:
        started_ns = time.monotonic_ns()
        with subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), str(file.path)],
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
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
        began_ns = time.monotonic_ns()
        time.sleep(0.3)
        logs = one.finish()
        ended_ns = time.monotonic_ns()
    assert [log.worker for log in logs] == list(range(workers))
    for log in logs:
        assert one.started_ns <= log.t0_ns <= began_ns
        assert log.units.shape == (30_001,)
        busy = np.flatnonzero(log.units)
        assert log.t0_ns + busy[-1] * MS <= ended_ns
        # Most buckets of the time between hold units, also on a loaded host.
        inside_ns = log.t0_ns + busy * MS
        assert np.count_nonzero((inside_ns >= began_ns) & (inside_ns < ended_ns)) >= 30
        assert 0 < log.longest_unit_ns <= probe.THRESHOLD_NS
        assert log.stalls_lost == 0
        assert np.all(log.stall_length_ns > probe.THRESHOLD_NS)
        assert np.all(np.diff(log.stall_begin_ns) > 0)


def test_a_worker_that_is_held_up_shows_one_stall_of_that_length(tmp_path: Path) -> None:
    with probing(tmp_path) as one:
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
    # Stopping and going on again may each take a while on a loaded host.
    assert abs(begin - held_ns) < 45 * MS
    assert released_ns <= end < released_ns + 1000 * MS
    buckets = (np.array([begin, end]) - log.t0_ns) // MS
    assert not log.units[buckets[0] + 1 : buckets[1]].any()


def test_a_probe_ends_by_itself_when_its_buckets_are_full(tmp_path: Path) -> None:
    with probing(tmp_path, seconds=0.2) as one:
        assert one.process.wait(PATIENCE_S) == 0
        (log,) = one.file.read()
    assert log.units.shape == (201,)
    assert log.units.sum() > 0


def test_what_was_written_so_far_can_be_read_while_it_works(tmp_path: Path) -> None:
    with probing(tmp_path) as one:
        time.sleep(0.1)
        (early,) = one.file.read()
        time.sleep(0.1)
        (late,) = one.finish()
    assert 0 < early.units.sum() < late.units.sum()
    last = int(np.flatnonzero(early.units)[-1])
    assert np.array_equal(early.units[:last], late.units[:last])


def test_stalls_beyond_the_room_for_them_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With this threshold every unit is a stall.
    monkeypatch.setattr(probe, "THRESHOLD_NS", 1)
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
        wait_until(lambda: one.file._worker(0)[0] == inside.FINISHED)


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
