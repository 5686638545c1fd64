"""Counters by one name for both versions of cgroups, and what of them one device did."""

from __future__ import annotations

import fnmatch

import pytest

from cgbench.host import interface_files
from cgbench.spec.counters import V1_COUNTERS, V2_COUNTERS, Counter


def counter(counters: tuple[Counter, ...], name: str) -> Counter:
    (found,) = (one for one in counters if one.name == name)
    return found


V1 = "7:0 Read 100\n7:0 Write 50\n7:0 Total 150\n8:0 Read 9\n8:0 Total 9\nTotal 159\n"
# As seen with a loop device: the disk beneath is charged with the same bytes again.
V2 = (
    "254:16 rbytes=100 wbytes=50 rios=3 wios=4 dbytes=0 dios=0\n"
    "7:0 rbytes=100 wbytes=50 rios=3 wios=4 dbytes=0 dios=0\n"
    "17:0 rbytes=7 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n"
)


@pytest.mark.parametrize(
    ("counters", "text", "all_devices"), [(V1_COUNTERS, V1, 159), (V2_COUNTERS, V2, 314)]
)
def test_what_one_device_did_is_told_from_what_all_did(
    counters: tuple[Counter, ...], text: str, all_devices: int
) -> None:
    one = counter(counters, "io_bytes")
    values = interface_files.parse(one.file, text.encode())

    def total(pattern: str) -> int:
        return sum(
            int(value) for name, value in values.items() if fnmatch.fnmatchcase(name, pattern)
        )

    assert total(one.column_of("7:0")) == 150
    assert total(one.column_of(None)) == total(one.column) == all_devices
    assert total(one.column_of("9:9")) == 0


@pytest.mark.parametrize("counters", [V1_COUNTERS, V2_COUNTERS])
def test_what_is_not_kept_per_device_is_the_same_for_each(counters: tuple[Counter, ...]) -> None:
    for one in counters:
        if one.name != "io_bytes":
            assert one.column_of("7:0") == one.column
