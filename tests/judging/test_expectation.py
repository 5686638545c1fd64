"""What should happen: CPUs shared out by weight, and what other limits let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging.expectation import Load, Situation, Work
from cgbench.spec.option import Settings, Value


def situation(cpus: int = 2, **loads: tuple[Settings, int | None]) -> Situation:
    return Situation(
        {role: Load(settings, workers) for role, (settings, workers) in loads.items()},
        tuple(range(cpus)),
    )


def test_rivals_on_one_cpu_share_it_by_weight() -> None:
    found = situation(
        small=({"cpuset-cpus": "0", "cpu-shares": 256}, 1), big=({"cpuset-cpus": "0"}, 1)
    )
    assert found.expected("cpus_used", "small") == pytest.approx(0.2)
    assert found.expected("cpu_share_pct", "small") == pytest.approx(20)


def test_weights_do_not_matter_where_cpus_are_left() -> None:
    found = situation(small=({"cpu-shares": 2}, 1), big=({}, 1))
    assert found.expected("cpus_used", "small") == pytest.approx(1)


def test_cpus_are_numbered_as_the_host_numbers_them() -> None:
    loads = {"a": Load({"cpuset-cpus": "2-3"}, 2), "b": Load({}, 2)}
    assert Situation(loads, (2, 3)).expected("cpus_used", "a") == pytest.approx(1)
    assert Situation(loads, (0, 1)).expected("cpus_used", "a") == pytest.approx(2)


def test_what_one_cannot_use_goes_to_the_others() -> None:
    found = situation(a=({"cpu-shares": 256}, 2), b=({"cpu-quota": 50_000}, 2), c=({}, 2))
    assert found.expected("cpus_used", "b") == pytest.approx(0.5)
    assert found.expected("cpus_used", "a") == pytest.approx(0.3)
    assert found.expected("cpus_used", "c") == pytest.approx(1.2)


def test_no_memory_lies_off_the_nodes_that_are_declared() -> None:
    found = situation(a=({"cpuset-mems": "1"}, None), b=({}, None))
    assert found.expected("off_nodes_bytes", "a") == 0
    assert found.expected("off_nodes_bytes", "b") is None


def test_nothing_is_said_of_sets_that_overlap() -> None:
    found = situation(a=({"cpuset-cpus": "0"}, 1), b=({"cpuset-cpus": "0-1"}, 2))
    assert found.expected("cpus_used", "a") is None


def test_nothing_is_said_beside_a_workload_of_unknown_appetite() -> None:
    found = situation(a=({}, 2), b=({}, None))
    assert found.expected("cpus_used", "a") is None


def test_a_container_alone_on_its_cpus_gets_all_of_them() -> None:
    found = situation(a=({"cpuset-cpus": "0"}, 1), b=({"cpuset-cpus": "1"}, 1))
    assert found.expected("cpu_share_pct", "a") == pytest.approx(100)


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(
            st.integers(2, 262144), st.integers(1, 8), st.none() | st.integers(1000, 800_000)
        ),
        min_size=1,
    ),
    st.integers(1, 8),
)
def test_cpus_are_shared_out_whole_fairly_and_within_demand(
    drawn: dict[str, tuple[int, int, int | None]], cpus: int
) -> None:
    loads: dict[str, tuple[Settings, int | None]] = {}
    demand = {}
    for role, (shares, workers, quota) in drawn.items():
        settings: dict[str, int | float | str] = {"cpu-shares": shares}
        if quota is not None:
            settings["cpu-quota"] = quota
        loads[role] = (settings, workers)
        demand[role] = min(workers, cpus, cpus if quota is None else quota / 100_000)
    found = situation(cpus, **loads)
    given_out = {role: found.expected("cpus_used", role) or 0.0 for role in loads}
    assert sum(given_out.values()) == pytest.approx(min(cpus, sum(demand.values())))
    for role in loads:
        assert given_out[role] <= demand[role] + 1e-9
    hungry = [role for role in loads if given_out[role] < demand[role] - 1e-6]
    per_weight = {role: given_out[role] / drawn[role][0] for role in loads}
    for role in hungry:
        # Nobody who got less than it wanted got less per weight than anybody else.
        assert all(per_weight[role] >= other - 1e-9 for other in per_weight.values())


def load(settings: Settings, **more: int | bool) -> Situation:
    return Situation({"a": Load(settings, None, **more)}, (0, 1))  # type: ignore[arg-type]


def test_memory_grows_to_its_limit_where_more_is_wanted() -> None:
    assert load({"memory": "64m"}, size=96 << 20).expected("memory_max_bytes", "a") == 64 << 20
    assert load({"memory": "64m"}, size=32 << 20).expected("memory_max_bytes", "a") is None
    assert load({}, size=96 << 20).expected("memory_max_bytes", "a") is None


def test_memory_and_swap_together_grow_to_theirs() -> None:
    settings = {"memory": "64m", "memory-swap": "96m"}
    assert load(settings, size=128 << 20).expected("memory_swap_max_bytes", "a") == 96 << 20
    assert load(settings, size=80 << 20).expected("memory_swap_max_bytes", "a") is None


def test_a_lower_limit_on_tasks_kills_nobody() -> None:
    assert load({"pids-limit": 12}, tasks=60).expected("tasks_max", "a") == 12
    lowered = load({"pids-limit": 12}, tasks=60, tasks_let_in=40)
    assert lowered.expected("tasks_max", "a") == 40
    assert load({"pids-limit": 100}, tasks=60).expected("tasks_max", "a") is None


@pytest.mark.parametrize(
    ("policy", "status", "restarts"),
    [("no", 1, 0), ("on-failure:2", 1, 2), ("on-failure:2", 0, 0), ("on-failure", 1, None),
     ("always", 0, None), ("unless-stopped", 1, None)],
)  # fmt: skip
def test_restart_policies_say_how_often(policy: str, status: int, restarts: int | None) -> None:
    found = load({"restart": policy}, exit_status=status).expected("restarts", "a")
    assert found == restarts


def test_io_is_shared_by_weight_where_one_is_declared() -> None:
    loads = {"a": Load({"blkio-weight": 400}, None), "b": Load({}, None)}
    assert Situation(loads, (0, 1)).expected("io_share_pct", "a") == pytest.approx(80)
    assert Situation({"a": Load({}, None), "b": Load({}, None)}, (0, 1)).expected(
        "io_share_pct", "a"
    ) is None  # fmt: skip


def test_a_reservation_is_kept_and_no_more_of_what_rivals_want() -> None:
    def kept(reservation: str, **more: Value) -> float | None:
        loads = {
            "a": Load(
                {"memory-reservation": reservation, **more}, None, size=112 << 20, grouped=True
            ),
            "b": Load({}, None, size=112 << 20, grouped=True),
        }
        return Situation(loads, (0, 1), group=96 << 20).expected("memory_kept_bytes", "a")

    assert kept("16m") == 16 << 20
    assert kept("80m") == 80 << 20
    assert kept("95m") == 95 << 20
    assert kept("104m") is None
    assert kept("80m", memory="64m") == 64 << 20
    assert kept("80m", memory="88m") == 80 << 20
    assert kept("80m", memory=-1) == 80 << 20
    assert load({"memory-reservation": "80m"}, size=1).expected("memory_kept_bytes", "a") is None


def test_nothing_is_said_of_a_metric_that_no_limit_bounds() -> None:
    assert load({}).expected("stall_p99_ms", "a") is None


def test_a_workload_with_enough_workers_uses_every_cpu_of_its_set() -> None:
    def used(settings: Settings, workers: int | None) -> float | None:
        return situation(a=(settings, workers)).expected("set_cpus_used", "a")

    assert used({"cpuset-cpus": "0-1"}, 2) == 2
    assert used({"cpuset-cpus": "0"}, 2) == 1
    assert used({"cpuset-cpus": "0-1"}, 1) is None
    assert used({"cpuset-cpus": "0-1"}, None) is None
    assert used({"cpuset-cpus": "0-1", "cpus": "1.5"}, 2) is None
    assert used({}, 2) is None


def test_cpus_that_are_not_offered_are_not_shared_out() -> None:
    load = Load({}, 2, usable=(0,))
    assert Situation({"a": load}, (0, 1)).expected("cpus_used", "a") == pytest.approx(1)
    both = Load({"cpuset-cpus": "0-1"}, 2, usable=(0,))
    assert Situation({"a": both}, (0, 1)).expected("cpus_used", "a") == pytest.approx(1)
    assert Situation({"a": both}, (0, 1)).expected("set_cpus_used", "a") == 2


READS = Work(moves="reads", block=65536)
WRITES = Work(moves="writes", block=2**20)


@pytest.mark.parametrize(
    ("settings", "work", "rate"),
    [
        ({"device-read-bps": "4m"}, READS, 4 * 2**20),
        ({"device-read-iops": 16}, READS, 2**20),
        ({"device-read-bps": "4m", "device-read-iops": 16}, READS, 2**20),
        ({"device-read-bps": "512k", "device-read-iops": 16}, READS, 2**19),
        ({"device-write-bps": "4m"}, READS, None),
        ({"device-write-bps": "4m"}, WRITES, 4 * 2**20),
        # How many requests a large write becomes is the device's affair.
        ({"device-write-bps": "4m", "device-write-iops": 9}, WRITES, None),
        ({"device-read-bps": "4m"}, Work(), None),
        ({}, READS, None),
    ],
)
def test_a_workload_moves_what_the_tightest_limit_of_its_device_lets_through(
    settings: Settings, work: Work, rate: float | None
) -> None:
    found = Situation({"a": Load(settings, None, work=work)}, (0, 1))
    assert found.expected("io_bytes_per_s", "a") == rate
