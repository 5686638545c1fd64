"""A verdict that does not follow from the values beside it is found; what follows is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from cgbench.judging.contradiction import contradictions
from cgbench.records.idle_findings import Lifting
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Enforced, Outcome, Verdict
from tests.made import atlas_rows

TRIED = (Outcome.EFFECTIVE, Outcome.WRONG, Outcome.IGNORED)


def of(verdict: Verdict, **parts: Any) -> list[str]:
    table = atlas_rows.table({})
    whole = table.model_copy(update={"rows": (Row(verdict=verdict, **parts),)})
    return [one.reason for one in contradictions(whole)]


def changed(outcome: Outcome, **update: Any) -> Verdict:
    return atlas_rows.verdict("cpus", outcome).model_copy(update=update)


def values(outcome: Outcome, **update: Any) -> Verdict:
    verdict = atlas_rows.verdict("cpus", outcome)
    one = verdict.values[0].model_copy(update=update)
    return verdict.model_copy(update={"values": (one,)})


def points(outcome: Outcome, **update: Any) -> Verdict:
    verdict = atlas_rows.verdict("cpus", outcome)
    one = verdict.experienced[0].model_copy(update=update)
    return verdict.model_copy(update={"experienced": (one,)})


@pytest.mark.parametrize("outcome", [*TRIED, Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE])
def test_what_follows_is_left_alone(outcome: Outcome) -> None:
    assert of(atlas_rows.verdict("cpus", outcome)) == []


@pytest.mark.parametrize("outcome", TRIED)
@pytest.mark.parametrize("other", list(Outcome))
def test_another_verdict_than_that_of_the_values_is_found(outcome: Outcome, other: Outcome) -> None:
    assert bool(of(changed(outcome, verdict=other))) is (other is not outcome)


@pytest.mark.parametrize("outcome", TRIED)
@pytest.mark.parametrize("other", list(Outcome))
def test_so_is_another_verdict_of_a_value(outcome: Outcome, other: Outcome) -> None:
    assert bool(of(values(outcome, verdict=other))) is (other is not outcome)


def test_an_effective_value_outside_its_band_is_named() -> None:
    found = of(points(Outcome.EFFECTIVE, value=0.9, error_pct=80.0, within=False))
    assert "0.5 of worker is effective, and cpus_used lies outside its band" in found


def test_an_effective_value_that_no_file_holds_is_named() -> None:
    file = Enforced(before="-1", after="49000", expected="50000")
    found = of(values(Outcome.EFFECTIVE, files={"cpu.cfs_quota_us": file}))
    assert found == [
        "0.5 of worker is effective, and cpu.cfs_quota_us held 49000, not 50000"
    ]  # fmt: skip


def test_a_file_that_went_with_its_container_says_nothing() -> None:
    file = Enforced(before="-1", after=None, expected="50000")
    assert of(values(Outcome.EFFECTIVE, files={"cpu.cfs_quota_us": file})) == []


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"within": False}, "is said to be outside its band around 0.5"),
        ({"value": 0.52}, "is said to be inside its band around 0.5"),
        ({"error_pct": 3.0}, "is said to be off by 3 %"),
    ],
)
def test_a_point_that_does_not_fit_its_own_figures_is_named(
    update: dict[str, Any], said: str
) -> None:
    assert any(said in one for one in of(points(Outcome.EFFECTIVE, **update)))


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("2 of 2 values held: the worst", "speaks of 2 values, and 1 are there"),
        ("1 of 1 values was wrong: at 0.5", "counts 1 wrong, and its values are 1 effective"),
        ("of 1 values 1 was ignored: at 0.5", "counts 1 ignored, and its values are 1 effective"),
    ],
)
def test_a_reason_counts_what_is_there(reason: str, said: str) -> None:
    assert any(said in one for one in of(changed(Outcome.EFFECTIVE, reason=reason)))


def test_what_was_refused_or_warned_of_is_in_dockers_answers() -> None:
    refused = values(Outcome.EFFECTIVE, verdict=Outcome.REJECTED)
    assert "0.5 of worker is rejected, and Docker refused nothing" in of(refused)
    warned = values(Outcome.EFFECTIVE, verdict=Outcome.DISCARDED)
    assert "0.5 of worker is discarded, and Docker warned of nothing" in of(warned)


def test_a_limit_that_was_not_lifted_makes_a_verdict_wrong_whatever_its_values_are() -> None:
    lifting = Lifting(
        option="cpus", limit="--cpus 0.5", by="--cpus 0", sent='{"NanoCpus": 0}',
        outcome="accepted", message="", file="cpu.max", before="50000 100000",
        after="50000 100000", asked="max 100000", declared="0", declares=("max 100000",),
        lifted=False, right=False,
    )  # fmt: skip
    assert lifting.fails
    found = of(atlas_rows.verdict("cpus", Outcome.EFFECTIVE), liftings=(lifting,))
    assert found == ["it is effective, and by its values it is wrong"]
    assert of(changed(Outcome.EFFECTIVE, verdict=Outcome.WRONG), liftings=(lifting,)) == []


def test_nothing_that_was_tried_has_no_effect() -> None:
    bare = atlas_rows.verdict("cpus", Outcome.UNSUPPORTED)
    found = of(bare.model_copy(update={"verdict": Outcome.EFFECTIVE}))
    assert found == ["it is effective, and nothing was tried"]


def test_a_table_of_an_older_cgbench_without_values_is_taken_as_it_stands() -> None:
    assert of(changed(Outcome.IGNORED, values=())) == []


def test_every_option_is_named_with_its_own() -> None:
    verdicts = dict.fromkeys(("cpus", "cpu-quota"), Outcome.EFFECTIVE)
    table: TruthTable = atlas_rows.table(verdicts)
    row = table.rows[1]
    wrong = row.verdict.model_copy(update={"verdict": Outcome.WRONG})
    broken = table.model_copy(
        update={"rows": (table.rows[0], row.model_copy(update={"verdict": wrong}))}
    )
    assert {one.option for one in contradictions(broken)} == {"cpu-quota"}
