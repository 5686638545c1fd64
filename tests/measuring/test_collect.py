"""A trial's accounts add up, and what is not known is not counted as anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from cgbench.engine.streams import Event, StatsStream
from cgbench.errors import ProbeError, ProbeSilent, SamplerError
from cgbench.host.cpu_time import CpuState, CpuTimes
from cgbench.measuring import collect
from cgbench.measuring.collect import Harvest
from cgbench.measuring.container import Running
from cgbench.measuring.probe import ProbeFile, Task
from cgbench.measuring.readings import Readings, Target
from cgbench.measuring.sampler import Sampler
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.samples import Column, Samples, TrialData
from cgbench.records.trial import (
    Change,
    ContainerRecord,
    FileChange,
    Harness,
    Phase,
    SamplerFigures,
    Source,
)
from tests.made.records import figures

S = 1_000_000_000
NONE = np.empty(0, np.int64)
READINGS = Readings(NONE, NONE, NONE, ())
UNKNOWN = CpuState(None, None, None)


def times(
    t_s: float, busy: float, own: float, daemon: float | None = 0.0, steal: float = 0.0,
    state: CpuState = UNKNOWN,
) -> CpuTimes:  # fmt: skip
    return CpuTimes(int(t_s * S), busy, steal, own, daemon, state)


def container(role: str = "worker", usage: str | None = "cpuacct.usage") -> ContainerRecord:
    return ContainerRecord(
        role=role, container_id=f"id-{role}", workload="spin", workers=1,
        sources={} if usage is None else {"usage_ns": Source(column=usage, scale=1)},
    )  # fmt: skip


def samples(*usage_s: float | None, role: str = "worker") -> Samples:
    values = tuple(None if one is None else int(one * S) for one in usage_s)
    t_ns = np.arange(1, len(values) + 1, dtype=np.int64) * S
    index = np.arange(len(values), dtype=np.int32)
    columns = [Column("cpuacct.usage", index, values)] if values else []
    return Samples(role, t_ns, np.zeros(len(values), np.int64), columns)


BEFORE, AFTER = times(10, 100, 5, daemon=20, steal=1), times(20, 115, 6, daemon=22, steal=1.5)


def harness(
    *measured: Samples, containers: Sequence[ContainerRecord] = (container(),),
    events: Sequence[Event] = (), readings: Readings | None = READINGS,
    before: CpuTimes = BEFORE,
    after: CpuTimes = AFTER,
) -> Harness:  # fmt: skip
    progress = Harvest(0, containers=list(containers), readings=readings, events=list(events))
    return collect.harness(before, after, TrialData(measured, (), ()), progress)


def test_what_the_cpus_did_is_cgbenchs_the_daemons_the_containers_and_the_others() -> None:
    found = harness(samples(1.0, 4.0))
    assert found.elapsed_s == 10
    assert found.cgbench_cpu_s == 1
    assert found.daemon_cpu_s == 2
    assert found.steal_cpu_s == 0.5
    # 15 s busy, less 1 of cgbench, 2 of the daemon and 4 of the container.
    assert found.other_cpu_s == pytest.approx(8)


def test_every_container_counts() -> None:
    both = (container("a"), container("b"))
    found = harness(samples(3.0, role="a"), samples(2.5, role="b"), containers=both)
    assert found.other_cpu_s == pytest.approx(15 - 1 - 2 - 5.5)


def test_clocks_that_are_read_one_after_the_other_leave_no_less_than_nothing() -> None:
    assert harness(samples(12.1)).other_cpu_s == 0


def test_a_container_that_vanished_counts_until_it_was_last_seen() -> None:
    assert harness(samples(1.0, 4.0, None)).other_cpu_s == pytest.approx(8)


def test_a_container_that_was_never_seen_is_not_counted_as_other_tenants() -> None:
    assert harness(samples(None)).other_cpu_s is None
    assert harness(samples()).other_cpu_s is None
    assert harness(samples(1.0), containers=[container(usage=None)]).other_cpu_s is None


def test_a_container_that_was_started_again_lives_on_where_nobody_sampled_it() -> None:
    began = Event("id-worker", S // 2, "start", None)
    again = Event("id-worker", 2 * S + 1, "start", None)
    other = Event("id-else", 2 * S + 1, "start", None)
    assert harness(samples(1.0, 4.0), events=[began, other]).other_cpu_s == pytest.approx(8)
    assert harness(samples(1.0, 4.0), events=[began, again]).other_cpu_s is None


def test_a_trial_without_samples_knows_nothing_of_others() -> None:
    assert harness(readings=None).other_cpu_s is None


@pytest.mark.parametrize("known", ["before", "after", "never"])
def test_a_daemon_that_was_not_found_is_not_counted_as_other_tenants(known: str) -> None:
    before = times(10, 100, 5, daemon=20 if known == "before" else None)
    after = times(20, 115, 6, daemon=22 if known == "after" else None)
    found = harness(samples(4.0), before=before, after=after)
    assert found.daemon_cpu_s is None
    assert found.other_cpu_s is None


def test_a_daemon_that_did_nothing_did_nothing() -> None:
    before, after = times(10, 100, 5, daemon=20), times(20, 115, 6, daemon=20)
    found = harness(samples(4.0), before=before, after=after)
    assert found.daemon_cpu_s == 0
    assert found.other_cpu_s == pytest.approx(10)


def test_counters_of_the_cpus_are_taken_over_the_trial_and_none_stays_none() -> None:
    first, last = CpuState(2000, 3, 1_000_000), CpuState(2400, 5, 3_500_000)
    found = harness(
        samples(4.0), before=times(0, 0, 0, state=first), after=times(1, 9, 0, state=last)
    )
    assert (found.mhz, found.thermal_throttles, found.waited_s) == (2400, 2, 2.5)
    gone = harness(
        samples(4.0), before=times(0, 0, 0, state=last), after=times(1, 9, 0, state=first)
    )
    assert (gone.thermal_throttles, gone.waited_s) == (None, None), "that of a CPU is gone"
    unknown = harness(samples(4.0))
    assert (unknown.mhz, unknown.thermal_throttles, unknown.waited_s) == (None, None, None)


# Sampler and probes


class Sampled:
    """A sampler that gives what it has, or its error."""

    def __init__(self, error: SamplerError | None = None) -> None:
        self._error = error

    def stop(self) -> tuple[Readings, SamplerFigures]:
        if self._error is not None:
            raise self._error
        return READINGS, figures(10, 0)


class Probe:
    """A probe that gives its logs, or its error."""

    def __init__(self, error: ProbeError | None = None, *, asks_for: int = 0) -> None:
        self.stopped = False
        self.task = Task("request", count=1) if asks_for else Task()
        self.looks = asks_for
        self._error = error

    def finished(self) -> bool:
        assert self.stopped
        assert self.task.kind == "request", "others need no more than a moment"
        self.looks -= 1
        return self.looks <= 0

    def stop(self) -> None:
        self.stopped = True

    def read(self) -> tuple[object, ...]:
        assert self.stopped
        if self._error is not None:
            raise self._error
        return ()


def running(role: str, probe: Probe | None) -> Running:
    made = SimpleNamespace(spec=SimpleNamespace(role=role), probe=cast(ProbeFile | None, probe))
    return cast(Running, made)


def collected(
    sampler: Sampled, *containers: Running, forgiving: bool = False
) -> tuple[Harvest, Exception | None]:
    progress = Harvest(0)
    try:
        collect.collect(cast(Sampler, sampler), containers, progress, forgiving=forgiving)
    except (SamplerError, ProbeError) as error:
        return progress, error
    return progress, None


def test_a_sampler_that_died_does_not_cost_the_probes_logs() -> None:
    lost = SamplerError("died")
    found, error = collected(Sampled(lost), running("a", Probe()), running("b", None))
    assert error is lost
    assert set(found.logs) == {"a"}
    assert found.readings is None


def test_a_probe_that_never_began_costs_no_others_log_and_is_an_error() -> None:
    silent = ProbeError("never began")
    both = running("a", Probe(silent)), running("b", Probe())
    found, error = collected(Sampled(), *both)
    assert error is silent
    assert set(found.logs) == {"b"}
    assert found.readings is READINGS


def test_a_prober_is_waited_for_until_it_has_noted_its_last_request() -> None:
    prober = Probe(asks_for=3)
    found, error = collected(Sampled(), running("a", prober), running("b", Probe()))
    assert error is None
    assert prober.looks == 0
    assert set(found.logs) == {"a", "b"}


def test_a_prober_that_never_ends_is_not_waited_for_without_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collect, "_PROBERS_END_S", 0.05)
    found, _error = collected(Sampled(), running("a", Probe(asks_for=10**9)))
    assert set(found.logs) == {"a"}


def test_a_probe_that_never_began_is_no_error_where_containers_may_end() -> None:
    silent = Probe(ProbeSilent("x"))
    found, error = collected(Sampled(), running("a", silent), forgiving=True)
    assert error is None
    assert found.logs == {}


@pytest.mark.parametrize("forgiving", [False, True])
def test_a_damaged_probe_file_costs_no_others_log_and_is_an_error(*, forgiving: bool) -> None:
    damaged = ProbeError("it was cut off")
    both = running("a", Probe(damaged)), running("b", Probe())
    found, error = collected(Sampled(), *both, forgiving=forgiving)
    assert error is damaged
    assert set(found.logs) == {"b"}


# Events and times


def test_events_of_other_runs_containers_are_left_out_and_the_rest_put_in_order() -> None:
    progress = Harvest(0, containers=[container("a")])
    progress.events = [
        Event("id-a", 30, "die", 137), Event("id-x", 20, "die", 1), Event("id-a", 10, "start", None)
    ]  # fmt: skip
    assert [(one.t_ns, one.action) for one in collect.events(progress)] == [
        (10, "start"), (30, "die")
    ]  # fmt: skip


def test_a_file_has_a_history_only_where_it_was_sampled() -> None:
    sampled, text = Path("/cg/cpu.max"), "50000 100000"
    files = (
        FileChange(file="cpu.max", before="max 100000", after="max 100000", expected=text),
        FileChange(file="cpu.weight", before="100", after="50", expected=None),
    )
    change = Change(
        requested="50000", settings={}, via="update", t_request_ns=5, t_answer_ns=9, files=files
    )
    phase = Phase(
        number=1, role="worker", option="cpu-quota", change=change, settings={}, t_end_ns=100
    )
    seen = FileHistory.of([Stood(t_ns=5, text="max 100000"), Stood(t_ns=40, text=text)])

    class Seen(Readings):
        def history(self, path: Path, begin_ns: int, end_ns: int) -> FileHistory | None:
            assert (path, begin_ns, end_ns) == (sampled, 5, 100)
            return seen

    progress = Harvest(0, phases=[phase], targets=[Target("worker", sampled, text=True)])
    assert list(collect.with_histories(progress)) == [phase]
    progress.readings = Seen(NONE, NONE, NONE, ())
    (found,) = collect.with_histories(progress)
    assert [file.history for file in found.change.files] == [seen, None]
    assert [file.t_changed_ns for file in found.change.files] == [40, None]
    # The answer came first, so the time to effect is that of the file.
    assert found.change.late == found.change.files[:1]
    assert found.change.in_force_ns == 40
    assert found.effective == f"{text} 50"


def test_a_stream_of_stats_that_broke_stands_in_the_record_of_its_container() -> None:
    broken, whole = StatsStream([{}]), StatsStream([])
    broken.finish()
    whole.broken = None
    progress = Harvest(
        0, containers=[container("a"), container("b"), container("c")],
        streams={"a": broken, "b": whole},
    )  # fmt: skip
    said = {one.role: one.docker_stats_broke for one in collect.containers(progress)}
    assert said == {
        "a": "the stream of docker stats broke: the daemon closed it", "b": None, "c": None,
    }  # fmt: skip
