"""The history of a metric: its series, what parts them, what shifted, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.errors import HistoryError
from cgbench.judging import history
from cgbench.judging.history import Wanted
from cgbench.judging.trend import History
from cgbench.records.results import runs
from cgbench.reporting import render
from cgbench.reporting.pages import history as history_page
from cgbench.reporting.words import history as history_words
from tests.made.command import cgbench
from tests.made.histories import Night, keep, steady
from tests.reporting.test_render import Page, embedded

QUOTA = Wanted("cpus_used")


def slower(results: Path, kernel: str = "6.18.0") -> History:
    """Keep 12 runs at half a CPU and 12 at 10 % less under another kernel, and read them."""
    after = [Night(one.values, {"kernel": kernel}) for one in steady(0.45, 12, seed=1)]
    keep(results, [*steady(0.5, 12), *after])
    return history.read(results, QUOTA)


@pytest.fixture(scope="module")
def slowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a slowdown's runs, for tests that leave them as they are."""
    results = tmp_path_factory.mktemp("slowed")
    slower(results)
    return results


def refused(results: Path, wanted: Wanted = QUOTA) -> tuple[str, str]:
    with pytest.raises(HistoryError) as caught:
        history.read(results, wanted)
    return caught.value.message, caught.value.advice or ""


def test_a_slowdown_is_found_at_its_run_with_what_shifted_beneath(slowed: Path) -> None:
    (trend,) = history.read(slowed, QUOTA).trends
    (change,) = trend.changes
    assert change.index == 12
    assert change.change_pct == pytest.approx(-10, abs=0.5)
    assert trend.since(change) == 12
    (shift,) = trend.shifts_at(change)
    assert (shift.what, shift.before, shift.after) == ("kernel", "6.1.0", "6.18.0")
    assert [(first, end) for first, end, _ in trend.levels()] == [(0, 12), (12, 24)]
    assert [one.started for one in trend.entries] == sorted(one.started for one in trend.entries)


def test_a_steady_series_has_no_change_point(tmp_path: Path) -> None:
    keep(tmp_path, steady(0.5, 20))
    (trend,) = history.read(tmp_path, QUOTA).trends
    assert trend.changes == ()
    assert trend.shifts == ()


@pytest.mark.parametrize("host", [{"hostname": "other"}, {"cpu_model": "another"}])
def test_runs_of_other_hosts_are_series_of_their_own(tmp_path: Path, host: dict[str, str]) -> None:
    other = [Night(one.values, host) for one in steady(0.3, 8)]
    keep(tmp_path, [night for pair in zip(steady(0.5, 8), other, strict=True) for night in pair])
    trends = history.read(tmp_path, QUOTA).trends
    assert [len(trend.entries) for trend in trends] == [8, 8]
    assert [trend.changes for trend in trends] == [(), ()]


def test_quick_runs_are_a_series_of_their_own(tmp_path: Path) -> None:
    keep(tmp_path, [*steady(0.5, 6), *[Night(one.values, quick=True) for one in steady(0.5, 6)]])
    assert [one.key.quick for one in history.read(tmp_path, QUOTA).trends] == [False, True]


def test_values_stand_in_the_order_of_the_schedule(tmp_path: Path) -> None:
    keep(tmp_path, [Night({"9000": [0.1], "10000": [0.2], "2000": [0.3]})] * 6)
    keys = [trend.key for trend in history.read(tmp_path, QUOTA).trends]
    assert [key.requested for key in keys] == ["9000", "10000", "2000"]


def test_a_value_stands_for_all_of_its_notes_and_a_note_for_one(tmp_path: Path) -> None:
    nights = steady(0.5, 12)
    keep(tmp_path, [replace(night, note=("first", "again")[number % 2])
                    for number, night in enumerate(nights)])  # fmt: skip
    both = history.read(tmp_path, Wanted("cpus_used", requested="50000")).trends
    assert [trend.key.label for trend in both] == ["50000 (first)", "50000 (again)"]
    (one,) = history.read(tmp_path, Wanted("cpus_used", requested="50000 (again)")).trends
    assert one.key.note == "again"
    assert len(one.entries) == 6


def test_it_can_be_narrowed(tmp_path: Path) -> None:
    keep(tmp_path, [Night({"9000": [0.1], "10000": [0.2]})] * 6)
    (only,) = history.read(tmp_path, Wanted("cpus_used", requested="9000")).trends
    assert only.key.requested == "9000"
    for wanted, expected in (
        (Wanted("cpus_used", requested="1"), ("--requested 1", "9000, 10000")),
        (Wanted("cpus_used", role="x"), ("--role x", "worker")),
        (Wanted("cpus_used", experiment="x"), ("--experiment x", "cpu-quota-sweep")),
        (Wanted("restarts"), ("METRIC restarts", "cpus_used")),
    ):
        message, advice = refused(tmp_path, wanted)
        assert expected[0] in message
        assert expected[1] in advice


