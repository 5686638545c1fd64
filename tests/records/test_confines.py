"""Which CPUs a container may use, and what keeps it from others, follows from its confines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.records.confines import Confines, Group, cpu_list

OPEN = ("0-3", "0-3", "0-3")
PATHS = ("/docker/1", "/docker", "/")


def confines(
    *affinity: str, groups: tuple[str, ...] = OPEN, offline: str | None = None,
    file: str = "cpuset.cpus.effective",
) -> Confines:  # fmt: skip
    levels = zip(PATHS, groups, strict=False)
    return Confines(
        affinity=affinity,
        groups=tuple(Group(path=path, files={file: text}) for path, text in levels),
        offline=offline,
    )


def test_what_is_open_everywhere_binds_nothing() -> None:
    assert confines("0-3").binding((0, 1)) is None
    assert confines("0-1").binding((0, 1)) is None
    assert confines("0", "1").binding((0, 1)) is None


def test_an_affinity_that_leaves_out_a_cpu_is_named() -> None:
    found = confines("0", groups=("0-1", "0-3", "0-3"))
    assert found.usable == (0,)
    assert found.binding((0, 1)) == "Cpus_allowed_list of its processes is 0"


@pytest.mark.parametrize("file", ["cpuset.cpus.effective", "cpuset.effective_cpus"])
def test_the_highest_group_that_lacks_a_cpu_is_named(file: str) -> None:
    found = confines("0", groups=("0", "0", "0-3"), file=file)
    assert found.binding((0, 1)) == f"{file} of /docker is 0"


def test_a_cpu_that_is_offline_is_named() -> None:
    found = confines("0", groups=("0", "0", "0"), offline="1-3")
    assert found.binding((0, 1)) == "CPU 1 is offline"


def test_nothing_is_said_where_nothing_was_read() -> None:
    assert Confines().usable is None
    assert Confines().binding((0, 1)) is None
    assert confines("0", groups=()).usable == (0,)
    assert confines(groups=("2", "0-3", "0-3")).usable == (2,)


def test_an_affinity_that_is_known_in_part_keeps_nothing_from_a_cpu() -> None:
    many = ",".join(str(cpu) for cpu in range(0, 4096, 2))
    found = confines("0", many, groups=("0-1", "0-3", "0-3"))
    assert found.affinity[1] != many, "too long a text lacks its middle"
    assert found.usable == (0, 1)
    assert found.binding((0, 1)) is None


@given(st.text(max_size=30))
def test_any_text_is_a_list_or_none(text: str) -> None:
    cpu_list(text)
    assert Confines(affinity=(text,)).binding((0,)) in (
        None, f"Cpus_allowed_list of its processes is {Confines(affinity=(text,)).affinity[0]}",
    )  # fmt: skip


def test_cpus_of_a_set_that_are_isolated_are_named() -> None:
    found = Confines(isolated="2-3")
    assert found.isolates((1, 3)) == "CPU 3 is isolated, and gets no task by itself"
    assert found.isolates((0, 1)) is None
    assert Confines().isolates((0, 1)) is None


def limited(*levels: dict[str, str]) -> Confines:
    groups = tuple(
        Group(path=path, files=files) for path, files in zip(PATHS, levels, strict=False)
    )
    return Confines(groups=groups)


@pytest.mark.parametrize(
    ("metric", "wanted", "above", "said"),
    [
        ("cpus_used", 1.0, {"cpu.max": "50000 100000"},
         "cpu.max of /docker is 50000 per 100000 µs"),
        ("cpus_used", 1.0, {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
         "cpu.cfs_quota_us of /docker is 50000 per 100000 µs"),
        ("cpus_used", 0.4, {"cpu.max": "50000 100000"}, None),
        ("cpus_used", 1.0, {"cpu.max": "max 100000"}, None),
        ("cpus_used", 1.0, {"cpu.max": "5 0"}, None),
        ("cpus_used", 1.0, {"cpu.max": "9" * 5000 + " 1"}, None),
        ("cpus_used", 1.0, {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ("memory_max_bytes", 64.0, {"memory.max": "32"}, "memory.max of /docker is 32"),
        ("memory_max_bytes", 64.0, {"memory.limit_in_bytes": "9223372036854771712"}, None),
        ("tasks_max", 24.0, {"pids.max": "12"}, "pids.max of /docker is 12"),
        ("tasks_max", 24.0, {"pids.max": "max"}, None),
        ("restarts", 2.0, {"pids.max": "1"}, None),
    ],
)  # fmt: skip
def test_a_group_above_that_allows_less_is_named(
    metric: str, wanted: float, above: dict[str, str], said: str | None
) -> None:
    assert limited({"pids.max": "1"}, above, {}).above(metric, wanted) == said


def test_the_lowest_limit_above_is_named_and_never_the_containers_own() -> None:
    found = limited({"pids.max": "1"}, {"pids.max": "20"}, {"pids.max": "12"})
    assert found.above("tasks_max", 24) == "pids.max of / is 12"
    assert limited({"pids.max": "1"}).above("tasks_max", 24) is None


def test_only_what_a_controller_should_limit_can_be_lost_to_it() -> None:
    found = Confines(astray={"cpu,cpuacct": "/else", "blkio": "/far"})
    assert found.lost("cpu") == (
        "some of its processes are in the group /else, where it does not count"
    )
    assert found.lost("memory") is None
    assert "/far" in (found.lost("io") or "")
    assert "/moved" in (Confines(astray={"": "/moved"}).lost("memory") or "")
    assert Confines().lost("cpu") is None


def test_confines_are_alike_whatever_the_limits_of_the_group_itself() -> None:
    def with_own(text: str, above: str = "-1") -> Confines:
        groups = (Group(path="/docker/1", files={"cpu.cfs_quota_us": text}),
                  Group(path="/docker", files={"cpu.cfs_quota_us": above}))  # fmt: skip
        return Confines(affinity=("0", "1"), groups=groups)

    one = with_own("1000")
    assert one.alike(with_own("2000"))
    assert one.alike(one.model_copy(update={"affinity": ("1", "0")}))
    assert one.alike(one.model_copy(update={"affinity": ("0-1", "0", "1")}))
    assert not one.alike(with_own("1000", above="5000"))
    for changed in ({"affinity": ("0",)}, {"astray": {"cpu": "/x"}}, {"offline": "1"}):
        assert not one.alike(one.model_copy(update=changed))
    assert not confines("0-1").alike(confines("0-1", groups=("0", "0-3", "0-3")))
