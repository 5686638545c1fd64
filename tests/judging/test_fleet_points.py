"""The band of a group of hosts, and who is outside of it: by more than spread and tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.judging import run as run_of
from cgbench.judging.fleet_points import of_runs, points
from cgbench.judging.run import Run
from cgbench.reporting.plots.fleet_curve import fleet_curves
from cgbench.spec.option import Settings
from tests.made.run_builder import MadeUp, build, obedient


def twice(settings: Settings) -> tuple[int | None, int]:
    """Hold twice the quota that is declared."""
    quota, period = obedient(settings)
    return None if quota is None else 2 * quota, period


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Run]]:
    made = {}
    for at, name in enumerate("abcdef"):
        folder: Path = tmp_path_factory.mktemp(name)
        kernel = twice if name == "e" else obedient
        directory = build(
            folder, MadeUp(trials=1, quotas=(20000, 50000), kernel=kernel, noise=0.001 * at)
        )
        made[name] = [run_of.load(directory)]
    return made


def test_a_host_whose_curve_leaves_the_band_is_named_with_its_value(
    runs: dict[str, list[Run]],
) -> None:
    hosts = {name: some[0].record.host for name, some in runs.items()}
    found = of_runs(runs, hosts, dict.fromkeys(runs, ()))
    assert found.outliers == ("e",)
    subjects = [one.subject for one in found.departures if "--cpu-quota 50000" in one.subject]
    assert subjects
    one = next(one for one in found.departures if one.subject == subjects[0])
    assert (one.of, one.like, one.number) == ("point", 5, 6)


def test_of_too_few_hosts_none_is_outside(runs: dict[str, list[Run]]) -> None:
    few = {name: runs[name] for name in "abe"}
    hosts = {name: some[0].record.host for name, some in few.items()}
    assert of_runs(few, hosts, dict.fromkeys(few, ())).departures == ()


def test_hosts_of_other_groups_are_not_compared(runs: dict[str, list[Run]]) -> None:
    groups = {point.group for point in points(runs)}
    assert len(groups) == 1
    assert all(set(point.values) == set("abcdef") for point in points(runs))


def test_the_outlier_has_its_own_mark_beside_the_band(runs: dict[str, list[Run]]) -> None:
    drawn = fleet_curves(points(runs))
    curve = next(
        one for one in drawn.values() if "cpus" in one.layout["yaxis"]["title"]["text"].lower()
    )
    assert [key.label for key in curve.keys][-1] == "e"
    assert "outside of it: e" in curve.title
    band = curve.data[:2]
    assert max(band[1]["y"]) < 0.7 < max(curve.data[-1]["y"])
