"""Which row is reverted by what happened elsewhere, and which is not."""

from __future__ import annotations

import pytest

from cgbench.judging import undone
from cgbench.measuring.idle.survival import Passage, stage_of
from cgbench.records.idle_findings import (
    Difference,
    Effect,
    Felt,
    Held,
    Interaction,
    Meeting,
    Stage,
    StageName,
    Survival,
)
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS
from tests.made import records, truth_tables


def row(outcome: Outcome, *stages: Stage, option: str = "cpu-quota") -> Row:
    born = Held(declared="0", enforced="-1")
    survival = Survival(
        option=option, value="30000", file="cpu.cfs_quota_us", born=born, refusal=None,
        stages=stages,
    )  # fmt: skip
    return Row(verdict=truth_tables.verdict(option, outcome), survival=survival)


def stage(name: StageName, *, lost: bool, declared: str = "30000", running: bool = True) -> Stage:
    """Return a stage that a quota of 30000 lived through, or not."""
    where = Difference(
        layer="enforced", where="cpu.cfs_quota_us", before="30000", after="-1"
    )  # fmt: skip
    return Stage(
        stage=name, before=Held(declared="30000", enforced="30000"),
        after=Held(declared=declared, enforced="-1" if lost else "30000"),
        survived=not lost, took_hold=False, running=running, message="",
        changes=(where,) if lost else (),
    )  # fmt: skip


# By what is not an update of a named option


def test_a_value_that_holds_until_any_other_update_is_reverted_by_that() -> None:
    found = undone.by_survival(row(Outcome.EFFECTIVE, stage("another update", lost=True))).verdict
    assert found.verdict is Outcome.REVERTED
    assert found.fails
    assert "the update of an option that has nothing to do with it" in found.reason
    assert "cpu.cfs_quota_us went from 30000 to -1" in found.reason
    assert "while Docker still declares it" in found.reason
    assert len(found.undone_by) == 1
    assert found.advice is not None
    assert found.advice.startswith("Set it again after every other update")


@pytest.mark.parametrize(
    ("name", "reverted"),
    [
        ("another container", True),
        ("daemon reload", True),
        ("another container after a reload", True),
        ("pause", False),
        ("restart", False),
        ("daemon restart", False),
    ],
)
def test_what_is_done_to_the_container_itself_decides_no_verdict(
    name: StageName, reverted: bool
) -> None:
    found = undone.by_survival(row(Outcome.EFFECTIVE, stage(name, lost=True)))
    assert (found.verdict.verdict is Outcome.REVERTED) is reverted


def test_a_value_that_docker_itself_no_longer_declares_is_not_reverted() -> None:
    found = undone.by_survival(
        row(Outcome.EFFECTIVE, stage("another update", lost=True, declared="0"))
    )
    assert found.verdict.verdict is Outcome.EFFECTIVE


def test_a_value_that_a_pause_undid_is_not_undone_again_later() -> None:
    stages = stage("pause", lost=True), stage("daemon reload", lost=True)
    assert undone.by_survival(row(Outcome.EFFECTIVE, *stages)).verdict.undone_by == ()


def test_a_container_that_ended_shows_nothing_of_its_value() -> None:
    gone = stage("another container", lost=True, running=False)
    assert undone.by_survival(row(Outcome.EFFECTIVE, gone)).verdict.verdict is Outcome.EFFECTIVE


def test_a_value_that_survives_all_keeps_its_verdict() -> None:
    kept = row(Outcome.EFFECTIVE, stage("another update", lost=False), stage("pause", lost=False))
    assert undone.by_survival(kept) == kept


def test_every_value_whose_survival_was_tried_counts() -> None:
    one = row(Outcome.EFFECTIVE, stage("another update", lost=False))
    other = row(Outcome.EFFECTIVE, stage("daemon reload", lost=True)).survival
    assert other is not None
    other = other.model_copy(update={"value": "60000", "beside": "--cpu-period 200000"})
    found = undone.by_survival(one.model_copy(update={"further_survival": (other,)}))
    assert found.verdict.verdict is Outcome.REVERTED
    assert "of --cpu-quota 60000 beside --cpu-period 200000" in found.verdict.reason


@pytest.mark.parametrize(
    ("option", "value", "file", "held", "then"),
    [
        # As a host with Docker 26.1, runc 1.1.15 and systemd 257 had them after --pids-limit 50.
        ("cpus", "0.417", "cpu.max", "41700 100000", "42000 100000"),
        ("cpu-period", "50000", "cpu.max", "max 50000", "max 100000"),
    ],
)
def test_what_systemd_writes_again_with_any_update_reverts_a_value(
    option: str, value: str, file: str, held: str, then: str
) -> None:
    born = Held(declared="0", enforced="max 100000")
    before, after = (Held(declared=value, enforced=text) for text in (held, then))
    change = Difference(layer="enforced", where=file, before=held, after=then)
    passage = Passage(born, before, after, (change,))
    found = stage_of("another update", passage, (), running=True)
    survival = Survival(
        option=option, value=value, file=file, born=born, refusal=None, stages=(found,)
    )
    one = Row(verdict=truth_tables.verdict(option, Outcome.EFFECTIVE), survival=survival)
    verdict = undone.by_survival(one).verdict
    assert verdict.verdict is Outcome.REVERTED
    assert f"of --{option} {value} {file} went from {held} to {then}" in verdict.reason


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_may_have_been_in_force_can_be_undone(outcome: Outcome) -> None:
    found = undone.by_survival(row(outcome, stage("another update", lost=True))).verdict
    nothing = (Outcome.WRONG, Outcome.INEFFECTIVE, Outcome.IGNORED, Outcome.DISCARDED,
               Outcome.REJECTED)  # fmt: skip
    if outcome in nothing:
        assert found == row(outcome).verdict
    else:
        assert found.verdict is Outcome.REVERTED
        assert found.undone_by


