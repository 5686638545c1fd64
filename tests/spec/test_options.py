"""The registry of options: what each accepts, sends to Docker and expects in the kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import OptionError
from cgbench.host.cgroups import Cgroup
from cgbench.spec.conversions import (
    bandwidth,
    conversion,
    shares_to_weight,
    shares_to_weight_quadratic,
    v2_io_weight,
)
from cgbench.spec.option import Option, Settings, Value
from cgbench.spec.options import OPTIONS, option, update_body

relaxed = settings(deadline=None)


def expected(name: str, version: int, settings: Settings) -> str | None:
    return option(name).interfaces(version)[0].expected(settings)


# The registry


def test_every_option_of_docker_update_is_known() -> None:
    # As `docker update --help` of Engine 28 lists them, apart from the obsolete --kernel-memory.
    listed = """blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus
        cpuset-cpus cpuset-mems memory memory-reservation memory-swap pids-limit restart"""
    assert set(OPTIONS) == {*listed.split(), "kernel-memory"}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_found_with_and_without_dashes(name: str) -> None:
    assert option(name) is option(f"--{name}") is OPTIONS[name]
    assert option(name).flag == f"--{name}"


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown option: --cpu-qouta") as caught:
        option("--cpu-qouta")
    assert caught.value.advice == "Did you mean --cpu-quota?"


def test_an_option_like_no_other_lists_those_there_are() -> None:
    with pytest.raises(OptionError) as caught:
        option("xyz")
    assert caught.value.advice is not None
    assert "cpu-quota" in caught.value.advice
    assert "restart" in caught.value.advice


@pytest.mark.parametrize("one", OPTIONS.values(), ids=OPTIONS.keys())
def test_no_option_expects_anything_where_it_is_not_set(one: Option) -> None:
    for interface in (*one.interfaces(1), *one.interfaces(2)):
        if one.controller != "cpu":
            assert [each.expected({}) for each in interface.alternatives] == [None] * len(
                interface.alternatives
            )


# Domains

GOOD: list[tuple[str, Value]] = [
    ("cpus", 0.5),
    ("cpus", "1.5"),
    ("cpus", 0.01),
    ("cpu-quota", 1000),
    ("cpu-quota", "50000"),
    ("cpu-quota", -1),
    ("cpu-quota", "-1"),
    ("cpu-period", 1000),
    ("cpu-period", 1_000_000),
    ("cpu-shares", 2),
    ("cpu-shares", 262144),
    ("cpuset-cpus", "0-1"),
    ("cpuset-cpus", 0),
    ("cpuset-mems", "0"),
    ("memory", "64m"),
    ("memory", 6 * 2**20),
    ("memory-swap", "-1"),
    ("memory-reservation", "1g"),
    ("blkio-weight", 10),
    ("blkio-weight", 1000),
    ("pids-limit", 1),
    ("pids-limit", -1),
    ("cpu-rt-runtime", 0),
    ("restart", "no"),
    ("restart", "on-failure:3"),
]
BAD: list[tuple[str, Value, str]] = [
    ("cpus", 0.001, "is below 0.01"),
    ("cpus", "two", "not a number of CPUs"),
    ("cpus", "1e9999999", "not a number of CPUs"),
    ("cpu-quota", 999, "is below 1000"),
    ("cpu-quota", 0, "is below 1000"),
    ("cpu-quota", -2, "is below 1000"),
    ("cpu-quota", 1000.5, "not a whole number"),
    ("cpu-quota", "lots", "not a whole number"),
    ("cpu-quota", math.nan, "not a whole number"),
    ("cpu-quota", math.inf, "not a whole number"),
    ("cpu-period", 999, "is below 1000"),
    ("cpu-period", 1_000_001, "is above 1000000"),
    ("cpu-shares", 1, "is below 2"),
    ("cpu-shares", 262145, "is above 262144"),
    ("cpuset-cpus", "2-0", "not a CPU list"),
    ("memory", "5m", "is below 6291456"),
    ("memory", "much", "not a size"),
    ("blkio-weight", 9, "is below 10"),
    ("blkio-weight", 1001, "is above 1000"),
    ("pids-limit", 0, "is below 1"),
    ("restart", "sometimes", "not no, always"),
    ("restart", "always:3", "only on-failure takes a count"),
    ("restart", "on-failure:x", "its count is not a whole number"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_value_in_the_domain_is_accepted(name: str, value: Value) -> None:
    option(name).check(value)


@pytest.mark.parametrize(("name", "value", "reason"), BAD)
def test_a_value_outside_the_domain_is_refused_with_flag_value_and_reason(
    name: str, value: Value, reason: str
) -> None:
    with pytest.raises(OptionError) as caught:
        option(name).check(value)
    assert caught.value.message.startswith(f"--{name} {value}")
    assert reason in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.advice == option(name).domain()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cpus", "--cpus takes CPUs of at least 0.01."),
        ("cpu-quota", "--cpu-quota takes µs of at least 1000; -1 lifts it."),
        ("cpu-period", "--cpu-period takes µs from 1000 to 1000000."),
        ("cpuset-cpus", "--cpuset-cpus takes a CPU list as Docker documents it."),
    ],
)
def test_a_domain_is_shown_in_the_unit_the_user_writes(name: str, sentence: str) -> None:
    assert option(name).domain() == sentence


# What is sent


def test_an_update_request_holds_the_fields_of_the_engine_api() -> None:
    settings: Mapping[str, Value] = {
        "cpus": 0.5,
        "memory": "64m",
        "cpuset-cpus": 0,
        "pids-limit": -1,
        "restart": "on-failure:5",
    }
    assert update_body(settings) == {
        "NanoCpus": 500_000_000,
        "Memory": 64 * 2**20,
        "CpusetCpus": "0",
        "PidsLimit": -1,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
    }


def test_an_update_request_with_an_unknown_option_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown option"):
        update_body({"cpu-qouta": 5000})


# What the kernel should hold


@pytest.mark.parametrize(
    ("settings", "v1_quota", "v1_period", "v2"),
    [
        ({}, "-1", "100000", "max 100000"),
        ({"cpu-quota": 25000}, "25000", "100000", "25000 100000"),
        ({"cpu-quota": -1}, "-1", "100000", "max 100000"),
        ({"cpu-period": 5000}, "-1", "5000", "max 5000"),
        ({"cpu-quota": "2500", "cpu-period": "5000"}, "2500", "5000", "2500 5000"),
        ({"cpus": 0.5}, "50000", "100000", "50000 100000"),
        ({"cpus": "1.5"}, "150000", "100000", "150000 100000"),
    ],
)
def test_bandwidth_is_quota_and_period_in_two_files_on_v1_and_one_on_v2(
    settings: Settings, v1_quota: str, v1_period: str, v2: str
) -> None:
    assert expected("cpu-quota", 1, settings) == v1_quota
    assert expected("cpu-period", 1, settings) == v1_period
    assert {expected(name, 2, settings) for name in ("cpus", "cpu-quota", "cpu-period")} == {v2}


@pytest.mark.parametrize(
    ("name", "version", "settings", "text"),
    [
        ("cpu-shares", 1, {"cpu-shares": 512}, "512"),
        ("cpu-shares", 2, {"cpu-shares": 512}, "20"),
        ("cpuset-cpus", 1, {"cpuset-cpus": "0-1"}, "0-1"),
        ("cpuset-cpus", 2, {"cpuset-cpus": 0}, "0"),
        ("memory", 1, {"memory": "64m"}, "67108864"),
        ("memory", 1, {"memory": -1}, "9223372036854771712"),
        ("memory", 2, {"memory": "64m"}, "67108864"),
        ("memory", 2, {"memory": -1}, "max"),
        ("memory-reservation", 1, {"memory-reservation": "32m"}, "33554432"),
        ("memory-reservation", 2, {"memory-reservation": "32m"}, "33554432"),
        ("memory-swap", 1, {"memory": "64m", "memory-swap": "128m"}, "134217728"),
        ("memory-swap", 2, {"memory": "64m", "memory-swap": "128m"}, "67108864"),
        ("memory-swap", 2, {"memory": "64m", "memory-swap": -1}, "max"),
        ("blkio-weight", 1, {"blkio-weight": 500}, "500"),
        ("blkio-weight", 2, {"blkio-weight": 500}, "default 500"),
        ("pids-limit", 1, {"pids-limit": 32}, "32"),
        ("pids-limit", 2, {"pids-limit": -1}, "max"),
    ],
)
def test_an_interface_file_should_hold_the_kernels_form_of_a_value(
    name: str, version: int, settings: Settings, text: str
) -> None:
    assert expected(name, version, settings) == text


def test_real_time_budgets_have_no_interface_on_v2() -> None:
    assert option("cpu-rt-runtime").interfaces(2) == ()
    assert option("cpu-rt-runtime").interfaces(1) != ()


def test_a_restart_policy_has_no_interface_at_all() -> None:
    assert option("restart").interfaces(1) == option("restart").interfaces(2) == ()


@pytest.mark.parametrize(
    ("version", "files", "file", "text"),
    [
        (1, ["blkio.bfq.weight"], "blkio.bfq.weight", "500"),
        (1, ["blkio.weight"], "blkio.weight", "500"),
        (1, ["blkio.weight", "blkio.bfq.weight"], "blkio.weight", "500"),
        (2, ["io.bfq.weight"], "io.bfq.weight", "default 500"),
        (2, ["io.weight"], "io.weight", "default 4950"),
        (2, ["io.weight", "io.bfq.weight"], "io.bfq.weight", "default 500"),
    ],
)
def test_a_block_io_weight_is_kept_in_the_file_that_this_kernel_has(
    tmp_path: Path, version: int, files: list[str], file: str, text: str
) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    folders = {"blkio": tmp_path, "io": tmp_path} if version == 1 else {}
    (found,) = option("blkio-weight").kept_in(Cgroup(folders, tmp_path))
    assert (found.file, found.expected({"blkio-weight": 500})) == (file, text)
    assert found.expected({}) is None


def test_a_kernel_without_any_file_for_a_weight_has_none(tmp_path: Path) -> None:
    (found,) = option("blkio-weight").kept_in(Cgroup({}, tmp_path))
    assert not (tmp_path / found.file).exists()


@pytest.mark.parametrize(("weight", "text"), [(10, "1"), (100, "910"), (1000, "10000")])
def test_a_weight_is_stretched_to_the_range_of_io_weight(weight: int, text: str) -> None:
    assert v2_io_weight({"blkio-weight": weight}) == f"default {text}"


# Conversions


@pytest.mark.parametrize(
    ("shares", "linear", "quadratic"),
    [(2, 1, 1), (512, 20, 59), (1024, 39, 100), (2048, 79, 174), (262144, 10000, 10000)],
)
def test_shares_become_the_published_weights(shares: int, linear: int, quadratic: int) -> None:
    assert shares_to_weight(shares) == linear
    assert shares_to_weight_quadratic(shares) == quadratic


@given(st.integers(-10, 2**19), st.integers(-10, 2**19))
@relaxed
def test_weights_stay_in_the_kernels_range_and_in_the_order_of_shares(one: int, two: int) -> None:
    for convert in (shares_to_weight, shares_to_weight_quadratic):
        low, high = convert(min(one, two)), convert(max(one, two))
        assert 1 <= low <= high <= 10000


@given(cpus=st.integers(1, 6400), period=st.integers(1000, 1_000_000))
@relaxed
def test_cpus_is_a_quota_over_the_default_period_whatever_else_is_set(
    cpus: int, period: int
) -> None:
    written = f"{cpus / 100:.2f}"
    assert bandwidth({"cpus": written, "cpu-period": period}) == (cpus * 1000, 100_000)


@pytest.mark.parametrize(
    ("shares", "weight", "formula"),
    [
        (512, "20", "linear"), (512, "59", "quadratic"), (2048, "79", "linear"),
        (2048, "174", "quadratic"), (1024, "100", "quadratic"), (512, "21", None),
        (512, None, None),
        # Both say 1 and 10000 at the ends.
        (2, "1", None), (262144, "10000", None),
    ],
)  # fmt: skip
def test_a_weight_tells_by_which_formula_it_was_made(
    shares: int, weight: str | None, formula: str | None
) -> None:
    found = conversion(shares, weight)
    assert (None if found is None else found.partition(",")[0]) == formula


def test_either_conversion_of_shares_is_expected_where_it_is_read() -> None:
    (interface,) = option("cpu-shares").interfaces(2)
    settings = {"cpu-shares": 512}
    assert [interface.agreed(settings, found) for found in ("20", "59", "77", None)] == [
        "20", "59", "20", "20"
    ]  # fmt: skip
    assert interface.agreed({}, "59") is None


@pytest.mark.parametrize(
    ("name", "said", "text"),
    [
        ("cpu-quota", 50000, "50000"),
        ("cpuset-cpus", "0-1", "0-1"),
        ("restart", {"Name": "on-failure", "MaximumRetryCount": 2}, "on-failure:2"),
        ("restart", {"Name": "no", "MaximumRetryCount": 0}, "no"),
        ("restart", {"Name": ""}, "no"),
        # Engines write what is not limited in several ways.
        ("pids-limit", None, None),
        ("pids-limit", 0, None),
        ("memory-swap", -1, None),
        ("cpuset-cpus", "", None),
    ],
)
def test_what_the_engine_declares_is_a_text_or_nothing(
    name: str, said: object, text: str | None
) -> None:
    assert option(name).declared(said) == text
