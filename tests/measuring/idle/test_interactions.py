"""One option after another: who is refused, and who is disturbed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.measuring.idle import comeback, interactions
from cgbench.measuring.idle.containers import Limits, Supply
from cgbench.measuring.idle.interactions import Moment, in_force
from cgbench.records.idle_findings import Effect, Felt, Interaction, Meeting
from cgbench.spec.option import Option, Value
from cgbench.spec.options import OPTIONS, option, update_body
from tests.made.idle_supply import cat
from tests.made.idle_supply import supply as new_supply

relaxed = settings(deadline=None)


# Is a value still in force? Pure


def moment(
    name: str, declared: dict[str, Value], files: dict[str, str], *fields: tuple[str, str]
) -> Moment:
    """Return a moment at which every setting is declared as sent, and `files` were read."""
    config = {option(each).field: str(value) for each, value in declared.items()}
    return Moment(option(name), declared, Limits({**config, **dict(fields)}, files))


def kept(version: int, first: Moment, second: Moment) -> bool:
    return in_force(first, second, lambda one: one.interfaces(version))


@relaxed
@given(st.sampled_from(list(OPTIONS.values())), st.sampled_from([1, 2]))
def test_a_value_is_in_force_where_nothing_changed(one: Option, version: int) -> None:
    declared = {**one.beside, one.name: one.example}
    for text in (None, "something else"):
        files = {
            each.file: str(each.expected(declared) if text is None else text)
            for each in one.interfaces(version)
        }
        first = moment(one.name, declared, files)
        assert kept(version, first, first)


QUOTA: dict[str, Value] = {"cpu-quota": 30_000}


@pytest.mark.parametrize(
    ("after", "still"), [("30000 200000", True), ("70000 200000", False), ("max 200000", False)]
)
def test_a_quota_is_in_force_where_only_the_period_changed_in_the_file_they_share(
    after: str, still: bool
) -> None:
    first = moment("cpu-quota", QUOTA, {"cpu.max": "30000 100000"})
    second = moment("cpu-period", {**QUOTA, "cpu-period": 200_000}, {"cpu.max": after})
    assert kept(2, first, second) is still


def test_a_quota_is_no_longer_in_force_where_cpus_took_its_place() -> None:
    for version, before, after in (
        (1, {"cpu.cfs_quota_us": "30000"}, {"cpu.cfs_quota_us": "75000"}),
        (2, {"cpu.max": "30000 100000"}, {"cpu.max": "75000 100000"}),
    ):
        first = moment("cpu-quota", QUOTA, before)
        assert not kept(version, first, moment("cpus", {**QUOTA, "cpus": "0.75"}, after))
        # Declared, and not done: the quota is as it was.
        assert kept(version, first, moment("cpus", {**QUOTA, "cpus": "0.75"}, before))


def test_cpus_are_no_longer_in_force_where_the_period_beneath_them_changed() -> None:
    cpus: dict[str, Value] = {"cpus": "0.5"}
    before = {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}
    after = before | {"cpu.cfs_period_us": "200000"}
    first = moment("cpus", cpus, before)
    assert not kept(1, first, moment("cpu-period", {**cpus, "cpu-period": 200_000}, after))


def test_swap_is_no_longer_in_force_where_memory_grew_and_the_file_did_not_follow() -> None:
    swap: dict[str, Value] = {"memory": "64m", "memory-swap": "384m"}
    grown = {**swap, "memory": "96m"}
    before = {"memory.max": str(64 * 2**20), "memory.swap.max": str(320 * 2**20)}
    first = moment("memory-swap", swap, before)
    stale = {**before, "memory.max": str(96 * 2**20)}
    assert not kept(2, first, moment("memory", grown, stale))
    followed = {**stale, "memory.swap.max": str(288 * 2**20)}
    assert kept(2, first, moment("memory", grown, followed))


def test_a_value_that_docker_declares_no_longer_is_not_in_force() -> None:
    policy: dict[str, Value] = {"restart": "on-failure:3"}
    first = moment("restart", policy, {})
    same = moment("pids-limit", {**policy, "pids-limit": 128}, {})
    assert kept(1, first, same)
    gone = moment("pids-limit", {**policy, "pids-limit": 128}, {}, ("RestartPolicy", "no"))
    assert not kept(1, first, gone)


def test_a_value_that_the_kernel_converts_in_its_own_way_must_stay_unchanged() -> None:
    shares: dict[str, Value] = {"cpu-shares": 512}
    first = moment("cpu-shares", shares, {"cpu.weight": "59"})
    assert kept(2, first, moment("pids-limit", shares, {"cpu.weight": "59"}))
    assert not kept(2, first, moment("pids-limit", shares, {"cpu.weight": "100"}))


def gone(version: int, first: Moment, second: Moment) -> str | None:
    return interactions.undone(first, second, lambda one: one.interfaces(version))


def test_what_undid_a_value_is_said_with_both_texts() -> None:
    before = {"cpu.cfs_quota_us": "30000"}
    first = moment("cpu-quota", QUOTA, before)
    second = moment("pids-limit", {**QUOTA, "pids-limit": 128}, {"cpu.cfs_quota_us": "-1"})
    assert gone(1, first, second) == "cpu.cfs_quota_us went from 30000 to -1"


def test_a_file_that_did_not_follow_is_said_with_what_both_ask_for() -> None:
    swap: dict[str, Value] = {"memory": "64m", "memory-swap": "384m"}
    before = {"memory.max": str(64 * 2**20), "memory.swap.max": str(320 * 2**20)}
    first = moment("memory-swap", swap, before)
    stale = {**before, "memory.max": str(96 * 2**20)}
    found = gone(2, first, moment("memory", {**swap, "memory": "96m"}, stale))
    assert found == "memory.swap.max stayed 335544320, where both ask for 301989888"


def test_a_value_that_comes_late_is_not_undone_by_what_was_set_meanwhile() -> None:
    first = moment("cpu-quota", QUOTA, {"cpu.cfs_quota_us": "-1"})
    for text in ("30000", "-1"):
        second = moment("pids-limit", {**QUOTA, "pids-limit": 128}, {"cpu.cfs_quota_us": text})
        assert gone(1, first, second) is None
    other = moment("pids-limit", {**QUOTA, "pids-limit": 128}, {"cpu.cfs_quota_us": "5000"})
    assert gone(1, first, other) is not None


# What is undone is seen twice. Pure

EFFECT = Effect(
    felt=Felt.DISTURBED, reason="killed after --cpus 0.75, it was not started again",
    metric="restarts", unit="restarts", after=0.0, expected_before=1.0, expected=1.0, tolerance=0.0,
)  # fmt: skip
PAIR = Interaction(
    a="restart", b="cpus", a_value="on-failure:3", b_value="0.75", outcome=Meeting.DISTURBED,
    message="", a_changes=(), b_changes=(), undone="a went from 1 to 2", effect=EFFECT,
)  # fmt: skip
KEPT = EFFECT.model_copy(update={"felt": Felt.KEPT, "after": 1.0})


def test_what_was_undone_twice_is_undone() -> None:
    assert interactions.confirmed(PAIR, PAIR) == PAIR


def test_a_value_that_was_undone_once_only_is_not_undone() -> None:
    found = interactions.confirmed(PAIR, PAIR.model_copy(update={"undone": None}))
    assert (found.undone, found.message) == (None, "not seen when it was tried again")
    assert found.effect == EFFECT


def test_an_effect_that_was_lost_once_only_is_left_open() -> None:
    found = interactions.confirmed(PAIR, PAIR.model_copy(update={"effect": KEPT}))
    assert found.undone == PAIR.undone
    assert found.effect is not None
    assert (found.effect.felt, found.effect.after) == (Felt.INCONCLUSIVE, None)
    assert found.effect.reason == f"{EFFECT.reason}; not seen when it was tried again"


def test_what_is_seen_the_second_time_only_is_not_undone_either() -> None:
    first = PAIR.model_copy(update={"undone": None, "effect": KEPT})
    assert interactions.confirmed(first, PAIR) == first


# Real containers


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


@pytest.mark.docker
def test_a_quota_after_cpus_is_refused_in_the_daemons_own_words(supply: Supply) -> None:
    found = interactions.pair(option("cpus"), option("cpu-quota"), supply)
    assert found.outcome is Meeting.REFUSED
    assert "CPU Quota cannot be updated as NanoCPUs has already been set" in found.message
    assert found.a_changes == found.b_changes == ()


@pytest.mark.docker
def test_shares_leave_a_quota_alone_as_cat_says(supply: Supply) -> None:
    found = interactions.pair(option("cpu-quota"), option("cpu-shares"), supply)
    with supply.fresh() as idle:
        engine, container_id = supply.site.engine, idle.container_id
        weights = [cat(container_id, "cpu.shares", "cpu.weight")]
        engine.update_raw(container_id, update_body({"cpu-quota": 30_000}))
        quotas = [cat(container_id, "cpu.cfs_quota_us", "cpu.max")]
        engine.update_raw(container_id, update_body({"cpu-shares": 2048}))
        quotas.append(cat(container_id, "cpu.cfs_quota_us", "cpu.max"))
        weights.append(cat(container_id, "cpu.shares", "cpu.weight"))
    assert quotas[0] == quotas[1]
    assert found.outcome is Meeting.INDEPENDENT
    assert found.a_changes == ()
    changed = {each.where: (each.before, each.after) for each in found.b_changes}
    assert changed["CpuShares"] == ("0", "2048")
    assert tuple(weights) in changed.values()


@pytest.mark.docker
def test_the_period_leaves_a_quota_in_force_though_they_may_share_a_file(supply: Supply) -> None:
    found = interactions.pair(option("cpu-quota"), option("cpu-period"), supply)
    assert found.outcome is Meeting.INDEPENDENT
    assert found.message == ""


@pytest.mark.docker
def test_a_value_that_another_update_replaces_is_disturbed_and_not_undone(supply: Supply) -> None:
    quota = option("cpu-quota")
    found = interactions.pair(quota, dataclasses.replace(quota), supply)
    assert found.outcome is Meeting.DISTURBED
    assert found.undone is None, "Docker declares the new one"
    changed = {each.where: (each.before, each.after) for each in found.a_changes}
    assert changed["CpuQuota"] == ("30000", "70000")
    assert len(changed) == 2


@pytest.mark.docker
def test_a_value_that_is_refused_leaves_nothing_to_disturb(supply: Supply) -> None:
    bad = dataclasses.replace(option("cpu-quota"), example=999)
    found = interactions.pair(bad, option("cpu-shares"), supply)
    assert found.outcome is Meeting.A_FAILED
    assert "1ms" in found.message


@pytest.mark.docker
def test_a_value_that_is_refused_alone_too_is_no_conflict(supply: Supply) -> None:
    bad = dataclasses.replace(option("cpu-quota"), other=999)
    found = interactions.pair(option("cpu-shares"), bad, supply)
    assert found.outcome is Meeting.B_FAILED
    assert "1ms" in found.message


@pytest.mark.docker
def test_the_matrix_holds_every_ordered_pair_once(supply: Supply) -> None:
    chosen = [option(name) for name in ("cpu-shares", "pids-limit", "restart")]
    found = interactions.matrix(chosen, supply)
    assert len({(each.a, each.b) for each in found}) == len(found) == 6
    assert {each.outcome for each in found} == {Meeting.INDEPENDENT}


@pytest.mark.docker
def test_a_container_that_is_to_come_back_does_so_after_another_update(supply: Supply) -> None:
    found = interactions.pair(option("restart"), option("cpu-shares"), supply)
    assert found.outcome is Meeting.INDEPENDENT
    assert found.effect is not None
    assert found.effect.felt is Felt.KEPT, found.effect.reason
    assert (found.effect.expected, found.effect.after) == (1.0, 1.0)


@pytest.mark.docker
def test_a_container_that_is_not_to_come_back_is_seen_to_stay_away(supply: Supply) -> None:
    # A policy that starts nothing again stands in for one that was undone.
    undone = dataclasses.replace(option("restart"), example="no")
    control = comeback.alone(option("restart"), supply)
    assert control is not None
    assert control.after_ns is not None, "one that is to come back does"
    with supply.fresh() as idle:
        supply.site.engine.update_raw(idle.container_id, update_body({"restart": undone.example}))
        found = comeback.after(option("cpu-shares"), idle, supply, control)
    assert found.felt is Felt.DISTURBED
    assert found.after == 0.0
    assert "it was not started again" in found.reason