# By the update of another option


def met(
    b: Option, outcome: Meeting, undone_by: str | None = None, felt: Felt | None = None,
    a: str = "cpu-quota", declared: bool = True,
) -> Interaction:  # fmt: skip
    effect = None if felt is None else Effect(
        felt=felt, reason=f"cpus_used went from 0.3 to 2 after --{b.name}",
        metric="cpus_used", unit="CPUs",
    )  # fmt: skip
    own = Difference(layer="declared", where=OPTIONS[a].field, before="30000", after="0")
    return Interaction(
        a=a, b=b.name, a_value="30000", b_value=str(b.other), outcome=outcome, message="",
        a_changes=() if declared else (own,), b_changes=(), undone=undone_by, effect=effect,
    )  # fmt: skip


def table(*interactions: Interaction) -> TruthTable:
    return TruthTable(
        host=records.host(), started="2026-01-01T00:00:00+00:00", elapsed_s=1.0,
        rows=(row(Outcome.EFFECTIVE), row(Outcome.EFFECTIVE, option="pids-limit")),
        interactions=interactions,
    )  # fmt: skip


def verdicts(*interactions: Interaction) -> list[Outcome]:
    found = undone.by_interactions(table(*interactions))
    return [one.verdict.verdict for one in found.rows]


MEMORY, SHARES, CPUS = (OPTIONS[name] for name in ("memory", "cpu-shares", "cpus"))
GONE = "cpu.cfs_quota_us went from 30000 to -1"


def test_an_option_that_others_undo_says_so_in_its_row_with_by_what() -> None:
    found = undone.by_interactions(
        table(met(MEMORY, Meeting.DISTURBED, GONE), met(SHARES, Meeting.DISTURBED, GONE))
    )
    one, other = (each.verdict for each in found.rows)
    assert one.verdict is Outcome.REVERTED
    assert f"was undone by --memory 96m: {GONE} (and by 1 other)" in one.reason
    assert one.undone_by == (f"--memory 96m: {GONE}", f"--cpu-shares 2048: {GONE}")
    assert other.verdict is Outcome.EFFECTIVE
    assert found.not_in_force == ("cpu-quota",)


def test_an_effect_that_is_gone_though_the_file_holds_counts_as_well() -> None:
    found = met(MEMORY, Meeting.INDEPENDENT, felt=Felt.DISTURBED)
    assert verdicts(found) == [Outcome.REVERTED, Outcome.EFFECTIVE]


@pytest.mark.parametrize("felt", [Felt.KEPT, Felt.FOLLOWED, Felt.INCONCLUSIVE, Felt.NOT_SHOWN])
def test_any_other_effect_changes_no_verdict(felt: Felt) -> None:
    found = met(MEMORY, Meeting.INDEPENDENT, felt=felt)
    assert verdicts(found) == [Outcome.EFFECTIVE] * 2


def test_a_pair_that_changes_what_docker_declares_reverts_nothing() -> None:
    redeclared = met(MEMORY, Meeting.DISTURBED, felt=Felt.DISTURBED, declared=False)
    assert verdicts(redeclared) == [Outcome.EFFECTIVE] * 2


def test_a_refusal_reverts_nothing() -> None:
    assert verdicts(met(CPUS, Meeting.REFUSED)) == [Outcome.EFFECTIVE] * 2


def test_a_quota_that_cpus_replace_is_what_was_meant() -> None:
    """`--cpus` stands for a quota over a period, wherever both are accepted."""
    replaced = met(CPUS, Meeting.DISTURBED, "cpu.cfs_quota_us went from 30000 to 75000")
    assert verdicts(replaced) == [Outcome.EFFECTIVE] * 2


def test_what_survival_and_another_option_undo_are_both_named() -> None:
    lost = undone.by_survival(row(Outcome.EFFECTIVE, stage("another update", lost=True)))
    before = table(met(MEMORY, Meeting.DISTURBED, GONE)).model_copy(update={"rows": (lost,)})
    (found,) = undone.by_interactions(before).rows
    assert len(found.verdict.undone_by) == 2
    assert found.verdict.reason == lost.verdict.reason


def test_a_table_without_interactions_stays_as_it_is() -> None:
    assert undone.by_interactions(table()) == table()
