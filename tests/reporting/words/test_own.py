"""How programs of one's own fared, in a sentence for each, at its best and its worst value."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgbench.judging.estimates import Point
from cgbench.judging.own import own_metric
from cgbench.judging.run import Run
from cgbench.reporting.words import own
from cgbench.spec import experiment_file
from cgbench.spec.container import Container
from cgbench.spec.program import Load, Program

WEB = Program(image="x", load=Load(url="http://x/", rate=1), user="root", network="host")


def run(**programs: Program) -> Run:
    base = experiment_file.load("cpus-sweep")
    containers = tuple(Container(role=name, workload=name) for name in programs)
    experiment = base.model_copy(update={"programs": programs, "containers": containers})
    return cast(Run, SimpleNamespace(record=SimpleNamespace(experiment=experiment)))


def point(role: str, place: str, **medians: float) -> Point:
    made: Any = SimpleNamespace(
        role=role, place=place, changed=True, estimate=medians.get, median=medians.get
    )
    return cast(Point, made)


def test_latency_is_said_at_the_best_and_the_worst_value_with_what_failed() -> None:
    many = [
        point("web", "1 CPUs", latency_p99_ms=5.0, failed_pct=0.0),
        point("web", "0.5 CPUs", latency_p99_ms=80.0, failed_pct=0.0),
        point("web", "0.3 CPUs", latency_p99_ms=1000.0, failed_pct=12.5),
    ]
    (said,) = own.sentences(run(web=WEB), many)
    assert said == (
        "`web`: latency, 99th percentile 5.00 ms at 1 CPUs, 1000 ms (12.5 % failed) at 0.3 CPUs."
    )


def test_of_a_rate_more_is_better() -> None:
    many = [
        point("db", "1 CPUs", reported_rate_per_s=900.0),
        point("db", "0.5 CPUs", reported_rate_per_s=400.0),
    ]
    (said,) = own.sentences(run(db=Program(image="x")), many)
    assert said == "`db`: rate, as reported 900 1/s at 1 CPUs, 400 1/s at 0.5 CPUs."


def test_what_no_value_changes_is_said_once() -> None:
    many = [point("db", place, reported_cpus=2.0) for place in ("1 CPU", "0.5 CPUs")]
    (said,) = own.sentences(run(db=Program(image="x")), many)
    assert said == "`db`: CPUs, as reported 2.00 CPUs at every value."


def test_of_a_single_value_one_figure_is_said() -> None:
    (said,) = own.sentences(run(web=WEB), [point("web", "1 CPUs", latency_p99_ms=5.0)])
    assert said == "`web`: latency, 99th percentile 5.00 ms at 1 CPUs."


def test_what_was_not_measured_is_not_said() -> None:
    assert list(own.sentences(run(web=WEB), [point("web", "1 CPUs", cpus_used=1.0)])) == []
    assert list(own.sentences(run(), [point("web", "1 CPUs", latency_p99_ms=5.0)])) == []


def test_what_clients_felt_of_changes_is_said_apart_from_what_they_felt_later() -> None:
    many = [
        point("web", "1 CPU", latency_p99_ms=5.0, spike_ms=6.0, spike_failed=0.0, recovered_ms=0.0),
        point("web", "0.3 CPUs", latency_p99_ms=90.0, spike_ms=440.0, spike_failed=2.0,
              recovered_ms=0.0),
        point("web", "2 CPUs", latency_p99_ms=5.0, spike_ms=47.0, spike_failed=0.0,
              recovered_ms=189.0),
    ]  # fmt: skip
    _, said = own.sentences(run(web=WEB), many)
    assert said == (
        "`web`: right after a change the longest latency was 6 ms to 440 ms (0.3 CPUs), and steady "
        "189 ms later at most (2 CPUs); 2 requests failed."
    )
    _, said = own.sentences(run(web=WEB), many[:1] * 2)
    assert said.endswith("6 ms to 6 ms (1 CPU); no request failed.")


def test_what_a_file_loosens_is_said() -> None:
    (said,) = own.loosened(run(web=WEB, db=Program(image="x")))
    assert said == "`web` runs as root, is in the network of the host, as its file says."


@pytest.mark.parametrize(
    ("measured", "found"),
    [
        ({"cpus_used", "latency_p99_ms", "failed_pct"}, "latency_p99_ms"),
        ({"cpus_used", "reported_duration_s"}, "reported_duration_s"),
        ({"cpus_used"}, None),
    ],
)
def test_a_program_is_shown_by_what_says_most(measured: set[str], found: str | None) -> None:
    assert own_metric(run(web=WEB).record.experiment, measured) == found
    assert own_metric(run().record.experiment, measured) is None
