"""Each limit of a running container gets the finding that its files and those above bear out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cgbench.judging.audit import limits
from cgbench.judging.declaration import declared_by
from cgbench.judging.seen import File, Moved, Seen, UserLimit
from cgbench.judging.throttles import Throttles, throttled
from cgbench.records.audit import Found, Limit, LimitName
from cgbench.records.confines import Confines, Group
from cgbench.spec.option import Settings

OWN, PARENT, TOP = "/docker/abc", "/docker", "/"
V1_UNLIMITED = "9223372036854771712"


def group(path: str, **files: str) -> Group:
    """Return a group with files whose names have `_` for the first dot."""
    return Group(path=path, files={name.replace("_", ".", 1): text for name, text in files.items()})


def file(name: str, text: str | None, *expected: str) -> File:
    return File(f"/sys/fs/cgroup{OWN}/{name}", text, expected)


def seen(
    settings: Settings, files: Mapping[LimitName, tuple[File, ...]], *groups: Group,
    affinity: tuple[str, ...] = ("0-3",), **more: Any,
) -> Seen:  # fmt: skip
    confines = Confines(affinity=affinity, groups=groups or (group(OWN), group(PARENT), group(TOP)))
    return Seen(settings, files, confines, cpus=(0, 1, 2, 3), memory=8 * 2**30, **more)


def only(name: str, one: Seen) -> Limit:
    return next(limit for limit in limits(one) if limit.limit == name)


def test_a_quota_that_is_as_declared_is_in_force() -> None:
    one = only("cpus", seen(
        {"cpus": "0.5"}, {"cpus": (file("cpu.max", "50000 100000", "50000 100000"),)},
        group(OWN, cpu_max="50000 100000"), group(PARENT, cpu_max="max 100000"), group(TOP),
    ))  # fmt: skip
    assert one.finding is Found.IN_FORCE
    assert (one.declared, one.effective) == (0.5, 0.5)
    assert (one.bound_by.kind, one.bound_by.path) == ("container", OWN)
    assert one.reason == "0.500 CPUs is declared, and cpu.max says 50000 100000"


def test_a_file_that_somebody_changed_differs() -> None:
    one = only("cpus", seen(
        {"cpus": "0.5"}, {"cpus": (file("cpu.max", "20000 100000", "50000 100000"),)},
        group(OWN, cpu_max="20000 100000"), group(TOP),
    ))  # fmt: skip
    assert one.finding is Found.DIFFERS
    assert one.reason == "0.500 CPUs is declared, and cpu.max says 20000 100000, not 50000 100000"
    assert one.effective == pytest.approx(0.2)


def test_systemds_rounding_is_named() -> None:
    one = only("cpus", seen(
        {"cpus": "0.015"}, {"cpus": (file("cpu.max", "2000 100000", "1500 100000"),)},
        group(OWN, cpu_max="2000 100000"), group(TOP),
    ))  # fmt: skip
    assert one.finding is Found.DIFFERS
    assert one.reason.endswith("that is how systemd rounds it, up to a hundredth of a CPU")


def test_either_conversion_of_shares_is_right() -> None:
    for weight in ("20", "59"):
        files: Any = {"cpu-weight": (file("cpu.weight", weight, "20", "59"),)}
        assert only("cpu-weight", seen({"cpu-shares": 512}, files)).finding is Found.IN_FORCE
    files = {"cpu-weight": (file("cpu.weight", "100", "20", "59"),)}
    assert only("cpu-weight", seen({"cpu-shares": 512}, files)).finding is Found.DIFFERS


@pytest.mark.parametrize(
    ("name", "kept", "above", "settings", "effective"),
    [
        ("cpus", ("cpu.max", "200000 100000"), {"cpu_max": "50000 100000"}, {"cpus": "2"}, 0.5),
        ("memory", ("memory.max", "536870912"), {"memory_max": "67108864"},
         {"memory": 2**29}, 2.0**26),
        ("pids", ("pids.max", "100"), {"pids_max": "7"}, {"pids-limit": 100}, 7.0),
    ],
)  # fmt: skip
def test_a_group_above_that_allows_less_is_named(
    name: LimitName, kept: tuple[str, str], above: dict[str, str], settings: Settings,
    effective: float,
) -> None:  # fmt: skip
    own = {kept[0].replace(".", "_"): kept[1]}
    one = only(name, seen(
        settings, {name: (file(kept[0], kept[1], kept[1]),)},
        group(OWN, **own), group(PARENT, **above), group(TOP),
    ))  # fmt: skip
    assert one.finding is Found.TIGHTER_ABOVE
    assert one.effective == effective
    assert (one.bound_by.kind, one.bound_by.path) == ("ancestor", PARENT)
    assert f"of {PARENT} is " in one.reason


def test_a_limit_that_nobody_declared_is_undeclared() -> None:
    for name, one_file in (
        ("memory", file("memory.limit_in_bytes", "67108864")),
        ("cpus", file("cpu.cfs_quota_us", "20000")),
        ("pids", file("pids.max", "17")),
        ("cpu-weight", file("cpu.shares", "2")),
    ):
        files: Any = {name: (one_file,)}
        found = only(name, seen({}, files))
        assert found.finding is Found.UNDECLARED, name
        assert one_file.name in found.reason


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("memory", file("memory.limit_in_bytes", V1_UNLIMITED)),
        ("memory-swap", file("memory.memsw.limit_in_bytes", V1_UNLIMITED)),
        ("cpus", file("cpu.max", "max 100000")),
        ("cpus", file("cpu.cfs_period_us", "50000")),
        ("pids", file("pids.max", "max")),
        ("cpuset", file("cpuset.cpus", "")),
        ("io-weight", file("io.weight", "default 100")),
        ("memory-reservation", file("memory.low", "0")),
    ],
)
def test_nothing_declared_and_nothing_held_is_unlimited(name: LimitName, kept: File) -> None:
    assert only(name, seen({}, {name: (kept,)})).finding is Found.UNLIMITED


def test_a_limit_without_an_interface_file_is_absent() -> None:
    files: Any = {"memory-swap": (file("memory.memsw.limit_in_bytes", None, "128"),)}
    one = only("memory-swap", seen({"memory-swap": 128 * 2**20}, files))
    assert one.finding is Found.ABSENT
    assert one.effective is None
    assert one.bound_by.kind == "none"


def test_a_weight_that_no_device_heeds_has_no_effect() -> None:
    files: Any = {"io-weight": (file("io.weight", "default 5000", "default 5000"),)}
    heeded = seen({"blkio-weight": 500}, files, weighs_io=True)
    assert only("io-weight", heeded).finding is Found.IN_FORCE
    unknown = seen({"blkio-weight": 500}, files)
    assert only("io-weight", unknown).finding is Found.IN_FORCE
    assert only("io-weight", seen({"blkio-weight": 500}, files, weighs_io=False)).finding is (
        Found.NO_EFFECT
    )


def test_two_spellings_of_a_set_are_one() -> None:
    files: Any = {"cpuset": (file("cpuset.cpus", "0-1", "0,1"),)}
    groups = (group(OWN, **{"cpuset_cpus.effective": "0-1"}), group(TOP))
    one = only("cpuset", seen({"cpuset-cpus": "0,1"}, files, *groups))
    assert one.finding is Found.IN_FORCE
    assert one.effective == "0-1"


def test_an_affinity_that_leaves_less_than_the_set_is_named() -> None:
    files: Any = {"cpuset": (file("cpuset.cpus", "0-1", "0-1"),)}
    groups = (group(OWN, **{"cpuset_cpus.effective": "0-1"}), group(TOP))
    one = only("cpuset", seen({"cpuset-cpus": "0-1"}, files, *groups, affinity=("1",)))
    assert one.finding is Found.TIGHTER_ABOVE
    assert one.bound_by.kind == "affinity"
    assert "Cpus_allowed_list of its processes is 1" in one.reason


def test_more_cpus_than_the_set_has_are_not_to_be_had() -> None:
    files: Any = {"cpus": (file("cpu.max", "200000 100000", "200000 100000"),)}
    groups = (
        group(OWN, cpu_max="200000 100000", **{"cpuset_cpus.effective": "0"}),
        group(TOP, **{"cpuset_cpus.effective": "0-3"}),
    )
    one = only("cpus", seen({"cpus": "2", "cpuset-cpus": "0"}, files, *groups))
    assert one.finding is Found.TIGHTER_ABOVE
    assert (one.effective, one.bound_by.kind) == (1.0, "container")
    assert one.reason.endswith("its processes can use CPU 0 alone")


def test_a_set_alone_makes_no_finding_of_cpu_time() -> None:
    files: Any = {"cpuset": (file("cpuset.cpus", "0", "0"),)}
    groups = (group(OWN, **{"cpuset_cpus.effective": "0"}), group(TOP))
    one = seen({"cpuset-cpus": "0"}, files, *groups)
    assert only("cpus", one).finding is Found.UNLIMITED
    assert only("cpus", one).effective == 1.0


@pytest.mark.parametrize(
    ("moved", "finding"),
    [
        ({"pids": Moved(1, 2, ("/elsewhere",), 7)}, Found.NO_EFFECT),
        ({"": Moved(1, 2, ("/elsewhere",), 7)}, Found.NO_EFFECT),
        ({"cpu,cpuacct": Moved(1, 2, ("/elsewhere",), 7)}, Found.IN_FORCE),
    ],
)
def test_a_limit_that_processes_left_has_no_effect_on_them(
    moved: dict[str, Moved], finding: Found
) -> None:
    files: Any = {"pids": (file("pids.max", "50", "50"),)}
    one = seen({"pids-limit": 50}, files, group(OWN, pids_max="50"), group(TOP))
    found = only("pids", replace(one, moved=moved))
    assert found.finding is finding
    said = "1 of 2 processes are in the group /elsewhere, where it does not count"
    assert (said in found.reason) == (finding is Found.NO_EFFECT)
    assert found.effective == 50.0, "some of its processes are limited"


def test_what_limits_nobody_any_more_is_not_effective() -> None:
    """All processes are elsewhere: what binds there is, and what is not known is not told."""
    files: Any = {
        "memory": (file("memory.max", "64", "64"),), "pids": (file("pids.max", "50", "50"),),
        "cpu-weight": (file("cpu.weight", "20", "20"),),
    }  # fmt: skip
    own = group(OWN, memory_max="64", pids_max="50", cpu_max="50000 100000")
    there = (group("/x", memory_max="128", cpu_max="max 100000"), group(TOP, pids_max="max"))
    settings: Settings = {"memory": 64, "pids-limit": 50, "cpu-shares": 512}
    one = seen(settings, files, own, group(TOP), moved={"": Moved(2, 2, ("/x",), 7, there)})
    memory = only("memory", one)
    assert (memory.finding, memory.effective) == (Found.NO_EFFECT, 128.0)
    assert (memory.bound_by.kind, memory.bound_by.path) == ("elsewhere", "/x")
    assert memory.reason.endswith(
        "all 2 of its processes are in the group /x, where it does not count"
    )
    assert (only("pids", one).effective, only("pids", one).bound_by.kind) == (None, "none")
    assert (only("cpus", one).effective, only("cpus", one).bound_by.kind) == (4.0, "host")
    assert only("cpu-weight", one).effective is None
    several = replace(one, moved={"": Moved(2, 2, ("/x", "/y"), 7)})
    assert (only("memory", several).effective, only("memory", several).bound_by.kind) == (
        None, "none",
    )  # fmt: skip
    assert "in 2 other groups, where it does not count: /x, /y" in only("memory", several).reason
    alone = replace(one, moved={"": Moved(1, 1, ("/x",), 7, there)})
    assert "its only process is in the group /x" in only("memory", alone).reason


def test_what_a_user_may_have_on_the_host_can_be_less_than_declared() -> None:
    files: Any = {"pids": (file("pids.max", "50", "50"),)}
    groups = (group(OWN, pids_max="50"), group(TOP))
    user = UserLimit(uid=1000, pid=7, tasks=8)
    one = only("pids", seen({"pids-limit": 50}, files, *groups, user=user))
    assert one.finding is Found.TIGHTER_ABOVE
    assert (one.effective, one.bound_by.kind) == (8.0, "user")
    assert "RLIMIT_NPROC of process 7 allows user 1000 no more" in one.reason
    undeclared: Any = {"pids": (file("pids.max", "max"),)}
    free = only("pids", seen({}, undeclared, group(OWN, pids_max="max"), group(TOP), user=user))
    assert free.finding is Found.UNLIMITED, "the host's own limit is nobody's declaration"
    assert free.reason == "nothing is declared for it; RLIMIT_NPROC of user 1000 allows 8"
    plenty = UserLimit(uid=1000, pid=7, tasks=1000)
    assert only("pids", seen({"pids-limit": 50}, files, *groups, user=plenty)).finding is (
        Found.IN_FORCE
    )


def test_tasks_that_joined_past_the_limit_are_told_and_no_finding() -> None:
    files: Any = {"pids": (file("pids.max", "3", "3"),)}
    groups = (group(OWN, pids_max="3"), group(TOP))
    one = only("pids", seen({"pids-limit": 3}, files, *groups, felt={"pids": {"tasks": 5.0}}))
    assert one.finding is Found.IN_FORCE
    assert "5 are there, since `docker exec` joins past it" in one.reason


@pytest.mark.parametrize(
    ("managed", "finding"),
    [
        ({"pids-limit": 100}, Found.DIFFERS),
        ({"pids-limit": 50}, Found.IN_FORCE),
        ({}, Found.IN_FORCE),
        ({"memory": 2**30}, Found.IN_FORCE),
    ],
)
def test_what_a_compose_file_would_put_back_is_told(
    managed: dict[str, int], finding: Found
) -> None:
    files: Any = {"pids": (file("pids.max", "50", "50"),)}
    groups = (group(OWN, pids_max="50"), group(TOP))
    one = only("pids", seen({"pids-limit": 50}, files, *groups, managed=managed))
    assert one.finding is finding
    assert ("the compose file declares 100 tasks" in one.reason) == (finding is Found.DIFFERS)


def test_a_burst_that_somebody_allowed_past_docker_loosens_a_quota() -> None:
    def found(burst: str, settings: Settings, quota: str) -> Limit:
        files: Any = {"cpus": (file("cpu.max", quota, "50000 100000"),
                               file("cpu.max.burst", burst, "0"))}  # fmt: skip
        return only("cpus", seen(settings, files, group(OWN, cpu_max=quota), group(TOP)))

    assert found("0", {"cpus": "0.5"}, "50000 100000").finding is Found.IN_FORCE
    loose = found("20000", {"cpus": "0.5"}, "50000 100000")
    assert loose.finding is Found.DIFFERS
    assert "cpu.max.burst says 20000, not 0" in loose.reason
    assert found("20000", {}, "max 100000").finding is Found.UNLIMITED, "there is no quota to save"


def test_a_high_mark_of_memory_holds_back_before_the_limit_does() -> None:
    def found(own: str, above: str, settings: Settings) -> Limit:
        most = str(settings.get("memory", "max"))
        files: Any = {"memory": (file("memory.max", most, *([most] if settings else [])),
                                 file("memory.high", own, "max"))}  # fmt: skip
        groups = (group(OWN, memory_max=most, memory_high=own), group(PARENT, memory_high=above),
                  group(TOP))  # fmt: skip
        return only("memory", seen(settings, files, *groups))

    assert found("max", "max", {"memory": 2**26}).finding is Found.IN_FORCE
    assert found("1048576", "max", {"memory": 2**26}).finding is Found.DIFFERS
    assert found("1048576", "max", {}).finding is Found.UNDECLARED
    above = found("max", "1048576", {"memory": 2**26})
    assert (above.finding, above.effective, above.bound_by.path) == (
        Found.TIGHTER_ABOVE, 2.0**20, PARENT,
    )  # fmt: skip
    assert above.reason.endswith(f"memory.high of {PARENT} is 1048576")


def test_what_systemd_gives_every_unit_is_nobodys_limit() -> None:
    """Met with its driver: a scope of which nobody said it has DefaultTasksMax."""
    files: Any = {"pids": (file("pids.max", "3466"),)}
    groups = (group(OWN, pids_max="3466"), group(TOP))
    assert only("pids", seen({}, files, *groups, default_tasks=3466)).finding is Found.UNLIMITED
    for default in (None, 100):
        found = only("pids", seen({}, files, *groups, default_tasks=default))
        assert found.finding is Found.UNDECLARED


READ, IO = "blkio.throttle.read_bps_device", "io.max"
RATES = {
    "BlkioDeviceReadBps": {"8:0": 1048576, "7:0": 4096}, "BlkioDeviceWriteIOps": {"8:0": 100},
}  # fmt: skip


def test_files_that_throttle_devices_have_a_line_for_each() -> None:
    assert throttled(READ, RATES) == "7:0 4096\n8:0 1048576"
    assert throttled("blkio.throttle.write_bps_device", RATES) == ""
    assert throttled(IO, RATES) == (
        "7:0 rbps=4096 wbps=max riops=max wiops=max\n8:0 rbps=1048576 wbps=max riops=max wiops=100"
    )
    assert throttled(IO, {}) == ""


@pytest.mark.parametrize(
    ("text", "rates", "finding"),
    [
        ("8:0 1048576\n7:0 4096", RATES, Found.IN_FORCE),
        ("8:0 1048576", RATES, Found.DIFFERS),
        ("8:0 1048576\n7:0 9", RATES, Found.DIFFERS),
        ("", RATES, Found.DIFFERS),
        (None, RATES, Found.ABSENT),
        ("8:0 1048576", {}, Found.UNDECLARED),
        ("", {}, Found.UNLIMITED),
    ],
)
def test_devices_are_throttled_as_declared_in_whatever_order(
    text: str | None, rates: Throttles, finding: Found
) -> None:
    expected = (throttled(READ, rates),) if rates else ()
    files: Any = {"device-throttle": (file(READ, text, *expected),)}
    one = only("device-throttle", seen({}, files, throttles=rates))
    assert one.finding is finding
    assert "\n" not in one.reason


def test_what_docker_inspect_says_becomes_options() -> None:
    config: dict[str, object] = {
        "NanoCpus": 1_500_000_000, "CpuQuota": 0, "CpuPeriod": 0, "CpuShares": 512,
        "CpusetCpus": "0-1", "Memory": 2**26, "MemorySwap": -1, "MemoryReservation": 0,
        "BlkioWeight": 300, "PidsLimit": None, "Privileged": False,
    }  # fmt: skip
    assert declared_by(config) == {
        "cpus": "1.5", "cpu-shares": 512, "memory": 2**26, "memory-swap": -1, "blkio-weight": 300,
        "cpuset-cpus": "0-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "odd", [{}, {"NanoCpus": "many"}, {"Memory": True}, {"PidsLimit": False}, {"Memory": -1}]
)
def test_an_odd_answer_declares_nothing(odd: dict[str, object]) -> None:
    assert declared_by(odd) == {}


@pytest.mark.parametrize("memory", [{}, {"memory": 2**26}])
@pytest.mark.parametrize(
    ("held", "expected", "found", "says"),
    [
        ("oom_kill_disable 0", "oom_kill_disable 0", None, ""),
        ("oom_kill_disable 1", "oom_kill_disable 1", None, ""),
        ("oom_kill_disable 1", "oom_kill_disable 0", Found.DIFFERS,
         "memory.oom_control says oom_kill_disable 1, and by --oom-kill-disable it should say "
         "oom_kill_disable 0"),
        (None, "oom_kill_disable 1", Found.ABSENT,
         "--oom-kill-disable is declared, and this kernel has no memory.oom_control"),
    ],
)  # fmt: skip
def test_how_a_memory_limit_acts_is_as_declared(
    memory: Settings, held: str | None, expected: str, found: Found | None, says: str
) -> None:
    limit = file("memory.max", "67108864", "67108864") if memory else file("memory.max", "max")
    files: dict[LimitName, tuple[File, ...]] = {
        "memory": (limit, file("memory.oom_control", held, expected))
    }
    one = only("memory", seen(memory, files, group(OWN), group(TOP)))
    assert one.finding is (found or (Found.IN_FORCE if memory else Found.UNLIMITED))
    assert says in one.reason


@pytest.mark.parametrize(
    ("kept", "expected", "flag"),
    [
        ("memory.oom_control", "oom_kill_disable 1", "--oom-kill-disable"),
        ("memory.swappiness", "10", "--memory-swappiness"),
        ("memory.kmem.limit_in_bytes", "33554432", "--kernel-memory"),
    ],
)
def test_a_wrong_manner_hides_no_changed_limit(kept: str, expected: str, flag: str) -> None:
    """Met by a new user: a limit that somebody had changed, beside a wrong swappiness."""
    files: dict[LimitName, tuple[File, ...]] = {
        "memory": (file("memory.limit_in_bytes", "1048576", "67108864"),
                   file(kept, "0", expected)),
    }  # fmt: skip
    one = only("memory", seen({"memory": 2**26}, files, group(OWN), group(TOP)))
    assert one.finding is Found.DIFFERS
    assert "memory.limit_in_bytes says 1048576, not 67108864" in one.reason
    assert f"{kept} says 0, and by {flag} it should say {expected}" in one.reason
    absent: dict[LimitName, tuple[File, ...]] = {
        "memory": (file("memory.limit_in_bytes", "1048576", "67108864"),
                   file(kept, None, expected)),
    }  # fmt: skip
    one = only("memory", seen({"memory": 2**26}, absent, group(OWN), group(TOP)))
    assert one.finding is Found.DIFFERS, "the worse of both"
    assert f"{flag} is declared, and this kernel has no {kept}" in one.reason


def test_of_several_wrong_manners_each_is_told() -> None:
    files: dict[LimitName, tuple[File, ...]] = {
        "memory": (file("memory.max", "67108864", "67108864"),
                   file("memory.swappiness", "60", "0"),
                   file("memory.oom_control", "oom_kill_disable 0", "oom_kill_disable 1")),
    }  # fmt: skip
    one = only("memory", seen({"memory": 2**26}, files, group(OWN), group(TOP)))
    assert one.finding is Found.DIFFERS
    assert "by --memory-swappiness" in one.reason
    assert "by --oom-kill-disable" in one.reason


def test_a_wrong_manner_hides_no_other_declaration_of_compose() -> None:
    files: dict[LimitName, tuple[File, ...]] = {
        "memory": (file("memory.max", "67108864", "67108864"),
                   file("memory.swappiness", "60", "0")),
    }  # fmt: skip
    one = only("memory", replace(
        seen({"memory": 2**26}, files, group(OWN), group(TOP)), managed={"memory": 2**27}
    ))  # fmt: skip
    assert "the compose file declares 128 MiB" in one.reason
    assert "by --memory-swappiness" in one.reason


def test_manners_of_a_limit_are_declared_where_they_are_not_the_usual_ones() -> None:
    usual = {"MemorySwappiness": None, "OomKillDisable": False}
    assert declared_by(usual) == declared_by({"MemorySwappiness": -1}) == {}
    assert declared_by({"MemorySwappiness": 0, "OomKillDisable": True}) == {
        "memory-swappiness": 0, "oom-kill-disable": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config", "kept", "held", "words"),
    [
        ("memory-swap", {"MemorySwap": -1}, "memory.memsw.limit_in_bytes", V1_UNLIMITED, None),
        ("memory-swap", {"MemorySwap": -1}, "memory.memsw.limit_in_bytes", "268435456",
         "no limit (-1) is declared, and memory.memsw.limit_in_bytes says 268435456"),
        ("memory-swap", {"MemorySwap": -1}, "memory.memsw.limit_in_bytes", None, None),
        ("memory-swap", {"MemorySwap": -1}, "memory.swap.max", "max", None),
        ("memory-swap", {"MemorySwap": -1}, "memory.swap.max", "4096",
         "no limit (-1) is declared, and memory.swap.max says 4096"),
        ("pids", {"PidsLimit": -1}, "pids.max", "max", None),
        ("pids", {"PidsLimit": -1}, "pids.max", "50",
         "no limit is declared, and pids.max says 50"),
        # What Docker keeps after `docker update --pids-limit 0`, and after -1, too.
        ("pids", {"PidsLimit": 0}, "pids.max", "max", None),
        ("pids", {"PidsLimit": 0}, "pids.max", "50", "no limit is declared, and pids.max says 50"),
        ("cpus", {"CpuQuota": -1}, "cpu.cfs_quota_us", "-1", None),
        ("cpus", {"CpuQuota": -1}, "cpu.max", "20000 100000",
         "no limit (-1) is declared, and cpu.max says 20000 100000"),
        ("memory-reservation", {"MemoryReservation": -1}, "memory.low", "0", None),
    ],
)  # fmt: skip
def test_a_limit_that_was_lifted_and_is_still_held_differs(
    name: LimitName, config: dict[str, int], kept: str, held: str | None, words: str | None
) -> None:
    files: Any = {name: (file(kept, held),)}
    one = only(name, seen(declared_by(config), files, group(OWN), group(TOP)))
    assert one.declared == -1
    assert one.finding is (Found.UNLIMITED if words is None else Found.DIFFERS)
    lifted = "no limit" if name == "pids" else "no limit (-1)"
    assert one.reason == (words or f"{lifted} is declared and nothing is held")


def test_no_limit_is_declared_above_a_tighter_group_too() -> None:
    files: Any = {"pids": (file("pids.max", "max", "max"),)}
    groups = (group(OWN, pids_max="max"), group(PARENT, pids_max="7"), group(TOP))
    one = only("pids", seen(declared_by({"PidsLimit": -1}), files, *groups))
    assert one.finding is Found.TIGHTER_ABOVE
    assert one.reason == ("no limit is declared, and 7 tasks is the most: pids.max of /docker is 7")
    same = seen({}, files, group(OWN), group(TOP), managed={"pids-limit": -1})
    assert only("pids", same).finding is Found.UNLIMITED, (
        "compose asked for none, and there is none"
    )


@pytest.mark.parametrize(
    ("held", "finding"), [("67108864", Found.UNLIMITED), (V1_UNLIMITED, Found.DIFFERS)]
)
def test_kernel_memory_alone_is_no_undeclared_limit(held: str, finding: Found) -> None:
    files: Any = {"memory": (
        file("memory.limit_in_bytes", V1_UNLIMITED),
        file("memory.kmem.limit_in_bytes", held, "67108864"),
    )}  # fmt: skip
    assert only("memory", seen({"kernel-memory": 2**26}, files)).finding is finding


@pytest.mark.parametrize(
    ("name", "own", "groups", "more", "proof"),
    [
        ("memory", file("memory.max", "100", "100"),
         (group(OWN, memory_max="100"), group(PARENT, memory_max="50"), group(TOP)), {},
         {"/sys/fs/cgroup/docker/memory.max": "50"}),
        ("memory", file("memory.max", "100", "100"),
         (group(OWN, memory_max="100"), group(PARENT, memory_max="max", memory_high="60"),
          group(TOP)), {}, {"/sys/fs/cgroup/docker/memory.high": "60"}),
        ("pids", file("pids.max", "50", "50"),
         (group(OWN, pids_max="50"), group(PARENT), group(TOP, pids_max="7")), {},
         {"/sys/fs/cgroup/pids.max": "7"}),
        ("pids", file("pids.max", "50", "50"), (group(OWN, pids_max="50"), group(TOP)),
         {"user": UserLimit(1000, 7, 8)}, {"/proc/7/limits": "Max processes 8"}),
        ("cpuset", file("cpuset.cpus", "0-3", "0-3"),
         (group(OWN, **{"cpuset_cpus.effective": "0-1"}),
          group(PARENT, **{"cpuset_cpus.effective": "0-1"}),
          group(TOP, **{"cpuset_cpus.effective": "0-3"})), {},
         {"/sys/fs/cgroup/docker/cpuset.cpus.effective": "0-1"}),
        ("cpuset", file("cpuset.cpus", "0-3", "0-3"),
         (group(OWN, **{"cpuset_cpus.effective": "0-3"}), group(TOP)),
         {"affinity": ("1",), "pid": 9}, {"/proc/9/status": "Cpus_allowed_list: 1"}),
        ("pids", file("pids.max", "50", "50"), (group(OWN, pids_max="50"), group(TOP)),
         {"moved": {"": Moved(1, 2, ("/x",), 7)}}, {"/proc/7/cgroup": "/x"}),
        ("pids", file("pids.max", "60", "50"), (group(OWN, pids_max="60"), group(TOP)), {}, {}),
    ],
)  # fmt: skip
def test_the_file_that_proves_a_finding_is_named(
    name: LimitName, own: File, groups: tuple[Group, ...], more: dict[str, Any],
    proof: dict[str, str],
) -> None:  # fmt: skip
    settings: Settings = {"memory": 100, "pids-limit": 50, "cpuset-cpus": "0-3"}
    one = only(name, seen(settings, {name: (own,)}, *groups, **more))
    assert not one.finding.good
    assert one.proof == proof
    assert one.proven_by == (tuple(proof) or (own.path,))
