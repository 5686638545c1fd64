"""Latency is of the requests that were due in a window, and a failure counts as its timeout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging import settling
from cgbench.judging.container_data import ContainerData, Window
from cgbench.judging.latency import FEWEST_FOR_P99, latency, spike
from cgbench.judging.steady import steady
from cgbench.records.trial import Phase
from cgbench.reporting.plots.stall_rates import StallCount, count_stalls
from cgbench.units import NS_PER_MS as MS
from tests.made import records

PACE, TIMEOUT = 5 * MS, 500 * MS


def asked(*workers: Sequence[float], first_ms: float = 0.0) -> ContainerData:
    """Return a prober whose workers' requests took so long, in ms; 0 failed."""
    (one,) = records.trial().containers
    record = one.model_copy(
        update={"probe": "request", "workers": len(workers), "pace_ns": PACE,
                "timeout_ns": TIMEOUT}
    )  # fmt: skip
    stalls, came = [], []
    for took in workers:
        due = int(first_ms * MS) + np.arange(len(took), dtype=np.int64) * PACE
        length = (np.array(took, float) * MS).astype(np.int64)
        stalls.append((due, length))
        came.append((due + length)[length > 0])
    bucket, units = np.unique(np.concatenate(came) // MS * MS, return_counts=True)
    none = np.zeros(0, np.int64)
    return ContainerData(
        record=record, t_ns=np.arange(4000, dtype=np.int64) * MS, counters={}, per_cpu={},
        running_on=(), per_node={}, pressure_us=None, stalls=stalls,
        units=(bucket.astype(np.int64), units),
        stats=(none, none.astype(float)),
    )  # fmt: skip


def window(begin_ms: float, end_ms: float) -> Window:
    return Window(int(begin_ms * MS), int(end_ms * MS), int(begin_ms), int(end_ms), False)


def test_quantiles_are_latencies_that_were_measured() -> None:
    found = latency(asked([float(number) for number in range(1, 201)]), window(0, 1000))
    assert found["latency_p50_ms"] == 100
    assert found["latency_p99_ms"] == 198
    assert found["latency_max_ms"] == 200
    assert found["failed_pct"] == 0


def test_only_what_was_due_in_the_window_counts_wherever_its_answer_came() -> None:
    took = [1.0] * 100 + [300.0] * 100 + [1.0] * 100
    found = latency(asked(took), window(500, 1000))
    assert found["latency_p50_ms"] == found["latency_max_ms"] == 300
    # The answers of the first 300 ms were due before, and none came.
    assert found["requests_per_s"] == pytest.approx(200 * 0.2 / 0.5)


def test_a_failure_counts_as_one_that_took_its_timeout() -> None:
    found = latency(asked([1.0] * 195 + [0.0] * 5), window(0, 1000))
    assert (found["latency_p50_ms"], found["latency_p99_ms"]) == (1, 500)
    assert found["latency_max_ms"] == 500
    assert found["failed_pct"] == 2.5
    assert found["requests_per_s"] == 195


def test_where_all_fail_latency_is_the_timeout_and_nothing_was_answered() -> None:
    found = latency(asked([0.0] * 200), window(0, 1000))
    assert found["latency_p50_ms"] == found["latency_p99_ms"] == 500
    assert (found["requests_per_s"], found["failed_pct"]) == (0, 100)


def test_a_99th_percentile_of_fewer_than_a_hundred_is_absent() -> None:
    data = asked([2.0] * 200)
    few = latency(data, window(0, 5 * (FEWEST_FOR_P99 - 1)))
    assert few["latency_p99_ms"] is None
    assert few["latency_p50_ms"] == few["latency_max_ms"] == 2
    assert latency(data, window(0, 5 * FEWEST_FOR_P99))["latency_p99_ms"] == 2


def test_a_window_in_which_nothing_was_due_has_no_figure() -> None:
    assert latency(asked([1.0] * 10), window(100, 102)) == {}


def test_all_workers_count() -> None:
    found = latency(asked([1.0] * 200, [9.0] * 200), window(0, 1000))
    assert (found["latency_p50_ms"], found["latency_max_ms"]) == (1, 9)
    assert found["requests_per_s"] == pytest.approx(400, rel=0.01)


@pytest.mark.parametrize("lost", ["in between", "at the end", "a worker"])
def test_where_a_request_has_no_entry_there_is_no_figure(lost: str) -> None:
    data = asked([1.0] * 200, [1.0] * 200)
    (due, length), other = data.stalls
    kept = np.ones(200, bool)
    kept[100 : 103 if lost == "in between" else 200] = lost == "a worker"
    stalls = [(due[kept], length[kept]), other]
    data = replace(data, stalls=stalls[1:] if lost == "a worker" else stalls)
    assert latency(data, window(0, 1000)) == {}


def test_an_older_record_without_a_pace_has_no_figure() -> None:
    data = asked([1.0] * 200)
    older = data.record.model_copy(update={"pace_ns": None, "timeout_ns": None})
    assert latency(replace(data, record=older), window(0, 1000)) == {}


@given(
    st.lists(st.integers(0, 499), min_size=100, max_size=400),
    st.floats(0, 4.999),
    st.integers(0, 1000),
    st.integers(500, 1000),
)
def test_quantiles_are_those_that_a_naive_count_finds(
    took: list[int], first_ms: float, begin_ms: int, length_ms: int
) -> None:
    data = asked([*map(float, took)], first_ms=first_ms)
    one = window(begin_ms, begin_ms + length_ms)
    due = data.stalls[0][0]
    within = [ms or 500 for ms, at in zip(took, due, strict=True)
              if one.t_begin_ns <= at < one.t_end_ns]  # fmt: skip
    found = latency(data, one)
    if len(within) < length_ms // 5:
        assert found == {}, "the schedule ended before the window"
        return
    within.sort()
    # The smallest of which at least that part of all are no larger.
    assert found["latency_p50_ms"] == within[-(-len(within) // 2) - 1]
    assert found["latency_p99_ms"] == within[-(-99 * len(within) // 100) - 1]
    assert found["latency_max_ms"] == within[-1]


# Figures of other kinds


def test_a_prober_has_neither_stalls_nor_work_of_its_own() -> None:
    found = steady(asked([3.0] * 200), window(0, 1000))
    assert found["latency_p50_ms"] == 3
    assert not {name for name in found if name.startswith(("stall", "work", "probe", "wake"))}


def test_a_prober_settles_nothing_and_draws_no_curve_of_stalls() -> None:
    data, run = asked([3.0] * 800), records.run()
    (phase,) = records.trial().phases
    change = phase.change.model_copy(update={"t_request_ns": 0, "t_answer_ns": 1, "files": ()})
    held = phase.model_copy(update={"change": change, "t_end_ns": 3000 * MS})
    found = settling.time_to_effect(held, data, window(500, 2500), {"cpu-quota": 50000})
    assert found["settle_ms"] is None
    counts: dict[object, StallCount] = {}
    trial = records.trial().model_copy(update={"phases": (held,)})
    count_stalls(counts, trial, data, run)  # type: ignore[arg-type]
    assert not counts


def changed(at_ms: float) -> Phase:
    (phase, *_) = records.trial().phases
    change = phase.change.model_copy(update={"t_request_ns": int(at_ms * MS)})
    return phase.model_copy(update={"change": change})


def test_a_change_is_felt_until_nothing_takes_longer_than_in_the_steady_window() -> None:
    took = [1.0] * 20 + [1.0, 90.0, 0.0, 40.0, 2.0, 1.0] + [2.0] * 74
    found = spike(asked(took), changed(100), window(300, 500))
    # The one that failed counts as its timeout of 500 ms; that of 40 ms was due 15 ms after.
    assert found == {"spike_ms": 500.0, "spike_failed": 1.0, "recovered_ms": 15.0}


def test_a_change_that_nobody_feels_is_over_at_once() -> None:
    found = spike(asked([2.0] * 100), changed(100), window(300, 500))
    assert found == {"spike_ms": 2.0, "spike_failed": 0.0, "recovered_ms": 0.0}


@pytest.mark.parametrize(("at_ms", "begin_ms"), [(300, 300), (100, 600)])
def test_without_requests_on_both_sides_nothing_is_said(at_ms: float, begin_ms: float) -> None:
    found = spike(asked([2.0] * 100), changed(at_ms), window(begin_ms, begin_ms + 200))
    assert found == {}
