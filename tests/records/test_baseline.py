from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.errors import BaselineError, CgbenchError, StoreError
from cgbench.judging import sides
from cgbench.judging.run import load
from cgbench.records import baseline
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Gate
from cgbench.spec.programs import felt_metrics
from tests.made.plain_sides import side
from tests.made.run_builder import MadeUp, build


def test_a_run_becomes_a_baseline_with_a_value_per_trial(tmp_path: Path) -> None:
    kept = sides.of_run(load(build(tmp_path, MadeUp(trials=4))))
    assert kept.repetitions == (1, 2, 3, 4)
    used = next(one for one in kept.series if (one.metric, one.requested) == ("cpus_used", "50000"))
    assert used.values == pytest.approx([0.5] * 4, rel=0.01)
    assert {one.metric for one in kept.series} == set(
        sides.gated_metrics(experiment_file.load("cpu-quota-sweep"))
    )


def test_a_program_is_judged_by_its_clients_unless_its_file_says_otherwise() -> None:
    found = experiment_file.load("ways-to-give-one-cpu")
    assert found.programs
    assert sides.gated_metrics(found) == felt_metrics(found)
    assert "cpus_used" not in felt_metrics(found)
    gate = Gate(metrics=("cpus_used",))
    assert sides.gated_metrics(found.model_copy(update={"gate": gate})) == ("cpus_used",)
    silent = {name: one.model_copy(update={"load": None}) for name, one in found.programs.items()}
    quiet = found.model_copy(update={"programs": silent})
    assert sides.gated_metrics(quiet) == ("cpus_used",)


def test_metrics_named_replace_the_experiments(tmp_path: Path) -> None:
    kept = sides.of_run(load(build(tmp_path)), names=["settle_ms"])
    assert {one.metric for one in kept.series} == {"settle_ms"}


def test_a_repetition_can_be_left_out(tmp_path: Path) -> None:
    assert sides.of_run(load(build(tmp_path)), without={2}).repetitions == (1, 3)


def test_what_is_written_is_read_again_and_has_a_line_per_series(tmp_path: Path) -> None:
    kept = sides.of_run(load(build(tmp_path)), "before")
    path = baseline.write(kept, tmp_path)
    assert baseline.find("before", tmp_path) == kept == baseline.find(str(path), tmp_path)
    assert sum('"metric"' in line for line in path.read_text().splitlines()) == len(kept.series)
    assert baseline.names(tmp_path) == ["before"]


def test_an_absent_baseline_is_named_with_those_there_are(tmp_path: Path) -> None:
    baseline.write(side({"cpus_used": [0.5, 0.5, 0.5]}), tmp_path)
    with pytest.raises(BaselineError, match=r"no baseline called after .*there: before"):
        baseline.find("after", tmp_path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[:40], "not JSON"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 9'), "version 9"),
        (lambda text: text.replace('"run"', '"ran"', 1), "ran: there is no such key"),
        (lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5, NaN, 0.5]"), "NaN is not a number"),
        (lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5, 1e999, 0.5]"), "finite number"),
        (lambda text: text.replace("[0.5, 0.5, 0.5]", "[0.5]"), "1 values for 3 repetitions"),
    ],
)
def test_a_damaged_baseline_is_refused_by_name(tmp_path: Path, edit, message: str) -> None:  # type: ignore[no-untyped-def]
    path = baseline.write(side({"cpus_used": [0.5, 0.5, 0.5]}), tmp_path)
    path.write_text(edit(path.read_text()))
    with pytest.raises(CgbenchError, match=message) as caught:
        baseline.find("before", tmp_path)
    assert str(path) in caught.value.message


def test_a_run_whose_trials_all_failed_is_no_side(tmp_path: Path) -> None:
    made = MadeUp(trials=2, failed={1: "killed", 2: "killed"})
    with pytest.raises(BaselineError, match="every trial failed: killed"):
        sides.of_run(load(build(tmp_path, made)))


def test_a_run_without_trials_is_no_side(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no finished trial"):
        sides.of_run(load(build(tmp_path, MadeUp(finished=0, status="interrupted"))))


def test_a_metric_that_was_not_measured_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="measured wake_p99_us"):
        sides.of_run(load(build(tmp_path)), names=["wake_p99_us"])


def test_a_baseline_is_narrowed_to_the_metrics_asked_for() -> None:
    both = side({"cpus_used": [0.5, 0.5, 0.5], "stall_p99_ms": [1.0, 1.0, 1.0]})
    (one,) = sides.narrowed(both, ["cpus_used"]).series
    assert one.metric == "cpus_used"
    assert sides.narrowed(both, []) == both
    with pytest.raises(BaselineError, match=r"measured wake_p99_us\nIt has cpus_used"):
        sides.narrowed(both, ["wake_p99_us"])


def test_unknown_metrics_and_unfit_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="unknown metric: speed"):
        sides.check_metrics(["speed"])
    with pytest.raises(BaselineError, match="cannot name a baseline"):
        baseline.path_of("../up", tmp_path)


def test_an_unwritable_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "baselines").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        baseline.write(side({"cpus_used": [1.0, 1.0, 1.0]}), tmp_path)


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = baseline.write(side({"cpus_used": [0.5, None, 0.5]}), tmp_path)
    assert json.loads(path.read_text())["series"][0]["values"] == [0.5, None, 0.5]
