"""Where the values of a run stand along one axis."""

from __future__ import annotations

from cgbench.judging.estimates import Point
from cgbench.records.run import PointKey
from cgbench.reporting.plots.value_axis import Layout, layout


def point(option: str, requested: str, note: str | None = None) -> Point:
    key = PointKey("worker", option, "run", requested, note)
    return Point(key, "worker", {option: requested}, {option: requested}, 1, None, None, (), {})


def laid_out(*points: Point) -> Layout:
    return layout(points, [])


def test_values_of_one_option_stand_by_their_size() -> None:
    near, far = point("device-read-bps", "2m"), point("device-read-bps", "64m")
    one = laid_out(far, near)
    assert one.axis.title == "--device-read-bps"
    assert one.places[far.key] == 32 * float(one.places[near.key])
    assert one.axis.settings["type"] == "log"
    assert one.ordered([far, near]) == [near, far]


def test_values_of_several_options_have_no_common_scale_and_each_says_which_it_is_of() -> None:
    requests, rate = point("device-read-iops", "64"), point("device-read-bps", "4m")
    one = laid_out(requests, rate)
    assert one.axis.title == "option and value"
    assert one.axis.settings["type"] == "category"
    assert one.places == {requests.key: "device-read-iops 64", rate.key: "device-read-bps 4m"}
    assert one.ordered([rate, requests]) == [rate, requests]


def test_quotas_and_cpus_are_the_same_limit_and_share_a_scale() -> None:
    quota, cpus = point("cpu-quota", "50000"), point("cpus", "0.5")
    one = laid_out(quota, cpus)
    assert one.axis.settings.get("type") != "category"