def test_an_unknown_metric_is_answered_with_the_nearest(tmp_path: Path) -> None:
    assert refused(tmp_path, Wanted("cpus_usd")) == (
        "no metric is called cpus_usd", "Did you mean cpus_used?"
    )  # fmt: skip
    assert "stall_p99_ms" in refused(tmp_path, Wanted("zzz"))[1]


def test_no_runs_and_too_few_runs_are_reported(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)[0]
    keep(tmp_path, steady(0.5, 5))
    assert "has 5, and change points need 6" in refused(tmp_path)[0]


def test_a_short_series_beside_a_long_one_is_shown_and_not_judged(tmp_path: Path) -> None:
    keep(tmp_path, [*steady(0.5, 6), Night({"7000": [0.07]})])
    found = history.read(tmp_path, QUOTA)
    assert [trend.too_short for trend in found.trends] == [False, True]
    assert history_words.headline(found) == "`cpus_used` shows no change point in 1 series."


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", '{"schema_version": 99}', "schema version 99"),
        ("run.json", "{", "not JSON"),
        ("phases.parquet", "x", "phases.parquet"),
    ],
)
def test_a_damaged_run_is_left_out_by_name(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    damaged = keep(tmp_path, steady(0.5, 8))[3]
    (damaged.path / name).write_text(content)
    found = history.read(tmp_path, QUOTA)
    assert len(found.trends[0].entries) == 7
    (only,) = found.left_out
    assert only.run == damaged.path.name
    assert reason in only.reason


def test_what_another_experiment_left_out_is_nothing_to_the_one_that_was_named(
    tmp_path: Path,
) -> None:
    """Met by a new user: a damaged run of another experiment stood below the figures."""
    kept = keep(tmp_path, steady(0.5, 8))
    other = tmp_path / "another" / "20260101T000000Z-0001"
    other.mkdir(parents=True)
    (other / "run.json").write_text("{")
    whole = history.read(tmp_path, Wanted("cpus_used"))
    assert [one.run for one in whole.left_out] == [other.name]
    named = history.read(tmp_path, Wanted("cpus_used", kept[0].run().experiment.name))
    assert named.left_out == ()
    assert named.trends == whole.trends


def test_what_was_measured_for_another_question_is_counted_and_left_out(tmp_path: Path) -> None:
    """Met by a new user: runs of the gate were counted, one of them measured beside a hog."""
    keep(tmp_path, steady(0.5, 12))
    several = runs(tmp_path)
    for directory, purpose in zip(several, ("gate", "gate", "A of ab"), strict=False):
        directory.write_run(directory.run().model_copy(update={"purpose": purpose}))
    found = history.read(tmp_path, QUOTA)
    (trend,) = found.trends
    assert len(trend.entries) == 9
    assert [(one.run, one.reason) for one in found.left_out] == [
        ("1 run", "measured by ab, for another question"),
        ("2 runs", "measured by gate, for another question"),
    ]


def test_a_figure_that_is_no_number_leaves_its_run_out(tmp_path: Path) -> None:
    keep(tmp_path, [*steady(0.5, 6), Night({"50000": [float("nan")]})])
    found = history.read(tmp_path, QUOTA)
    assert "no number" in found.left_out[0].reason
    assert len(found.trends[0].entries) == 6


def test_an_experiment_that_was_edited_is_a_shift(tmp_path: Path) -> None:
    first, *_ = keep(tmp_path, steady(0.5, 6))
    record = first.run()
    edited = record.experiment.model_copy(update={"warmup": 1})
    first.write_run(record.model_copy(update={"experiment": edited}))
    (trend,) = history.read(tmp_path, QUOTA).trends
    assert [(shift.index, shift.what) for shift in trend.shifts] == [(1, "schedule")]


# Page


def test_the_page_tells_the_change_and_the_kernel(tmp_path: Path) -> None:
    found = slower(tmp_path, kernel="6.18.0-<i>&")
    html = render.write_history(found, tmp_path / "page.html").read_text()
    page = Page(html)
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert (page.headings[0].replace("\N{NO-BREAK SPACE}", " ")).startswith(
        "cpus_used changed in 1 of 1 series, most by −10 % at"
    )
    assert "kernel 6.1.0 → 6.18.0-<i>&" in text
    assert "2026-03-13" in text
    assert embedded(html, "cgbench-history") == json.loads(json.dumps(found.to_json()))
    charts = [one for one in page.having("class") if one["class"] == "chart"]
    assert [one["id"] for one in charts] == list(embedded(html, "cgbench-plots"))
    assert html.count("* plotly.js v") == 1
    assert len(html.encode()) < render.MAXIMUM_BYTES


def test_the_plot_has_a_point_a_run_and_a_line_a_change(slowed: Path) -> None:
    (plot,) = history_page.history_page(history.read(slowed, QUOTA)).plots().values()
    levels, runs = plot.data
    assert len(runs["y"]) == 24
    assert [x for x in levels["x"] if x is not None] == [-0.5, 11.5, 11.5, 23.5]
    assert [shape["x0"] for shape in plot.layout["shapes"]] == [11.5, 11.5]
    (note,) = plot.layout["annotations"]
    assert note["text"] == "−10 % kernel"


def test_what_changed_stands_first(tmp_path: Path) -> None:
    before, after = {"10000": [0.1], "50000": [0.5]}, {"10000": [0.1], "50000": [0.4]}
    keep(tmp_path, [Night(before)] * 6 + [Night(after)] * 6)
    (group,) = history_page.history_page(history.read(tmp_path, QUOTA)).groups
    assert [line.value for line in group.lines] == ["--cpu-quota 50000", "--cpu-quota 10000"]


# Command


def test_the_command_prints_a_narrow_table_and_writes_the_page(
    slowed: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = cgbench("history", "cpus_used", "--results", slowed, "-o", page)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines[:-1])) < 80
    assert "  also changed: kernel 6.1.0 → 6.18.0" in lines
    assert any("0.500 → 0.450 CPUs  −10 %  p " in line for line in lines)
    assert lines[-1] == f"report: {page}"
    assert page.is_file()


