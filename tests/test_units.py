"""Sizes, durations, CPU counts and CPU lists, read and printed."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import UnitError
from cgbench.units import (
    format_cpu_list,
    format_duration,
    format_size,
    parse_cpu_list,
    parse_duration,
    parse_nanocpus,
    parse_size,
)

relaxed = settings(deadline=None)

SIZE_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
DURATION_FACTORS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
NOT_ASCII = ["²", "٣", "½"]


# Sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64m", 64 * 2**20),
        ("1.5g", 3 * 2**29),
        ("100", 100),
        ("100b", 100),
        ("2KiB", 2048),
        ("2 kB", 2048),
        (" 1g\n", 2**30),
        ("-1", -1),
        ("0", 0),
    ],
)
def test_a_size_is_read_as_docker_reads_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "m", "1x", "1mm", "1,5g", "--1", "1 2", "1e3", "0x10", "nan", *NOT_ASCII]
)
def test_what_is_not_a_size_is_named(text: str) -> None:
    with pytest.raises(UnitError, match="not a size") as caught:
        parse_size(text)
    assert repr(text) in caught.value.message
    assert caught.value.advice


@given(
    number=st.integers(0, 10**12),
    unit=st.sampled_from(sorted(SIZE_FACTORS)),
    ending=st.sampled_from(["", "b", "ib", "B", "iB"]),
)
@relaxed
def test_every_whole_number_of_a_size_unit_is_read_exactly(
    number: int, unit: str, ending: str
) -> None:
    assert parse_size(f"{number}{unit}{ending}") == number * SIZE_FACTORS[unit]
    assert parse_size(f"{number}{unit.upper()}{ending}") == number * SIZE_FACTORS[unit]


@given(st.integers(-(2**60), 2**60))
@relaxed
def test_a_printed_size_reads_back_within_its_four_digits(size: int) -> None:
    back = parse_size(format_size(size).replace(" ", ""))
    assert abs(back - size) <= abs(size) * 0.0005 + 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (2**20, "1 MiB"),
        (256 * 2**20, "256 MiB"),
        (1.5 * 2**30, "1.5 GiB"),
        (2**50, "1024 TiB"),
        (2**55, "32768 TiB"),
        (-2048, "-2 KiB"),
    ],
)
def test_a_size_is_printed_with_a_binary_unit(size: float, text: str) -> None:
    assert format_size(size) == text


# Durations


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2s", 2 * 10**9),
        ("250ms", 250 * 10**6),
        ("1.5m", 90 * 10**9),
        ("10 µs", 10_000),
        ("10us", 10_000),
        ("7ns", 7),
        ("0.5h", 1800 * 10**9),
        ("-2s", -2 * 10**9),
    ],
)
def test_a_duration_is_read_as_nanoseconds(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "2", "s", "2S", "2sec", "2 parsecs", "1m30s", "1e3s", "1,5s", *NOT_ASCII, "²s"]
)
def test_what_is_not_a_duration_is_named(text: str) -> None:
    with pytest.raises(UnitError, match="not a duration") as caught:
        parse_duration(text)
    assert repr(text) in caught.value.message
    assert caught.value.advice


@given(number=st.integers(0, 10**9), unit=st.sampled_from(sorted(DURATION_FACTORS)))
@relaxed
def test_every_whole_number_of_a_time_unit_is_read_exactly(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * DURATION_FACTORS[unit]


@given(st.integers(0, 10**18))
@relaxed
def test_seconds_written_out_in_full_read_back_to_the_nanosecond(ns: int) -> None:
    assert parse_duration(f"{Decimal(ns) / 10**9:f}s") == ns


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 µs"),
        (1500, "1.5 µs"),
        (999_600, "1 ms"),
        (41_200_000, "41.2 ms"),
        (999_600_000, "1 s"),
        (6 * 10**9, "6 s"),
        (125 * 10**9, "2 min 5 s"),
        (120 * 10**9, "2 min"),
        (3600 * 10**9, "1 h"),
        (3660 * 10**9, "1 h 1 min"),
        (-41_200_000, "-41.2 ms"),
    ],
)
def test_a_duration_is_printed_shortly(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@given(st.integers(0, 59 * 10**9))
@relaxed
def test_a_printed_duration_below_a_minute_reads_back_within_its_three_digits(ns: int) -> None:
    back = parse_duration(format_duration(ns))
    assert abs(back - ns) <= 0.005 * ns + 1


# CPU counts


@pytest.mark.parametrize(
    ("text", "nanocpus"),
    [("0.5", 500_000_000), ("2", 2 * 10**9), ("1e-2", 10_000_000), (" 1.50 ", 1_500_000_000)],
)
def test_a_cpu_count_is_read_as_nanocpus(text: str, nanocpus: int) -> None:
    assert parse_nanocpus(text) == nanocpus


@pytest.mark.parametrize(
    "text", ["", "two", "nan", "inf", "-Infinity", "0.0000000001", "1,5", "1e9999999", "½"]
)
def test_what_is_not_a_cpu_count_is_named(text: str) -> None:
    with pytest.raises(UnitError, match="not a number of CPUs") as caught:
        parse_nanocpus(text)
    assert repr(text) in caught.value.message


@given(st.integers(0, 10**15))
@relaxed
def test_every_whole_number_of_nanocpus_reads_back(nanocpus: int) -> None:
    assert parse_nanocpus(f"{Decimal(nanocpus) / 10**9:f}") == nanocpus


# CPU lists


def as_ranges(cpus: set[int]) -> str:
    """Print a set of CPUs as the kernel does."""
    parts: list[str] = []
    for cpu in sorted(cpus):
        if cpu - 1 in cpus:
            parts[-1] = f"{parts[-1].split('-')[0]}-{cpu}"
        else:
            parts.append(str(cpu))
    return ",".join(parts)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0", (0,)),
        ("0-1\n", (0, 1)),
        ("0-2,5", (0, 1, 2, 5)),
        ("5,0", (0, 5)),
        ("1-1", (1,)),
        ("0-2,1-3", (0, 1, 2, 3)),
        ("", ()),
    ],
)
def test_a_cpu_list_is_read_as_the_kernel_writes_it(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize(
    "text", ["a", "-1", "1-", "2-0", "0-1-2", "0;1", "0 1", "0-1,x", "1.5", *NOT_ASCII, "0-²"]
)
def test_what_is_not_a_cpu_list_is_named(text: str) -> None:
    with pytest.raises(UnitError, match="not a CPU list") as caught:
        parse_cpu_list(text)
    assert repr(text) in caught.value.message
    assert caught.value.advice


def test_a_cpu_list_beyond_any_kernel_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UnitError, match="not a CPU list"):
        parse_cpu_list("0-99999999999999")


@given(st.sets(st.integers(0, 8191), max_size=64))
@relaxed
def test_a_cpu_list_reads_back_ascending(cpus: set[int]) -> None:
    assert parse_cpu_list(as_ranges(cpus)) == tuple(sorted(cpus))
    assert parse_cpu_list(",".join(map(str, cpus))) == tuple(sorted(cpus))


@pytest.mark.parametrize(
    ("cpus", "text"), [((), ""), ((3,), "3"), ((5, 2, 1, 0), "0-2,5"), ((0, 2, 3), "0,2-3")]
)
def test_a_cpu_list_is_written_as_the_kernel_writes_it(cpus: tuple[int, ...], text: str) -> None:
    assert format_cpu_list(cpus) == text


@given(st.sets(st.integers(0, 8191), max_size=64))
@relaxed
def test_a_cpu_list_that_was_written_reads_back(cpus: set[int]) -> None:
    assert parse_cpu_list(format_cpu_list(cpus)) == tuple(sorted(cpus))


@given(st.text(max_size=20))
@relaxed
def test_any_text_is_either_read_or_refused_with_a_unit_error(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_nanocpus, parse_cpu_list):
        with suppress(UnitError):
            parse(text)
