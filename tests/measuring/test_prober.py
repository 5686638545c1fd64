"""The prober as a process, on real connections to a service that behaves in every way."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cgbench.errors import ProbeSilent
from cgbench.measuring.probe import ProbeFile, Tally, Task, WorkerLog
from tests.made.inside import FOLDER, inside
from tests.made.service import ANSWERS, Service, Stalls, bound, serving

probe = inside("probe")

MS = 1_000_000
S = 1000 * MS
PATIENCE_S = 60


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def task(pace_ns: int = 5 * MS, connections: int = 8, timeout_ns: int = 30 * S) -> Task:
    return Task("request", count=connections, pace_ns=pace_ns, timeout_ns=timeout_ns)


@dataclass
class Probing:
    """A prober at work on a shared file."""

    process: subprocess.Popen[str]
    file: ProbeFile

    def log(self) -> WorkerLog:
        """Return what its only worker wrote so far; what it cannot have written is an error."""
        (log,) = self.file.read()
        return log

    def seen(self, what: Callable[[WorkerLog], bool]) -> WorkerLog:
        """Wait until what it wrote is so."""
        wait_until(lambda: what(self.log()))
        return self.log()

    def pid(self) -> int:
        return self.file._words(0).pid

    def finish(self) -> WorkerLog:
        """Ask it to stop, wait, and return what it wrote."""
        self.file.stop()
        assert self.process.wait(PATIENCE_S) == 0
        return self.log()


def command(file: Path, *more: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(FOLDER / "prober.py"), str(file), *more]


@contextmanager
def probing(
    folder: Path,
    url: str,
    payload: str | None = None,
    what: Task | None = None,
    workers: int = 1,
    seconds: float = 60.0,
    ready: bool = True,
) -> Iterator[Probing]:
    more = () if payload is None else (payload,)
    with (
        ProbeFile(folder / "probe", workers, seconds, os.getuid(), what or task()) as file,
        subprocess.Popen(command(file.path, url, *more), stderr=subprocess.PIPE, text=True) as one,
    ):
        try:
            if ready:
                wait_until(file.running)
            yield Probing(one, file)
        finally:
            # Workers are not our children: they stop by the file.
            file.stop()
            one.wait(PATIENCE_S)


def answered(log: WorkerLog) -> int:
    return int(log.units.sum())


def failed(log: WorkerLog) -> int:
    return int(np.count_nonzero(log.stall_length_ns == 0))


# Right answers


@pytest.mark.parametrize("mood", ["good", "closes", "old", "chunked", "moved", "nothing"])
def test_every_request_has_one_entry_at_the_time_it_was_due(tmp_path: Path, mood: str) -> None:
    with serving(mood) as service, probing(tmp_path, service.url) as one:
        one.seen(lambda log: answered(log) >= 60)
        log = one.finish()
    assert log.kind == "request"
    assert np.all(np.diff(log.stall_begin_ns) == 5 * MS)
    assert np.all(log.stall_length_ns > 0)
    assert log.tally.failed == 0
    assert log.tally.last_failure is None
    assert log.tally.unanswered is not None
    assert answered(log) + log.tally.unanswered == len(log.stall_begin_ns)
    # All that it asked, the first time to see whether the service is there.
    assert len(service.asked) - 1 <= len(log.stall_begin_ns)
    assert service.asked[0].startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")


def test_answers_are_counted_in_the_buckets_in_which_they_came(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url, what=task(MS)) as one:
        one.seen(lambda log: answered(log) >= 200)
        log = one.finish()
    came = log.stall_begin_ns + log.stall_length_ns
    right = np.bincount((came - log.t0_ns) // MS, minlength=len(log.units))
    short = log.units - right
    # Those that were unanswered stand at the stop and are no units.
    assert -int(short.sum()) == log.tally.unanswered
    assert np.count_nonzero(short) <= 1


def test_connections_are_opened_on_demand_and_kept(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url, what=task(20 * MS)) as one:
        one.seen(lambda log: answered(log) >= 40)
        one.finish()
        # One more to see whether the service is there; on a loaded host some are needed at once.
        assert 2 <= len(service.accepted) <= 9


@pytest.mark.parametrize(
    ("payload", "moods"), [(r"PING\r\n", ["line"]), ("", list(ANSWERS))]
)  # fmt: skip
def test_tcp_wants_a_line_or_without_a_payload_a_connection(
    tmp_path: Path, payload: str, moods: list[str]
) -> None:
    with serving(moods[0]) as service:
        url = f"tcp://127.0.0.1:{service.port}"
        with probing(tmp_path, url, payload) as one:
            one.seen(lambda log: answered(log) >= 30)
            log = one.finish()
    assert failed(log) == 0
    assert set(service.asked) == ({b"PING\r\n"} if payload else set())


def test_each_worker_keeps_a_schedule_of_its_own(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url, workers=2) as one:
        wait_until(lambda: all(answered(log) >= 30 for log in one.file.read()))
        one.file.stop()
        assert one.process.wait(PATIENCE_S) == 0
        logs = one.file.read()
    assert [log.worker for log in logs] == [0, 1]
    assert all(np.all(np.diff(log.stall_begin_ns) == 5 * MS) for log in logs)


# A service that stands still


def test_a_request_that_was_due_in_a_stall_has_waited_for_its_end(tmp_path: Path) -> None:
    """A closed loop would have sent one request per connection and stall, and seen no more."""
    stalls = Stalls(time.monotonic_ns(), S, 200 * MS)
    with (
        serving(wait=stalls.wait) as service,
        probing(tmp_path, service.url, what=task(5 * MS, connections=64)) as one,
    ):
        one.seen(lambda log: len(log.stall_begin_ns) >= 700)
        log = one.finish()
    least = np.array([stalls.over_ns(int(due)) for due in log.stall_begin_ns]) - log.stall_begin_ns
    right = log.stall_length_ns[: answered(log) // 2]
    assert np.all(right >= least[: len(right)])
    # A fifth of all, waiting up to 200 ms, by the service's schedule alone.
    assert np.percentile(least, 99, method="inverted_cdf") >= 185 * MS
    assert np.percentile(log.stall_length_ns, 99, method="inverted_cdf") >= 185 * MS
    assert np.count_nonzero(log.stall_length_ns >= 100 * MS) >= 0.08 * len(log.stall_length_ns)


def test_what_finds_no_connection_free_waits_in_order_and_is_timed_from_when_it_was_due(
    tmp_path: Path,
) -> None:
    answer = 40 * MS
    with (
        serving(wait=lambda: time.sleep(answer / 1e9)) as service,
        probing(tmp_path, service.url, what=task(10 * MS, connections=2)) as one,
    ):
        one.seen(lambda log: answered(log) >= 30)
        log = one.finish()
        assert len(service.accepted) <= 3
    # Two connections are free once in 20 ms: the k-th request is sent when k/2 were answered.
    number = np.arange(answered(log))
    least = (number // 2 + 1) * answer - number * 10 * MS
    assert np.all(log.stall_length_ns[: len(number)] >= least)
    assert log.tally.unanswered is not None
    assert log.tally.unanswered > 10


# Failures


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("broken", "status 500"),
        ("garbage", "malformed answer"),
        ("short", "connection closed before a whole answer"),
        ("dead", "connection closed before a whole answer"),
    ],
)
def test_a_wrong_answer_is_a_failure_with_its_reason(tmp_path: Path, mood: str, why: str) -> None:
    with serving() as service, probing(tmp_path, service.url) as one:
        one.seen(lambda log: answered(log) >= 5)
        service.mood = mood
        one.seen(lambda log: failed(log) >= 20)
        service.mood = "good"
        after = answered(one.log())
        one.seen(lambda log: answered(log) >= after + 20)
        log = one.finish()
    assert log.tally.failed == failed(log) >= 20
    assert log.tally.last_failure == why
    assert np.all(np.diff(log.stall_begin_ns) == 5 * MS)


def test_a_service_that_goes_away_refuses_every_request_at_once(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url) as one:
        one.seen(lambda log: answered(log) >= 5)
        service.refuse()
        one.seen(lambda log: failed(log) >= 20)
        log = one.finish()
    assert log.tally.last_failure == "connection refused"
    # Those that were due at the end may not have been sent yet.
    sent = len(log.stall_length_ns) - (log.tally.unanswered or 0)
    assert np.all(log.stall_length_ns[sent - 10 : sent] == 0)


def test_what_is_unanswered_for_its_timeout_has_failed(tmp_path: Path) -> None:
    what = task(5 * MS, connections=2, timeout_ns=100 * MS)
    with serving() as service, probing(tmp_path, service.url, what=what) as one:
        one.seen(lambda log: answered(log) >= 5)
        service.mood = "silent"
        one.seen(lambda log: failed(log) >= 60)
        log = one.finish()
        # Each gave up its connection, and the next one opened another.
        assert len(service.accepted) >= 40
    assert log.tally.last_failure == "no answer in time"
    assert np.all(log.stall_length_ns < 100 * MS)


def test_what_has_waited_for_its_timeout_is_never_sent(tmp_path: Path) -> None:
    with (
        serving() as service,
        probing(tmp_path, service.url, what=task(timeout_ns=100 * MS)) as one,
    ):
        one.seen(lambda log: answered(log) >= 5)
        os.kill(one.pid(), signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(one.pid(), signal.SIGCONT)
        one.seen(lambda log: failed(log) >= 35)
        log = one.finish()
    # Of sixty that were due meanwhile, twenty can have been sent in time.
    assert len(service.asked) - 1 <= len(log.stall_begin_ns) - 35
    assert np.all(log.stall_length_ns < 100 * MS)


def test_what_is_unanswered_at_the_stop_has_the_time_that_it_has_waited(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url) as one:
        before = one.seen(lambda log: answered(log) >= 5)
        service.mood = "silent"
        time.sleep(0.3)
        stopped_ns = time.monotonic_ns()
        log = one.finish()
    waiting = log.tally.unanswered
    assert waiting is not None
    assert waiting >= 40
    assert len(log.stall_begin_ns) == answered(log) + waiting >= len(before.stall_begin_ns) + 40
    ends = (log.stall_begin_ns + log.stall_length_ns)[-waiting:]
    # All have waited until one moment, which came soon after the stop.
    assert ends.max() == ends.min()
    assert stopped_ns <= ends[0] <= stopped_ns + PATIENCE_S * S
    assert failed(log) == 0


def test_what_waits_while_it_is_read_has_the_time_until_then(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url) as one:
        one.seen(lambda log: answered(log) >= 5)
        service.mood = "silent"
        time.sleep(0.2)
        read_ns = time.monotonic_ns()
        log = one.log()
    waiting = log.tally.unanswered
    assert waiting is not None
    assert waiting >= 20
    ends = (log.stall_begin_ns + log.stall_length_ns)[-waiting:]
    assert ends.min() >= read_ns


# Before it begins


def test_until_the_service_listens_the_prober_is_absent_and_says_why(tmp_path: Path) -> None:
    service = Service(bound())
    with probing(tmp_path, service.url, ready=False) as one:
        wait_until(lambda: one.file.why_not_running() == "connection refused")
        assert not one.file.running()
        service.listen()
        wait_until(one.file.running)
        log = one.seen(lambda log: answered(log) >= 5)
        assert log.tally.last_failure is None
        assert one.file.why_not_running() is None
        service.refuse()


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("broken", "status 500"),
        ("garbage", "malformed answer"),
        ("short", "connection closed before a whole answer"),
        ("silent", "no answer in time"),
    ],
)
def test_one_right_answer_is_awaited_and_the_reason_told(
    tmp_path: Path, mood: str, why: str
) -> None:
    with (
        serving(mood) as service,
        probing(tmp_path, service.url, what=task(timeout_ns=S // 2), ready=False) as one,
    ):
        wait_until(lambda: one.file.why_not_running() == why)
        assert not one.file.running()
        with pytest.raises(ProbeSilent, match=f"worker 0 of .* never began to work: {why}"):
            one.file.read()
        service.mood = "good"
        wait_until(one.file.running)
        one.seen(lambda log: answered(log) >= 5)


def test_one_that_never_had_an_answer_ends_with_the_stop(tmp_path: Path) -> None:
    with bound() as port:
        url = f"http://127.0.0.1:{port.getsockname()[1]}/"
        with probing(tmp_path, url, ready=False) as one:
            wait_until(lambda: one.file.why_not_running() is not None)
            one.file.stop()
            assert one.process.wait(PATIENCE_S) == 0
            assert not one.file.running()


# Its own lateness, and its ends


def test_a_prober_that_is_held_up_says_how_late_it_was_and_leaves_nothing_out(
    tmp_path: Path,
) -> None:
    with serving() as service, probing(tmp_path, service.url, what=task(2 * MS)) as one:
        one.seen(lambda log: answered(log) >= 5)
        os.kill(one.pid(), signal.SIGSTOP)
        held_ns = time.monotonic_ns()
        time.sleep(0.2)
        released_ns = time.monotonic_ns()
        os.kill(one.pid(), signal.SIGCONT)
        one.seen(lambda log: bool(log.stall_begin_ns[-1] > released_ns))
        log = one.finish()
    assert np.all(np.diff(log.stall_begin_ns) == 2 * MS)
    assert log.longest_unit_ns >= 190 * MS
    assert log.tally.late is not None
    assert log.tally.late >= 95
    held = (log.stall_begin_ns > held_ns) & (log.stall_begin_ns < released_ns)
    assert held.sum() >= 99
    assert np.all((log.stall_begin_ns + log.stall_length_ns)[held] >= released_ns)


def test_a_prober_ends_by_itself_when_its_file_is_full_or_its_host_dies(tmp_path: Path) -> None:
    with serving() as service:
        with probing(tmp_path, service.url, seconds=2.0) as one:
            assert one.process.wait(PATIENCE_S) == 0
            log = one.log()
            assert answered(log) > 0
            assert np.all(np.diff(log.stall_begin_ns) == 5 * MS)
        with probing(tmp_path, service.url) as one:
            with one.file.path.open("r+b") as header:
                header.seek(8 * probe.UNTIL)
                header.write(struct.pack("<q", 1))
            assert one.process.wait(PATIENCE_S) == 0


def test_a_prober_that_is_started_again_goes_on_in_its_file(tmp_path: Path) -> None:
    what = task(timeout_ns=200 * MS)
    with serving() as service, probing(tmp_path, service.url, what=what) as one:
        one.seen(lambda log: answered(log) >= 20)
        service.mood = "silent"
        one.seen(lambda log: (log.tally.unanswered or 0) > 10)
        os.kill(one.pid(), signal.SIGKILL)
        assert one.process.wait(PATIENCE_S) == 128 + signal.SIGKILL
        first = one.log()
        service.mood = "good"
        with subprocess.Popen(command(one.file.path, service.url)) as again:
            second = one.seen(lambda log: answered(log) >= answered(first) + 20)
            one.file.stop()
            assert again.wait(PATIENCE_S) == 0
        # By then what waited when it was killed has waited for longer than it may.
        time.sleep(what.timeout_ns / S)
        second = one.log()
    assert second.tally.starts == 2
    assert second.t0_ns == first.t0_ns
    apart = np.diff(second.stall_begin_ns)
    assert np.count_nonzero(apart != 5 * MS) == 1
    # Those that waited when it was killed never had an answer.
    assert failed(second) + (second.tally.unanswered or 0) >= 10


@pytest.mark.parametrize(
    ("kind", "more", "complaint"),
    [
        ("request", ["https://a:1/"], "is not of the form"),
        ("request", ["http://no-such-name.invalid:80/"], "cannot resolve no-such-name.invalid"),
        ("request", ["tcp://127.0.0.1:1", r"\q"], "has the unknown escape"),
        ("request", [], "give FILE and URL"),
        ("request", ["http://127.0.0.1:1/", "", ""], "give FILE and URL"),
        ("spin", ["http://127.0.0.1:1/"], "asks for work of probe.py"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    tmp_path: Path, kind: str, more: list[str], complaint: str
) -> None:
    what = task() if kind == "request" else Task()
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid(), what) as file:
        done = subprocess.run(
            command(file.path, *more), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("prober: ")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid(), task()) as file:
        with file.path.open("r+b") as raw:
            raw.seek(8)
            raw.write(struct.pack("<q", 5))
        done = subprocess.run(
            command(file.path, "http://127.0.0.1:1/"), capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "layout 5" in done.stderr


def test_the_probe_leaves_requests_to_the_prober(tmp_path: Path) -> None:
    with ProbeFile(tmp_path / "probe", 1, 1, os.getuid(), task()) as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(FOLDER / "probe.py"), str(file.path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, "probe: requests are the work of prober.py beside this program\n",
    )  # fmt: skip


def test_it_needs_nothing_but_the_standard_library_and_its_neighbours() -> None:
    code = f"import runpy, sys; runpy.run_path({str(FOLDER / 'prober.py')!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    top = {name.partition(".")[0] for name in done.stdout.split()}
    assert top <= set(sys.stdlib_module_names) | {"__main__", "probe", "protocol"}
    # None that takes long to load, or much memory.
    assert not top & {"asyncio", "threading", "urllib", "http", "ssl", "ctypes", "stringprep"}


def test_a_tally_has_the_figures_of_requests_alone(tmp_path: Path) -> None:
    with serving() as service, probing(tmp_path, service.url) as one:
        one.seen(lambda log: answered(log) >= 5)
        found = one.finish().tally
    assert found == Tally(
        starts=1, failed=0, last_failure=None, unanswered=found.unanswered, late=found.late
    )
