"""The requested values of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging.estimates import Point, judged, points, same_throughput, worded
from cgbench.judging.run import load
from cgbench.spec import experiment_file
from cgbench.spec.option import Value
from tests.made.run_builder import MadeUp, build


@pytest.fixture(scope="module")
def quotas(tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    return points(load(build(tmp_path_factory.mktemp("results"))))


@pytest.fixture(scope="module")
def periods(tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    made = MadeUp(name="cpu-period-sweep", trials=1, hold_ns=4_000_000_000)
    return points(load(build(tmp_path_factory.mktemp("results"), made)))


def test_points_stand_in_the_order_of_the_schedule(quotas: list[Point]) -> None:
    assert [point.requested for point in quotas] == [
        "10000", "25000", "50000", "75000", "100000", "150000",
    ]  # fmt: skip


def test_a_quota_is_shown_as_a_share_of_a_cpu(quotas: list[Point]) -> None:
    first = quotas[0]
    assert (first.words, first.short, first.raw, first.place, first.number) == (
        "10 % of a CPU", "10 %", "--cpu-quota 10000", "10 % of a CPU", 0.1,
    )  # fmt: skip


def test_a_period_is_shown_as_a_duration_with_all_that_was_set(periods: list[Point]) -> None:
    first = periods[0]
    assert (first.words, first.raw, first.place, first.number) == (
        "5 ms", "--cpu-period 5000 --cpu-quota 2500", "a period of 5 ms", 5.0,
    )  # fmt: skip


def test_the_ideal_stall_is_the_period_less_a_workers_share(
    quotas: list[Point], periods: list[Point]
) -> None:
    assert [point.ideal_stall_ms for point in quotas] == [95.0, 87.5, 75.0, 62.5, 50.0, 25.0]
    assert periods[-1].ideal_stall_ms == 500.0


def test_estimates_are_those_of_the_summary(tmp_path: Path) -> None:
    directory = build(tmp_path)
    found = {point.key: point for point in points(load(directory))}
    for entry in load(directory).summary:
        assert found[entry.key].estimates[entry.metric] == entry.estimate


def test_one_trial_allows_no_interval(periods: list[Point]) -> None:
    estimate = periods[0].estimates["cpus_used"]
    assert (estimate.low, estimate.high, estimate.level) == (None, None, None)
    assert estimate.error_bounds_pct is None


def test_the_interval_of_the_error_follows_the_interval_of_the_value(quotas: list[Point]) -> None:
    estimate = quotas[0].estimates["cpus_used"]
    assert estimate.error_bounds_pct is not None
    low, high = estimate.error_bounds_pct
    assert estimate.error_pct is not None
    assert low <= estimate.error_pct <= high


def test_files_that_hold_something_else_are_found_out(tmp_path: Path) -> None:
    point = points(load(build(tmp_path, MadeUp(trials=1, file=lambda _text: "7"))))[0]
    assert (point.enforced, point.intended, point.enforced_as_intended) == ("7", "10000", False)


def test_a_metric_that_was_not_measured_is_none(quotas: list[Point]) -> None:
    assert quotas[0].median("memory_max_bytes") is None
    assert quotas[0].estimate(None) is None


def test_cpu_options_are_judged_by_cpus_used_and_others_by_their_own(quotas: list[Point]) -> None:
    by_quota, by_memory = map(experiment_file.load, ("cpu-quota-sweep", "memory-limit-sweep"))
    assert judged(by_quota, quotas) == "cpus_used"
    assert judged(by_memory, quotas) is None
    assert judged(by_quota, []) is None


def test_only_one_limit_with_one_throughput_is_the_same_throughput(
    quotas: list[Point], periods: list[Point]
) -> None:
    assert same_throughput(periods)
    assert not same_throughput(quotas)
    assert not same_throughput(periods[:1])


@pytest.mark.parametrize(
    ("name", "requested", "settings", "words"),
    [
        ("cpu-quota", "-1", {"cpu-quota": -1}, "no limit"),
        (
            "cpu-quota", "25000", {"cpu-quota": 25_000, "cpu-period": 50_000},
            "50 % of a CPU (25 of 50 ms)",
        ),
        ("cpus", "0.5", {"cpus": "0.5"}, "0.5 CPUs"),
        ("memory", "256m", {"memory": "256m"}, "256 MiB"),
        ("cpuset-cpus", "0-1", {"cpuset-cpus": "0-1"}, "0-1"),
        ("cpu-shares", "512", {"cpu-shares": 512}, "512"),
        ("cpu-quota", "what", {}, "what"),
    ],
)  # fmt: skip
def test_values_are_worded_as_a_reader_thinks_of_them(
    name: str, requested: str, settings: dict[str, Value], words: str
) -> None:
    assert worded(name, requested, settings) == words
