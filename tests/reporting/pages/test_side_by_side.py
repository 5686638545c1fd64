"""One experiment on several hosts: figures side by side, curves in one plot, mixed pages whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging.run import load
from cgbench.records.agreement import identity
from cgbench.records.run_directory import RunDirectory
from cgbench.records.verdict import Outcome
from cgbench.reporting import render
from cgbench.reporting.pages.side_by_side import SideBySide, on_several_hosts
from cgbench.reporting.plots.host_times import STAGES, Lane, host_times
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from tests.made.command import cgbench
from tests.made.records import HOST
from tests.made.run_builder import MadeUp, build, unfelt
from tests.made.truth_tables import table
from tests.reporting.test_render import Page, embedded

V2 = HOST.model_copy(update={"hostname": "lab", "kernel": "6.12.0", "cgroup": "v2"})


def leaky(settings: Settings) -> tuple[int | None, int]:
    """Give a tenth more than is declared."""
    quota, period = bandwidth(settings)
    return None if quota is None else round(1.1 * quota), period


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    where = tmp_path_factory.mktemp("hosts")
    return [
        build(where / "a", MadeUp(trials=2)),
        build(where / "b", MadeUp(trials=2, host=V2, kernel=leaky)),
    ]


def compared(runs: list[RunDirectory]) -> list[SideBySide]:
    hosts = [run.run().host for run in runs]
    return on_several_hosts(
        [load(run) for run in runs], {identity(host): host.hostname for host in hosts}
    )


def test_the_headline_says_who_holds_and_who_does_not(runs: list[RunDirectory]) -> None:
    (one,) = compared(runs)
    assert one.headline.startswith(
        "`--cpu-quota` does not hold on every host: on made-up within 0."
    )
    assert "on lab off by 1" in one.headline
    assert one.findings[1].startswith("lab, kernel 6.12.0, cgroup v2: Docker answers after 15")


def test_each_value_has_a_figure_per_host_and_differences_are_marked(
    runs: list[RunDirectory],
) -> None:
    (one,) = compared(runs)
    assert len(one.lines) == 6
    first = one.lines[0]
    assert first.words == "10 % of a CPU"
    ours, theirs = first.estimates
    assert ours is not None
    assert theirs is not None
    assert ours.median == pytest.approx(0.1, rel=0.01)
    assert theirs.median == pytest.approx(0.11, rel=0.01)
    assert first.differs


def test_two_hosts_that_hold_are_reported_so_and_nothing_is_marked(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    (one,) = compared([runs[0], build(tmp_path, MadeUp(trials=2, host=V2))])
    assert one.headline.startswith("`--cpu-quota` holds on 2 hosts: ")
    assert not any(line.differs for line in one.lines)


def test_where_no_share_of_a_cpu_judges_the_verdicts_are_reported(tmp_path: Path) -> None:
    good = unfelt(build(tmp_path / "a", MadeUp(trials=1)))
    deaf = unfelt(build(tmp_path / "b", MadeUp(trials=1, host=V2, file=lambda _: "-1")))
    (one,) = compared([good, deaf])
    assert one.headline == "`--cpu-quota` is inconclusive on made-up and wrong on lab."
    assert "no workload could show the effect" in one.findings[0]
    (same,) = compared([good, unfelt(build(tmp_path / "c", MadeUp(trials=1, host=V2)))])
    assert same.headline == "`--cpu-quota` is inconclusive on made-up and lab."


def test_one_plot_holds_the_curves_of_both_hosts(runs: list[RunDirectory]) -> None:
    (one,) = compared(runs)
    plots = {plot.name: plot for plot in one.figures}
    assert set(plots) == {
        "declared", "error", "stall_p99_ms", "throttled_periods_pct", "throttled_time_pct",
        "effect",
    }  # fmt: skip
    assert [key.label for key in plots["declared"].keys] == [
        "expected",
        "experienced, made-up, kernel 6.1.0, cgroup v1",
        "experienced, lab, kernel 6.12.0, cgroup v2",
    ]
    assert "farthest apart at" in plots["declared"].title
    assert "on made-up" in plots["declared"].title
    assert "lab, kernel 6.12.0, cgroup v2: 10 % of a CPU: 0.11" in plots["declared"].summary
    sizes = [trace["marker"]["size"] for trace in plots["declared"].data
             if trace.get("marker", {}).get("symbol") in ("circle", "diamond")]  # fmt: skip
    assert len(set(sizes)) == 2


def test_runs_of_one_host_or_of_different_experiments_are_not_compared(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    assert compared([runs[0]]) == []
    again = build(tmp_path, MadeUp(trials=1))
    assert compared([runs[0], again]) == []
    (one,) = compared([runs[0], again, runs[1]])
    assert one.left_out == 1
    assert one.sides[0].run.directory is again
    periods = build(tmp_path, MadeUp(name="cpu-period-sweep", trials=1, host=V2))
    assert compared([runs[0], periods]) == []


def test_a_host_without_a_finished_trial_has_nothing_to_compare(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    begun = MadeUp(trials=1, host=V2, finished=0, status="interrupted")
    assert compared([runs[0], build(tmp_path, begun)]) == []


def test_tables_and_runs_of_two_hosts_share_a_page(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    lab = table(Outcome.IGNORED).model_copy(update={"host": V2})
    tables = [table(Outcome.EFFECTIVE), lab]
    html = render.write([load(run) for run in runs], tmp_path / "page.html", tables).read_text()
    page = Page(html)
    identities = [one["id"] for one in page.having("id")]
    assert len(identities) == len(set(identities))
    assert {"differences", "compared-1", "run-1", "run-2"} <= set(identities)
    assert {str(one["href"])[1:] for one in page.having("href")} <= set(map(str, identities))
    assert len(embedded(html, "cgbench-truth")) == 2
    assert len(embedded(html, "cgbench-summary")["runs"]) == 2
    assert page.headings[0] == "made-up and lab disagree on 1 of 1 option of docker update: --cpus."


def test_the_command_takes_a_table_and_a_run_together(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    path = tmp_path / "truth.json"
    path.write_text(report_json())
    done = cgbench("report", path, runs[0].path, runs[1].path, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    text = Page((tmp_path / "page.html").read_text()).text
    assert "made-up, lab side by side" in text


def report_json() -> str:
    import json

    return json.dumps(table(Outcome.EFFECTIVE).to_json())


# Times


def lane(host: str, *times: float) -> Lane:
    words = (stage for stage, _ in STAGES)
    return Lane(
        host, {"--cpus": {stage: [time] for stage, time in zip(words, times, strict=False)}}
    )


def test_lanes_stand_apart_within_their_row() -> None:
    plot = host_times([lane("a, x", 10, 8, 40), lane("b, y", 100, 80, 400)], "effect")
    assert plot is not None
    assert plot.title == "The workload follows after 40 ms on a, 400 ms on b"
    heights = {trace["y"][0] for trace in plot.data}
    assert len(heights) == 2
    assert all(-0.5 < height < 0.5 for height in heights)
    assert plot.layout["yaxis"]["ticktext"] == ["--cpus"]


def test_what_a_logarithmic_axis_cannot_show_is_left_out() -> None:
    plot = host_times([lane("a", 10, 8, 0), lane("b", 20)], "effect")
    assert plot is not None
    settled = [trace for trace in plot.data if trace["mode"] == "markers"][2]
    assert settled["x"] == []
    assert host_times([Lane("a", {}), Lane("b", {"--cpus": {}})], "effect") is None
