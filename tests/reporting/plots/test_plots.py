"""Every plot of a report, as Plotly itself would take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
import pytest

from cgbench.judging.run import load
from cgbench.reporting.pages.run import run_page
from cgbench.reporting.plots.plot import Plot, bars, decades, fewer, line, rounded
from cgbench.units import NS_PER_S
from tests.made.run_builder import MadeUp, build

MADE = {
    "cpu-quota-sweep": MadeUp(),
    "cpu-period-sweep": MadeUp(name="cpu-period-sweep", hold_ns=4 * NS_PER_S),
    "one trial": MadeUp(trials=1),
    "one failed": MadeUp(failed={2: "killed"}),
}


@pytest.fixture(scope="module", params=list(MADE), ids=str)
def plots(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Plot]:
    directory = build(tmp_path_factory.mktemp("results"), MADE[request.param])
    page = run_page(load(directory), "run-1", 500)
    return {name.removeprefix("run-1-"): plot for name, plot in page.plots().items()}


def painted(value: Any) -> Any:
    """Replace the roles of colours by a colour."""
    if isinstance(value, str):
        return "#123456" if value.startswith("@") else value
    if isinstance(value, list):
        return [painted(one) for one in value]
    if isinstance(value, dict):
        return {key: painted(one) for key, one in value.items()}
    return value


def values(plot: Plot) -> Iterator[float]:
    for trace in plot.data:
        for value in trace["y"]:
            if isinstance(value, float | int):
                yield value


def test_plotly_accepts_every_plot(plots: dict[str, Plot]) -> None:
    for plot in plots.values():
        go.Figure(data=painted(plot.data), layout=painted(plot.layout))


def test_every_plot_says_what_to_see_and_how_to_read_it_and_has_a_text_for_it(
    plots: dict[str, Plot],
) -> None:
    for plot in plots.values():
        assert plot.title
        assert plot.reading.endswith(".")
        assert plot.summary
        assert plot.keys


def test_every_plot_has_data(plots: dict[str, Plot]) -> None:
    for plot in plots.values():
        assert any(len(trace["y"]) > 0 for trace in plot.data)
        assert all(len(trace["x"]) == len(trace["y"]) for trace in plot.data if "x" in trace)


def test_a_report_has_all_the_plots_it_promises(plots: dict[str, Plot]) -> None:
    assert [name for name in plots if not name.startswith("step")] == [
        "declared", "error", "throttled_periods_pct", "throttled_time_pct", "stalls",
        "stall-distribution", "effect", "timeline", "docker-stats", "work",
    ]  # fmt: skip
    assert "step-raised" in plots


def test_throttled_periods_and_throttled_time_are_two_plots_with_their_names(
    plots: dict[str, Plot],
) -> None:
    for name in ("throttled_periods_pct", "throttled_time_pct"):
        axis = plots[name].layout["yaxis"]["title"]["text"]
        assert axis.startswith(name.removesuffix("_pct").replace("_", " "))


def test_the_range_of_errors_holds_every_error_and_the_band(plots: dict[str, Plot]) -> None:
    low, high = plots["error"].layout["yaxis"]["range"]
    assert low <= -2 < 2 <= high
    assert all(low <= value <= high for value in values(plots["error"]))


def test_changes_are_marked_on_the_timeline(plots: dict[str, Plot]) -> None:
    marks = plots["timeline"].layout["shapes"]
    assert len(marks) == len(plots["timeline"].layout["annotations"])
    assert len(marks) in (7, 11)


def test_periods_are_drawn_on_logarithmic_axes_below_a_flat_throughput(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = build(tmp_path_factory.mktemp("results"), MADE["cpu-period-sweep"])
    plot = run_page(load(directory), "run-1", 500).plots()["run-1-stalls"]
    assert plot.layout["xaxis"]["type"] == plot.layout["yaxis"]["type"] == "log"
    assert plot.layout["xaxis"]["ticktext"] == ["5", "10", "20", "50", "100", "250", "1000"]
    assert plot.layout["yaxis2"]["title"]["text"] == "CPUs used"
    assert plot.title.startswith("Stalls grow from 2.5 ms at 5 ms to 500 ms at 1 s")


def test_even_steps_are_stored_as_start_and_step() -> None:
    trace = line([float(x) for x in range(100)], [0.0] * 100, "@used")
    assert (trace["x0"], trace["dx"], "x" in trace) == (0.0, 1.0, False)
    uneven = line([float(x * x) for x in range(100)], [0.0] * 100, "@used")
    assert uneven["x"][3] == 9.0


def test_a_line_keeps_its_extremes_when_it_gets_fewer_points() -> None:
    y = [0.0] * 1000
    y[123], y[456] = 7.0, -7.0
    whole = line([float(x) for x in range(1000)], y, "@used", shape="hv")
    less = fewer(whole, 50)
    assert len(less["x"]) == len(less["y"]) == 50
    assert (max(less["y"]), min(less["y"])) == (7.0, -7.0)
    assert (less["x"][less["y"].index(7.0)], less["line"]) == (123.0, whole["line"])
    assert fewer(whole, 1000) is whole


def test_numbers_are_short_and_gaps_are_none() -> None:
    assert rounded([1 / 3, None, float("nan"), 123456.7]) == [0.33333, None, None, 123460.0]


def test_error_bars_reach_the_ends_of_the_interval() -> None:
    drawn = bars([0.9, None], [1.0, 2.0], [1.2, None])
    assert drawn["array"] == pytest.approx([0.2, 0])
    assert drawn["arrayminus"] == pytest.approx([0.1, 0])


def test_a_logarithmic_axis_has_ticks_at_one_two_and_five() -> None:
    axis = decades(0.2, 90)
    assert axis["ticktext"] == ["0.2", "0.5", "1", "2", "5", "10", "20", "50", "100"]
    assert axis["range"] == pytest.approx([-0.699, 2.015], abs=0.001)