def test_the_command_prints_json(slowed: Path) -> None:
    done = cgbench("history", "cpus_used", "--results", slowed, "--json", "-")
    (series,) = json.loads(done.stdout)["series"]
    (change,) = series["change_points"]
    assert change["runs_since"] == 12
    assert change["run"] == series["runs"][12]["run"]
    assert (slowed / "history-cpus_used.html").is_file()


def test_the_command_answers_a_bad_metric_in_two_lines(tmp_path: Path) -> None:
    done = cgbench("history", "cpus_usd", "--results", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "cgbench: no metric is called cpus_usd\nDid you mean cpus_used?\n"


# Runs that were disturbed


DOUBT = "other processes of this host used up to 0.50 CPUs during a trial"


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a slowdown, of which the last three runs had a neighbour."""
    results = tmp_path_factory.mktemp("disturbed")
    after = steady(0.45, 12, seed=1)
    late = [replace(one, others_cpu_s=5.0) for one in after[-3:]]
    keep(results, [*steady(0.5, 12), *after[:-3], *late])
    return results


def test_a_run_that_was_disturbed_is_doubtful_in_the_figures(disturbed: Path) -> None:
    found = history.read(disturbed, QUOTA)
    (trend,) = found.trends
    assert [one.doubt for one in trend.entries] == [None] * 21 + [DOUBT] * 3
    assert [one.run for one in found.doubtful] == [one.run for one in trend.entries[-3:]]
    (series,) = found.to_json()["series"]
    assert [one["doubt"] for one in series["runs"]][-4:] == [None, DOUBT, DOUBT, DOUBT]


def test_a_run_that_was_disturbed_is_marked_in_the_table_and_on_the_page(
    disturbed: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = cgbench("history", "cpus_used", "--results", disturbed, "-o", page)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("worker")]
    assert "  24, 3 ?  0.50" in row
    assert "  ? 0.4" in row
    assert "lasting 12 runs, 3 doubtful" in " ".join(done.stdout.split())
    assert " ".join(done.stdout.split()).count(DOUBT) == 3
    assert max(map(len, done.stdout.splitlines()[:-1])) < 80
    text = Page(page.read_text()).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "3 doubtful runs" in text
    assert text.count(DOUBT) == 3
    (plot,) = history_page.history_page(history.read(disturbed, QUOTA)).plots().values()
    assert plot.data[1]["marker"]["symbol"] == ["circle"] * 21 + ["circle-open"] * 3
    assert plot.data[1]["customdata"][-1].endswith(f"; doubtful: {DOUBT}")
    assert "a doubtful run" in plot.keys[2].label


def test_of_many_doubtful_runs_a_few_are_named(tmp_path: Path) -> None:
    keep(tmp_path, [replace(one, others_cpu_s=5.0) for one in steady(0.5, 8)])
    done = cgbench("history", "cpus_used", "--results", tmp_path)
    assert done.stdout.count("doubtful run 2026") == 6
    assert "2 more runs are doubtful: see the page" in done.stdout
