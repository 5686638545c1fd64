"""Figures read from what a program prints: by a pattern, by keys, and nothing that is no number."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import WorkloadError
from cgbench.spec.metrics import METRICS
from cgbench.spec.report import FIGURES, Report

PGBENCH = Report(pattern=r"progress: .* (?P<rate>[0-9.]+) tps, lat (?P<mean_ms>[0-9.]+) ms")
JSON = Report(keys={"p99_ms": "latency.p99", "rate": "rps"}, scale={"p99_ms": 1000.0})


def test_a_pattern_reads_the_figures_that_its_groups_name() -> None:
    line = "progress: 3.0 s, 28463.9 tps, lat 0.068 ms stddev 0.02, 0 failed"
    assert list(PGBENCH.read(line)) == [
        ("reported_rate_per_s", 28463.9), ("reported_mean_ms", 0.068),
    ]  # fmt: skip
    assert list(PGBENCH.read("starting vacuum...end.")) == []


def test_keys_reach_into_objects_and_a_scale_changes_the_unit() -> None:
    line = json.dumps({"rps": 12, "latency": {"p99": 0.25}})
    assert dict(JSON.read(line)) == {"reported_rate_per_s": 12.0, "reported_p99_ms": 250.0}
    assert list(JSON.read('{"latency": 3}')) == []
    assert list(JSON.read("[1, 2]")) == []
    assert list(JSON.read("not JSON")) == []


@pytest.mark.parametrize("value", ['"fast"', "NaN", "Infinity", "true", "[1]", '{"a": 1}'])
def test_what_is_no_finite_number_is_an_error_and_no_figure(value: str) -> None:
    with pytest.raises(WorkloadError, match=r"report: rate is .* no finite number") as caught:
        list(JSON.read(f'{{"rps": {value}}}'))
    assert caught.value.advice


def test_a_group_that_took_no_part_is_no_figure() -> None:
    report = Report(pattern=r"rps=(?P<rate>[0-9]+)( p99=(?P<p99_ms>[0-9]+))?")
    assert dict(report.read("rps=5")) == {"reported_rate_per_s": 5.0}


@given(st.text(max_size=300))
def test_any_line_is_read_or_refused(line: str) -> None:
    for report in (PGBENCH, JSON):
        try:
            found = list(report.read(line))
        except WorkloadError:
            continue
        assert all(math.isfinite(value) for _, value in found)


def test_every_figure_is_a_metric() -> None:
    assert set(FIGURES.values()) <= set(METRICS)
