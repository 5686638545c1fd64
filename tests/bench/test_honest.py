"""Verdicts of many truth tables are counted, and tables that are there are not measured again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cgbench.records.results import TRUTH, new_run_name
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from cgbench.spec.options import OPTIONS
from tests.bench import honest, tables
from tests.bench.tables import Said
from tests.made import truth_tables

EFFECTIVE, WRONG, INCONCLUSIVE = Outcome.EFFECTIVE, Outcome.WRONG, Outcome.INCONCLUSIVE
FIRST, SECOND = list(OPTIONS)[:2]


def made(*outcomes: Outcome) -> TruthTable:
    return truth_tables.table(*outcomes, bare=True)


def many(*all_outcomes: Sequence[Outcome]) -> tables.Tables:
    return {Path(f"t{at}"): made(*outcomes) for at, outcomes in enumerate(all_outcomes)}


def keep(folder: Path, table: TruthTable) -> None:
    path = folder / "verify" / new_run_name() / TRUTH
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(table.to_json()))


class Verifier:
    """Writes tables of effective options, and notes which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, options: Sequence[str], folder: Path) -> None:
        self.asked.append(list(options))
        rows = [row for row in made(EFFECTIVE, EFFECTIVE).rows if row.verdict.option in options]
        keep(folder, made().model_copy(update={"rows": tuple(rows)}))


def test_tables_that_are_there_are_not_measured_again(tmp_path: Path) -> None:
    keep(tmp_path, made(EFFECTIVE, EFFECTIVE))
    keep(tmp_path, made(EFFECTIVE))
    verifier = Verifier()
    honest.measured(tmp_path, [FIRST, SECOND], 3, verifier)
    assert verifier.asked == [[FIRST, SECOND], [SECOND]]
    honest.measured(tmp_path, [FIRST, SECOND], 3, verifier)
    assert len(verifier.asked) == 2


def test_a_verify_that_leaves_no_table_ends_the_campaign(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="left no table"):
        honest.measured(tmp_path, [FIRST], 1, lambda _options, _folder: None)


def test_verdicts_unlike_most_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = many((EFFECTIVE, WRONG), (EFFECTIVE, WRONG), (WRONG, WRONG), (INCONCLUSIVE, WRONG))
    differ, *_ = honest.steady(found, [FIRST, SECOND])
    assert (differ.value, differ.met) == ("2", False)
    assert "8 verdicts" in differ.name
    said = capsys.readouterr().out
    assert f"--{FIRST}: wrong, exit 1, not effective: because of" in said
    assert "t2" in said
    assert "t3" in said
    assert SECOND not in said


def test_verdicts_that_agree_do_not_differ_whatever_they_are() -> None:
    differ, *_ = honest.steady(many((EFFECTIVE, WRONG), (EFFECTIVE, WRONG)), [FIRST, SECOND])
    assert (differ.value, differ.met) == ("0", True)


def test_a_row_that_fails_now_and_then_differs_with_the_same_verdict() -> None:
    lies = truth_tables.updated("created", "1", "1", undone=True, option=FIRST)
    plain, lying = made(EFFECTIVE), made(EFFECTIVE)
    row = lying.rows[0].model_copy(update={"states": (lies,)})
    lying = lying.model_copy(update={"rows": (row,)})
    assert row.fails
    (odd,) = tables.differing({Path("a"): plain, Path("b"): plain, Path("c"): lying}, [FIRST])
    assert odd.path == Path("c")
    assert "in state created" in str(odd)


def test_only_whole_tables_are_timed() -> None:
    whole = made(*[EFFECTIVE] * len(OPTIONS))
    part = made(EFFECTIVE).model_copy(update={"elapsed_s": 999.0})
    _, took = honest.steady({Path("a"): whole, Path("b"): part}, [FIRST])
    assert (took.value, took.met) == ("242 s", False)


def test_beside_a_busy_cpu_open_verdicts_are_counted_apart_from_wrong_ones() -> None:
    expected = {FIRST: Said(EFFECTIVE, fails=False), SECOND: Said(WRONG, fails=True)}
    found = many((EFFECTIVE, WRONG), (INCONCLUSIVE, WRONG), (EFFECTIVE, EFFECTIVE))
    wrong, left_open = honest.disturbed(found, expected)
    assert (wrong.value, wrong.met) == ("1", False)
    assert left_open.value == "16.7 %"
    assert left_open.met


@pytest.mark.parametrize(
    "outcomes",
    [((EFFECTIVE,), (WRONG,)), ((INCONCLUSIVE,), (INCONCLUSIVE,)), ()],
    ids=["tied", "inconclusive", "nothing"],
)
def test_a_reference_must_decide(outcomes: Sequence[Sequence[Outcome]]) -> None:
    with pytest.raises(SystemExit, match=f"--{FIRST}"):
        tables.decided(many(*outcomes), [FIRST])


def test_the_reference_is_what_more_than_half_say() -> None:
    found = many((WRONG,), (EFFECTIVE,), (WRONG,))
    assert tables.decided(found, [FIRST]) == {FIRST: Said(WRONG, fails=True)}


def test_tables_of_another_form_or_host_are_not_counted_together(tmp_path: Path) -> None:
    keep(tmp_path, made(EFFECTIVE))
    assert len(tables.kept(tmp_path, quick=True)) == 1
    with pytest.raises(SystemExit, match="measured with --quick"):
        tables.kept(tmp_path, quick=False)
    keep(tmp_path, truth_tables.table(EFFECTIVE, bare=True, hostname="another"))
    with pytest.raises(SystemExit, match="another"):
        tables.kept(tmp_path, quick=True)
