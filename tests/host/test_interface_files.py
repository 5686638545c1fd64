"""What interface files say becomes columns; what is not understood is kept as text."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.host import interface_files
from tests.made.interface_texts import (
    CPU_PRESSURE,
    IO_STAT,
    OOM_CONTROL,
    V1_CPU_STAT,
    V1_MEMORY_STAT,
    V2_CPU_STAT,
)

relaxed = settings(deadline=None)


@pytest.mark.parametrize(
    ("file", "content", "values"),
    [
        ("cpuacct.usage", "25929493\n", {"cpuacct.usage": 25929493}),
        ("cpu.cfs_quota_us", "-1\n", {"cpu.cfs_quota_us": -1}),
        (
            "cpu.stat",
            V1_CPU_STAT,
            {
                "cpu.stat:nr_periods": 2,
                "cpu.stat:nr_throttled": 0,
                "cpu.stat:throttled_time": 0,
                "cpu.stat:nr_bursts": 0,
                "cpu.stat:burst_time": 0,
            },
        ),
        (
            "cpu.stat",
            V2_CPU_STAT,
            {
                "cpu.stat:usage_usec": 1275253,
                "cpu.stat:user_usec": 1014675,
                "cpu.stat:system_usec": 260578,
                "cpu.stat:nice_usec": 0,
                "cpu.stat:core_sched.force_idle_usec": 0,
                "cpu.stat:nr_periods": 29,
                "cpu.stat:nr_throttled": 24,
                "cpu.stat:throttled_usec": 1340108,
                "cpu.stat:nr_bursts": 0,
                "cpu.stat:burst_usec": 0,
            },
        ),
        (
            "cpu.pressure",
            CPU_PRESSURE,
            {"cpu.pressure:some.total": 10624, "cpu.pressure:full.total": 5861},
        ),
        (
            "memory.oom_control",
            OOM_CONTROL,
            {
                "memory.oom_control:oom_kill_disable": 0,
                "memory.oom_control:under_oom": 0,
                "memory.oom_control:oom_kill": 0,
            },
        ),
        (
            "memory.stat",
            V1_MEMORY_STAT,
            {
                "memory.stat:cache": 2187264,
                "memory.stat:rss": 102400,
                "memory.stat:swap": 0,
                "memory.stat:workingset_refault_anon": 0,
                "memory.stat:workingset_refault_file": 17,
                "memory.stat:hierarchical_memory_limit": 67108864,
                "memory.stat:total_inactive_file": 2183168,
            },
        ),
        ("memory.events", "oom 1\noom_kill 1\n", {
            "memory.events:oom": 1, "memory.events:oom_kill": 1,
        }),
        ("io.stat", "7:0 rbytes=28672 rios=22\n", {
            "io.stat:7:0.rbytes": 28672, "io.stat:7:0.rios": 22,
        }),
        ("cpuacct.usage_percpu", "25000000 929493 \n", {
            "cpuacct.usage_percpu:0": 25000000, "cpuacct.usage_percpu:1": 929493,
        }),
        ("blkio.throttle.io_service_bytes", "8:0 Read 4096\n8:0 Write 512\nTotal 4608\n", {
            "blkio.throttle.io_service_bytes:8:0.Read": 4096,
            "blkio.throttle.io_service_bytes:8:0.Write": 512,
            "blkio.throttle.io_service_bytes:Total": 4608,
        }),
        ("io.stat", "", {}),
        ("io.stat", "\n", {}),
    ],
)  # fmt: skip
def test_an_interface_file_reads_as_columns_under_the_kernels_names(
    file: str, content: str, values: dict[str, int]
) -> None:
    assert interface_files.parse(file, content.encode()) == values


STAT = (
    "4242 (a (strange) name) {state} 4200 4242 4242 0 -1 4194304 100 0 0 0 12 3 0 0 20 0 1 0 99 "
    "19000000 900 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 {cpu} 0 0 0 0 0 0 0 0 0 0 0 0 0"
)


def test_a_running_process_is_seen_on_its_cpu() -> None:
    content = STAT.format(state="R", cpu=1).encode()
    assert interface_files.parse("stat", content) == {"stat:4242.processor": 1}


@pytest.mark.parametrize("state", ["S", "D", "T", "Z"])
def test_a_process_that_does_not_run_is_seen_nowhere(state: str) -> None:
    assert interface_files.parse("stat", STAT.format(state=state, cpu=1).encode()) == {}


def test_this_very_process_is_seen_on_one_of_its_cpus() -> None:
    (cpu,) = interface_files.parse("stat", Path("/proc/self/stat").read_bytes()).values()
    assert cpu in os.sched_getaffinity(0)


@pytest.mark.parametrize(
    "content", ["4242 (cut off) R 1 2 3", "nonsense", "x (name) R " + "1 " * 49 + "1"]
)
def test_a_malformed_stat_of_a_process_says_no_cpu_and_is_kept(content: str) -> None:
    assert interface_files.parse("stat", content.encode()) == {"stat!not-understood": content}


@pytest.mark.parametrize(
    ("content", "values"),
    [
        # As v2 and v1 print it.
        ("anon N0=8192 N1=4096\nfile N0=0 N1=1\n",
         {"anon.N0": 8192, "anon.N1": 4096, "file.N0": 0, "file.N1": 1}),
        ("total=5 N0=2 N1=3\nhierarchical_anon=3 N0=3 N1=0\n",
         {"total.N0": 2, "total.N1": 3, "hierarchical_anon.N0": 3, "hierarchical_anon.N1": 0}),
        ("total=95 N0=95\n", {"total.N0": 95}),
    ],
)  # fmt: skip
def test_each_memory_node_has_its_own_columns(content: str, values: dict[str, int]) -> None:
    named = {f"memory.numa_stat:{key}": number for key, number in values.items()}
    assert interface_files.parse("memory.numa_stat", content.encode()) == named


def test_each_device_of_io_stat_has_its_own_columns() -> None:
    values = interface_files.parse("io.stat", IO_STAT.encode())
    assert len(values) == 12
    assert values["io.stat:254:16.wbytes"] == 3145728
    assert values["io.stat:254:0.rbytes"] == 4096


@pytest.mark.parametrize(
    "content",
    [
        # Captured by others with kernels 5.15 and 6.1: lxd issue 10052, beats issue 32345.
        "7:7 7:6 7:5 7:4 rbytes=28672 wbytes=0 rios=22 wios=0 dbytes=0 dios=0\n7:3 rbytes=5\n",
        "7:4 rbytes=28672\n7:3 rbytes=5\n7:7 7:6 1:15 1:0 \n",
        # While a group is being set up.
        "7:4 rbytes=28672\n7:3 rbytes=5\n252:0 ",
    ],
)
def test_devices_without_figures_in_io_stat_are_passed_over(content: str) -> None:
    values = interface_files.parse("io.stat", content.encode())
    assert values["io.stat:7:4.rbytes"] == 28672
    assert values["io.stat:7:3.rbytes"] == 5
    assert not any(name.startswith(("io.stat:7:7", "io.stat:1:", "io.stat:252")) for name in values)


@pytest.mark.parametrize(
    "content",
    ["lots\n", "max\n", "nr_periods two\n", "a b c\n", "8:0 Read some\n", "1 2 three\n",
     "a b c 4\n", "7:0 rbytes=many\n", "some avg10=0.00 total=x\n", "\ufffd\ufffd", "1.5\n",
     "9223372036854775808\n", "1 18446744073709551615\n"],
)  # fmt: skip
def test_a_malformed_interface_file_has_no_value_and_its_text_is_kept(content: str) -> None:
    assert interface_files.parse("some.file", content.encode()) == {
        "some.file!not-understood": content.strip()
    }


def test_one_odd_line_costs_no_other_line() -> None:
    content = "7:0 rbytes=5 wbytes=6\n7:1 what is this\n7:2 rbytes=7\n7:3 rbytes=-\n"
    assert interface_files.parse("io.stat", content.encode()) == {
        "io.stat:7:0.rbytes": 5,
        "io.stat:7:0.wbytes": 6,
        "io.stat:7:2.rbytes": 7,
        "io.stat!not-understood": "7:1 what is this\n7:3 rbytes=-",
    }


@pytest.mark.parametrize("content", ["max 100000\n", "-1\n", "0-1\n", "\n"])
def test_a_limit_is_kept_as_text(content: str) -> None:
    assert interface_files.parse("cpu.max", content.encode(), text=True) == {
        "cpu.max": content.strip()
    }


letters = string.ascii_lowercase
names = st.builds(str.__add__, st.sampled_from(letters), st.text(f"{letters}_.", max_size=20))
numbers = st.integers(-(2**63), 2**63 - 1)


@given(numbers)
@relaxed
def test_any_single_number_reads_back(number: int) -> None:
    assert interface_files.parse("f", f"{number}\n".encode()) == {"f": number}


@given(st.dictionaries(names, numbers, min_size=1))
@relaxed
def test_any_flat_keyed_file_reads_back(values: dict[str, int]) -> None:
    content = "".join(f"{key} {value}\n" for key, value in values.items())
    parsed = interface_files.parse("f", content.encode())
    assert parsed == {f"f:{key}": value for key, value in values.items()}


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 300), st.integers(0, 300)).map("{0[0]}:{0[1]}".format),
        st.dictionaries(st.sampled_from(["rbytes", "wbytes", "rios", "cost.usage"]), numbers),
        max_size=6,
    )
)
@relaxed
def test_any_nested_keyed_file_reads_back_whatever_device_is_silent(
    devices: dict[str, dict[str, int]],
) -> None:
    lines = (
        " ".join([device, *(f"{key}={value}" for key, value in values.items())])
        for device, values in devices.items()
    )
    assert interface_files.parse("f", "\n".join(lines).encode()) == {
        f"f:{device}.{key}": value
        for device, values in devices.items()
        for key, value in values.items()
    }


@given(st.binary(max_size=60))
@relaxed
def test_any_bytes_are_either_understood_or_kept_under_the_files_name(content: bytes) -> None:
    values = interface_files.parse("some.file", content)
    kept = values.pop("some.file!not-understood", "")
    assert isinstance(kept, str)
    assert all(isinstance(value, int) for value in values.values())
    assert all(name.startswith("some.file") for name in values)
