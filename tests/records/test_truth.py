"""The truth table as a document: JSON there and back."""

from __future__ import annotations

import json

import pytest

from cgbench.judging import verdict
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome, Verdict
from cgbench.spec import experiment_file
from cgbench.spec.options import OPTIONS
from tests.made import truth_tables
from tests.made.records import HOST


def judged(option: str, outcome: Outcome) -> Verdict:
    base = verdict.unsupported(experiment_file.load("cpus-sweep"), option, "why <not> & how")
    return base.model_copy(update={"verdict": outcome})


def table(*outcomes: Outcome) -> TruthTable:
    rows = tuple(
        Row(verdict=judged(option, outcome))
        for option, outcome in zip(OPTIONS, outcomes, strict=False)
    )
    return TruthTable(host=HOST, started="2026-01-01T00:00:00+00:00", elapsed_s=1.5, rows=rows)


def test_json_goes_there_and_back() -> None:
    whole = table(*Outcome)
    assert TruthTable.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_json_has_the_documented_keys() -> None:
    document = table(Outcome.EFFECTIVE).to_json()
    assert {"schema_version", "host", "options", "interactions"} <= set(document)
    assert {
        "option", "verdict", "reason", "advice", "declared", "enforced", "experienced",
        "time_to_effect_ms", "bounds", "born_vs_changed", "survival", "evidence",
    } <= set(document["options"][0])  # fmt: skip
    assert set(document["options"][0]["time_to_effect_ms"]) == {
        "answer", "answered_first", "enforced", "experienced",
    }  # fmt: skip


def test_a_limit_that_changed_although_it_was_refused_fails() -> None:
    (row,) = table(Outcome.REJECTED).rows
    lying = row.verdict.model_copy(update={"refused_yet_changed": True})
    one = table(Outcome.REJECTED)
    assert one.not_in_force == ()
    changed = one.model_copy(update={"rows": (row.model_copy(update={"verdict": lying}),)})
    assert changed.not_in_force == (row.verdict.option,)


def test_a_table_of_an_older_cgbench_has_the_example_and_no_effects() -> None:
    whole = truth_tables.table(Outcome.EFFECTIVE, Outcome.REVERTED)
    document = json.loads(json.dumps(whole.to_json()))
    for entry in document["options"]:
        del (
            entry["states"],
            entry["further_survival"],
            entry["undone_by"],
            entry["survival"]["beside"],
        )
        for stage in entry["survival"]["stages"]:
            del stage["changes"]
    for pair in document["interactions"]:
        del pair["undone"], pair["effect"]
    read = TruthTable.from_json(document)
    assert [row.further_survival for row in read.rows] == [(), ()]
    assert [row.states for row in read.rows] == [(), ()]
    assert [len(row.survivals) for row in read.rows] == [1, 1]
    assert {pair.effect for pair in read.interactions} == {None}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_a_limit_that_is_not_in_force_fails(outcome: Outcome) -> None:
    one = table(outcome)
    assert (one.not_in_force == (next(iter(OPTIONS)),)) is (outcome in NOT_IN_FORCE)
