"""The edges of an option's domain: what is tried, and what real containers make of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import OptionError
from cgbench.measuring.idle import bounds
from cgbench.measuring.idle.bounds import Reach, Try, domain, plan
from cgbench.measuring.idle.containers import Supply
from cgbench.records.idle_findings import Attempt, Kind
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS, option, update_body
from tests.made.idle_supply import cat
from tests.made.idle_supply import supply as new_supply

relaxed = settings(deadline=None)

reaches = st.builds(
    Reach,
    st.lists(st.integers(0, 512), min_size=1, unique=True).map(lambda ids: tuple(sorted(ids))),
    st.lists(st.integers(0, 8), min_size=1, unique=True).map(lambda ids: tuple(sorted(ids))),
)
options = st.sampled_from(list(OPTIONS.values()))


def numbers(one: Option, reach: Reach, *kinds: Kind) -> list[tuple[Try, int]]:
    return [
        (each, each.raw)
        for each in plan(one, reach)
        if each.kind in kinds and isinstance(each.raw, int)
    ]


# What is tried: pure


@relaxed
@given(options, reaches)
def test_whatever_is_just_outside_is_outside_the_documented_domain(
    one: Option, reach: Reach
) -> None:
    lowest, highest = domain(one, reach)
    for each, number in numbers(one, reach, Kind.BELOW, Kind.ABOVE):
        assert not each.documented
        if each.kind is Kind.BELOW:
            assert lowest is not None
            assert number == lowest - 1
        else:
            assert highest is not None
            assert number == highest + 1


@relaxed
@given(options, reaches)
def test_the_registry_refuses_what_lies_outside_its_own_bounds(one: Option, reach: Reach) -> None:
    kinds = [Kind.MALFORMED]
    if one.floor is None:
        kinds.append(Kind.BELOW)
    if one.ceiling is None and one.highest_per_cpu is None:
        kinds.append(Kind.ABOVE)
    for each in plan(one, reach):
        if each.kind in kinds:
            with pytest.raises(OptionError):
                one.check(each.text)


@relaxed
@given(options, reaches)
def test_the_registry_accepts_what_lies_on_its_bounds(one: Option, reach: Reach) -> None:
    for each in plan(one, reach):
        if each.kind in (Kind.SMALLEST, Kind.LARGEST, Kind.CHOICE, Kind.ALONE):
            assert each.documented
            one.check(each.text)


@relaxed
@given(options, reaches)
def test_what_is_typed_is_what_is_sent(one: Option, reach: Reach) -> None:
    for each in plan(one, reach):
        if each.kind in (Kind.SMALLEST, Kind.LARGEST, Kind.CHOICE, Kind.ALONE):
            assert one.parse(each.text) == each.raw


@relaxed
@given(options, reaches)
def test_no_value_is_tried_twice_in_the_same_state(one: Option, reach: Reach) -> None:
    tries = [(repr(each.raw), each.limited, tuple(each.base)) for each in plan(one, reach)]
    assert len(tries) == len(set(tries))


@relaxed
@given(options, reaches)
def test_every_option_is_asked_to_lift_a_real_limit_in_every_way(one: Option, reach: Reach) -> None:
    limited = {each.text for each in plan(one, reach) if each.limited}
    assert {"-1", ""} <= limited
    # A list's 0 is a CPU or a node.
    assert "0" in limited or one.controller == "cpuset"


@relaxed
@given(reaches)
def test_a_cpu_or_node_that_this_host_lacks_is_asked_for(reach: Reach) -> None:
    for name, offered in (("cpuset-cpus", reach.cpus), ("cpuset-mems", reach.nodes)):
        absent = [each for each in plan(option(name), reach) if each.kind is Kind.ABSENT]
        assert len(absent) == 1
        assert int(absent[0].text) not in offered


def test_cpus_are_bounded_by_those_of_the_host() -> None:
    tries = {each.kind: each for each in plan(option("cpus"), Reach((0, 1, 2), (0,)))}
    assert tries[Kind.LARGEST].text == "3"
    assert tries[Kind.ABOVE].text == "3.000000001"
    assert tries[Kind.BELOW].raw == 9_999_999
    assert tries[Kind.MINUS_ONE].raw == -1_000_000_000


def test_memory_swap_is_bounded_below_by_the_memory_beside_it() -> None:
    tries = {each.kind: each for each in plan(option("memory-swap"), Reach((0,), (0,)))}
    assert tries[Kind.SMALLEST].base == {"memory": "64m", "memory-swap": "448m"}
    assert tries[Kind.SMALLEST].raw == 64 * 2**20
    assert tries[Kind.BELOW].raw == 64 * 2**20 - 1
    assert tries[Kind.MINUS_ONE].documented
    assert tries[Kind.ALONE].base == {}


def test_memory_reservation_is_bounded_above_by_the_memory_beside_it() -> None:
    tries = {each.kind: each for each in plan(option("memory-reservation"), Reach((0,), (0,)))}
    assert tries[Kind.ABOVE].base == {"memory": "96m", "memory-swap": "512m"}
    assert tries[Kind.ABOVE].raw == 96 * 2**20 + 1


def test_a_policy_is_sent_as_dockers_command_line_sends_it() -> None:
    tries = {each.text: each for each in plan(option("restart"), Reach((0,), (0,)))}
    assert tries["on-failure:3"].raw == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert tries["always:3"].raw == {"Name": "always", "MaximumRetryCount": 3}
    assert tries[""].raw == {"Name": "", "MaximumRetryCount": 0}


# What real containers make of it


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


def by_update(name: str, supply: Supply) -> dict[Kind, Attempt]:
    return {each.kind: each for each in bounds.measure(option(name), supply, ("update",))}


def by_hand(supply: Supply, *bodies: dict[str, object], file: tuple[str, ...]) -> list[str]:
    """Send updates to one fresh container; return the file by `cat`, at first and after each."""
    with supply.fresh() as idle:
        texts = [cat(idle.container_id, *file)]
        for body in bodies:
            supply.site.engine.update_raw(idle.container_id, body)
            texts.append(cat(idle.container_id, *file))
    return texts


@pytest.mark.docker
def test_a_quota_below_a_millisecond_is_rejected_and_changes_nothing(supply: Supply) -> None:
    attempts = by_update("cpu-quota", supply)
    below = attempts[Kind.BELOW]
    assert (below.tried, below.outcome) == ("999", "rejected")
    assert below.sent == '{"CpuQuota": 999}'
    assert "1ms" in below.message
    assert not below.changed
    assert below.changes == ()
    born, after = by_hand(supply, {"CpuQuota": 999}, file=("cpu.cfs_quota_us", "cpu.max"))
    assert below.before == below.after == born == after


@pytest.mark.docker
def test_a_quota_is_lifted_where_the_file_says_again_what_it_said_at_birth(supply: Supply) -> None:
    attempts = by_update("cpu-quota", supply)
    for kind, value in ((Kind.ZERO, 0), (Kind.MINUS_ONE, -1)):
        file = ("cpu.cfs_quota_us", "cpu.max")
        born, limited, after = by_hand(supply, {"CpuQuota": 30_000}, {"CpuQuota": value}, file=file)
        attempt = attempts[kind]
        assert (attempt.before, attempt.after) == (limited, after)
        assert attempt.lifted is (after == born)
        assert limited != born
    # The documented way does lift it.
    assert attempts[Kind.MINUS_ONE].lifted is True


@pytest.mark.docker
def test_shares_of_0_and_empty_do_what_cat_says_they_do(supply: Supply) -> None:
    attempts = by_update("cpu-shares", supply)
    for kind, value in ((Kind.ZERO, 0), (Kind.EMPTY, ""), (Kind.MINUS_ONE, -1), (Kind.BELOW, 1)):
        attempt = attempts[kind]
        bodies: list[dict[str, object]] = [{"CpuShares": value}]
        if kind is not Kind.BELOW:
            bodies.insert(0, {"CpuShares": 512})
        texts = by_hand(supply, *bodies, file=("cpu.shares", "cpu.weight"))
        assert (attempt.before, attempt.after) == (texts[-2], texts[-1])
        assert attempt.lifted is (None if kind is Kind.BELOW else texts[-1] == texts[0])
        enforced = [each.where for each in attempt.changes if each.layer == "enforced"]
        assert bool(enforced) is (texts[-1] != texts[-2])
    assert attempts[Kind.EMPTY].outcome == "rejected"


@pytest.mark.docker
def test_a_cpuset_is_tried_from_one_cpu_to_all_and_beyond(supply: Supply) -> None:
    attempts = by_update("cpuset-cpus", supply)
    with supply.fresh() as idle:
        every = idle.cgroup.offered("cpus")
    assert attempts[Kind.SMALLEST].after == str(min(every))
    assert attempts[Kind.ABSENT].outcome == "rejected"
    assert not attempts[Kind.ABSENT].changed
    assert attempts[Kind.LARGEST].outcome == "accepted"
    assert attempts[Kind.LARGEST].before == option("cpuset-cpus").example


@pytest.mark.docker
def test_each_attempt_begins_where_the_one_before_left_a_clean_container(supply: Supply) -> None:
    attempts = bounds.measure(option("cpu-period"), supply, ("update",))
    fresh = {each.before for each in attempts if each.kind not in (
        Kind.ZERO, Kind.MINUS_ONE, Kind.EMPTY)}  # fmt: skip
    limited = {each.before for each in attempts} - fresh
    assert len(fresh) == len(limited) == 1


@pytest.mark.docker
def test_a_container_may_be_born_with_the_value_as_well(supply: Supply) -> None:
    attempts = bounds.measure(option("pids-limit"), supply)
    born = {each.kind: each for each in attempts if each.how == "run"}
    assert born[Kind.SMALLEST].outcome == "accepted"
    assert born[Kind.SMALLEST].after == "1"
    assert born[Kind.SMALLEST].running
    assert born[Kind.ABOVE].outcome == "rejected"
    assert not born[Kind.ABOVE].running
    assert born[Kind.ABOVE].lifted is None
    with supply.born(update_body({"pids-limit": 1})) as (_, idle):
        assert idle is not None
        assert cat(idle.container_id, "pids.max") == "1"
