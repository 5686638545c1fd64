"""Metrics: each is described once, and everything that is measured is among them."""

from __future__ import annotations

import pytest

from cgbench.spec.metrics import METRICS, Metric, nearest


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
