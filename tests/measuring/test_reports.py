"""What programs printed, read from Docker's log: figures at their times, and floods refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import TrialError
from cgbench.measuring import reports
from cgbench.measuring.container import Running
from cgbench.records.trial import Reported
from cgbench.spec import experiment_file
from cgbench.spec.container import Container
from cgbench.spec.program import Load, Program
from cgbench.spec.programs import with_loads
from cgbench.spec.report import Report

BATCH = Program(image="x", report=Report(pattern="took (?P<duration_s>[^ ]+) s"))
DRIVEN = Program(
    image="x", listens=1, load=Load(command=("b",), report=Report(keys={"rate": "rps"}))
)


def stamped(text: str, at: float | None = None) -> str:
    when = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}789Z {text}"


def taken(lines: list[str], program: Program = BATCH) -> list[Reported]:
    base = experiment_file.load("cpus-sweep")
    update = {
        "containers": (Container(role="one", workload="mine"),),
        "programs": {"mine": program},
    }
    experiment = with_loads(base.model_copy(update=update))
    running = [
        cast(Running, SimpleNamespace(spec=one, container_id=one.role))
        for one in experiment.containers
    ]
    engine = SimpleNamespace(printed=lambda _container: lines)
    return list(reports.taken(cast(Engine, engine), experiment, running))


def test_a_figure_has_the_time_at_which_it_was_printed() -> None:
    now = time.time()
    before, after = taken([
        stamped("starting", now - 3), stamped("took 0.5 s", now - 2), stamped("took 0.7 s", now - 1)
    ])  # fmt: skip
    assert (before.role, before.metric, before.value) == ("one", "reported_duration_s", 0.5)
    assert after.t_ns - before.t_ns == pytest.approx(10**9, abs=10**4)
    assert time.monotonic_ns() - after.t_ns == pytest.approx(10**9, rel=0.5)


def test_what_a_load_reports_is_the_programs() -> None:
    (found,) = taken([stamped('{"rps": 7}')], DRIVEN)
    assert (found.role, found.metric) == ("one", "reported_rate_per_s")


def test_a_line_that_is_written_over_and_over_is_read_in_its_parts() -> None:
    assert [one.value for one in taken([stamped("took 1 s\rtook 2 s\rdone")])] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no line of one fits its report; it printed nothing"),
        ([stamped("took ages")], "no line of one fits its report; the last it printed: took ages"),
        (["no stamp took 1 s"], "no line of one fits its report"),
        ([stamped("took NaN s")], "one: report: duration_s is 'NaN', and no finite number"),
        ([stamped("x" * 10**6)] * 15, "printed more than Docker keeps"),
        ([stamped("took 1 s")] * (reports.MOST + 1), "reported more than 20000 figures"),
    ],
)
def test_what_cannot_be_measured_by_fails_the_trial_with_the_reason(
    lines: list[str], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        taken(lines)
    assert said in caught.value.message


def test_who_reports_nothing_is_not_asked() -> None:
    assert taken(["odd"], Program(image="x", load=Load(url="http://x/", rate=1))) == []
