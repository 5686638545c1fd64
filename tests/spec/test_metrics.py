"""Metrics: each is described once, and everything that is measured is among them."""

from __future__ import annotations

import pytest

from cgbench.spec.band import Band, Conditions, Tolerance
from cgbench.spec.metric import Metric, tolerance
from cgbench.spec.metrics import METRICS, nearest


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_has_words_for_tables_and_for_the_manual(metric: Metric) -> None:
    assert metric.label
    assert not metric.label.endswith(".")
    assert metric.description.endswith(".")
    assert not metric.description[0].islower()


def test_no_two_metrics_share_a_name_or_a_label() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_what_memory_is_known_to_follows_the_hosts_page_size() -> None:
    memory, cpu = METRICS["memory_max_bytes"], METRICS["cpus_used"]
    assert memory.known_to(65536) == 16 * memory.known_to(4096) == 64 * 65536
    assert cpu.known_to(65536) == cpu.known_to(4096) == 0.002


def test_a_misspelt_metric_gets_the_nearest_name_and_a_strange_one_gets_all() -> None:
    assert nearest("cpus_usd") == "Did you mean cpus_used?"
    assert nearest("speed") == f"Metrics: {', '.join(sorted(METRICS))}."


def under(**changed: float | None) -> Conditions:
    """Two workers on two CPUs for two seconds, at 250 ticks a second."""
    known = {"workers": 2, "cpus": 2, "timer_hz": 250, "page_bytes": 4096, "window_s": 2.0}
    return Conditions(**(known | changed))  # type: ignore[arg-type]


CPUS, QUOTA = METRICS["cpus_used"], Band(pct=2, ticks_per_worker=1)


def reach(metric: Metric, band: Band, expected: float, conditions: Conditions) -> list[float]:
    found = tolerance(metric, band, expected, conditions)
    assert found is not None
    return [found.below, found.above]


def either_way(width: float) -> object:
    return pytest.approx([width, width])


def test_a_band_of_cpu_time_is_a_share_and_one_tick_per_worker_in_the_window() -> None:
    # 2 % of 0.1 CPUs, and two ticks of 4 ms within 2 s.
    assert reach(CPUS, QUOTA, 0.1, under()) == either_way(0.002 + 0.004)
    assert reach(CPUS, QUOTA, 0.1, under(window_s=20.0)) == either_way(0.002 + 0.0004)
    assert reach(CPUS, QUOTA, 0.1, under(workers=1)) == either_way(0.002 + 0.002)


def test_no_more_workers_overrun_at_once_than_there_are_cpus() -> None:
    assert tolerance(CPUS, QUOTA, 0.1, under(workers=8)) == tolerance(CPUS, QUOTA, 0.1, under())


def test_an_unknown_tick_is_the_longest_that_kernels_have() -> None:
    assert reach(CPUS, QUOTA, 0.1, under(timer_hz=None)) == either_way(0.002 + 0.01)


def test_without_a_window_a_tick_allows_nothing_that_could_be_said() -> None:
    assert tolerance(CPUS, QUOTA, 0.1, under(window_s=None)) is None
    assert reach(CPUS, Band(pct=2), 0.1, under(window_s=None)) == either_way(0.002)


def test_a_rate_may_be_off_by_what_is_asked_for_at_once_and_by_one_slice_in_the_window() -> None:
    rate, mib = METRICS["io_bytes_per_s"], 2.0**20
    # 2 % of 4 MiB/s; 256 KiB at once and a tenth of a second, within 2 s.
    at_once = (0.08 + 0.125 + 0.2) * mib
    given = under(in_flight=2**18)
    found = tolerance(rate, rate.band, 4 * mib, given)
    assert found is not None
    assert found.above == pytest.approx(at_once)
    assert tolerance(rate, rate.band, 4 * mib, under(window_s=None)) is None
    assert rate.holds(4.5 * mib, 4 * mib, found, grown=False) is False
    assert rate.holds(3.0 * mib, 4 * mib, found, grown=False) is None, "the device may be slow"
    assert rate.hides(mib, 0.26 * mib)


def test_memory_may_lag_by_pages_of_the_hosts_size_on_each_cpu() -> None:
    memory, band = METRICS["memory_max_bytes"], Band(pages_per_cpu=64)
    assert reach(memory, band, 2**26, under()) == either_way(64 * 2 * 4096)
    assert reach(memory, band, 2**26, under(page_bytes=65536)) == either_way(64 * 2 * 65536)


def test_memory_may_pass_its_limit_by_less_than_its_counter_may_stop_short_of_it() -> None:
    memory, page = METRICS["memory_max_bytes"], 2 * 4096
    allowed = tolerance(memory, memory.band, 2**26, under())
    assert allowed == Tolerance(64 * page, 32 * page)
    assert allowed is not None
    for value, held in ((-65, None), (-64, True), (0, True), (32, True), (33, False)):
        felt = 2.0**26 + value * page
        assert memory.holds(felt, 2.0**26, allowed, grown=False) is held
    assert memory.holds(2.0**26 - 65 * page, 2.0**26, allowed, grown=True) is False


def test_an_empty_band_is_exactly() -> None:
    assert tolerance(METRICS["tasks_max"], Band(), 24, under()) == Tolerance(0, 0)


def test_a_value_within_a_band_of_ticks_that_is_too_wide_for_it_shows_nothing() -> None:
    assert CPUS.holds(0.015, 0.015, Tolerance(0.0037, 0.0037), grown=False) is True
    assert CPUS.holds(0.015, 0.015, Tolerance(0.0038, 0.0038), grown=False) is None


def test_a_value_outside_a_band_is_outside_however_wide_that_is() -> None:
    assert CPUS.holds(0.1, 0.015, Tolerance(0.0038, 0.0038), grown=False) is False


def test_only_ticks_hide_a_value() -> None:
    tasks = METRICS["memory_max_bytes"]
    assert tasks.holds(100, 100, Tolerance(90, 90), grown=False) is True


def test_a_stored_run_of_version_0_1_has_a_tick_where_it_had_a_millisecond_per_period() -> None:
    assert Band.model_validate({"pct": 2, "ms_per_period": 1.0, "pages_per_cpu": 0}) == QUOTA
    assert Band.model_validate({"pct": 5, "ms_per_period": 0.0}) == Band(pct=5)
